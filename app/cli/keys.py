"""`spillway keys`: make, list, show, change, rotate and revoke keys.

On the database of the settings, or with --base-url on that of a running gateway, by the key of an administrator. The
options are the fields of the API; what they may be is judged there.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from app.cli.gateway import JSONObject
from app.cli.groups import CommandGroup
from app.cli.key_places import open_keys
from app.cli.key_tables import print_json, show_key, show_keys, show_secret
from app.cli.options import AsJson, EnvFile
from app.cli.settings import fail

keys = typer.Typer(cls=CommandGroup, help="Make, list, change and revoke keys of callers.", no_args_is_help=True)
_WHERE = "A running gateway, and a key of an administrator of it. Default: the database of the settings."
_CLEARED = "An empty text takes it away."
_PAGE = 100
BaseUrl = Annotated[str | None, typer.Option("--base-url", help=_WHERE)]
AdminKey = Annotated[str | None, typer.Option("--api-key", help="With --base-url: the key. Default: SPILLWAY_API_KEY.")]
Reference = Annotated[str, typer.Argument(help="The id or the name of the key.")]
Budget = Annotated[str | None, typer.Option(help=f"Dollars for each period. {_CLEARED}")]
Period = Annotated[str | None, typer.Option(help="day, week, month or total.")]
Rpm = Annotated[str | None, typer.Option(help=f"Requests per minute. {_CLEARED}")]
ImagesPerMinute = Annotated[str | None, typer.Option(help=f"Images per minute. {_CLEARED}")]
Concurrency = Annotated[str | None, typer.Option(help=f"Requests at once. {_CLEARED}")]
Models = Annotated[str | None, typer.Option(help=f"Models it may use, like 'riverflow-*,flux.1-schnell'. {_CLEARED}")]
Expires = Annotated[str | None, typer.Option(help=f"When it ends: 90d, or a date like 2030-12-31. {_CLEARED}")]
DefaultModel = Annotated[str | None, typer.Option(help="The model of a request that names none.")]
Default = Annotated[list[str] | None, typer.Option(help="FIELD=VALUE of a request that is silent; may be repeated.")]
ForbidUnpriced = Annotated[bool | None, typer.Option(help="Refuse models whose price nobody knows.")]
IsAdmin = Annotated[bool | None, typer.Option(help="It may do everything, other keys included.")]
MediaTtl = Annotated[str | None, typer.Option(help=f"How long links to its images live: 90s, 12h, 7d. {_CLEARED}")]
ResultTtl = Annotated[str | None, typer.Option(help=f"How long its images can be asked for again: 12h. {_CLEARED}")]
WebhookUrl = Annotated[str | None, typer.Option(help=f"Where warnings about its budget go. {_CLEARED}")]


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    budget: Budget = None,
    period: Period = None,
    rpm: Rpm = None,
    images_per_minute: ImagesPerMinute = None,
    concurrency: Concurrency = None,
    models: Models = None,
    expires: Expires = None,
    default_model: DefaultModel = None,
    default: Default = None,
    forbid_unpriced: ForbidUnpriced = None,
    admin: IsAdmin = None,
    webhook_url: WebhookUrl = None,
    media_ttl: MediaTtl = None,
    result_ttl: ResultTtl = None,
    base_url: BaseUrl = None,
    api_key: AdminKey = None,
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown this once."""
    fields = _fields(locals(), {"name": name})
    with open_keys(base_url, api_key, env_file) as place:
        show_secret(place.create(fields), as_json=as_json)


@keys.command(name="list")
def list_(
    status: Annotated[str | None, typer.Option(help="active, revoked or expired. Default: all.")] = None,
    base_url: BaseUrl = None,
    api_key: AdminKey = None,
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """List all keys, the newest first."""
    query = {"limit": str(_PAGE)} | ({} if status is None else {"status": status})
    found: list[JSONObject] = []
    with open_keys(base_url, api_key, env_file) as place:
        while True:
            page = place.page(query)
            found += page["data"]
            if not (page["has_more"] and page["data"]):
                break
            query["starting_after"] = page["data"][-1]["id"]
    if as_json:
        print_json({"object": "list", "data": found, "has_more": False})
        return
    show_keys(found)


@keys.command()
def show(
    key: Reference,
    base_url: BaseUrl = None,
    api_key: AdminKey = None,
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Show one key, never the secret of it."""
    with open_keys(base_url, api_key, env_file) as place:
        show_key(place.show(key), as_json=as_json)


@keys.command()
def update(
    key: Reference,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    budget: Budget = None,
    period: Period = None,
    rpm: Rpm = None,
    images_per_minute: ImagesPerMinute = None,
    concurrency: Concurrency = None,
    models: Models = None,
    expires: Expires = None,
    default_model: DefaultModel = None,
    default: Default = None,
    forbid_unpriced: ForbidUnpriced = None,
    admin: IsAdmin = None,
    webhook_url: WebhookUrl = None,
    media_ttl: MediaTtl = None,
    result_ttl: ResultTtl = None,
    base_url: BaseUrl = None,
    api_key: AdminKey = None,
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Change what is named of a key; defaults are replaced all together."""
    fields = _fields(locals(), {} if name is None else {"name": name})
    with open_keys(base_url, api_key, env_file) as place:
        show_key(place.update(key, fields), as_json=as_json)


@keys.command()
def rotate(
    key: Reference,
    grace: Annotated[str | None, typer.Option(help="How long the old key still opens. Default: 24h.")] = None,
    base_url: BaseUrl = None,
    api_key: AdminKey = None,
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Give a key another secret, which is shown this once."""
    with open_keys(base_url, api_key, env_file) as place:
        show_secret(place.rotate(key, {} if grace is None else {"grace": grace}), as_json=as_json)


@keys.command()
def revoke(
    key: Reference,
    base_url: BaseUrl = None,
    api_key: AdminKey = None,
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """End a key; every gateway refuses it within five seconds."""
    with open_keys(base_url, api_key, env_file) as place:
        show_key(place.revoke(key), as_json=as_json)


_OPTIONS = (
    "budget",
    "period",
    "rpm",
    "images_per_minute",
    "concurrency",
    "models",
    "forbid_unpriced",
    "admin",
    "webhook_url",
    "media_ttl",
    "result_ttl",
)


def _fields(options: Mapping[str, object], fields: JSONObject) -> JSONObject:
    """The fields of the API for the options that were given."""
    given = {name: options[name] for name in _OPTIONS if options[name] is not None}
    if options["expires"] is not None:
        given["expires_at"] = options["expires"]
    defaults, listed = {}, options["default"]
    for text in listed if isinstance(listed, Sequence) else ():
        name, equals, value = str(text).partition("=")
        if not (equals and name.strip()):
            fail([f"--default {text!r}: expected FIELD=VALUE, like response_format=b64_json."])
        defaults[name.strip()] = _value(value)
    if options["default_model"] is not None:
        defaults["model"] = options["default_model"]
    return {**fields, **given, **({"defaults": defaults} if defaults else {})}


def _value(text: str) -> object:
    """A number, truth or object where it reads as one; any other text is itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text

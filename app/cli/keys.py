"""`spillway keys`: make, list, show, change, rotate and revoke keys.

On the database of the settings, or with --base-url on that of a running gateway, by the key of an administrator. The
options are the fields of the API; what they may be is judged there.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import Annotated

import typer

from app.cli.exits import CommandError, ExitCode
from app.cli.gateway import JSONObject
from app.cli.groups import CommandGroup
from app.cli.key_places import Keys, open_keys
from app.cli.key_tables import show_key, show_keys, show_secret
from app.cli.options import AsJson, EnvFile, OptionSet, with_options
from app.cli.order import read_value
from app.cli.tables import print_json

keys = typer.Typer(
    cls=CommandGroup, help="Make, list, change and revoke keys of callers.", no_args_is_help=True, add_completion=False
)
_WHERE = "A running gateway, and a key of an administrator of it. Default: the database of the settings."
_CLEARED = "An empty text takes it away."
_DATE = f"When it ends: 90d, or a date like 2030-12-31. {_CLEARED}"
_PAGE = 100
Reference = Annotated[str, typer.Argument(help="The id or the name of the key.")]


@dataclass(frozen=True, slots=True)
class PlaceOptions(OptionSet):
    """Where the keys are, and how they are printed."""

    base_url: Annotated[str | None, typer.Option("--base-url", help=_WHERE)] = None
    api_key: Annotated[
        str | None, typer.Option("--api-key", help="With --base-url: the key. Default: SPILLWAY_API_KEY.")
    ] = None
    env_file: EnvFile = None
    as_json: AsJson = False

    def open(self) -> AbstractContextManager[Keys]:
        """The keys there."""
        return open_keys(self.base_url, self.api_key, self.env_file)


@dataclass(frozen=True, slots=True)
class KeyOptions(OptionSet):
    """What a key may have, by the names of the API."""

    budget: Annotated[str | None, typer.Option(help=f"Dollars for each period. {_CLEARED}")] = None
    period: Annotated[str | None, typer.Option(help="day, week, month or total.")] = None
    rpm: Annotated[str | None, typer.Option(help=f"Requests per minute. {_CLEARED}")] = None
    images_per_minute: Annotated[str | None, typer.Option(help=f"Images per minute. {_CLEARED}")] = None
    concurrency: Annotated[str | None, typer.Option(help=f"Requests at once. {_CLEARED}")] = None
    models: Annotated[
        str | None, typer.Option(help=f"Models it may use, like 'riverflow-*,flux.1-schnell'. {_CLEARED}")
    ] = None
    expires_at: Annotated[str | None, typer.Option("--expires", help=_DATE)] = None
    default_model: Annotated[str | None, typer.Option(help="The model of a request that names none.")] = None
    default: Annotated[
        list[str] | None, typer.Option(help="FIELD=VALUE of a request that is silent; may be repeated.")
    ] = None
    forbid_unpriced: Annotated[bool | None, typer.Option(help="Refuse models whose price nobody knows.")] = None
    admin: Annotated[bool | None, typer.Option(help="It may do everything, other keys included.")] = None
    media_ttl: Annotated[
        str | None, typer.Option(help=f"How long links to its images live: 90s, 12h, 7d. {_CLEARED}")
    ] = None
    result_ttl: Annotated[
        str | None, typer.Option(help=f"How long its images can be asked for again: 12h. {_CLEARED}")
    ] = None
    webhook_url: Annotated[str | None, typer.Option(help=f"Where warnings about its budget go. {_CLEARED}")] = None

    def to_fields(self, name: str | None) -> JSONObject:
        """The fields of the API for the options that were given."""
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _OF_DEFAULTS}
        defaults = dict(_read_default(text) for text in self.default or ())
        if self.default_model is not None:
            defaults["model"] = self.default_model
        members = {"name": name, **given, "defaults": defaults or None}
        return {member: value for member, value in members.items() if value is not None}


_OF_DEFAULTS = frozenset({"default", "default_model"})


@keys.command()
@with_options
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")], options: KeyOptions, place: PlaceOptions
) -> None:
    """Make a key. It is shown this once."""
    members = options.to_fields(name)
    with place.open() as found:
        show_secret(found.create(members), as_json=place.as_json)


@keys.command(name="list")
@with_options
def list_(
    place: PlaceOptions,
    status: Annotated[str | None, typer.Option(help="active, revoked or expired. Default: all.")] = None,
) -> None:
    """List all keys, the newest first."""
    query = {"limit": str(_PAGE)} | ({} if status is None else {"status": status})
    listed: list[JSONObject] = []
    with place.open() as found:
        while True:
            page = found.page(query)
            listed += page["data"]
            if not (page["has_more"] and page["data"]):
                break
            query["starting_after"] = page["data"][-1]["id"]
    if place.as_json:
        print_json({"object": "list", "data": listed, "has_more": False})
        return
    show_keys(listed)


@keys.command()
@with_options
def show(key: Reference, place: PlaceOptions) -> None:
    """Show one key, never the secret of it."""
    with place.open() as found:
        show_key(found.show(key), as_json=place.as_json)


@keys.command()
@with_options
def update(
    key: Reference,
    options: KeyOptions,
    place: PlaceOptions,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
) -> None:
    """Change what is named of a key; defaults are replaced all together."""
    members = options.to_fields(name)
    with place.open() as found:
        show_key(found.update(key, members), as_json=place.as_json)


@keys.command()
@with_options
def rotate(
    key: Reference,
    place: PlaceOptions,
    grace: Annotated[str | None, typer.Option(help="How long the old key still opens. Default: 24h.")] = None,
) -> None:
    """Give a key another secret, which is shown this once."""
    with place.open() as found:
        show_secret(found.rotate(key, {} if grace is None else {"grace": grace}), as_json=place.as_json)


@keys.command()
@with_options
def revoke(key: Reference, place: PlaceOptions) -> None:
    """End a key; every gateway refuses it within five seconds."""
    with place.open() as found:
        show_key(found.revoke(key), as_json=place.as_json)


def _read_default(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip()):
        said = f"--default {text!r}: expected FIELD=VALUE, like response_format=b64_json."
        raise CommandError(said, code=ExitCode.WRONG_USE)
    return name.strip(), read_value(value)

"""The options that several commands share, those for the fields of a request taken from the vocabulary.

Owns names, help and bounds. What the options do is said in `client`.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from app.openai_api.vocabulary import FIELDS, Field, Kind

_WHERE = "Where the gateway is. Default: SPILLWAY_BASE_URL, else the gateway of this machine."
_KEY = "A key of the gateway. Default: SPILLWAY_API_KEY; for the gateway of this machine, the first of its own."
_TARGET = "The file or folder to write to. Its ending says the format; several images get -1, -2, … before it."
_REPEAT = "A key of before: gives what was bought under it. Default: a new one."
BaseUrl = Annotated[str | None, typer.Option("--base-url", help=_WHERE)]
ApiKey = Annotated[str | None, typer.Option("--api-key", help=_KEY)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
EnvFile = Annotated[
    Path | None, typer.Option("--env-file", help="A file with settings. Default: .env, if it is there.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help=_TARGET)]
_TYPES: Mapping[Kind, type] = {Kind.INTEGER: int, Kind.NUMBER: float, Kind.BOOLEAN: bool}


@dataclass(frozen=True, slots=True)
class BuyOptions:
    """What every command that buys takes beside its own arguments; `fields` are the request's, by their names."""

    fields: Mapping[str, str | int | float | bool]
    output: Output = None
    idempotency_key: Annotated[str | None, typer.Option(help=_REPEAT)] = None
    base_url: BaseUrl = None
    api_key: ApiKey = None
    as_json: AsJson = False


def with_buy_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each part of its `options` and each field that has one."""
    # With a prefix, since an argument of the command may have the name of a field.
    asked = {f"field_{field.name}": field for field in FIELDS if field.options}
    own = [one for one in inspect.signature(command, eval_str=True).parameters.values() if one.name != "options"]
    shared = [one for one in inspect.signature(BuyOptions).parameters.values() if one.name != "fields"]
    added = [_option_of(name, field) for name, field in asked.items()] + shared

    @wraps(command)
    def run(**values: Any) -> None:
        fields = {asked[name].name: values[name] for name in asked if values[name] is not None}
        options = BuyOptions(fields, **{one.name: values[one.name] for one in shared})
        command(**{one.name: values[one.name] for one in own}, options=options)

    # Typer reads what a command takes from its signature, and types from its annotations.
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *added)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # any function may have one
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _option_of(name: str, field: Field) -> inspect.Parameter:
    bounded = field.kind in {Kind.INTEGER, Kind.NUMBER}
    option = typer.Option(
        None,
        *field.options,
        help=field.description.replace("`", ""),
        min=field.low if bounded else None,
        max=field.high if bounded else None,
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=_TYPES.get(field.kind, str) | None
    )

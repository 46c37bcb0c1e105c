"""The options that several commands share, those for the fields of a request taken from the vocabulary.

Owns names, help and bounds. What the options do is said in `client`.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Self

import typer

from app.cli.inline import Inline
from app.openai_api.vocabulary import FIELDS, Field, Kind

_WHERE = "Where the gateway is. Default: SPILLWAY_BASE_URL, else the gateway of this machine."
_KEY = "A key of the gateway. Default: SPILLWAY_API_KEY; for the gateway of this machine, the first of its own."
_TARGET = (
    "The file or folder. Its ending says the format; several images get -1, -2, … before it; - is standard output."
)
_SET = "Any other field; the value is JSON or text. May be repeated."
_REPEAT = "A key of before: gives what was bought under it. Default: a new one."
BaseUrl = Annotated[str | None, typer.Option("--base-url", help=_WHERE)]
ApiKey = Annotated[str | None, typer.Option("--api-key", help=_KEY)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
EnvFile = Annotated[
    Path | None, typer.Option("--env-file", help="A file with settings. Default: .env, if it is there.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help=_TARGET)]
_TYPES: Mapping[Kind, type] = {Kind.INTEGER: int, Kind.NUMBER: float, Kind.BOOLEAN: bool}


class OptionSet:
    """Options that several commands take together: a frozen dataclass whose fields are annotated as options."""

    @classmethod
    def parameters(cls) -> list[inspect.Parameter]:
        """What a command takes for them."""
        return [*inspect.signature(cls, eval_str=True).parameters.values()]

    @classmethod
    def gather(cls, values: Mapping[str, Any]) -> Self:
        """The set, of what the command was given."""
        return cls(**values)


@dataclass(frozen=True, slots=True)
class BuyOptions(OptionSet):
    """What every command that buys takes beside its own arguments; `fields` are the request's, by their names."""

    fields: Mapping[str, str | int | float | bool]
    output: Output = None
    force: Force = False
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help=_SET)] = None
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what would be changed or dropped.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show price and plan; nothing is bought.")] = False
    stream: Annotated[bool, typer.Option("--stream", help="Write each image as soon as it exists.")] = False
    open_: Annotated[bool, typer.Option("--open", help="Open the images when they are written.")] = False
    inline: Annotated[Inline, typer.Option(help="Show images in the terminal, where it can.")] = Inline.AUTO
    idempotency_key: Annotated[str | None, typer.Option(help=_REPEAT)] = None
    base_url: BaseUrl = None
    api_key: ApiKey = None
    as_json: AsJson = False

    @classmethod
    def parameters(cls) -> list[inspect.Parameter]:
        """One for each field of the vocabulary that has an option, and the rest."""
        shared = [one for one in inspect.signature(cls, eval_str=True).parameters.values() if one.name != "fields"]
        return [*(_option_of(name, field) for name, field in _fields().items()), *shared]

    @classmethod
    def gather(cls, values: Mapping[str, Any]) -> Self:
        """The set, with the fields that were named."""
        fields = {field.name: values[name] for name, field in _fields().items() if values[name] is not None}
        return cls(fields, **{name: value for name, value in values.items() if name not in _fields()})


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with all options of each set among its parameters."""
    listed = inspect.signature(command, eval_str=True).parameters.values()
    sets: dict[str, type[OptionSet]] = {
        one.name: one.annotation
        for one in listed
        if isinstance(one.annotation, type) and issubclass(one.annotation, OptionSet)
    }
    own = [one for one in listed if one.name not in sets]
    added = {name: kind.parameters() for name, kind in sets.items()}

    @wraps(command)
    def run(**values: Any) -> None:
        gathered = {name: sets[name].gather({one.name: values[one.name] for one in added[name]}) for name in sets}
        command(**{one.name: values[one.name] for one in own}, **gathered)

    # Typer reads what a command takes from its signature, and types from its annotations.
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in [*own, *chain(*added.values())]]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # any function may have one
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _fields() -> dict[str, Field]:
    # With a prefix, since an argument of the command may have the name of a field.
    return {f"field_{field.name}": field for field in FIELDS if field.options}


def _option_of(name: str, field: Field) -> inspect.Parameter:
    bounded = field.kind in {Kind.INTEGER, Kind.NUMBER}
    option = typer.Option(
        None,
        *field.options,
        help=field.description.replace("`", ""),
        metavar=f"[{'|'.join(field.choices)}]" if field.choices and field.kind is Kind.CHOICE else None,
        min=field.low if bounded else None,
        max=field.high if bounded else None,
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=_TYPES.get(field.kind, str) | None
    )

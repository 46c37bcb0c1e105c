"""`spillway models`: the models of a running gateway, one with everything it accepts, and refreshing the catalog.

The list is readable at 80 columns: ids are never cut, since they are there to be copied, and what does not fit is left
to wider terminals or to the page of one model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperCommand, TyperGroup

from app.cli.gateway import JSONObject, open_session, place_of
from app.cli.groups import CommandGroup
from app.cli.options import ApiKey, AsJson, BaseUrl, EnvFile
from app.cli.tables import Column, on_terminal, print_facts, print_json, print_rows

_WORDS = {"text-to-image": "text", "image-edit": "edit"}
_SCHEMAS_URL = "https://schemas.runware.ai"
_DOCS_URL = "https://runware.ai/docs"
_CONTENT_URL = "https://content.runware.ai"
_AMOUNT = re.compile(r"\$([0-9.]+)")


class Mode(StrEnum):
    """What a model can be filtered by."""

    GENERATE = "generate"
    EDIT = "edit"


_MODES = {Mode.GENERATE: "text-to-image", Mode.EDIT: "image-edit"}


class Order(StrEnum):
    """What models can be sorted by."""

    ID = "id"
    NAME = "name"
    PRICE = "price"
    NEWEST = "newest"


class ModelGroup(CommandGroup):
    """`spillway models ID` is `spillway models show ID`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # as Typer's
        """What is left for a command. Before one stand no options of the list, so that none need be read (0190)."""
        if args and not args[0].startswith("-"):
            ctx._protected_args, ctx.args = args[:1], args[1:]  # noqa: SLF001 - as Typer's own group does
            return ctx.args
        return super().parse_args(ctx, args)

    def resolve_command(  # type: ignore[override]  # all contexts are Typer's
        self, ctx: typer.Context, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        """The command that the arguments name, else `show`."""
        known = args[0] in self.commands or args[0].startswith("-")
        name, command, rest = super().resolve_command(ctx, args if known else ["show", *args])
        return name, command, rest  # type: ignore[return-value]  # all commands are Typer's


models = typer.Typer(
    cls=ModelGroup, help="List models with their prices, show one, or refresh the catalog.", add_completion=False
)


@models.callback(invoke_without_command=True)
def list_models(
    ctx: typer.Context,
    search: Annotated[str | None, typer.Option(help="Words of the id, name, alias, creator or AIR id.")] = None,
    mode: Annotated[Mode | None, typer.Option(help="What it makes.")] = None,
    max_price: Annotated[
        float | None, typer.Option(help="The most that an image may cost, in dollars, at its lowest price.", min=0)
    ] = None,
    sort: Annotated[Order | None, typer.Option(help="Default: by creator, as in the catalog.")] = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """List models with their prices, show one, or refresh the catalog."""
    if ctx.invoked_subcommand is not None:
        return
    with open_session(base_url, api_key) as session:
        answer = session.get("/models")
    kept = [one for one in answer["data"] if _fits(one, search, mode, max_price)]
    listed = kept if sort is None else sorted(kept, key=partial(_place, order=sort))
    if as_json:
        print_json({**answer, "data": listed})
        return
    _print_list(listed)


@models.command()
def show(
    model_id: Annotated[str, typer.Argument(help="An id, an alias or an AIR id.")],
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show one model with its price and everything it accepts."""
    path = place_of("models", model_id)
    with open_session(base_url, api_key) as session:
        # Two answers: what the model is, and what it takes.
        model, schema = session.get(path), session.get(f"{path}?schema=true")
    if as_json:
        print_json(model | {"schema": schema})
        return
    _print_facts(model)
    Console(markup=False, highlight=False, emoji=False).print(_field_table(schema))


@models.command()
def refresh(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    catalog: Annotated[Path | None, typer.Option(help="The folder. Default: the gateway's own.")] = None,
    schemas_url: Annotated[str, typer.Option(help="The schema service.")] = _SCHEMAS_URL,
    docs_url: Annotated[str, typer.Option(help="The documentation.")] = _DOCS_URL,
    content_url: Annotated[str, typer.Option(help="Lists and prices of models.")] = _CONTENT_URL,
    env_file: EnvFile = None,
) -> None:
    """Update the catalog from what Runware publishes."""
    from app.catalog.published import Sources
    from app.cli.refresh import run_refresh
    from app.cli.settings import settings_or_exit

    folder = catalog or settings_or_exit(env_file, {})[0].models.catalog_dir
    run_refresh(folder, Sources(*(url.rstrip("/") for url in (schemas_url, docs_url, content_url))), write=not dry_run)


def _fits(model: JSONObject, search: str | None, mode: Mode | None, max_price: float | None) -> bool:
    if mode is not None and _MODES[mode] not in model["modes"]:
        return False
    lowest = _lowest(model)
    if max_price is not None and (lowest is None or lowest > Decimal(str(max_price))):
        return False
    text = " ".join([model["id"], model["name"], model["creator"], model["air"], *model["aliases"]]).lower()
    return all(word in text for word in (search or "").lower().split())


def _lowest(model: JSONObject) -> Decimal | None:
    """The lowest price of an image, None for an unknown one."""
    found = _AMOUNT.search(model["pricing"]["summary"])
    return None if found is None else Decimal(found[1])


def _place(model: JSONObject, order: Order) -> tuple[object, ...]:
    """What a model is sorted by; what is not known comes last."""
    lowest, created = _lowest(model), model.get("created")
    places: dict[Order, tuple[object, ...]] = {
        Order.ID: (),
        Order.NAME: (model["name"].lower(),),
        Order.PRICE: (lowest is None, lowest or 0),
        Order.NEWEST: (created is None, -(created or 0)),
    }
    return (*places[order], model["id"])


def _print_list(listed: Sequence[JSONObject]) -> None:
    """One row a model: what to call it, what it makes, how many images it takes and what one costs."""
    columns = [Column("id"), Column("makes"), Column("in", number=True), Column("price")]
    more = [Column("name", folds=True, only_wide=True), Column("AIR", only_wide=True)]
    print_rows([*columns, *more], (_cells(one) for one in listed))
    if on_terminal():
        for line in _legend(listed):
            print(line)  # noqa: T201 - output


def _cells(model: JSONObject) -> list[str]:
    mark = "*" if model.get("unlisted") and on_terminal() else ""
    cells = [f"{model['id']}{mark}", _makes(model), str(model["max_input_images"]), model["pricing"]["summary"]]
    return [*cells, model["name"], model["air"]]


def _makes(model: JSONObject) -> str:
    modes = [_WORDS[mode] + ("~" if mode in model["emulated_modes"] else "") for mode in model["modes"]]
    return ", ".join(modes)


def _legend(listed: Sequence[JSONObject]) -> Iterator[str]:
    """What the signs of the list mean, those that it has."""
    yield ""
    yield f"{len(listed)} models. in: the most input images. text: from text; text~: from a"
    yield "blank image. price: US dollars an image; +: more with its size; ~: not"
    yield "published by Runware, seen by others; unknown: the answer says what it cost."
    if any(one.get("unlisted") for one in listed):
        yield "*: Runware's newest list of models does not name it; it may still answer."
    yield "`spillway models show ID` shows all of one model."


def _print_facts(model: JSONObject) -> None:
    print_facts(
        [
            ("id", model["id"]),
            ("name", model["name"]),
            ("", model.get("description") or ""),
            ("creator", model["creator"]),
            ("AIR", model["air"]),
            ("also called", ", ".join(model["aliases"])),
            ("status", " - ".join(text for text in (model["status"], model.get("status_note")) if text)),
            ("replaced by", model.get("replaced_by") or ""),
            ("released", model.get("released") or ""),
            (
                "makes",
                ", ".join(f"{one} (emulated)" if one in model["emulated_modes"] else one for one in model["modes"]),
            ),
            ("images in", str(model["max_input_images"])),
            ("price", _price(model["pricing"])),
            ("sizes", _sizes(model["sizes"])),
        ]
    )


def _price(pricing: JSONObject) -> str:
    note = f" {pricing['note']}" if "note" in pricing else ""
    return f"{pricing['text']}.{note}"


def _sizes(sizes: JSONObject) -> str:
    if sizes["kind"] == "fixed":
        return "; ".join(f"{tier}: {', '.join(listed)}" for tier, listed in sizes["tiers"].items())
    rest = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sizes.items() if name != "kind")
    return f"{sizes['kind']}{': ' if rest else ''}{rest}"


def _field_table(schema: JSONObject) -> Table:
    """Every field of a model with what happens to it and its range."""
    table = Table("field", "here", "takes")
    table.columns[0].no_wrap = True
    for name, field in schema["properties"].items():
        table.add_row(name, field["x-spillway-mode"], _range_of(field))
    return table


def _range_of(field: JSONObject) -> str:
    """The limits of a field in one line."""
    # Null only says that the field may be left out.
    inner = next((one for one in field.get("anyOf", ()) if one.get("type") != "null"), {}) | field
    parts = []
    if "enum" in inner:
        shown = [str(value) for value in inner["enum"]]
        parts.append(", ".join(shown[:8]) + (", …" if len(shown) > 8 else ""))  # noqa: PLR2004 - one line of them
    elif "type" in inner:
        kinds = inner["type"] if isinstance(inner["type"], list) else [inner["type"]]
        parts.append(" or ".join(kinds))
    for keyword, text in _LIMITS.items():
        if keyword in inner:
            parts.append(f"{text} {inner[keyword]}")
    return ", ".join(parts)


_LIMITS = {
    "minimum": "from",
    "maximum": "to",
    "multipleOf": "in steps of",
    "minLength": "at least, in characters:",
    "maxLength": "at most, in characters:",
    "x-maximum-items": "images at most:",
    "x-runware-field": "sent as",
}

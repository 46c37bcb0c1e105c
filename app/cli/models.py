"""What `spillway models` prints: all models as a table, or one with everything it accepts.

Both are readable at 80 columns: ids are never cut, since they are there to be copied, and what does not fit is left to
wider terminals or to the page of one model.
"""

import json
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from app.cli.client import open_session
from app.cli.session import JSONObject

# Columns from which names and AIR ids stand in the list too.
_WIDE = 120
_MODES = {"text-to-image": "text", "image-edit": "edit"}


def show_models(model_id: str | None, base_url: str | None, api_key: str | None, *, as_json: bool) -> None:
    """List the models, or show one with everything it accepts."""
    with open_session(base_url, api_key) as session:
        answer = session.get("/models" if model_id is None else f"/models/{model_id}")
        # Two answers: what the model is, and what it takes.
        schema = None if model_id is None else session.get(f"/models/{model_id}?schema=true")
    if as_json:
        print(json.dumps(answer if schema is None else answer | {"schema": schema}, indent=2))  # noqa: T201 - output
        return
    console = Console(markup=False, highlight=False)
    if schema is None:
        console.print(_list_table(answer["data"], wide=console.width >= _WIDE))
        for line in _legend(answer["data"]):
            console.print(line)
        return
    _print_facts(console, answer)
    console.print(_field_table(schema))


def _list_table(listed: list[JSONObject], *, wide: bool) -> Table:
    """One row a model: what to call it, what it makes, how many images it takes and what one costs."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    # Ids are there to be copied: they are never cut.
    table.add_column("id", no_wrap=True, overflow="ignore")
    table.add_column("makes", no_wrap=True)
    table.add_column("in", justify="right", no_wrap=True)
    table.add_column("price", no_wrap=True)
    if wide:
        table.add_column("name", overflow="fold")
        table.add_column("AIR", no_wrap=True, overflow="ignore")
    for item in listed:
        mark = "*" if item.get("unlisted") else ""
        cells = [f"{item['id']}{mark}", _makes(item), str(item["max_input_images"]), item["pricing"]["summary"]]
        table.add_row(*cells, *((item["name"], item["air"]) if wide else ()))
    return table


def _makes(item: JSONObject) -> str:
    modes = [_MODES[mode] + ("~" if mode in item["emulated_modes"] else "") for mode in item["modes"]]
    return ", ".join(modes)


def _legend(listed: list[JSONObject]) -> Iterator[str]:
    """What the signs of the list mean, those that it has."""
    yield ""
    yield "in: the most input images. text: from text alone; text~: from a blank image."
    yield "price: US dollars an image; +: more with its size; ~: not published by Runware,"
    yield "seen by others; unknown: the answer says what an image cost."
    if any(item.get("unlisted") for item in listed):
        yield "*: Runware's newest list of models does not name it; it may still answer."
    yield "`spillway models ID` shows all of one model."


def _print_facts(console: Console, model: JSONObject) -> None:
    """What is known of a model, one fact a line."""
    facts = {
        "id": model["id"],
        "name": model["name"],
        "": model.get("description"),
        "creator": model["creator"],
        "AIR": model["air"],
        "also called": ", ".join(model["aliases"]),
        "status": " - ".join(text for text in (model["status"], model.get("status_note")) if text),
        "replaced by": model.get("replaced_by"),
        "released": model.get("released"),
        "makes": ", ".join(
            f"{mode} (emulated)" if mode in model["emulated_modes"] else mode for mode in model["modes"]
        ),
        "images in": str(model["max_input_images"]),
        "price": _price(model["pricing"]),
        "sizes": _sizes(model["sizes"]),
    }
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    # What is not known gets no line.
    for name, value in facts.items():
        if value:
            table.add_row(name, value)
    console.print(table)


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

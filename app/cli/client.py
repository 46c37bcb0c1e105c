"""The commands that talk to a running gateway: generate, edit and models.

They speak the public API like any other client and know nothing of the gateway's insides.
"""

import base64
import json
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import httpx2
import typer
from rich.console import Console
from rich.table import Table

_TIMEOUT_SECONDS = 600.0
BaseUrl = Annotated[str, typer.Option("--base-url", envvar="SPILLWAY_BASE_URL", help="Where the gateway is.")]
ApiKey = Annotated[str, typer.Option("--api-key", envvar="SPILLWAY_API_KEY", help="A key of the gateway.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Model = Annotated[str | None, typer.Option(help="A model id, an alias or an AIR id.")]
Size = Annotated[str | None, typer.Option(help="WIDTHxHEIGHT, W:H or auto.")]
AspectRatio = Annotated[str | None, typer.Option(help="W:H, like 16:9.")]
Resolution = Annotated[str | None, typer.Option(help="A tier, like 1K.")]
Count = Annotated[int | None, typer.Option("--n", "-n", help="How many images.", min=1, max=10)]
Format = Annotated[str | None, typer.Option("--format", help="png, jpeg, webp, gif or avif.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="The file to write; several images get -1, -2, … before the ending."),
]
LOCAL = "http://127.0.0.1:8000/v1"

JSONObject = dict[str, Any]  # an answer, looked into field by field


def generate(
    prompt: Annotated[str, typer.Argument(help="What the image shows.")],
    model: Model = None,
    size: Size = None,
    aspect_ratio: AspectRatio = None,
    resolution: Resolution = None,
    n: Count = None,
    format_: Format = None,
    output: Output = None,
    base_url: BaseUrl = LOCAL,
    api_key: ApiKey = "",
    as_json: AsJson = False,
) -> None:
    """Make images from text."""
    fields = _fields(prompt, model, size, aspect_ratio, resolution, n, format_)
    with _client(base_url, api_key) as client:
        answer = _send(client, "/images/generations", json_body=fields)
        _write(answer, output, as_json=as_json)


def edit(
    images: Annotated[list[Path], typer.Argument(help="The images to edit.", exists=True, dir_okay=False)],
    prompt: Annotated[str, typer.Option(help="How to change them.")],
    mask: Annotated[Path | None, typer.Option(help="Transparent where to edit.", exists=True, dir_okay=False)] = None,
    model: Model = None,
    size: Size = None,
    aspect_ratio: AspectRatio = None,
    resolution: Resolution = None,
    n: Count = None,
    format_: Format = None,
    output: Output = None,
    base_url: BaseUrl = LOCAL,
    api_key: ApiKey = "",
    as_json: AsJson = False,
) -> None:
    """Change images as the prompt says."""
    fields = _fields(prompt, model, size, aspect_ratio, resolution, n, format_)
    files = [("image[]", _file(path)) for path in images] + ([("mask", _file(mask))] if mask else [])
    with _client(base_url, api_key) as client:
        answer = _send(client, "/images/edits", form={name: str(value) for name, value in fields.items()}, files=files)
        _write(answer, output, as_json=as_json)


def show_models(model_id: str | None, base_url: str, api_key: str, *, as_json: bool) -> None:
    """List the models, or show one with everything it accepts."""
    with _client(base_url, api_key) as client:
        answer = _get(client, "/models" if model_id is None else f"/models/{model_id}")
        schema = None if model_id is None else _get(client, f"/models/{model_id}?schema=true")
    if as_json:
        print(json.dumps(answer if schema is None else answer | {"schema": schema}, indent=2))  # noqa: T201 - output
        return
    listed: list[JSONObject] = answer["data"] if model_id is None else [answer]
    table = Table("id", "name", "modes", "images in", "AIR")
    table.columns[0].no_wrap = table.columns[4].no_wrap = True
    for item in listed:
        table.add_row(item["id"], item["name"], ", ".join(item["modes"]), str(item["max_input_images"]), item["air"])
    Console().print(table)
    if schema is not None:
        Console().print_json(data={name: answer[name] for name in ("aliases", "status", "sizes", "pricing")})
        Console().print(_field_table(schema))


def _field_table(schema: JSONObject) -> Table:
    """Every field of a model with what happens to it and its range."""
    table = Table("field", "here", "takes")
    table.columns[0].no_wrap = True
    for name, field in schema["properties"].items():
        table.add_row(name, field["x-spillway-mode"], _range_of(field))
    return table


def _range_of(field: JSONObject) -> str:
    """The limits of a field in a few words."""
    inner = next((one for one in field.get("anyOf", ()) if one.get("type") != "null"), {}) | field
    parts = []
    if "enum" in inner:
        shown = [str(value) for value in inner["enum"]]
        parts.append(", ".join(shown[:8]) + (", …" if len(shown) > 8 else ""))  # noqa: PLR2004 - one line of them
    elif "type" in inner:
        kinds = inner["type"] if isinstance(inner["type"], list) else [inner["type"]]
        parts.append(" or ".join(kinds))
    for words, text in _LIMITS.items():
        if words in inner:
            parts.append(f"{text} {inner[words]}")
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


def _fields(
    prompt: str,
    model: str | None,
    size: str | None,
    aspect_ratio: str | None,
    resolution: str | None,
    n: int | None,
    format_: str | None,
) -> JSONObject:
    fields = {
        "prompt": prompt,
        "model": model,
        "size": size,
        "aspect_ratio": aspect_ratio,
        "resolution": resolution,
        "n": n,
        "output_format": format_,
        "response_format": "b64_json",
    }
    return {name: value for name, value in fields.items() if value is not None}


def _file(path: Path) -> tuple[str, bytes, str]:
    return path.name, path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _client(base_url: str, api_key: str) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx2.Client(base_url=base_url.rstrip("/"), headers=headers, timeout=_TIMEOUT_SECONDS)


def _get(client: httpx2.Client, path: str) -> JSONObject:
    try:
        return _read(client.get(path))
    except httpx2.HTTPError:
        _fail(f"No gateway answers at {client.base_url}. Start one with `spillway serve`, or set --base-url.")


def _send(
    client: httpx2.Client,
    path: str,
    *,
    json_body: JSONObject | None = None,
    form: dict[str, str] | None = None,
    files: Sequence[tuple[str, tuple[str, bytes, str]]] = (),
) -> JSONObject:
    """POST with a spinner on a terminal, ending the command when there is no good answer."""
    try:
        with Console(stderr=True).status("Making images…"):
            return _read(client.post(path, json=json_body, data=form, files=list(files) or None))
    except httpx2.HTTPError:
        _fail(f"No gateway answers at {client.base_url}. Start one with `spillway serve`, or set --base-url.")


def _read(response: httpx2.Response) -> JSONObject:
    try:
        body: JSONObject = response.json()
    except ValueError:
        _fail(f"The answer (status {response.status_code}) is no JSON: is --base-url right?")
    if response.is_error:
        error = body.get("error") or {}
        request_id = response.headers.get("x-request-id", "")
        _fail(
            f"{error.get('message', 'The request failed.')} [{response.status_code} {error.get('code')}, {request_id}]"
        )
    return body


def _write(answer: JSONObject, output: Path | None, *, as_json: bool) -> None:
    """Write the images and say so; with --json say it in JSON, without the images themselves."""
    ending = str(answer["output_format"])
    target = output or Path(f"spillway-{answer['created']}.{ending}")
    written = []
    for index, item in enumerate(answer["data"], 1):
        path = target if len(answer["data"]) == 1 else target.with_stem(f"{target.stem}-{index}")
        path.write_bytes(base64.b64decode(item.pop("b64_json")))
        written.append(str(path))
    if as_json:
        print(json.dumps({**answer, "files": written}, indent=2))  # noqa: T201 - the command's output
        return
    metadata = answer["metadata"]
    console = Console(soft_wrap=True)
    for name in written:
        console.print(name, highlight=False)
    cost = "unknown" if metadata["cost"] is None else f"${metadata['cost']}"
    console.print(f"{metadata['model']}, {answer.get('size', 'size unknown')}, cost {cost}", highlight=False)
    for adjustment in metadata["adjustments"]:
        console.print(f"{adjustment['param']} {adjustment['mode']}: {adjustment['reason']}", highlight=False)
    for failure in metadata.get("errors", []):
        console.print(f"image {failure['index'] + 1} failed: {failure['message']}", style="red", highlight=False)


def _fail(message: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(message, markup=False, highlight=False)
    raise typer.Exit(1)

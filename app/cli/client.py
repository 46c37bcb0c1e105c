"""The commands that buy images of a running gateway: generate, edit and collect.

They speak the public API like any other client and know nothing of the gateway's insides.
"""

import json
import mimetypes
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.cli.local import read_variables
from app.cli.session import ClientError, JSONObject, Purchase, Session, find_gateway, how_to_collect
from app.cli.targets import Target, TargetError, choose_target, try_target, write_images

_WHERE = "Where the gateway is. Default: SPILLWAY_BASE_URL, else the gateway of this machine."
_KEY = "A key of the gateway. Default: SPILLWAY_API_KEY; for the gateway of this machine, the first of its own."
BaseUrl = Annotated[str | None, typer.Option("--base-url", help=_WHERE)]
ApiKey = Annotated[str | None, typer.Option("--api-key", help=_KEY)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Model = Annotated[str | None, typer.Option(help="A model id, an alias or an AIR id.")]
Size = Annotated[str | None, typer.Option(help="WIDTHxHEIGHT, W:H or auto.")]
AspectRatio = Annotated[str | None, typer.Option(help="W:H, like 16:9.")]
Resolution = Annotated[str | None, typer.Option(help="A tier, like 1K.")]
Count = Annotated[int | None, typer.Option("--n", "-n", help="How many images.", min=1, max=10)]
Format = Annotated[str | None, typer.Option("--format", help="png, jpeg, webp, gif or avif.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="The file or folder to write to. Its ending says the format; several images get -1, -2, … before it.",
    ),
]
IdempotencyKey = Annotated[
    str | None, typer.Option(help="A key of before: gives what was bought under it. Default: a new one.")
]


def generate(
    prompt: Annotated[str, typer.Argument(help="What the image shows.")],
    model: Model = None,
    size: Size = None,
    aspect_ratio: AspectRatio = None,
    resolution: Resolution = None,
    n: Count = None,
    format_: Format = None,
    output: Output = None,
    idempotency_key: IdempotencyKey = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Make images from text."""
    with open_session(base_url, api_key) as session:
        # Before anything is bought: a full disk or a wrong folder should cost nothing.
        target = _ready_target(output, format_, n)
        fields = _fields(prompt, model, size, aspect_ratio, resolution, n, target.format)
        answer = _buy(session, Purchase("/images/generations", idempotency_key or _new_key(), fields))
        _write(session, answer, target, as_json=as_json)


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
    idempotency_key: IdempotencyKey = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Change images as the prompt says."""
    with open_session(base_url, api_key) as session:
        target = _ready_target(output, format_, n)
        fields = _fields(prompt, model, size, aspect_ratio, resolution, n, target.format)
        files = [("image[]", _file(path)) for path in images] + ([("mask", _file(mask))] if mask else [])
        form = {name: str(value) for name, value in fields.items()}
        key = idempotency_key or _new_key()
        answer = _buy(session, Purchase("/images/edits", key, form=form, files=tuple(files)))
        _write(session, answer, target, as_json=as_json)


def collect(
    request_id: Annotated[str, typer.Argument(help="The id of the request, req_….")],
    output: Output = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Get the images of a request of before: nothing is bought."""
    with open_session(base_url, api_key) as session:
        target = _ready_target(output, None, None)
        _write(session, session.collect(request_id), target, as_json=as_json)


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


@contextmanager
def open_session(base_url: str | None, api_key: str | None) -> Iterator[Session]:
    """A session whose faults end the command with one sentence and exit code 1."""
    try:
        session = Session(find_gateway(base_url, api_key, read_variables()))
        try:
            yield session
        finally:
            session.close()
    except (ClientError, TargetError) as error:
        Console(stderr=True, soft_wrap=True).print(str(error), markup=False, highlight=False)
        raise typer.Exit(1) from None


def _ready_target(output: Path | None, format_: str | None, count: int | None) -> Target:
    """The target, tried out: nothing is bought for a file that cannot be written."""
    target = choose_target(output, format_)
    try_target(target, count or 1)
    return target


def _new_key() -> str:
    return str(uuid.uuid4())


def _file(path: Path) -> tuple[str, bytes, str]:
    try:
        return path.name, path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {error.strerror}.") from None


def _buy(session: Session, purchase: Purchase) -> JSONObject:
    """Buy with a spinner on a terminal."""
    with Console(stderr=True).status("Making images…"):
        return session.buy(purchase)


def _write(session: Session, answer: JSONObject, target: Target, *, as_json: bool) -> None:
    """Write the images and say so; with --json say it in JSON, without the images themselves."""
    request_id = str(answer.get("id", ""))
    items: list[JSONObject] = answer.get("data") or []
    try:
        images = [session.bytes_of(item) for item in items]
        own_name = f"spillway-{request_id.removeprefix('req_')[:12]}"
        paths = target.paths(len(images), own_name, str(answer.get("output_format", "png")))
        write_images(paths, images)
    except (ClientError, TargetError) as error:
        raise ClientError(f"{error} {how_to_collect(request_id)}") from None
    if as_json:
        # The images are in the files; megabytes of base64 would bury the rest.
        shown = [{name: value for name, value in item.items() if name != "b64_json"} for item in items]
        print(json.dumps({**answer, "data": shown, "files": [str(path) for path in paths]}, indent=2))  # noqa: T201 - output
        return
    console = Console(soft_wrap=True)
    for path in paths:
        console.print(str(path), markup=False, highlight=False)
    _tell(console, answer)


def _tell(console: Console, answer: JSONObject) -> None:
    """Print what was made, for how much, and what was adjusted."""
    metadata = answer.get("metadata") or {}
    cost = "unknown" if metadata.get("cost") is None else f"${metadata['cost']}"
    what = f"{metadata.get('model', 'model unknown')}, {answer.get('size', 'size unknown')}, cost {cost}"
    console.print(what, markup=False, highlight=False)
    for adjustment in metadata.get("adjustments", []):
        told = f"{adjustment['param']} {adjustment['mode']}: {adjustment['reason']}"
        console.print(told, markup=False, highlight=False)
    for failure in metadata.get("errors", []):
        told = f"image {failure['index'] + 1} failed: {failure['message']}"
        console.print(told, style="red", markup=False, highlight=False)

"""The commands that buy images of a running gateway: generate, edit and collect.

They speak the public API like any other client; of the gateway they share the names of its fields alone.
"""

from __future__ import annotations

import json
import mimetypes
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from app.cli.exits import CommandError, ExitCode
from app.cli.gateway import JSONObject, how_to_collect, open_session
from app.cli.options import ApiKey, AsJson, BaseUrl, BuyOptions, Output, with_buy_options
from app.cli.targets import Target, choose_target, try_target, write_images

if TYPE_CHECKING:
    from app.cli.session import Purchase, Session


@with_buy_options
def generate(prompt: Annotated[str, typer.Argument(help="What the image shows.")], options: BuyOptions) -> None:
    """Make images from text."""
    from app.cli.session import Purchase

    with open_session(options.base_url, options.api_key) as session:
        # Before anything is bought: a full disk or a wrong folder should cost nothing.
        target = ready_target(options.output, options.fields)
        fields = _fields_for(prompt, options, target)
        _buy(session, Purchase("/images/generations", _key_of(options), fields), target, options)


@with_buy_options
def edit(
    images: Annotated[list[Path], typer.Argument(help="The images to edit.", exists=True, dir_okay=False)],
    prompt: Annotated[str, typer.Option(help="How to change them.")],
    options: BuyOptions,
    mask: Annotated[Path | None, typer.Option(help="Transparent where to edit.", exists=True, dir_okay=False)] = None,
) -> None:
    """Change images as the prompt says."""
    from app.cli.session import Purchase

    with open_session(options.base_url, options.api_key) as session:
        target = ready_target(options.output, options.fields)
        # Forms know nothing but text.
        form = {name: str(value) for name, value in _fields_for(prompt, options, target).items()}
        files = [("image[]", _file(path)) for path in images] + ([("mask", _file(mask))] if mask else [])
        purchase = Purchase("/images/edits", _key_of(options), form=form, files=tuple(files))
        _buy(session, purchase, target, options)


def collect(
    request_id: Annotated[str, typer.Argument(help="The id of the request, req_….")],
    output: Output = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Get the images of a request of before: nothing is bought."""
    with open_session(base_url, api_key) as session:
        target = ready_target(output, {})
        write_answer(session, session.collect(request_id), target, as_json=as_json)


def _fields_for(prompt: str, options: BuyOptions, target: Target) -> JSONObject:
    # In the answer itself: no link can expire between buying and writing.
    fields = {**options.fields, "prompt": prompt, "response_format": "b64_json"}
    # The ending of a file says the format, too.
    return fields if target.format is None else {**fields, "output_format": target.format}


def _key_of(options: BuyOptions) -> str:
    return options.idempotency_key or str(uuid.uuid4())


def ready_target(output: Path | None, fields: Mapping[str, object]) -> Target:
    """The target, tried out: nothing is bought for a file that cannot be written."""
    format_ = fields.get("output_format")
    target = choose_target(output, None if format_ is None else str(format_))
    try_target(target, int(str(fields.get("n", 1))))
    return target


def _file(path: Path) -> tuple[str, bytes, str]:
    try:
        return path.name, path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.", code=ExitCode.WRONG_USE) from None


def _buy(session: Session, purchase: Purchase, target: Target, options: BuyOptions) -> None:
    """Buy, with a spinner on a terminal, and write what came."""
    with Console(stderr=True).status("Making images…"):
        answer = session.buy(purchase)
    write_answer(session, answer, target, as_json=options.as_json)


def write_answer(session: Session, answer: JSONObject, target: Target, *, as_json: bool) -> None:
    """Write the images and say so; with --json say it in JSON, without the images themselves."""
    request_id = str(answer.get("id", ""))
    items: list[JSONObject] = answer.get("data") or []
    try:
        images = [session.bytes_of(item) for item in items]
        own_name = f"spillway-{request_id.removeprefix('req_')[:12]}"
        paths = target.paths(len(images), own_name, str(answer.get("output_format", "png")))
        write_images(paths, images)
    # It has been paid for: whatever failed here, say how to get it.
    except CommandError as error:
        raise CommandError(f"{error} {how_to_collect(request_id)}", code=error.code) from None
    if as_json:
        # The images are in the files; megabytes of base64 would bury the rest.
        shown = [{name: value for name, value in item.items() if name != "b64_json"} for item in items]
        # Not by Rich, which would break long lines and no longer be JSON.
        print(json.dumps({**answer, "data": shown, "files": [str(path) for path in paths]}, indent=2))  # noqa: T201 - output
        return
    console = Console(soft_wrap=True)
    for path in paths:
        console.print(str(path), markup=False, highlight=False)
    _summarize(console, answer)


def _summarize(console: Console, answer: JSONObject) -> None:
    """Print what was made, for how much, and what was adjusted."""
    metadata = answer.get("metadata") or {}
    cost = "unknown" if metadata.get("cost") is None else f"${metadata['cost']}"
    what = f"{metadata.get('model', 'model unknown')}, {answer.get('size', 'size unknown')}, cost {cost}"
    console.print(what, markup=False, highlight=False)
    for adjustment in metadata.get("adjustments", []):
        line = f"{adjustment['param']} {adjustment['mode']}: {adjustment['reason']}"
        console.print(line, markup=False, highlight=False)
    for failure in metadata.get("errors", []):
        line = f"image {failure['index'] + 1} failed: {failure['message']}"
        console.print(line, style="red", markup=False, highlight=False)

"""A plan as it may be shown: the very tasks that would be sent, with images as hash, type and size. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pybase64

from app.catalog.model import CatalogModel
from app.domain.answer import Adjustment
from app.images.formats.signatures import sniff
from app.images.headers import read_header
from app.ledger.order import Estimate
from app.planning.plan import Plan
from app.runware.tasks import ImageTask, InlineImage


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a request would send and cost."""

    model: CatalogModel
    count: int
    estimate: Estimate
    plan: Plan
    adjustments: tuple[Adjustment, ...]
    size: tuple[int, int] | None
    """What the images will measure; None where the model decides that itself."""


def reference_sizes(plan: Plan) -> list[tuple[int, int] | None]:
    """The sizes of the input images of each task, None for those that are only addresses."""
    inputs = plan.tasks[0].inputs
    # Of the first task: all tasks of a request carry the same images.
    listed = inputs.get("referenceImages") or inputs.get("seedImage") or inputs.get("image") or ()
    images = listed if isinstance(listed, tuple) else (listed,)
    sizes: list[tuple[int, int] | None] = []
    for image in images:
        header = read_header(image.content.data) if isinstance(image, InlineImage) else None
        sizes.append((header.width, header.height) if header else None)
    return sizes


def show_task(task: ImageTask) -> dict[str, object]:
    """The task on the wire, with every embedded image described instead of carried, also inside fields passed on."""
    wire = task.to_wire()
    return {name: _show(value) if name in task.fields or name == "inputs" else value for name, value in wire.items()}


def _show(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _show(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_show(inner) for inner in value]
    if isinstance(value, InlineImage):
        return _describe(value.content.data)
    if isinstance(value, str) and value.startswith("data:"):
        return _describe_uri(value)
    return value


def _describe_uri(uri: str) -> object:
    """What a data URI holds; one that holds no image is shown as it is, since Runware judges it."""
    try:
        data = pybase64.b64decode(uri.partition(",")[2], validate=True)
    except ValueError:
        return uri
    return uri if sniff(data) is None else _describe(data)


def _describe(data: bytes) -> dict[str, object]:
    # A hash identifies the image without repeating it: estimates are logged and shared.
    shown: dict[str, object] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    header = read_header(data)
    if header is not None:
        shown |= {"type": f"image/{header.format}", "width": header.width, "height": header.height}
    return shown

"""What becomes of a field on a model, before any value is known: the modes that a model's schema and the matrix show.

Pure. Asked by the attribute of `ImageRequest` that a field fills, so that this room knows no wire format (0081). The
answers rest on the same predicates that the decisions do.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum, auto

from app.catalog.model import CatalogModel, SizeUse
from app.catalog.modes import Mode
from app.domain.spec import NATIVE_FORMATS
from app.planning.capabilities import is_tool, takes_mask
from app.planning.derived_size import SCALE_FACTOR, scales_by_size
from app.planning.output import makes_vectors
from app.runware.tasks import OWN_FIELDS


class FieldMode(StrEnum):
    """What happens to a field."""

    HONORED = auto()
    CONVERTED = auto()
    """Made by us afterwards."""
    EMULATED = auto()
    """The same meaning by other means."""
    RECORDED = auto()
    DROPPED = auto()
    REFUSED = auto()
    PASSED = auto()
    """Runware's own field, sent as it is."""
    PROTECTED = auto()
    """The gateway's own, dropped and reported."""


_WHERE_CONVERTED = {"uploadEndpoint": FieldMode.REFUSED}
"""Runware's fields for images as it makes them: what becomes of these where every image of a model is converted."""


def mode_of(model: CatalogModel, attribute: str) -> FieldMode:
    """What happens to what a request keeps as `attribute`."""
    return _SPECIAL[attribute](model) if attribute in _SPECIAL else FieldMode.HONORED


def mode_of_parameter(model: CatalogModel, name: str) -> FieldMode:
    """What happens to one of the `parameters` of a request."""
    if name == SCALE_FACTOR and scales_by_size(model):
        return FieldMode.EMULATED
    return _honored_where(name in model.choices or name in model.parameters.fields)


def mode_of_passthrough(model: CatalogModel, name: str) -> FieldMode:
    """What happens to a field under Runware's own name."""
    if name in _WHERE_CONVERTED and not set(NATIVE_FORMATS.values()) & set(model.formats):
        return _WHERE_CONVERTED[name]
    rule = (model.fields.members or {}).get(name)
    if rule is not None and rule.only_on is not None:
        return FieldMode.REFUSED
    # Whether the answer is waited for is the caller's to say, under Runware's name too.
    return FieldMode.PROTECTED if name in OWN_FIELDS - {"deliveryMethod"} else FieldMode.PASSED


def _honored_where(condition: object) -> FieldMode:
    return FieldMode.HONORED if condition else FieldMode.DROPPED


def _size(model: CatalogModel) -> FieldMode:
    never = model.size_use is SizeUse.WITHOUT_IMAGES and Mode.GENERATE not in model.modes
    return _honored_where(model.sizes.kind != "automatic" and not (never and not model.resolutions))


def _background(model: CatalogModel) -> FieldMode:
    cuts_out = model.parameters.transparent_background or model.task == "removeBackground"
    return _honored_where(cuts_out or "background" in model.choices)


def _images(model: CatalogModel) -> FieldMode:
    return FieldMode.REFUSED if model.images is None else FieldMode.HONORED


def _mask(model: CatalogModel) -> FieldMode:
    if model.images is None or is_tool(model):
        return FieldMode.REFUSED
    return FieldMode.HONORED if takes_mask(model) else FieldMode.EMULATED


_SPECIAL: Mapping[str, Callable[[CatalogModel], FieldMode]] = {
    "prompt": lambda model: _honored_where(model.prompt.use != "none"),
    "images": _images,
    "mask": _mask,
    "markup": lambda model: FieldMode.REFUSED if model.images is None else FieldMode.EMULATED,
    "size": _size,
    "background": _background,
    "seed": lambda model: _honored_where(model.parameters.seed),
    "count": lambda model: FieldMode.HONORED if model.max_results > 1 else FieldMode.EMULATED,
    "compression": lambda model: _honored_where(not makes_vectors(model)),
    "fit": lambda model: FieldMode.REFUSED if makes_vectors(model) else FieldMode.CONVERTED,
    "user": lambda _: FieldMode.RECORDED,
}

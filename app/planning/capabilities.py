"""What a model can be asked for, natively or by our means. Pure."""

from collections.abc import Mapping

from app.catalog.model import CatalogModel, Mode
from app.domain.request import JSONValue

_SENT_ANYWAY = frozenset({"positivePrompt", "width", "height", "inputs", "resolution"})
"""Required fields that every request fills by itself."""


def starts_from_blank(model: CatalogModel) -> bool:
    """Whether a model that only edits may be given a blank image, so that it makes one from text.

    Without a prompt there is nothing to make an image from, and a mask or a field of its own cannot be invented.
    """
    rules = model.images
    if rules is None or Mode.GENERATE in model.modes or not rules.blank or rules.slot != "referenceImages":
        return False
    needs_more = rules.mask_required or rules.minimum > 1 or bool(set(model.required) - _SENT_ANYWAY)
    return model.prompt.use == "required" and not needs_more


def brings_own_images(fields: Mapping[str, JSONValue]) -> bool:
    """Whether a caller's own task fields carry the images to work on, so that none has to stand in."""
    ace = fields.get("acePlusPlus")
    return isinstance(ace, dict) and bool(ace.get("images"))


def emulated_modes(model: CatalogModel) -> tuple[Mode, ...]:
    """What the model does not do by itself and is asked for by other means."""
    return (Mode.GENERATE,) if starts_from_blank(model) else ()


def supported_modes(model: CatalogModel) -> tuple[Mode, ...]:
    """All a caller can ask for, natively or not."""
    return tuple(mode for mode in Mode if mode in model.modes or mode in emulated_modes(model))

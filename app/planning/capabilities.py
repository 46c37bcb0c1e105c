"""What a model can be asked for, natively or by our means. Pure."""

from collections.abc import Mapping

from app.catalog.model import CatalogModel
from app.catalog.modes import Mode
from app.domain.request import ImageRequest
from app.domain.words import JSONValue

_SENT_ANYWAY = frozenset({"positivePrompt", "width", "height", "inputs", "resolution"})
"""Required fields that every request fills by itself."""


def starts_from_blank(model: CatalogModel) -> bool:
    """Whether a model that only edits may be given a blank image, so that it makes one from text.

    Without a prompt there is nothing to make an image from, and a mask or a field of its own cannot be invented.
    """
    rules = model.images
    if rules is None or Mode.GENERATE in model.modes or not rules.blank or rules.slot != "referenceImages":
        return False
    # A blank image is the only thing we can make up: a model that needs more would refuse the task.
    needs_more = rules.mask_required or rules.minimum > 1 or bool(set(model.required) - _SENT_ANYWAY)
    return model.prompt.use == "required" and not needs_more


def brings_own_images(fields: Mapping[str, JSONValue]) -> bool:
    """Whether a caller's own task fields carry the images to work on, so that none has to stand in.

    That these are there and well is judged with the other fields.
    """
    # ACE++ takes its images inside its own field; a blank one beside them would be edited in their place.
    return isinstance(fields.get("acePlusPlus"), dict)


def emulated_modes(model: CatalogModel) -> tuple[Mode, ...]:
    """What the model does not do by itself and is asked for by other means."""
    return (Mode.GENERATE,) if starts_from_blank(model) else ()


def supported_modes(model: CatalogModel) -> tuple[Mode, ...]:
    """All a caller can ask for, natively or not."""
    return tuple(mode for mode in Mode if mode in model.modes or mode in emulated_modes(model))


def is_from_text(request: ImageRequest) -> bool:
    """Whether nothing but a text says what to make."""
    return request.mode is Mode.GENERATE and not request.images and not brings_own_images(request.passthrough)


def is_emulated(request: ImageRequest, model: CatalogModel) -> bool:
    """Whether a blank image stands in for the one that the model edits."""
    return is_from_text(request) and starts_from_blank(model)


def is_tool(model: CatalogModel) -> bool:
    """Whether the model does one thing to a whole image, such as enlarging it."""
    return model.task != "imageInference"


def takes_mask(model: CatalogModel) -> bool:
    """Whether a mask can go along to the model."""
    return model.images is not None and model.images.mask


def pastes_mask(request: ImageRequest, model: CatalogModel) -> bool:
    """Whether results are pasted into the caller's image inside the mask, which the model does not take."""
    return request.mask is not None and not takes_mask(model)

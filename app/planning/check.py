"""The first step of preparing: what a model cannot do at all, and what has to be looked at before anything is decided.

Pure, and first because it is free: whatever is certain to be refused is refused before an image is fetched or decoded.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from app.catalog.model import CatalogModel
from app.catalog.modes import Mode
from app.domain.request import ImageRequest, LinkedImage
from app.domain.words import ImageFormat
from app.errors import InvalidRequestError
from app.planning.capabilities import (
    is_emulated,
    is_from_text,
    is_tool,
    pastes_mask,
    starts_from_blank,
    takes_mask,
)
from app.planning.composition import check_fit
from app.planning.derived_size import wants_scaling
from app.planning.output import makes_vectors
from app.planning.size import reference_shape, sends_size


@dataclass(frozen=True, slots=True)
class InputNeeds:
    """What must be known of the input images before anything can be decided."""

    first_size: bool = False
    """The size of the first image: where it is not to be had, the default size stands in."""
    first_pixels: bool = False
    """The first image itself: something is drawn over it or pasted into it."""
    mask_as_is: bool = False
    """The mask goes to the provider as it was named."""


NO_NEEDS = InputNeeds()


def check(request: ImageRequest, model: CatalogModel, alternatives: Iterable[str] = ()) -> InputNeeds:
    """What has to be looked at, raising InvalidRequestError for what a model cannot do at all.

    Called before any image is fetched or decoded. `alternatives` are models that can.
    """
    # The model first: a caller that chose the wrong one has no use for the faults that follow from it.
    _check_mode(request, model, alternatives)
    _check_tool(request, model)
    _check_images(request, model)
    if request.fit is not None:
        check_fit(request, model)
    return _needs_of(request, model) if request.images else NO_NEEDS


def _needs_of(request: ImageRequest, model: CatalogModel) -> InputNeeds:
    # A mask of OpenAI's is transparent where to edit and must be converted; only Runware's own kind can pass.
    named = isinstance(request.mask, LinkedImage) and (request.mask_is_native or request.mask.is_id)
    shapeless = request.size.exact is None and request.size.ratio is None
    return InputNeeds(
        first_size=wants_scaling(request, model) or (shapeless and sends_size(request, model)),
        first_pixels=request.markup is not None
        or pastes_mask(request, model)
        or reference_shape(request, model) is not None,
        mask_as_is=named and takes_mask(model) and request.markup is None,
    )


def _check_mode(request: ImageRequest, model: CatalogModel, alternatives: Iterable[str]) -> None:
    message = None
    if request.mode is Mode.EDIT and Mode.EDIT not in model.modes:
        message = f"The model {model.id} makes images from text and does not edit them."
    elif Mode.GENERATE not in model.modes and is_from_text(request) and not starts_from_blank(model):
        message = f"The model {model.id} edits images and does not make them from text alone."
    if message is not None:
        names = ", ".join(islice(alternatives, 3))
        hint = f" Models that do: {names}." if names else ""
        raise InvalidRequestError(f"{message}{hint}", param="model", code="unsupported_model")


def _check_tool(request: ImageRequest, model: CatalogModel) -> None:
    """What cannot be asked of a tool, or of a model that makes no vector graphics."""
    if request.mask is not None and is_tool(model):
        raise InvalidRequestError(f"The model {model.id} works on the whole image and takes no `mask`.", param="mask")
    if request.fit is not None and makes_vectors(model):
        raise InvalidRequestError(f"The model {model.id} makes vector graphics, which need no `fit`.", param="fit")
    if request.format is ImageFormat.SVG and not makes_vectors(model):
        message = f"The model {model.id} makes no vector graphics: use output_format png, jpeg, webp, gif or avif."
        raise InvalidRequestError(message, param="output_format")


def _check_images(request: ImageRequest, model: CatalogModel) -> None:
    count, rules = len(request.images), model.images
    for name, image in (("mask", request.mask), ("markup", request.markup)):
        if image is not None and not count:
            raise InvalidRequestError(f"`{name}` needs an `image` to apply to.", param=name)
    if rules is None:
        if count:
            message = f"The model {model.id} takes no input images; got {count}."
            raise InvalidRequestError(message, param=request.images[0].param)
        return
    if count < rules.minimum and not request.passthrough.get("inputs") and not is_emulated(request, model):
        message = f"The model {model.id} needs at least {rules.minimum} `image`; got {count}."
        raise InvalidRequestError(message, param="image", code="missing_required_parameter")
    if rules.maximum is not None and count > rules.maximum:
        images = "image" if rules.maximum == 1 else "images"
        message = f"The model {model.id} takes at most {rules.maximum} {images}; got {count}."
        raise InvalidRequestError(message, param="image")
    if count and rules.mask_required and request.mask is None:
        message = f"The model {model.id} needs a `mask`: transparent where to edit."
        raise InvalidRequestError(message, param="mask", code="missing_required_parameter")

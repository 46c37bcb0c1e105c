"""What has to be looked at before anything can be decided: the input images, as far as a decision needs them. Pure.

Asked only of requests with images.
"""

from dataclasses import dataclass

from app.catalog.model import CatalogModel
from app.domain.request import ImageRequest, LinkedImage
from app.planning.capabilities import pastes_mask, takes_mask
from app.planning.derived_size import wants_scaling
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


def needs_of(request: ImageRequest, model: CatalogModel) -> InputNeeds:
    """What has to be looked at for `request` on `model`."""
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

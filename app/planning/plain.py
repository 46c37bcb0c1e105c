"""Plain requests: nothing but their model and their shape decides, beside the length of a prompt (0071). Pure.

What all of one shape have in common is decided once: the spec, the price, and what counts of them. Leaves every other
request to `decide`, and what differs between plain ones to `bind`.
"""

from operator import attrgetter
from typing import TypeAlias

from msgspec import Struct

from app.catalog.model import CatalogModel
from app.domain.memory import Memory
from app.domain.request import ImageRequest, Shape
from app.domain.spec import ImageSpec
from app.domain.values import replace
from app.domain.words import Delivery
from app.ledger.order import Estimate, Order
from app.ledger.pricing import estimate_price
from app.planning.decide import decide_prompt, decide_shape
from app.planning.fingerprint import Counted, count_alike
from app.planning.output import OutputRules
from app.planning.plan import NO_FITTED_INPUTS, build_plan
from app.planning.validation import check_fields

_SHAPES_KEPT, _LONGEST_TEXT, _LONGEST_NAME = 1024, 32, 200
_NAMES = tuple(name for name in Shape.__struct_fields__ if name != "parameters")
_values_of = attrgetter(*_NAMES)
_Key: TypeAlias = tuple[object, ...]


class Common(Struct, frozen=True):
    """What all plain requests of one shape have in common."""

    spec: ImageSpec
    """But for prompt and seed, and what is to be said of these."""
    price: Estimate
    counted: Counted

    def spec_of(self, request: ImageRequest) -> ImageSpec:
        """The spec of one of them, raising InvalidRequestError for its prompt or its seed."""
        spec = self.spec
        prompt, about_prompt = decide_prompt(request, spec.model)
        if request.seed is None and not about_prompt:
            return replace(spec, prompt=prompt)
        seed_field = spec.model.parameters.seed
        if request.seed is not None and seed_field is not None:
            check_fields({seed_field: request.seed}, spec.model.fields, {})
        return replace(spec, prompt=prompt, seed=request.seed, adjustments=(*about_prompt, *spec.adjustments))


class PlainRequests:
    """What is known of plain requests, for one catalog."""

    def __init__(self) -> None:
        self._known = Memory[_Key | None, Common](_SHAPES_KEPT)

    def find(self, request: ImageRequest, model: CatalogModel, delivery: Delivery, rules: OutputRules) -> Common | None:
        """What is known of requests like this one, which then need no `check`; None where it is not plain, or new."""
        return self._known.find(_key_of(request, model, delivery, rules))

    def learn(
        self, request: ImageRequest, model: CatalogModel, delivery: Delivery, rules: OutputRules
    ) -> Common | None:
        """What is decided of this request, and remembered; None where it must be decided by itself.

        The request must have passed `check`. Raises InvalidRequestError for what no adjustment can save.
        """
        key = _key_of(request, model, delivery, rules)
        if key is None:
            return None
        decide_prompt(request, model)  # what is wrong with it is said first
        # Made of the shape alone, so that nothing else of a request can be remembered and given to another (0071).
        shape = dict(zip(_NAMES, _values_of(request), strict=True))
        alike = ImageRequest(prompt=None, parameters=request.parameters, **shape)
        spec = decide_shape(alike, model, delivery, rules)
        made = build_plan(spec, NO_FITTED_INPUTS, [""] * spec.count).images_made
        order = Order(model, made, spec.output.size, (), spec.fields)
        common = Common(spec, estimate_price(order), count_alike(alike, delivery))
        self._known.keep(key, common)
        return common


def _key_of(request: ImageRequest, model: CatalogModel, delivery: Delivery, rules: OutputRules) -> _Key | None:
    """By what a plain request is remembered, None where it is not plain, or says something at length."""
    if (
        request.images
        or request.mask
        or request.mask_is_native
        or request.markup
        or request.passthrough
        or request.names
        or request.ignored
        or request.webhook_url is not None
        or request.in_background
        or model.exclusive
        # A seed only has to be legal where the model takes one; where it does not, its value is reported.
        or (request.seed is not None and model.parameters.seed is None)
    ):
        return None
    # What the caller wrote may be as long as a body.
    size, name = request.size, request.model or ""
    if size.ignored or len(size.text) + len(size.area_text) > _LONGEST_TEXT or len(name) > _LONGEST_NAME:
        return None
    parameters = _show_parameters(request) if request.parameters else ""
    return None if parameters is None else (model.air, delivery, rules, parameters, *_values_of(request))


def _show_parameters(request: ImageRequest) -> str | None:
    """The parameters as text, since 1, 1.0 and true are equal and mean different things; None where one is long."""
    for _, value in request.parameters:
        if isinstance(value, dict | list) or (isinstance(value, str) and len(value) > _LONGEST_TEXT):
            return None
    return repr(request.parameters)

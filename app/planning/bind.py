"""The last pure step of preparing a request: what was decided gets task ids, a fingerprint and a price."""

from collections.abc import Iterable

from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.context import RequestContext
from app.domain.request import ImageRequest
from app.domain.spec import ImageSpec
from app.domain.values import replace
from app.errors import InvalidRequestError
from app.ledger.order import Estimate, Order
from app.ledger.pricing import estimate_price
from app.planning.dry_run import reference_sizes
from app.planning.fingerprint import TaskIds, fingerprint
from app.planning.plain import Common
from app.planning.plan import FittedInputs, Plan, build_plan
from app.planning.prepared import Prepared


def bind(
    request: ImageRequest,
    requested_model: str,
    spec: ImageSpec,
    inputs: FittedInputs,
    context: RequestContext,
    task_ids: TaskIds,
    common: Common | None = None,
) -> Prepared:
    """The request ready to be sent: its tasks with their ids, its fingerprint and its price.

    `common` is what it has in common with others, where it is plain. Raises InvalidRequestError for a strict request
    that something was changed or dropped of.
    """
    if inputs.adjustments:
        spec = replace(spec, adjustments=(*spec.adjustments, *inputs.adjustments))
    # After the images were fitted, which may add adjustments; before anything is bought.
    if context.strict:
        _refuse_adjusted(spec.adjustments)
    # Of the request as it came, not of the spec: a catalog update must not turn a retry into a new purchase (0063).
    if common is None:
        fingerprint_ = fingerprint(request, context)
    else:
        fingerprint_ = common.counted.fingerprint(request, strict=context.strict)
    # Known before the tasks are: ids that follow from a key do not depend on what is in them (0064).
    plan = build_plan(spec, inputs, task_ids.of(context, fingerprint_, -(-spec.count // spec.per_task)))
    # A blank image that stands in for one to edit has a price of its own.
    price = _price_of(spec, plan, inputs) if common is None or inputs.images else common.price
    return Prepared(request, context, requested_model, spec, plan, inputs.base, fingerprint_, price)


def _price_of(spec: ImageSpec, plan: Plan, inputs: FittedInputs) -> Estimate:
    # Of the images as they are sent: Runware bills what it gets, not what the caller had.
    references = reference_sizes(plan) if inputs.images else ()
    return estimate_price(Order(spec.model, plan.images_made, spec.output.size, references, spec.fields))


def _refuse_adjusted(adjustments: Iterable[Adjustment]) -> None:
    """Raise InvalidRequestError for the first field that was changed or dropped."""
    for adjustment in adjustments:
        # Converted and emulated give exactly what was asked for, by another way.
        if adjustment.mode in {AdjustmentMode.CHANGED, AdjustmentMode.DROPPED}:
            message = f"Strict mode: `{adjustment.param}` cannot be honored exactly. {adjustment.reason}"
            raise InvalidRequestError(message, param=adjustment.param, code="unsupported_value")

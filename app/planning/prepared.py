"""A request ready to be sent: what planning made of it, to be claimed and executed."""

from msgspec import Struct

from app.domain.context import RequestContext
from app.domain.request import ImageRequest
from app.domain.spec import ImageSpec
from app.images.types import CompositeBase
from app.ledger.order import Estimate
from app.planning.plan import Plan


class Prepared(Struct, frozen=True):
    """A request ready to be sent; `price` is what the catalog expects it to cost."""

    request: ImageRequest
    context: RequestContext
    requested_model: str
    spec: ImageSpec
    plan: Plan
    base: CompositeBase | None
    """What each result is pasted into, where the spec says so."""
    fingerprint: str
    price: Estimate
    kept_prompt: str | None = None
    """The prompt, where the operator wants prompts to be stored."""

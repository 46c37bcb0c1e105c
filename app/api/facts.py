"""What the line of a request's log learns from its answer."""

from collections.abc import Sequence
from decimal import Decimal

from app.catalog.model import CatalogModel
from app.domain.answer import Adjustment, Answer
from app.ledger.bill import total_cost
from app.observability.access_log import RequestFacts

_LONGEST = 60


def note_choice(facts: RequestFacts, model: CatalogModel, adjustments: Sequence[Adjustment]) -> None:
    """What a request became, before anything is made."""
    facts.executed_model = model.id
    # Only the name of the field: what was asked for may be a prompt.
    if adjustments:
        facts.adjustments = tuple(f"{one.param[:_LONGEST]}={one.mode.value}" for one in adjustments)


def note_answer(facts: RequestFacts, answer: Answer) -> None:
    """A whole answer."""
    note_choice(facts, answer.model, answer.result.adjustments)
    facts.images = None
    add_part(facts, answer)


def add_part(facts: RequestFacts, answer: Answer) -> None:
    """Images that were made, and what they cost: an unknown part makes the sum unknown."""
    images, cost = answer.result.images, total_cost(answer.costs)
    is_first = facts.images is None
    known = Decimal(0) if is_first else facts.cost
    facts.cost = None if cost is None or known is None else known + cost
    facts.images = (facts.images or 0) + len(images)
    facts.attempts = (0 if is_first else facts.attempts or 0) + len(answer.result.attempts)
    if images and images[0].size is not None:
        width, height = images[0].size
        facts.size = f"{width}x{height}"

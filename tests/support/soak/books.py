"""What must be the same after a soak: Runware's bill, the ledger, the journal, what callers have, and what is counted."""

from collections.abc import Sequence
from decimal import Decimal

import httpx2

from tests.support import loopback
from tests.support.faults.budgets import BUDGETED_KEY
from tests.support.scraping import scrape
from tests.support.soak.house import House
from tests.support.soak.load import Asked
from tests.support.soak.places import Place, Row
from tests.support.waiting import seen

_BOSS = {"Authorization": "Bearer the-key-of-the-boss"}
_OWN = {"Authorization": f"Bearer {BUDGETED_KEY}"}
_BILL_SECONDS = 300.0
_COLLECTED = 40
FINAL = frozenset({"completed", "partial", "failed"})


def ledger_of(house: House) -> dict:
    """A look at the whole ledger, as `spillway ledger verify` has it."""
    return loopback.get(f"{house.origin}/v1/ledger/verify", headers=_BOSS, timeout=120).json()


def check_books(place: Place, asked: Sequence[Asked]) -> dict[str, object]:
    """Nothing lost, nothing bought twice, and every sum the same to the last digit; what was found."""
    house = place.house
    rows = seen(place.rows, lambda found: all(row[2] in FINAL for row in found), 120)
    assert [row for row in rows if row[2] not in FINAL] == []
    # A cost that an answer took with it is asked for two minutes after the end of its request.
    ledger = seen(lambda: ledger_of(house), lambda found: found["estimated"] == 0, _BILL_SECONDS)
    assert ledger["exact"], ledger["differences"]
    assert (ledger["reserved"], ledger["estimated"]) == (0, 0)
    images, bill = house.simulator.ledger()
    assert Decimal(str(ledger["spent"])) == bill
    by_prompt: dict[str, list[Row]] = {}
    for row in rows:
        by_prompt.setdefault(row[1], []).append(row)
    wrong = [one for one in asked if _is_wrong(one, by_prompt.get(one.prompt, []))]
    assert wrong == []
    assert sum(row[3] or 0 for row in rows) == images
    check_collectable(house, [row for one in asked if one.has_left for row in by_prompt.get(one.prompt, [])])
    return {"requests": len(rows), "images": images, "bill": str(bill), "counted": check_counts(house, images, bill)}


def _is_wrong(one: Asked, rows: Sequence[Row]) -> bool:
    """Whether a caller has other images than it was sold."""
    sold = sum(row[3] or 0 for row in rows)
    if one.images:
        return one.images != one.count or sold != one.count
    # Without an answer nothing was bought, or it can be collected, once.
    return sold not in {0, one.count} or (not one.has_left and one.status == 200)


def check_collectable(house: House, rows: Sequence[Row]) -> None:
    """What was bought for callers who left is there for them."""
    for request_id, _, status, _ in [row for row in rows if row[2] == "completed"][:_COLLECTED]:

        def ask(name: str = request_id) -> httpx2.Response:
            return loopback.get(f"{house.origin}/v1/requests/{name}/result", headers=_OWN, timeout=60)

        answer = seen(ask, lambda got: got.status_code != 202, 60)
        assert answer.status_code == 200, (request_id, status, answer.text)


def check_counts(house: House, images: int, bill: Decimal) -> str:
    """Metrics are the ledger's, but for what a killed process had committed and not counted yet, and commits in doubt."""
    counts = scrape(house.metrics, None)
    counted = int(counts.value("spillway_images_total", status="completed"))
    cost = counts.exact("spillway_cost_usd_total")
    assert images * 0.99 - 5 <= counted <= images
    assert bill * Decimal("0.99") - Decimal("0.05") <= cost <= bill
    return f"{counted} images, {cost} USD"

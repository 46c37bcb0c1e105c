"""Which faults are injected into which requests, and the three sums that must hold afterwards."""

import asyncio
import itertools
import random
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path

from app.domain.money import to_nanos
from app.runware.retry import RetryPolicy
from tests.support.faults.budgets import open_account
from tests.support.faults.clients import Job
from tests.support.faults.databases import Journal, PostgresJournal, SQLiteJournal
from tests.support.faults.lane import Asked, Lane, Step, Victim, new_token
from tests.support.images import png

_FORMS: tuple[tuple[str, dict[str, object]], ...] = (
    ("generate", {"model": "flux.1-schnell", "response_format": "url", "n": 1}),
    ("generate", {"model": "flux.1-schnell", "response_format": "b64_json", "n": 2}),
    ("generate", {"model": "runware/bfl:5@1", "response_format": "url", "n": 2}),
    ("generate", {"model": "flux.1-schnell", "n": 2, "stream": True}),
    ("edit", {"model": "riverflow-1-mini", "response_format": "url", "n": 1}),
)
"""One image, two in one task, two in two tasks, a stream of two, and an edit with an image in a form."""
_ROUNDS = 3
EVERYWHERE = tuple(itertools.product(Victim, Step))


def plan(faults: int, chance: random.Random, weights: dict[Victim, int]) -> list[Asked]:
    """Requests with so many faults among them, every victim at every step, most with one and some with two."""
    places = [place for place in EVERYWHERE for _ in range(weights[place[0]])]
    due = [places[index % len(places)] for index in range(faults)]
    chance.shuffle(due)
    asked = []
    while due:
        first = due.pop()
        more = [due.pop()] if due and chance.random() < 0.2 and due[-1][1] is not first[1] else []
        asked.append(_ask([first, *more], len(asked), chance))
    chance.shuffle(asked)
    return asked


def _ask(faults: list[tuple[Victim, Step]], index: int, chance: random.Random) -> Asked:
    method, fields = _FORMS[index % len(_FORMS)]
    token = new_token()
    headers = {"Idempotency-Key": token} if chance.random() < 0.5 else {}
    size = {} if method == "edit" else {"size": "256x256"}
    if str(fields["model"]).endswith("bfl:5@1"):
        size = {"size": "512x512"}
    job = Job(
        method,
        {**fields, **size, "prompt": f"{token} [sim:plain]"},
        headers,
        png(512, 512) if method == "edit" else None,
    )
    return Asked(job, int(str(fields["n"])), faults, asks_again=chance.random() < 0.5, token=token)


async def inject(
    simulator,
    postgres_url: str,
    faults: int,
    *,
    lanes: int,
    clients: int,
    seed: int,
    weights: dict[Victim, int],
    waits_for_bills: bool = False,
) -> Counter:
    """Run all lanes at once, check every sum, and return how often which fault was injected."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        running = []
        for index in range(lanes):
            own = Path(folder) / f"lane{index}"
            own.mkdir()
            journal: Journal = PostgresJournal(postgres_url) if index % 2 else SQLiteJournal(own / "journal.db")
            open_account(journal.url)
            asked = plan(faults // lanes, chance, weights)
            running.append((Lane(simulator.url, journal, own, clients), journal, asked))
        try:
            await asyncio.gather(*(_run(lane, asked, chance) for lane, _, asked in running))
            for lane, _, _ in running:
                await check(simulator, lane, waits_for_bills=waits_for_bills)
        finally:
            for lane, _, _ in running:
                await lane.close()
        return Counter(fault for lane, _, _ in running for fault in lane.injected)


async def _run(lane: Lane, asked: list[Asked], chance: random.Random) -> None:
    """Every fault: one that another came before, so that its step was never reached, gets a request of its own."""
    for _ in range(_ROUNDS):
        await lane.run(list(asked))
        left = [(place, one.faults.pop()) for place, one in enumerate(asked) if one.faults]
        asked = [_ask([fault], place, chance) for place, fault in left]
        if not asked:
            return


async def check(simulator, lane: Lane, *, waits_for_bills: bool) -> None:
    """Bought once, booked to the last digit, delivered or collectable."""
    listed, booked = await lane.settled()
    tasks = [task for task in simulator.tasks() if "fault-" in str(task["request"].get("positivePrompt"))]
    bought: Counter = Counter()
    billed: dict[str, Decimal] = {}
    for task in tasks:
        token = task["request"]["positivePrompt"].split()[0]
        bought[token] += task["images"]
        billed[token] = billed.get(token, Decimal(0)) + Decimal(task["billed"])
    finished = {one.prompt.split()[0]: one for one in listed if one.status in {"completed", "partial"}}
    wrong = []
    for one in lane.asked.values():
        served = one.outcome is not None and one.outcome.error is None
        # With so many attempts lost one after the other, and Runware not knowing the task, there is an error to give.
        may_fail = lane.attempts_lost(one.token) >= RetryPolicy().attempts and not bought[one.token]
        if one.outcome is not None and not served and not may_fail:
            wrong.append((one, f"the SDK gave up: {one.outcome.error}"))
        record = finished.get(one.token)
        should_run = served or record is not None
        in_part = record is not None and record.status == "partial"  # the gateway died between two tasks
        expected = range(1, one.count) if in_part else [one.count if should_run else 0]
        if bought[one.token] not in expected:
            wrong.append((one, f"{bought[one.token]} images were bought"))
        if should_run and not served and (await lane.collect(finished[one.token].id)).status_code != 200:
            wrong.append((one, "it was neither delivered nor can it be collected"))
        if served and len(one.outcome.images) != bought[one.token]:
            wrong.append((one, "images are missing"))
    assert not wrong, "\n".join(f"{one}: {reason}" for one, reason in wrong)
    own = sum((billed.get(one.token, Decimal(0)) for one in lane.asked.values()), Decimal(0))
    assert booked == own, (booked, own)
    assert sum((one.cost or Decimal(0) for one in listed), Decimal(0)) == own
    await _check_ledger(lane, own, waits_for_bills=waits_for_bills)
    assert "unexpected fault" not in lane.log(), lane.log()[-5000:]


async def _check_ledger(lane: Lane, bought: Decimal, *, waits_for_bills: bool) -> None:
    """Every reservation closed, and the ledger is the simulator's bill."""
    ledger, (reserved, spent) = await lane.ledger(waits_for_bills=waits_for_bills)
    assert ledger.is_exact, ledger.differences
    assert (ledger.reserved, reserved, spent) == (0, 0, to_nanos(ledger.spent))
    if waits_for_bills:
        assert (ledger.estimated, ledger.spent) == (0, bought)
    # Until Runware was asked, what an answer that was lost cost stands as what was reserved for it.
    assert ledger.spent - ledger.estimated <= bought <= ledger.spent

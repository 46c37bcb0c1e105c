"""Whatever is killed, and whenever: bought once, booked to the last digit, delivered or collectable."""

import asyncio

from tests.support.faults.lane import Victim
from tests.support.faults.suite import EVERYWHERE, inject

ONCE_EACH = dict.fromkeys(Victim, 1)


def test_faults_at_every_step_cost_nothing_twice_and_lose_nothing(simulator, postgres):
    injected = asyncio.run(
        inject(simulator, postgres.fresh(), len(EVERYWHERE), lanes=2, clients=8, seed=1, weights=ONCE_EACH)
    )
    assert sum(injected.values()) >= len(EVERYWHERE) - 3, injected

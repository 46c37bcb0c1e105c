"""A thousand faults, every victim at every step, over two gateways with SQLite and PostgreSQL behind them."""

import asyncio

import pytest

from tests.support.faults.lane import Victim
from tests.support.faults.suite import EVERYWHERE, inject

MOSTLY_CONNECTIONS = dict.fromkeys(Victim, 5) | {Victim.GATEWAY: 1}
"""A killed gateway needs seconds to be back."""


@pytest.mark.slow
@pytest.mark.measured
@pytest.mark.timeout(1500)
def test_a_thousand_faults_cost_nothing_twice_and_lose_nothing(simulator, postgres):
    injected = asyncio.run(
        inject(
            simulator,
            postgres.fresh(),
            1160,
            lanes=2,
            clients=14,
            seed=2,
            weights=MOSTLY_CONNECTIONS,
            waits_for_bills=True,
        )
    )
    assert sum(injected.values()) >= 1000, injected
    assert set(injected) == set(EVERYWHERE)

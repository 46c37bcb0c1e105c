import asyncio
import time

import pytest

from tests.support.faults.lane import Victim
from tests.support.faults.suite import inject


@pytest.mark.timeout(580)
def test_big(simulator, postgres):
    t = time.time()
    w = dict.fromkeys(Victim, 2) | {Victim.GATEWAY: 1}
    c = asyncio.run(inject(simulator, postgres.fresh(), 300, lanes=2, clients=12, seed=7, weights=w))
    for k, v in sorted(c.items(), key=str):
        print(v, k[0].name, k[1].name)
    print(sum(c.values()), time.time() - t)
    assert 0

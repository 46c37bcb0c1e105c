"""Longer sets: many faults at once with the books balanced, and flat memory under bad input."""

import random
import re
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import psutil
import pytest

from tests.support import loopback
from tests.support.commands import served
from tests.support.hostile_images import bomb
from tests.support.images import png
from tests.support.processes import unique

pytestmark = [pytest.mark.slow, pytest.mark.measured, pytest.mark.timeout(600)]

PASSING = ["", "[sim:rate-limit=1]", "[sim:outage=2]", "[sim:server-error=1]", "[sim:html=1]", "[sim:unreachable=1]"]
PASSING += ["[sim:drop]", "[sim:empty]", "[sim:nonsense]", "[sim:hang=0.2]", "[sim:slow=0.3]", "[sim:partial=1]"]
LASTING = ["[sim:moderation]", "[sim:no-credits]", "[sim:outage]", "[sim:unknown-code]", "[sim:rate-limit]"]


def test_a_thousand_requests_full_of_faults_balance_the_books(start_gateway):
    gateway = start_gateway(SPILLWAY_SYNC_WAIT="1")
    name, chance = unique(), random.Random(7)
    jobs = [
        (
            chance.choice(PASSING if chance.random() < 0.8 else LASTING),
            chance.randint(1, 3),
            chance.choice(["flux.1-schnell", "flux.2-pro"]),
        )
        for _ in range(1000)
    ]

    def work(job: tuple[str, int, str]) -> tuple[str, int, Decimal, int]:
        marker, count, model = job
        response = gateway.generate(
            prompt=f"{name} {marker}".strip(), n=count, model=model, response_format=chance.choice(["url", "b64_json"])
        )
        if response.status_code != 200:
            return marker, 0, Decimal(0), response.status_code
        cost = Decimal(re.search(r'"cost":([0-9.e-]+)', response.text)[1])
        return marker, len(response.json()["data"]), cost, 200

    with ThreadPoolExecutor(24) as pool:
        outcomes = list(pool.map(work, jobs))
    for (marker, count, model), (_, delivered, _, status) in zip(jobs, outcomes, strict=True):
        if marker in LASTING:
            assert status in {400, 402, 429, 503}
        else:
            assert status == 200, marker
            assert delivered == (1 if marker == "[sim:partial=1]" and model == "flux.1-schnell" else count)
    made = [task for marker in {*PASSING, *LASTING} for task in gateway.simulator.tasks(f"{name} {marker}".strip())]
    assert sum(task["images"] for task in made) == sum(delivered for _, delivered, _, _ in outcomes)
    assert sum(Decimal(task["billed"]) for task in made) == sum(cost for _, _, cost, _ in outcomes)


def test_memory_stays_flat_under_bad_input(tmp_path, simulator):
    variables = {"RUNWARE_API_KEY": "a-runware-key", "RUNWARE_BASE_URL": f"{simulator.url}/v1"}
    bodies = [
        {"files": [("image", ("a.png", bomb()))]},
        {"files": [("image", ("a.png", b"\x89PNG" + b"\0" * 40_000_000))]},
        {"files": [("image[]", ("a.png", png()))] * 17},
        {"files": [("image", ("a.png", png()[:-30]))]},
        {"json": {"prompt": "x" * 100_000}},
        {"content": b"[" * 1_000_000, "headers": {"Content-Type": "application/json"}},
    ]
    with served(tmp_path, **variables) as (origin, process), loopback.client(timeout=30) as client:
        gateway = psutil.Process(process.pid)

        def flood(rounds: int) -> float:
            for _ in range(rounds):
                for body in bodies:
                    extra = {"data": {"prompt": "hat"}} if "files" in body else {}
                    response = client.post(f"{origin}/v1/images/edits", **body, **extra)
                    assert 400 <= response.status_code < 500
            return gateway.memory_info().rss / 1e6

        after_few, after_many = flood(5), flood(40)
        assert after_many - after_few < 40, (after_few, after_many)

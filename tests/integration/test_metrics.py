"""Each metric is driven to change by what it counts; who may read them; and what they say of money is the ledger's."""

import concurrent.futures
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from app import __version__
from app.observability.families import FAMILIES, Kind
from tests.support import loopback
from tests.support.children import IMAGE_WORKER, children_with
from tests.support.counted_calls import ADMIN, generate, leave, value
from tests.support.scraping import ADMIN_KEY, Scrape, scrape
from tests.support.waiting import seen

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def counted(start_shared_gateway):
    return start_shared_gateway(SPILLWAY_ADMIN_KEYS=f"boss={ADMIN_KEY}", SPILLWAY_LOW_BALANCE="1000000")


def create_key(gateway, **fields: object) -> dict:
    answer = loopback.post(f"{gateway.base_url}/keys", json={"name": f"k{time.time_ns()}"} | fields, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['key']}"}


def retry_what_broke(gateway) -> None:
    prompt = f"adopted {time.time_ns()} [sim:slow=1]"
    leave(gateway, prompt)
    answer = generate(gateway, {"Authorization": "Bearer test-key", "X-Stainless-Retry-Count": "1"}, prompt=prompt)
    assert answer.status_code == 200


def repeat_at_once(gateway) -> None:
    headers = ADMIN | {"Idempotency-Key": f"join-{time.time_ns()}"}
    prompt = f"joined {time.time_ns()} [sim:slow=2]"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(generate, gateway, headers, prompt=prompt)
        assert seen(lambda: gateway.simulator.asked(prompt), bool)
        assert generate(gateway, headers, prompt=prompt).status_code == first.result().status_code == 200


def repeat_afterwards(gateway) -> None:
    headers = ADMIN | {"Idempotency-Key": f"replay-{time.time_ns()}"}
    prompt = f"replayed {time.time_ns()}"
    for _ in range(2):
        assert generate(gateway, headers, prompt=prompt).status_code == 200


def spend_too_much(gateway) -> None:
    assert generate(gateway, create_key(gateway, budget=0.0001)).status_code == 402


def ask_too_fast(gateway) -> None:
    headers = create_key(gateway, rpm=1)
    assert [generate(gateway, headers).status_code for _ in range(2)] == [200, 429]


@dataclass(frozen=True)
class Case:
    """What must be counted when `act` was done."""

    name: str
    act: Callable[[object], object]
    labels: dict[str, str] = field(default_factory=dict)
    by: float | None = 1
    """By how much it grows; None for more than it was."""


CASES = [
    Case("spillway_requests_total", generate, {"endpoint": "/images/generations", "model": "flux.1-schnell", "status": "200"}),
    Case("spillway_requests_total", lambda g: generate(g, model="no-such"), {"model": "other", "status": "404"}),
    Case("spillway_requests_total", lambda g: loopback.get(f"{g.origin}/nowhere"), {"endpoint": "other", "status": "404"}),
    Case("spillway_requests_total", lambda g: loopback.get(f"{g.base_url}/requests/x", headers=ADMIN), {"endpoint": "/requests/{request_id}"}),
    Case("spillway_images_total", lambda g: generate(g, n=2), {"model": "flux.1-schnell", "status": "completed"}, 2),
    Case("spillway_images_total", lambda g: generate(g, n=3, prompt="[sim:partial=2]"), {"status": "failed"}),
    Case("spillway_images_total", lambda g: generate(g, prompt="[sim:provider-error]"), {"status": "failed"}),
    Case("spillway_images_total", lambda g: generate(g, model="civitai:1@1"), {"model": "other"}),
    Case("spillway_pixels_total", generate, {"model": "flux.1-schnell"}, 256 * 256),
    Case("spillway_cost_usd_total", generate, {"model": "flux.1-schnell"}, None),
    Case("spillway_request_seconds_count", generate),
    Case("spillway_stage_seconds_count", generate, {"stage": "prepare"}),
    Case("spillway_stage_seconds_count", generate, {"stage": "upstream"}),
    Case("spillway_stage_seconds_count", generate, {"stage": "deliver"}),
    Case("spillway_adjustments_total", lambda g: generate(g, quality="high"), {"mode": "dropped"}),
    Case("spillway_adjustments_total", lambda g: generate(g, model="riverflow-1.1", size="1024x1024"), {"mode": "emulated"}, None),
    Case("spillway_adjustments_total", lambda g: generate(g, model="qwen-image", size="1000x1004"), {"mode": "changed"}),
    Case("spillway_adjustments_total", lambda g: generate(g, model="qwen-image", size="1000x1004", fit="cover"), {"mode": "converted"}),
    Case("spillway_upstream_attempts_total", generate, {"kind": "submit", "outcome": "ok"}),
    Case("spillway_upstream_attempts_total", lambda g: generate(g, prompt="[sim:drop]"), {"kind": "collect"}, None),
    Case("spillway_retries_total", lambda g: generate(g, prompt=f"[sim:server-error=1] {time.time_ns()}")),
    Case("spillway_joins_total", repeat_at_once),
    Case("spillway_replays_total", repeat_afterwards),
    Case("spillway_adoptions_total", retry_what_broke),
    Case("spillway_budget_refusals_total", spend_too_much),
    Case("spillway_rate_limited_total", ask_too_fast),
    Case("spillway_journal_commit_seconds_count", generate, by=None),
    Case("spillway_journal_group_size_count", generate, by=None),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{number} {case.name}" for number, case in enumerate(CASES)])
def test_what_happens_is_counted(counted, case):
    before = scrape(counted.origin).value(case.name, **case.labels)
    case.act(counted)

    def grown() -> float:
        return round(scrape(counted.origin).value(case.name, **case.labels) - before, 9)

    # What is counted with a commit, or when an answer was sent, is there a moment after it was read.
    assert seen(grown, lambda more: more >= (case.by or 1e-9)) >= (case.by or 1e-9)
    assert case.by is None or grown() == case.by


def test_gauges_say_what_runs_waits_and_is_held(start_gateway):
    gateway = start_gateway(
        SPILLWAY_ADMIN_KEYS=f"boss={ADMIN_KEY}", SPILLWAY_MAX_IN_FLIGHT="1", SPILLWAY_MAX_QUEUED="1", SPILLWAY_MAX_BYTES_IN_FLIGHT=str(64 * MIB),
    )  # fmt: skip
    assert value(gateway, "spillway_tasks_in_flight_limit") == 1
    assert value(gateway, "spillway_bytes_in_flight_limit") == 64 * MIB
    marker = f"held {time.time_ns()} [sim:hold]"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = pool.submit(generate, gateway, prompt=marker, response_format="b64_json")
        assert seen(lambda: value(gateway, "spillway_tasks_in_flight"), lambda now: now == 1) == 1
        # Bytes are taken when the task begins, a moment after it has its place.
        assert seen(lambda: value(gateway, "spillway_bytes_in_flight"), lambda now: now > 0) > 0
        waiting = pool.submit(generate, gateway, prompt="waits")
        assert seen(lambda: value(gateway, "spillway_queue_length"), lambda now: now == 1) == 1
        assert generate(gateway, prompt="is refused").status_code == 429
        assert value(gateway, "spillway_overload_refusals_total", room="tasks") == 1
        release, query = f"{gateway.simulator.url}/_simulator/release", {"prompt": marker, "count": 9}
        # The task waits from a moment after it was accepted.
        assert seen(lambda: gateway.simulator.client.post(release, params=query).json()["released"], bool)
        assert [one.result().status_code for one in (running, waiting)] == [200, 200]
    assert value(gateway, "spillway_stage_seconds_count", stage="queue") == 1
    for name in ("spillway_tasks_in_flight", "spillway_queue_length", "spillway_bytes_in_flight"):
        assert seen(lambda name=name: value(gateway, name), lambda now: now == 0) == 0, name


def test_the_breaker_shows_while_runware_is_away(start_gateway):
    gateway = start_gateway(upstream="http://127.0.0.1:9/v1", SPILLWAY_ADMIN_KEYS=f"boss={ADMIN_KEY}")
    assert value(gateway, "spillway_breaker_open") == 0
    for _ in range(4):
        generate(gateway)
    assert seen(lambda: value(gateway, "spillway_breaker_open"), lambda now: now == 1) == 1
    assert value(gateway, "spillway_upstream_attempts_total", kind="submit") > 0


def test_the_balance_shows_where_it_is_watched(counted):
    balance = seen(lambda: value(counted, "spillway_runware_balance_usd"), lambda now: now > 0)
    assert 0 < balance < 1_000_000
    assert value(counted, "spillway_runware_balance_low") == 1


def test_a_worker_that_is_lost_is_counted_and_there_again(start_gateway):
    before = children_with(IMAGE_WORKER)
    gateway = start_gateway(SPILLWAY_ADMIN_KEYS=f"boss={ADMIN_KEY}")
    assert seen(lambda: value(gateway, "spillway_workers", state="idle"), lambda now: now == 1) == 1
    for process in children_with(IMAGE_WORKER):
        if process not in before:
            process.kill()
    assert generate(gateway, output_format="avif").status_code == 200
    assert value(gateway, "spillway_worker_restarts_total") == 1
    assert seen(lambda: value(gateway, "spillway_workers", state="idle"), lambda now: now == 1) == 1


def test_what_the_store_refuses_is_counted(start_gateway, tmp_path):
    gateway = start_gateway(SPILLWAY_ADMIN_KEYS=f"boss={ADMIN_KEY}", SPILLWAY_DATA_DIR=str(tmp_path / "data"))
    assert generate(gateway, output_format="gif").status_code == 200
    before = value(gateway, "spillway_storage_errors_total")
    media = tmp_path / "data" / "media"
    shutil.rmtree(media)
    media.write_text("a file where the folder was")
    assert generate(gateway, output_format="gif").status_code == 200
    assert value(gateway, "spillway_storage_errors_total") > before == 0


def test_what_is_stored_is_weighed(start_gateway):
    gateway = start_gateway(parts={"sweeps_every": 0.2}, SPILLWAY_ADMIN_KEYS=f"boss={ADMIN_KEY}")
    url = generate(gateway, output_format="gif").json()["data"][0]["url"]
    size = len(loopback.get(url).content)
    assert seen(lambda: value(gateway, "spillway_storage_bytes"), lambda now: now == size) == size


def test_costs_and_images_are_those_of_the_ledger(start_gateway):
    gateway = start_gateway(SPILLWAY_ADMIN_KEYS=f"boss={ADMIN_KEY}")
    asked = [
        {"n": 3}, {"prompt": "[sim:partial=1]", "n": 4}, {"prompt": "[sim:provider-error]"}, {"prompt": "[sim:moderation]"},
        {"prompt": "[sim:costless]"}, {"model": "riverflow-1-mini", "size": "1024x1024"}, {"prompt": "[sim:drop]"},
        {"model": "civitai:1@1"}, {"n": 2, "output_format": "gif"}, {"model": "no-such"},
    ]  # fmt: skip
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda fields: generate(gateway, **fields), asked))

    def usage() -> dict:
        return loopback.get(f"{gateway.base_url}/usage?group_by=model", headers=ADMIN).json()["total"]

    def agree(found: tuple[dict, Scrape]) -> bool:
        total, counts = found
        is_counted = total["images"] == counts.value("spillway_images_total", status="completed")
        return is_counted and Decimal(str(total["cost"])) == counts.exact("spillway_cost_usd_total")

    # A cost that Runware tells late may come between the two looks.
    total, counts = seen(lambda: (usage(), scrape(gateway.origin)), agree)
    assert total["images"] == counts.value("spillway_images_total", status="completed") > 8
    assert Decimal(str(total["cost"])) == counts.exact("spillway_cost_usd_total") > 0
    assert total["estimated_cost"] > 0
    checked = loopback.get(f"{gateway.base_url}/ledger/verify", headers=ADMIN).json()
    assert checked["exact"] is True


READERS = [
    pytest.param({}, "test-key", 403, id="a caller's key"),
    pytest.param({}, ADMIN_KEY, 200, id="an administrator"),
    pytest.param({}, None, 401, id="nobody"),
    pytest.param({"SPILLWAY_METRICS_KEY": "m" * 16}, "m" * 16, 200, id="the key of metrics"),
    pytest.param({"SPILLWAY_METRICS_KEY": "m" * 16}, ADMIN_KEY, 200, id="an administrator beside it"),
    pytest.param({"SPILLWAY_METRICS_KEY": "m" * 16}, "n" * 16, 401, id="a wrong key"),
    pytest.param({"SPILLWAY_METRICS_PORT": "9464"}, ADMIN_KEY, 404, id="another port has them"),
    pytest.param({"SPILLWAY_METRICS": "false"}, ADMIN_KEY, 404, id="there are none"),
    pytest.param({"SPILLWAY_API_KEYS": "", "SPILLWAY_ADMIN_KEYS": ""}, None, 200, id="no keys at all"),
    pytest.param({"SPILLWAY_API_KEYS": "", "SPILLWAY_ADMIN_KEYS": "", "SPILLWAY_METRICS_KEY": "m" * 16}, None, 403, id="no keys but that of metrics"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "key", "status"), READERS)
def test_who_reads_metrics(start_gateway, settings, key, status):
    gateway = start_gateway(**({"SPILLWAY_ADMIN_KEYS": f"boss={ADMIN_KEY}"} | settings))
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    assert loopback.get(f"{gateway.origin}/metrics", headers=headers).status_code == status
    assert generate(gateway, {"Authorization": "Bearer test-key"}).status_code == 200


def test_the_form_is_what_prometheus_asks_for(counted):
    plain = loopback.get(f"{counted.origin}/metrics", headers=ADMIN)
    assert plain.headers["content-type"].startswith("text/plain; version=")
    openmetrics = loopback.get(
        f"{counted.origin}/metrics", headers=ADMIN | {"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")


def test_every_metric_of_the_table_is_there_and_no_other(counted):
    shown = scrape(counted.origin)
    assert dict(shown.families) == {family.name: family.kind.value for family in FAMILIES}
    assert shown.value("spillway_build_info", version=__version__) == 1


def test_labels_stay_few_whatever_callers_send(counted):
    for number in range(40):
        loopback.get(f"{counted.origin}/v1/made-up-{number}", headers=ADMIN)
        generate(counted, model=f"made-up-{number}")
        generate(counted, model=f"civitai:{number}@1", prompt="[sim:moderation]")
        loopback.request("GET", f"{counted.base_url}/images/generations", headers=ADMIN)
    shown = scrape(counted.origin)
    assert not [one for one in shown.labels("spillway_requests_total", "endpoint") if "made-up" in one]
    assert "other" in shown.labels("spillway_requests_total", "model")
    assert not [one for one in shown.labels("spillway_images_total", "model") if ":" in one]
    assert len(shown.samples) < 1000


def test_counters_never_say_less(counted):
    def counters(one: Scrape) -> dict:
        names = {family.name for family in FAMILIES if family.kind is Kind.COUNTER}
        return {key: value for key, value in one.samples.items() if key[0] in names}

    before = counters(scrape(counted.origin))
    generate(counted)
    after = counters(scrape(counted.origin))
    assert all(after[key] >= value for key, value in before.items())


def test_readiness_says_how_full_memory_is(start_gateway):
    gateway = start_gateway(SPILLWAY_MAX_BYTES_IN_FLIGHT=str(8 * MIB))
    memory = loopback.get(f"{gateway.origin}/readyz").json()["memory"]
    assert memory == {"limit_bytes": 8 * MIB, "in_flight_bytes": 0, "waiting": 0, "refused": 0}

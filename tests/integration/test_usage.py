"""What was used, and what is left at Runware, over real sockets."""

import csv
import io
import json
import subprocess
import sys
from contextlib import contextmanager
from decimal import Decimal

import httpx2
import pytest

from tests.conftest import SimulatorProcess
from tests.support.commands import served
from tests.support.odd_runware import Odd, odd_runware
from tests.support.processes import unique
from tests.support.waiting import log_with, seen

ADMIN = {"Authorization": "Bearer admin-key"}
OTHER = {"Authorization": "Bearer other-key"}
KEYS = {"SPILLWAY_API_KEYS": "mobile=test-key,other-key", "SPILLWAY_ADMIN_KEYS": "boss=admin-key"}


@pytest.fixture
def shop(start_gateway):
    return start_gateway(**KEYS)


def usage(gateway, headers: dict[str, str] | None = None, **query: str) -> dict:
    return gateway.client.get("/usage", params=query, headers=headers).raise_for_status().json()


def settled(gateway, count: int, headers: dict[str, str] | None = None) -> dict:
    """The sums once so many requests have ended: a request is written down a moment after its answer."""
    return seen(
        lambda: usage(gateway, headers, group_by="status"),
        lambda body: (
            sum(row["requests"] for row in body["data"] if row["status"] in {"completed", "partial", "failed"}) == count
        ),
    )


def test_what_was_bought_is_summed_to_the_last_digit(shop):
    answers = [
        shop.generate(prompt=unique(), model="riverflow-1", quality="hd", user="ann", size="1024x1024")
        for _ in range(2)
    ]
    shop.generate(prompt=f"{unique()} [sim:partial=1]", model="flux.1-schnell", n=3)
    shop.generate(prompt=f"{unique()} [sim:moderation]", model="flux.1-schnell")
    body = settled(shop, 4)
    records = shop.client.get("/requests").json()["data"]
    paid = sum(Decimal(str(record["cost"])) for record in records)
    assert Decimal(str(body["total"]["cost"])) == paid > 0
    assert (body["total"]["requests"], body["total"]["failures"]) == (4, 1)
    assert body["total"]["images"] == sum(len(record["images"]) for record in records)
    dropped = [
        one for answer in answers for one in answer.json()["metadata"]["adjustments"] if one["mode"] == "dropped"
    ]
    assert body["total"]["dropped"] == len(dropped) > 0
    assert {row["status"]: row["requests"] for row in body["data"]} == {"completed": 2, "partial": 1, "failed": 1}
    by_model = {row["model"]: row["requests"] for row in usage(shop, group_by="model")["data"]}
    assert by_model == {"riverflow-1": 2, "flux.1-schnell": 2}
    assert {row["user"]: row["requests"] for row in usage(shop, group_by="user")["data"]} == {"ann": 2, None: 2}
    assert all(0 <= row["p50_seconds"] <= row["p95_seconds"] < 60 for row in body["data"])


def test_a_key_sees_its_own_and_an_administrator_all(shop):
    shop.generate(prompt=unique())
    shop.client.post("/images/generations", json={"prompt": unique(), "size": "256x256"}, headers=OTHER)
    both = settled(shop, 2, ADMIN)
    assert both["total"]["requests"] == 2
    assert [settled(shop, 1, headers)["total"]["requests"] for headers in (None, OTHER)] == [1, 1]
    rows = usage(shop, ADMIN, group_by="key")["data"]
    assert sorted(str(row["name"]) for row in rows) == ["None", "mobile"]
    for wanted in ("mobile", next(row["key"] for row in rows if row["name"])):
        assert usage(shop, ADMIN, key=wanted)["total"]["requests"] == 1
    assert usage(shop, key="mobile")["total"]["requests"] == 1
    assert [row["name"] for row in usage(shop, group_by="key")["data"]] == ["mobile"]


def test_a_cost_that_is_not_known_is_shown_apart(shop):
    shop.generate(prompt=f"{unique()} [sim:costless]", model="riverflow-1-mini")
    total = settled(shop, 1)["total"]
    record = shop.client.get("/requests").json()["data"][0]
    assert (total["cost"], total["estimated_cost"], record["cost"]) == (0, record["estimated_cost"], None)
    assert total["estimated_cost"] > 0


@pytest.mark.parametrize(
    ("query", "headers", "status", "code", "param"),
    [
        pytest.param({"group_by": "color"}, None, 400, "invalid_value", "group_by", id="a group that there is not"),
        pytest.param({"tz": "Mars/Olympus"}, None, 400, "invalid_value", "tz", id="no zone"),
        pytest.param({"tz": "../../etc/passwd"}, None, 400, "invalid_value", "tz", id="a path"),
        pytest.param({"tz": "Europe"}, None, 400, "invalid_value", "tz", id="a folder of zones"),
        pytest.param({"from": "yesterday"}, None, 400, "invalid_value", "from", id="no date"),
        pytest.param({"from": "0001-01-01"}, None, 400, "invalid_value", "from", id="long ago"),
        pytest.param({"to": "9999-12-31"}, None, 400, "invalid_value", "to", id="the end of time"),
        pytest.param({"from": "2026-05-02", "to": "2026-05-01"}, None, 400, "invalid_value", "to", id="backwards"),
        pytest.param({"from": "1990-01-01"}, None, 400, "invalid_value", "from", id="too long"),
        pytest.param({"limit": "0"}, None, 400, "invalid_value", "limit", id="no rows"),
        pytest.param({"groupby": "day"}, None, 400, "unknown_parameter", "groupby", id="no parameter"),
        pytest.param({"key": "of-somebody"}, None, 403, "admin_required", "key", id="of another key"),
        pytest.param({"key": "of-nobody"}, ADMIN, 404, "key_not_found", "key", id="of no key"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_the_words_of_the_caller(shared, query, headers, status, code, param):
    answer = shared.client.get("/usage", params=query, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)


@pytest.fixture(scope="module")
def shared(start_shared_gateway):
    return start_shared_gateway(**KEYS)


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        pytest.param({"from": "2026-03-29", "to": "2026-03-29", "tz": "Europe/Berlin"}, "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", id="a date counts whole"),
        pytest.param({"from": "2026-05-01T06:00:00Z", "to": "2026-05-01T12:00:00+02:00"}, "2026-05-01T06:00:00+00:00", "2026-05-01T10:00:00+00:00", id="times"),
        pytest.param({"from": "2026-05-01T06:00", "to": "2026-05-02", "tz": "Asia/Tokyo"}, "2026-05-01T06:00:00+09:00", "2026-05-03T00:00:00+09:00", id="a time of the zone"),
        pytest.param({"from": "2026-05-01T06:00:00 02:00", "to": "2026-05-02"}, "2026-05-01T04:00:00+00:00", "2026-05-03T00:00:00+00:00", id="a plus that became a space"),
    ],
)  # fmt: skip
def test_the_answer_says_between_which_moments_it_summed(shared, query, start, end):
    body = usage(shared, **query)
    assert (body["from"], body["to"], body["data"], body["total"]["requests"]) == (start, end, [], 0)


@pytest.mark.parametrize("user", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\uff1d1"])
def test_a_name_is_no_formula_in_a_spreadsheet(shop, user):
    shop.generate(prompt=unique(), user=f'{user},"x"')
    settled(shop, 1)
    answer = shop.client.get("/usage", params={"group_by": "user"}, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text))
    # Spaces around a field are not kept by the parser of requests.
    assert row["user"].startswith("'")
    assert row["user"].removeprefix("'").strip() == f'{user},"x"'.strip()
    assert answer.text.endswith("\r\n")


def test_csv_has_the_columns_and_the_numbers_of_json(shop):
    shop.generate(prompt=unique(), user="ann")
    (row,) = settled(shop, 1)["data"]
    answer = shop.client.get(
        "/usage", params={"group_by": "status"}, headers={"Accept": "text/csv;q=0.9, application/json;q=0.1"}
    )
    (line,) = csv.DictReader(io.StringIO(answer.text))
    assert list(line) == list(row)
    assert {name: str(value) for name, value in row.items()} == {
        **line,
        "cost": str(float(line["cost"])),
        "estimated_cost": str(float(line["estimated_cost"]))
        if "." in str(row["estimated_cost"])
        else line["estimated_cost"],
    }
    for accept in ("*/*", "application/json", "application/json, text/csv", "text/csv;q=0", "text/html"):
        assert shop.client.get("/usage", headers={"Accept": accept}).headers["content-type"] == "application/json"


def test_pages_lead_to_one_another(shop):
    for user in ("a", "b", "c"):
        shop.generate(prompt=unique(), user=user)
    settled(shop, 3)
    page, users = usage(shop, group_by="user", limit="2"), []
    while True:
        users += [row["user"] for row in page["data"]]
        if page["next_page_url"] is None:
            break
        page = shop.client.get(f"{shop.origin}{page['next_page_url']}").json()
    assert sorted(users) == ["a", "b", "c"]
    first = shop.client.get("/usage", params={"group_by": "user", "limit": "2"}, headers={"Accept": "text/csv"})
    assert 'rel="next"' in first.headers["link"]


@contextmanager
def simulating(*options: str):
    """A simulator of its own: the account of the shared one is spent by other tests."""
    command = [
        sys.executable,
        "-m",
        "app",
        "simulate",
        "--port",
        "0",
        "--latency",
        "0.01",
        "--exit-with-stdin",
        *options,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        running = SimulatorProcess(json.loads(process.stdout.readline())["simulator"].removesuffix("/v1"))
        yield running
        running.client.close()
        process.stdin.close()


def readiness(origin: str) -> tuple[int, list[str]]:
    answer = httpx2.get(f"{origin}/readyz", trust_env=False)
    return answer.status_code, answer.json()["problems"]


def test_the_balance_is_what_runware_says_and_only_administrators_see_it(start_gateway):
    with simulating("--balance", "12.5") as simulator:
        gateway = start_gateway(upstream=f"{simulator.url}/v1", **KEYS)
        cost = Decimal(str(gateway.generate(prompt=unique()).json()["metadata"]["cost"]))
        answer = gateway.client.get("/balance", headers=ADMIN)
        body = answer.json()
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert Decimal(str(body["balance"])) == Decimal("12.5") - cost
        assert (body["object"], body["currency"], body["low_balance"], body["is_low"]) == ("balance", "USD", None, None)
        assert gateway.client.get("/balance").json()["error"]["code"] == "admin_required"
        gateway.generate(prompt=unique())
        assert gateway.client.get("/balance", headers=ADMIN).json() == body, "for a minute the answer serves"
        assert readiness(gateway.origin) == (200, [])


def test_a_low_balance_shows_in_readiness_without_the_amount_and_in_the_log(tmp_path):
    runware = {"RUNWARE_API_KEY": "test-runware-key", "SPILLWAY_LOW_BALANCE": "5", **KEYS}
    with (
        simulating("--balance", "3.25") as simulator,
        # A process of its own: what it logs is no affair of this one's.
        served(tmp_path, RUNWARE_BASE_URL=f"{simulator.url}/v1", **runware) as (origin, _),
    ):
        status, problems = seen(lambda: readiness(origin), lambda found: found[1])
        assert (status, problems) == (200, ["The balance at Runware is low: add credit there."])
        body = httpx2.get(f"{origin}/v1/balance", headers=ADMIN, trust_env=False).json()
        assert (body["balance"], body["low_balance"], body["is_low"]) == (3.25, 5, True)
        assert "3.25" in log_with(tmp_path / "log", "the balance at Runware is low", "3.25")


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        pytest.param(Odd(b'{"errors":[{"code":"invalidApiKey","message":"no"}]}', 401), 502, "provider_authentication_error", id="the key is refused"),
        pytest.param(Odd(b'{"errors":[{"code":"errorRetrievingAccountManagement","message":"x"}]}', 500), 503, "provider_unavailable", id="a fault"),
        pytest.param(Odd(b"<html>", 502), 503, "provider_unavailable", id="a page"),
        pytest.param(Odd(cuts=True), 503, "provider_unavailable", id="no answer"),
        pytest.param(Odd(b'{"data":[]}'), 503, "provider_unavailable", id="nothing"),
        pytest.param(Odd(b'{"data":[{"taskType":"accountManagement","balance":"much"}]}'), 503, "provider_unavailable", id="no number"),
        pytest.param(Odd(b'{"data":[{"taskType":"accountManagement","balance":1e999999999}]}'), 503, "provider_unavailable", id="an endless number"),
        pytest.param(Odd(b'{"errors":[{"code":"invalidOperation","message":"see https://x.example/secret"}]}', 400), 502, "provider_error", id="a refusal"),
    ],
)  # fmt: skip
def test_a_balance_that_runware_does_not_tell_is_a_typed_error(start_gateway, script, status, code):
    with odd_runware() as odd:
        odd.scripts["accountManagement"] = lambda _: script
        gateway = start_gateway(upstream=odd.url, **KEYS)
        answer = gateway.client.get("/balance", headers=ADMIN)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert "https://" not in error["message"]
        odd.scripts["accountManagement"] = lambda _: b'{"data":[{"balance":-1.50}]}'
        assert gateway.client.get("/balance", headers=ADMIN).json()["balance"] == -1.5, "a failure is not kept"

"""Answer, stream, record, list, sums and webhook say the same cost; an unknown part is unknown in all of them."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from app.runware.http_transport import HTTPTransport
from app.runware.transport import HTTPReply
from tests.conftest import RunningGateway
from tests.support.images import png
from tests.support.odd_runware import Odd, OddRunware, envelope, item, odd_runware
from tests.support.processes import unique
from tests.support.waiting import seen

KEYS = [f"key-{number}" for number in range(100)]


@pytest.fixture(scope="module")
def runware() -> Iterator[OddRunware]:
    with odd_runware() as running:
        running.images["x.png"] = png(64, 64)
        yield running


@pytest.fixture(autouse=True)
def nothing_is_scripted(runware) -> None:
    """What another test scripted would answer for this one, in whatever order they run."""
    runware.scripts.clear()
    runware.tasks.clear()


@pytest.fixture(scope="module")
def shared(runware, start_shared_gateway):
    return start_shared_gateway(upstream=runware.url, SPILLWAY_API_KEYS=",".join(KEYS))


@pytest.fixture
def gateway(runware, shared) -> Iterator[RunningGateway]:
    """The gateway as a caller of its own sees it, whose requests are no other test's."""
    own = RunningGateway(shared.origin, None)
    own.client.headers["Authorization"] = f"Bearer {KEYS.pop()}"
    yield own
    own.client.close()


@pytest.fixture
def quiet_gateway(runware, start_gateway) -> RunningGateway:
    """One without open bills of other tests, which it would ask for as well."""
    return start_gateway(upstream=runware.url)


def priced(runware: OddRunware, *costs: float | None) -> Callable[[dict], bytes]:
    """Images with these costs, over however many tasks they are asked for in."""
    left = list(costs)

    def answer(task: dict) -> bytes:
        items = []
        for place in range(task["numberResults"]):
            cost = left.pop(0)
            members = {"imageURL": f"{runware.origin}/image/x.png"} | ({} if cost is None else {"cost": cost})
            items.append(item(task, place, **members))
        return envelope(*items)

    return answer


def priced_once(runware: OddRunware, cost: float | None) -> Callable[[dict], bytes]:
    """One image with this cost, whatever is asked."""
    members = {"imageURL": f"{runware.origin}/image/x.png"} | ({} if cost is None else {"cost": cost})
    return lambda task: envelope(item(task, **members))


BILLS = [
    pytest.param("flux.1-schnell", (0.01, 0.02), 0.03, id="one task, all known"),
    pytest.param("flux.2-pro", (0.01, 0.02), 0.03, id="two tasks, all known"),
    pytest.param("flux.1-schnell", (0.01, None), None, id="one task, one image unknown"),
    pytest.param("flux.2-pro", (0.01, None), None, id="two tasks, one unknown"),
    pytest.param("flux.2-pro", (None, None), None, id="nothing known"),
]


def shown(cost: float | None, known: float) -> dict:
    return {"cost": cost} if cost is not None else {"cost": None, "known_cost": known}


def costs_in(members: dict) -> dict:
    return {name: members[name] for name in ("cost", "known_cost") if name in members}


def ended(gateway, request_id: str, is_told: Callable[[dict], bool] = lambda _: True) -> dict:
    """The record of a request once it ended, and says what is waited for."""
    return seen(
        lambda: gateway.client.get(f"/requests/{request_id}").json(),
        lambda record: record["completed_at"] is not None and is_told(record),
    )


@pytest.mark.parametrize(("model", "costs", "total"), BILLS)
def test_everywhere_the_same_cost_is_said(runware, gateway, model, costs, total):
    runware.scripts["imageInference"] = priced(runware, *costs)
    known = sum(cost for cost in costs if cost is not None)
    expected = shown(total, known)
    answer = gateway.generate(model=model, n=2, size="1024x1024", prompt=unique())
    request_id = answer.json()["id"]
    listed = gateway.client.get("/requests?summary=true").json()
    result = gateway.client.get(f"/requests/{request_id}/result")
    said = {
        "answer": answer.json()["metadata"],
        "record": gateway.client.get(f"/requests/{request_id}").json(),
        "list": listed["data"][0],
        "sums": listed["summary"],
        "result": result.json()["metadata"],
    }
    assert {name: costs_in(members) for name, members in said.items()} == dict.fromkeys(said, expected)
    for response in (answer, result):
        assert response.headers.get("x-spillway-cost") == (None if total is None else str(Decimal(str(total))))
    assert listed["summary"]["requests_with_unknown_cost"] == (total is None)


@pytest.mark.parametrize(("model", "costs", "total"), BILLS)
@pytest.mark.parametrize("again", [False, True], ids=["first time", "replayed"])
def test_the_events_of_a_stream_add_up_to_the_record(runware, gateway, model, costs, total, again):
    runware.scripts["imageInference"] = priced(runware, *costs)
    headers = {"Idempotency-Key": unique()}
    body = {"model": model, "n": 2, "size": "1024x1024", "prompt": unique(), "stream": True}

    def events() -> list[dict]:
        text = gateway.client.post("/images/generations", json=body, headers=headers).text
        return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]

    told = events()
    told = events() if again else told
    assert [event["index"] for event in sorted(told, key=lambda event: event["index"])] == [0, 1]
    parts = [costs_in(event["metadata"]) for event in told]
    record = ended(gateway, told[0]["id"])
    known = sum(part.get("known_cost", part["cost"]) for part in parts)
    assert costs_in(record) == shown(None if any(part["cost"] is None for part in parts) else known, known)
    assert record["cost"] == total


def test_a_failure_after_the_purchase_tells_what_it_cost(runware, gateway):
    runware.scripts["imageInference"] = lambda task: envelope(
        item(task, imageURL=f"{runware.origin}/image/no", cost=0.01)
    )
    failed = gateway.generate(prompt=unique(), response_format="b64_json")
    assert failed.status_code == 502
    assert costs_in(failed.json()["error"]) == {"cost": 0.01}
    assert failed.headers["x-spillway-cost"] == "0.01"
    record = gateway.client.get(f"/requests/{failed.headers['x-request-id']}").json()
    assert (record["status"], record["cost"]) == ("failed", 0.01)
    result = gateway.client.get(f"/requests/{record['id']}/result")
    assert result.json()["error"] == failed.json()["error"]


def test_a_failure_before_anything_was_bought_costs_nothing_and_says_nothing_of_costs(runware, gateway):
    runware.scripts["imageInference"] = lambda _: b'{"errors":[{"code":"invalidWidth","message":"no"}]}'
    failed = gateway.generate(prompt=unique())
    assert costs_in(failed.json()["error"]) == {}
    assert gateway.client.get(f"/requests/{failed.headers['x-request-id']}").json()["cost"] == 0


@pytest.mark.parametrize("told_by", ["getResponse", "getTaskDetails"])
@pytest.mark.parametrize("model", ["flux.1-schnell", "flux.2-pro"])
def test_runware_is_asked_again_for_what_it_did_not_say_and_then_all_agree_on_it(
    runware, quiet_gateway, told_by, model
):
    gateway, first = quiet_gateway, priced(runware, 0.01, None)
    answers = {}

    def infer(task: dict) -> bytes:
        answers[task["taskUUID"]] = first(task)
        return answers[task["taskUUID"]]

    def tell(task: dict) -> bytes:
        if task["taskUUID"] not in answers:
            return envelope()  # the other gateway asks for its open bills too
        items = json.loads(answers[task["taskUUID"]])["data"]
        said = envelope(*(one | {"cost": 0.01} for one in items))
        if told_by == "getResponse":
            return said
        return envelope({"taskType": "getTaskDetails", "taskUUID": task["taskUUID"], "response": json.loads(said)})

    runware.scripts |= {"imageInference": infer, told_by: tell}
    answer = gateway.generate(model=model, n=2, size="1024x1024", prompt=unique()).json()
    assert costs_in(answer["metadata"]) == {"cost": None, "known_cost": 0.01}
    record = ended(gateway, answer["id"], lambda record: record["cost"] is not None)
    assert costs_in(record) == {"cost": 0.02}
    result = gateway.client.get(f"/requests/{answer['id']}/result")
    assert (costs_in(result.json()["metadata"]), result.headers["x-spillway-cost"]) == ({"cost": 0.02}, "0.02")
    summary = gateway.client.get("/requests?summary=true").json()["summary"]
    assert (summary["cost"], summary["requests_with_unknown_cost"]) == (0.02, 0)
    tasks = len(answer["metadata"]["task_uuids"])
    assert len(runware.sent("imageInference")) == tasks, "nothing is bought to learn a cost"


def test_a_cost_that_runware_never_tells_stays_unknown(runware, quiet_gateway):
    gateway = quiet_gateway
    runware.scripts["imageInference"] = runware.scripts["getResponse"] = priced_once(runware, None)
    answer = gateway.generate(prompt=unique()).json()
    asked = seen(lambda: runware.sent("getTaskDetails"), lambda asked: len(asked) >= 2)
    assert len(asked) >= 2, "it is asked more than once"
    assert costs_in(gateway.client.get(f"/requests/{answer['id']}").json()) == {"cost": None, "known_cost": 0}


def test_a_task_that_was_lost_is_unknown_until_runware_says_it_never_heard_of_it(runware, quiet_gateway):
    gateway = quiet_gateway
    runware.scripts["imageInference"] = lambda _: Odd(cuts=True)
    failed = gateway.generate(prompt=unique())
    assert costs_in(failed.json()["error"]) == {"cost": None, "known_cost": 0}
    runware.scripts.clear()
    record = ended(gateway, failed.headers["x-request-id"], lambda record: record["cost"] is not None)
    assert costs_in(record) == {"cost": 0}


class StumblingBefore(HTTPTransport):
    """Fails unexpectedly, once, before anything is sent."""

    stumbled = False

    async def post(self, body: bytes, *rest: object) -> HTTPReply:
        if not self.stumbled:
            self.stumbled = True
            raise ZeroDivisionError
        return await super().post(body, *rest)


def test_what_runware_never_heard_of_cost_nothing_and_its_key_is_free_again(runware, start_gateway):
    runware.scripts |= {"imageInference": priced_once(runware, 0.01)}
    gateway = start_gateway(upstream=runware.url, parts={"connect": lambda *_: StumblingBefore(runware.url)})
    body, headers = {"prompt": unique(), "size": "256x256"}, {"Idempotency-Key": unique()}
    first = gateway.client.post("/images/generations", json=body, headers=headers)
    assert first.json()["error"]["code"] == "still_processing"
    record = ended(gateway, first.headers["x-request-id"])
    assert (record["error"]["code"], record["cost"]) == ("not_started", 0)
    again = gateway.client.post("/images/generations", json=body, headers=headers)
    assert (again.status_code, costs_in(again.json()["metadata"])) == (200, {"cost": 0.01})

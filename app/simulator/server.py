"""The simulated service over HTTP: `POST /v1`, image addresses, and a view for tests and the curious.

`GET /_simulator/tasks` (or `/ID`, or `?prompt=`) shows what was accepted, `GET /_simulator/ledger` what was billed,
and `POST /_simulator/release` lets held tasks go on: these are ours, not Runware's. Faults are asked for in the
prompt: see `scenarios`.
"""

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from app.simulator.account import OPENING, Spent, check_account, describe_account
from app.simulator.faults import Fault, missing
from app.simulator.inputs import InputImageError
from app.simulator.owners import account_of
from app.simulator.rules import JSONObject
from app.simulator.scenarios import read_scenario
from app.simulator.state import Task, TaskStore
from app.simulator.validation import TASK_TYPES, UUID, validate

_MAX_BODY = 256 * 1024 * 1024
_FOREVER_SECONDS = 3600.0
_INVALID = "invalid"
_encoder = msgspec.json.Encoder(decimal_format="number")
_WARNING: JSONObject = {"code": "deprecatedParameter", "message": "A warning about the whole request."}
_HTML = "<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"


class _CutError(Exception):
    """The connection is to be cut without an answer."""


class _PlainError(Exception):
    """Something that is no envelope is to be answered."""

    def __init__(self, status: int, text: str, content_type: str) -> None:
        super().__init__(text)
        self.status, self.text, self.content_type = status, text, content_type


class Simulator:
    """The service over HTTP. `keys` None takes any key but one that begins with `invalid`.

    `balance` is what the account starts with.
    """

    def __init__(self, store: TaskStore, keys: frozenset[str] | None = None, balance: Decimal = OPENING) -> None:
        self._store = store
        self._keys = keys
        self._balance = balance

    def application(self) -> web.Application:
        """Its routes."""
        application = web.Application(client_max_size=_MAX_BODY)
        application.add_routes(
            [
                web.post("/v1", self._receive),
                web.get("/image/os/a15d18/ws/2/ii/{name}", self._image),
                web.get("/_simulator/tasks", self._tasks),
                web.get("/_simulator/tasks/{uuid}", self._task),
                web.get("/_simulator/ledger", self._ledger),
                web.post("/_simulator/release", self._release),
            ]
        )
        application.on_cleanup.append(self._close)
        return application

    async def _close(self, _: web.Application) -> None:
        await self._store.close()

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        try:
            tasks = msgspec.json.decode(await request.read())
        except msgspec.DecodeError:
            tasks = None
        # An array, always, as documented.
        if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
            fault = Fault("invalidRequest", "The body must be a JSON array of task objects.")
            return _envelope([], [fault.to_wire({})], fault.status)
        refusal = self._check_key(request, tasks[0])
        if refusal is not None:
            return _envelope([], [refusal.to_wire({"taskType": "authentication"})], refusal.status)
        try:
            return await self._answer(tasks, account_of(_key_in(request, tasks[0])))
        except _PlainError as plain:
            return web.Response(status=plain.status, text=plain.text, content_type=plain.content_type)
        except _CutError:
            # Reset, not closed: the client must not be able to tell whether its task was read.
            if request.transport is not None:
                request.transport.abort()
            return web.Response()

    def _check_key(self, request: web.Request, first: JSONObject) -> Fault | None:
        key = _key_in(request, first)
        known = not key.startswith(_INVALID) if self._keys is None else key in self._keys
        if key and known and not self._store.owners.is_revoked(account_of(key)):
            return None
        return Fault("invalidApiKey", "Invalid API key. Get one at https://my.runware.ai/signup", 401, "apiKey")

    async def _answer(self, tasks: list[JSONObject], account: str) -> web.Response:
        data: list[JSONObject] = []
        errors: list[JSONObject] = []
        status = 400
        for outcome in await asyncio.gather(*(self._answer_task(task, account) for task in tasks)):
            data += outcome[0]
            errors += outcome[1]
            status = outcome[2] if outcome[1] else status
        known = [self._store.tasks.get(str(task.get("taskUUID"))) for task in tasks]
        warnings = [_WARNING for task in known if task is not None and task.scenario.has("says-more")]
        return _envelope(data, errors, 200 if data or not errors else status, warnings)

    async def _answer_task(self, wire: JSONObject, account: str) -> tuple[list[JSONObject], list[JSONObject], int]:
        """Data, errors, and the status when there are only errors."""
        kind = wire.get("taskType")
        if kind in {"authentication", "ping"}:
            return [{"taskType": "ping", "pong": True}] if kind == "ping" else [], [], 200
        try:
            if kind in TASK_TYPES:
                return await self._infer(wire, account)
            if kind == "getResponse":
                return self._respond(wire, account)
            if kind == "getTaskDetails":
                return self._details(wire, account)
            if kind in {"imageUpload", "mediaStorage"}:
                return await self._upload(wire, account)
            if kind == "accountManagement":
                return self._account(wire)
        except InputImageError as error:
            return [], [error.fault.to_wire(wire)], error.fault.status
        fault = Fault("unsupportedTaskType", f"The task type '{kind}' is not supported.", parameter="taskType")
        return [], [fault.to_wire(wire)], 400

    async def _infer(self, wire: JSONObject, account: str) -> tuple[list[JSONObject], list[JSONObject], int]:
        scenario = read_scenario(wire.get("positivePrompt"))
        # Counted before anything can fail, so that a fault "for the first N times" ends.
        submission = self._store.count_submission(wire.get("taskUUID"))
        if scenario.is_unreachable(submission):
            raise _CutError
        if scenario.answers_html(submission):
            raise _PlainError(502, _HTML, "text/html")
        known = self._store.tasks.get(str(wire.get("taskUUID")))
        # The promise that "paid once" rests on: an id is accepted once, and a second time it is a conflict.
        if known is not None:
            known.submissions += 1
            fault = Fault("conflictTaskUUID", "A task with this taskUUID exists already.", parameter="taskUUID")
            return [], [fault.to_wire(wire)], 400
        faults = validate(wire)
        if faults:
            return [], [fault.to_wire(wire) for fault in faults], faults[0].status
        # After validation: an invalid task is refused for its own fault, not for one that was asked for.
        early = scenario.before_acceptance(submission)
        if early is not None:
            return [], [early.to_wire(wire)], early.status
        task = await self._store.accept(wire, account)
        if wire.get("deliveryMethod") == "async":
            return [{"taskType": wire["taskType"], "taskUUID": wire["taskUUID"]}], [], 200
        return await self._wait_for(task)

    async def _wait_for(self, task: Task) -> tuple[list[JSONObject], list[JSONObject], int]:
        # From here on the task exists and will be billed, whatever becomes of this connection.
        if task.scenario.has("drop"):
            raise _CutError
        if task.scenario.has("hang"):
            await asyncio.sleep(_FOREVER_SECONDS)
        await task.finished.wait()
        if task.scenario.has("empty"):
            return [], [], 200
        if task.scenario.has("nonsense"):
            raise _PlainError(200, "upstream said nothing useful", "text/plain")
        # The synchronous answer has no status, unlike that to a question; the gateway must read both.
        hidden = {"status", "cost"} if task.scenario.has("late-cost") else {"status"}
        items = [{name: value for name, value in item.items() if name not in hidden} for item in task.items]
        return items, task.faults, 400

    def _respond(self, wire: JSONObject, account: str) -> tuple[list[JSONObject], list[JSONObject], int]:
        task = self._store.tasks.get(str(wire.get("taskUUID")))
        # No error: the gateway must read an empty answer as "not known". Nobody is shown the tasks of another account.
        if task is None or task.account != account:
            return [], [], 200
        late = task.scenario.has("late-cost") and time.time() < task.started + task.scenario.number("late-cost", 0)
        data = [item | {"cost": None} if late else item for item in task.items]
        if not task.finished.is_set():
            # Finished images and "processing" stand side by side while a task is on its way.
            uuid = wire["taskUUID"]
            data.append({"taskType": task.rules.task, "taskUUID": uuid, "status": "processing"})
        return data, list(task.faults), 200

    def _details(self, wire: JSONObject, account: str) -> tuple[list[JSONObject], list[JSONObject], int]:
        task = self._store.tasks.get(str(wire.get("taskUUID")))
        if task is None or task.account != account:
            fault = Fault("taskNotFound", "There is no task with this taskUUID.", 404, "taskUUID")
            return [], [fault.to_wire(wire)], 404
        response = {"data": task.items, **({"errors": task.faults} if task.faults else {})}
        details = {
            "taskType": "getTaskDetails",
            "taskUUID": wire["taskUUID"],
            "request": [task.wire],
            "response": response,
        }
        return [details], [], 200

    def _account(self, wire: JSONObject) -> tuple[list[JSONObject], list[JSONObject], int]:
        fault = check_account(wire)
        if fault is not None:
            return [], [fault.to_wire(wire)], fault.status
        spent = [Spent(task.started, task.billed) for task in self._store.tasks.values()]
        opening = self._balance - self._store.forgotten_bills
        return [describe_account(wire, opening, spent, time.time())], [], 200

    async def _upload(self, wire: JSONObject, account: str) -> tuple[list[JSONObject], list[JSONObject], int]:
        field = "image" if wire["taskType"] == "imageUpload" else "media"
        uuid = wire.get("taskUUID")
        if not isinstance(uuid, str) or not UUID.fullmatch(uuid):
            return [], [missing("taskUUID").to_wire(wire)], 400
        if wire.get("operation") == "delete" and field == "media":
            if not self._store.delete(wire.get("media"), account):
                return [], [Fault("mediaNotFound", "There is no such media.", 404, "media").to_wire(wire)], 404
            done = {"taskType": wire["taskType"], "taskUUID": uuid, "operation": "delete", "mediaUUID": wire["media"]}
            return [done], [], 200
        image_id = await self._store.upload(wire.get(field), account)
        url = f"{self._store.base_url}/image/os/a15d18/ws/2/ii/{image_id}.png"
        answer = {"taskType": wire["taskType"], "taskUUID": uuid, f"{field}UUID": image_id, f"{field}URL": url}
        return [answer], [], 200

    async def _image(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        found = self._store.image(name)
        if found is None:
            return web.Response(status=404, text="not found")
        # The length promises more than comes, so that only a client that counts notices.
        if self._store.cuts(name):
            half = web.StreamResponse(headers={"Content-Type": found[0], "Content-Length": str(len(found[1]))})
            await half.prepare(request)
            await half.write(found[1][: len(found[1]) // 2])
            if request.transport is not None:
                request.transport.close()
            return half
        return web.Response(body=found[1], content_type=found[0])

    async def _tasks(self, request: web.Request) -> web.Response:
        prompt = request.query.get("prompt")
        tasks = (task for task in self._store.tasks.values() if prompt in {None, task.shown.get("positivePrompt")})
        listed = [_show(task) for task in tasks]
        return web.Response(body=_encoder.encode({"tasks": listed}), content_type="application/json")

    async def _task(self, request: web.Request) -> web.Response:
        task = self._store.tasks.get(request.match_info["uuid"])
        if task is None:
            return web.Response(status=404, text="not found")
        return web.Response(body=_encoder.encode(_show(task)), content_type="application/json")

    async def _release(self, request: web.Request) -> web.Response:
        count = request.query.get("count", "1")
        released = self._store.held.release(request.query.get("prompt", ""), int(count) if count.isdigit() else 0)
        return web.Response(body=_encoder.encode({"released": released}), content_type="application/json")

    async def _ledger(self, _: web.Request) -> web.Response:
        store, tasks = self._store, self._store.tasks.values()
        total = sum((task.billed for task in tasks), store.forgotten_bills)
        images = sum((len(task.items) for task in tasks), store.forgotten_images)
        body = {"tasks": store.forgotten_tasks + len(tasks), "images": images, "total": str(total)}
        body |= {"uploads": self._store.uploads, "deletions": self._store.deletions, "puts": self._store.puts.done}
        return web.Response(body=_encoder.encode(body), content_type="application/json")


def _show(task: Task) -> JSONObject:
    """What became of a task, for the views that are ours."""
    return {
        "request": task.shown,
        "submissions": task.submissions,
        "images": len(task.items),
        "errors": len(task.faults),
        "finished": task.finished.is_set(),
        "billed": str(task.billed),
        "account": task.account,
    }


def _key_in(request: web.Request, first: JSONObject) -> str:
    """The key of a request, out of its header or its leading task."""
    if first.get("taskType") == "authentication":
        return str(first.get("apiKey", ""))
    return request.headers.get("Authorization", "").removeprefix("Bearer ").strip()


def _envelope(
    data: list[JSONObject], errors: list[JSONObject], status: int, warnings: Sequence[JSONObject] = ()
) -> web.Response:
    body: dict[str, Any] = {"data": data}
    if warnings:
        body["warnings"] = warnings
    if errors:
        body["errors"] = errors
    return web.Response(body=_encoder.encode(body), status=status, content_type="application/json")

"""Stand-ins for the transport to Runware: each answers what a test scripted, and keeps what was sent."""

import json
from collections.abc import Callable

from pydantic import SecretStr

from app.runware.keys import RunwareKey
from app.runware.task_body import Body
from app.runware.transport import HTTPReply, Permit

KEY = RunwareKey(SecretStr("the-gateways-own-key"))


async def permitted(permit: Permit | None) -> None:
    """Ask for the permission to send, as a transport does."""
    waiting = None if permit is None else permit()
    if waiting is not None:
        await waiting


class RecordingTransport:
    """Answers every imageInference task with its images, as links."""

    def __init__(self) -> None:
        self.tasks: list[dict] = []

    async def post(
        self,
        body: Body,
        key: RunwareKey | None,
        timeout_seconds: float,
        max_bytes: int = 0,
        permit: Permit | None = None,
    ) -> HTTPReply:
        """Answer at once."""
        await permitted(permit)
        (task,) = json.loads(bytes(body))
        self.tasks.append(task)
        items = [
            {
                "taskType": "imageInference",
                "taskUUID": task["taskUUID"],
                "imageUUID": f"image-{place}",
                "imageURL": f"https://im.example/{place}.png",
                "cost": 0.01,
            }
            for place in range(task["numberResults"])
        ]
        return HTTPReply(200, json.dumps({"data": items}).encode(), None)

    async def close(self) -> None:
        """Nothing to give back."""


class ScriptedTransport:
    """Answers exchange after exchange from a script: a reply, or an exception to raise.

    A script entry may be a function of the task that was sent.
    """

    def __init__(self, *script: object) -> None:
        self._script = list(script)
        self.sent: list[dict] = []
        self.keys: list[RunwareKey | None] = []

    async def post(
        self,
        body: Body,
        key: RunwareKey | None,
        timeout_seconds: float,
        max_bytes: int = 0,
        permit: Permit | None = None,
    ) -> HTTPReply:
        """Play the next entry; the last one repeats."""
        await permitted(permit)
        (task,) = json.loads(bytes(body))
        self.sent.append(task)
        self.keys.append(key)
        entry = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(entry, Callable):
            entry = entry(task)
        if isinstance(entry, Exception):
            raise entry
        return entry

    async def close(self) -> None:
        """Nothing to give back."""

    @property
    def kinds(self) -> list[str]:
        """The task types sent, in order."""
        return [task["taskType"] for task in self.sent]


def reply(
    status: int = 200, *, data: list | None = None, errors: list | None = None, retry_after: float | None = None
) -> HTTPReply:
    """An envelope."""
    body: dict = {"data": data or []}
    if errors:
        body["errors"] = errors
    return HTTPReply(status, json.dumps(body).encode(), retry_after)


def raw(status: int, text: str) -> HTTPReply:
    """Anything else."""
    return HTTPReply(status, text.encode(), None)


def image(task_uuid: str, place: int = 0, **members: object) -> dict:
    """An entry of `data`."""
    return {
        "taskType": "imageInference",
        "taskUUID": task_uuid,
        "imageUUID": f"i{place}",
        "imageURL": f"https://im.example/{place}.png",
        "cost": 0.01,
    } | members

"""The last resort: a fault is told once, with the status that fits, and never into an answer that has begun."""

import asyncio
import errno
import json

import pytest

from app.api.error_handlers import answer_exhaustion, answer_fault, answer_shutdown
from app.server.middleware import FaultAnswers, FaultMiddleware


async def run(fault: BaseException, *, begun: bool) -> list[dict]:
    """What an application that fails sends, behind the middleware."""
    sent: list[dict] = []

    async def app(scope, receive, send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise fault

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/"}
    answers = FaultAnswers(answer_fault(), answer_exhaustion(), answer_shutdown())
    await FaultMiddleware(app, answers)(scope, None, send)
    return sent


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (RuntimeError("a"), 500, "internal_error"),
        (OSError(errno.EMFILE, "Too many open files"), 503, "too_many_connections"),
        (OSError(errno.ENFILE, "Too many open files in system"), 503, "too_many_connections"),
        (OSError(errno.ENOSPC, "No space left on device"), 500, "internal_error"),
    ],
    ids=repr,
)
def test_a_fault_is_told(fault, status, code):
    start, rest = asyncio.run(run(fault, begun=False))
    assert (start["status"], json.loads(rest["body"])["error"]["code"]) == (status, code)
    assert dict(start["headers"])[b"content-length"] == str(len(rest["body"])).encode()
    assert dict(start["headers"])[b"x-should-retry"] == b"false"


@pytest.mark.parametrize("fault", [RuntimeError("a"), asyncio.CancelledError()], ids=repr)
def test_an_answer_that_has_begun_is_left_alone(fault):
    assert len(asyncio.run(run(fault, begun=True))) == 1


def test_a_request_that_the_end_of_the_process_cuts_off_is_asked_to_come_again():
    start, rest = asyncio.run(run(asyncio.CancelledError(), begun=False))
    assert (start["status"], json.loads(rest["body"])["error"]["code"]) == (503, "restarting")
    assert dict(start["headers"])[b"x-should-retry"] == b"true"

"""Processes that make requests with OpenAI's own SDK, which retries by itself; they can be killed."""

import asyncio
import base64
import contextlib
import hashlib
import io
import logging
import multiprocessing
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import httpx2
import openai

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["openai", "openai.resources.images", "tests.support.faults.clients"])
_RETRIES = 150  # a killed gateway may take half a minute to be back on a busy machine
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Job:
    """One call of the SDK."""

    method: str
    fields: dict[str, object]
    headers: dict[str, str] = field(default_factory=dict)
    image: bytes | None = None


@dataclass(frozen=True)
class Outcome:
    """What the SDK gave its caller: the id of the request and its images, or an error."""

    request_id: str | None
    images: tuple[str, ...]
    error: str | None


_said: deque[str] = deque(maxlen=60)


class _Ear(logging.Handler):
    """Keeps what the SDK says of its attempts."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it short."""
        _said.append(record.getMessage()[:80])


def _call(client: openai.OpenAI, job: Job) -> Outcome:
    _said.clear()
    fields = dict(job.fields)
    if job.image is not None:
        fields["image"] = ("image.png", io.BytesIO(job.image), "image/png")
    try:
        answer = getattr(client.images, job.method)(**fields, extra_headers=job.headers)
        if fields.get("stream"):
            return _read(answer)
    except httpx2.HTTPError as error:  # the stream broke off: the SDK leaves this to its caller
        return Outcome(None, (), f"{type(error).__name__}: {error}")
    except openai.OpenAIError as error:
        return Outcome(None, (), f"{type(error).__name__}: {error} ({error.__cause__!r}) after {list(_said)}")
    images = tuple(
        item.url or hashlib.sha256(base64.b64decode(item.b64_json or "")).hexdigest() for item in answer.data
    )
    return Outcome(answer.id, images, None)


def _read(events: Iterable) -> Outcome:
    """The images of a stream, which may end with the failure of the others."""
    request_id, images = None, []
    try:
        for event in events:
            request_id = event.id
            images.append(hashlib.sha256(base64.b64decode(event.b64_json)).hexdigest())
    except openai.APIError as error:
        # As with a partial answer: what exists was delivered, and asking again would be another order.
        if not images or error.code == "still_processing":
            raise
    return Outcome(request_id, tuple(images), None)


def _serve(connection: Connection, base_url: str, api_key: str) -> None:
    """The life of a client process: one job after the other."""
    logging.getLogger("openai").setLevel(logging.DEBUG)
    logging.getLogger("openai").addHandler(_Ear())
    client = openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=_RETRIES, timeout=_TIMEOUT_SECONDS)
    with contextlib.suppress(EOFError, OSError):  # whoever gave the jobs is gone
        while True:
            connection.send(_call(client, connection.recv()))


class ClientKilledError(Exception):
    """The process died before it had an answer."""


class ClientProcess:
    """One process with the SDK in it."""

    def __init__(self, base_url: str, api_key: str, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, base_url, api_key), daemon=True)
        self._process.start()
        theirs.close()

    async def call(self, job: Job) -> Outcome:
        """The outcome of a job, raising ClientKilledError."""
        self._connection.send(job)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._connection.recv)
        except (EOFError, ConnectionResetError):
            raise ClientKilledError from None

    def kill(self) -> None:
        """End it as the system does when memory runs out."""
        if not self._connection.closed:
            self._process.kill()

    def close(self) -> None:
        """End it and give back what it held."""
        self._connection.close()
        self._process.kill()
        self._process.join()
        self._process.close()

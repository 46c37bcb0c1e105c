"""Callers that behave like SDKs: they ask at a rate, ask again where they are told to, and some of them leave."""

import contextlib
import random
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2

from tests.support import loopback
from tests.support.faults.budgets import BUDGETED_KEY
from tests.support.images import png

_FORMS: tuple[tuple[dict[str, object], int], ...] = (
    ({"response_format": "url"}, 1),
    ({"response_format": "b64_json", "n": 2}, 2),
    ({"output_format": "gif", "size": "320x320"}, 1),
    ({"model": "riverflow-1-mini"}, 1),
)
"""Hosted, embedded, converted and hosted, and an edit."""
_MARKERS = ("", "", "", "", "", "", "[sim:drop]", "[sim:outage=1]", "[sim:unreachable=1]", "[sim:slow=1]")
_RETRIES = 60
_LAST_ANSWERS_SECONDS = 300
_LONGEST_PAUSE_SECONDS = 2.0
_UPLOAD = png(64, 64)


@dataclass
class Asked:
    """One logical request and how its caller went: with images, with an error, or before the end."""

    prompt: str
    count: int
    seconds: float = 0.0
    images: int = 0
    status: int | None = None
    has_left: bool = False
    ended: float = 0.0
    tries: list[str] = field(default_factory=list)


class Callers:
    """Ask one gateway, each as fast as it is answered where there is no rate, in requests a second."""

    def __init__(self, origin: str, threads: int, seed: int) -> None:
        self._origin = origin
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        self._rate: float | None = None
        self._next = 0.0
        self.asked: list[Asked] = []

    def begin(self, rate: float | None = None) -> None:
        """Ask, at this rate where there is one."""
        self._rate, self._next = rate, time.monotonic()
        for thread in self._threads:
            thread.start()

    def measure(self, seconds: float) -> float:
        """Requests a second that the gateway takes when all ask at once."""
        self.begin()
        began = time.monotonic()
        time.sleep(seconds)
        return sum(one.images > 0 for one in list(self.asked)) / (time.monotonic() - began)

    def end(self) -> Sequence[Asked]:
        """Ask nothing new, and wait for all answers."""
        self._ending.set()
        until = time.monotonic() + _LAST_ANSWERS_SECONDS
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))
        assert not [thread for thread in self._threads if thread.is_alive()], "callers that wait forever"
        return self.asked

    def _work(self) -> None:
        with loopback.client(timeout=60) as client:
            while not self._ending.is_set():
                self._wait_turn()
                with self._lock:
                    fields, count = self._chance.choice(_FORMS)
                    marker, has_key, leaves = (
                        self._chance.choice(_MARKERS), self._chance.random() < 0.5, self._chance.random() < 0.04,
                    )  # fmt: skip
                asked = Asked(f"soak-{uuid.uuid4().hex} [sim:plain]{marker}", count)
                headers = {"Authorization": f"Bearer {BUDGETED_KEY}"}
                if has_key:
                    headers["Idempotency-Key"] = asked.prompt
                began = time.monotonic()
                if leaves and fields is not _FORMS[3][0]:
                    self._leave(asked, fields, headers)
                else:
                    self._ask(client, asked, fields, headers)
                asked.ended = time.monotonic()
                asked.seconds = asked.ended - began
                with self._lock:
                    self.asked.append(asked)

    def _wait_turn(self) -> None:
        with self._lock:
            if self._rate is None:
                return
            turn = max(self._next, time.monotonic() - 1)
            self._next = turn + 1 / self._rate
        time.sleep(max(turn - time.monotonic(), 0))

    def _ask(self, client: httpx2.Client, asked: Asked, fields: dict[str, object], headers: dict[str, str]) -> None:
        for attempt in range(_RETRIES):
            own = headers | ({"X-Stainless-Retry-Count": str(attempt)} if attempt else {})
            try:
                answer = self._send(client, asked.prompt, fields, own)
            except httpx2.HTTPError as error:
                asked.tries.append(type(error).__name__)
                time.sleep(0.3)
                continue
            asked.status = answer.status_code
            asked.tries.append(str(answer.status_code))
            if answer.status_code == 200:
                asked.images = len(answer.json()["data"])
                return
            again = answer.headers.get("x-should-retry")
            if again == "false" or (again is None and answer.status_code < 408):
                return
            time.sleep(min(float(answer.headers.get("retry-after", "0.5")), _LONGEST_PAUSE_SECONDS))

    def _send(
        self, client: httpx2.Client, prompt: str, fields: dict[str, object], headers: dict[str, str]
    ) -> httpx2.Response:
        if "riverflow" in str(fields.get("model")):
            return client.post(
                f"{self._origin}/v1/images/edits",
                data={"prompt": prompt} | fields,
                files=[("image", ("a.png", _UPLOAD))],
                headers=headers,
            )
        body = {"prompt": prompt, "model": "flux.1-schnell", "size": "256x256"} | fields
        return client.post(f"{self._origin}/v1/images/generations", json=body, headers=headers)

    def _leave(self, asked: Asked, fields: dict[str, object], headers: dict[str, str]) -> None:
        """Send it, and go before the answer."""
        asked.has_left = True
        parts = urlsplit(self._origin)
        body = httpx2.Request(
            "POST", self._origin, json={"prompt": asked.prompt, "model": "flux.1-schnell", "size": "256x256"} | fields
        ).content
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        with contextlib.suppress(OSError), socket.create_connection((parts.hostname, parts.port), timeout=10) as one:
            one.sendall(
                f"POST /v1/images/generations HTTP/1.1\r\nhost: x\r\n{head}content-type: application/json\r\n"
                f"content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            time.sleep(0.1)


def statuses(asked: Sequence[Asked]) -> Counter[str]:
    """How they went."""
    return Counter("left" if one.has_left else str(one.status) for one in asked)

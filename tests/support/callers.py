"""Callers of gateways that pass keys on: each with a key of its own, as long as those of Runware."""

import hashlib

import httpx2

from tests.support import loopback
from tests.support.processes import unique
from tests.support.waiting import seen

PASSTHROUGH = {
    "SPILLWAY_AUTH": "passthrough",
    "SPILLWAY_SECRET": "a secret of this test gateway",
    "RUNWARE_API_KEY": "",
    "SPILLWAY_API_KEYS": "",
}


def new_key() -> str:
    """A key nobody else has, as long as those of Runware."""
    return hashlib.sha256(unique().encode()).hexdigest()[:32]


def account_of(key: str) -> str:
    """What the simulator calls the account of a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


class Caller:
    """A caller with a key of its own."""

    def __init__(self, origin: str, key: str | None = None, headers: dict[str, str] | None = None) -> None:
        self.key = key or new_key()
        self.origin = origin
        self.headers = {"Authorization": f"Bearer {self.key}"} if headers is None else headers

    def request(self, method: str, path: str, headers: dict | None = None, **rest: object) -> httpx2.Response:
        url, own = f"{self.origin}/v1{path}", self.headers | (headers or {})
        return loopback.request(method, url, headers=own, timeout=60, **rest)

    def get(self, path: str) -> httpx2.Response:
        return self.request("GET", path)

    def post(self, path: str, **rest: object) -> httpx2.Response:
        return self.request("POST", path, **rest)

    def generate(self, headers: dict | None = None, **fields: object) -> httpx2.Response:
        return self.post("/images/generations", json={"prompt": unique(), "size": "256x256"} | fields, headers=headers)

    def record(self, request_id: str) -> dict:
        return self.get(f"/requests/{request_id}").json()

    def ended(self, request_id: str) -> dict:
        """Its record once it has ended."""
        return seen(lambda: self.record(request_id), lambda record: record["status"] not in {"queued", "processing"})

    def result(self, request_id: str) -> httpx2.Response:
        """The answer to a request of the past, once it is there."""
        return seen(lambda: self.get(f"/requests/{request_id}/result"), lambda answer: answer.status_code != 202)


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]

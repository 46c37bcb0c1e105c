"""One conversation with a gateway over its public API, by which nothing that was bought is lost.

A purchase carries an Idempotency-Key: sent again after a broken connection or a wait that was too short, it joins what
was bought. Every fault is a CommandError with a sentence for the person at the terminal.
"""

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx2

from app.cli.exits import CommandError, ExitCode, code_of
from app.cli.gateway import Address, JSONObject, how_to_collect, place_of
from app.cli.local import LOOPBACK

_TIMEOUT_SECONDS = 600.0
_CONNECT_SECONDS = 10.0
_LONGEST_WAIT_SECONDS = 3600.0
_LOST_TRIES = 5
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0
_ACCEPTED, _TIMED_OUT = 202, 504
_GLANCE_SECONDS = 2.0

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)

_EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is asked for: JSON, or a form with files. `key` is its Idempotency-Key."""

    path: str
    key: str
    json_body: JSONObject | None = None
    form: Mapping[str, str] | None = None
    files: tuple[tuple[str, tuple[str, bytes, str]], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_headers(self) -> dict[str, str]:
        """Its own, and those by which it is bought once and found again (0007)."""
        return {**self.headers, "Idempotency-Key": self.key, "X-Client-Request-Id": self.key}


class Session:
    """Talks to a gateway. `sleep` and `clock` are in seconds."""

    def __init__(
        self,
        address: Address,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self._sleep = sleep
        self._clock = clock
        self._client = _connect(address)

    def close(self) -> None:
        """Give back the connection."""
        self._client.close()

    def get(self, path: str) -> JSONObject:
        """The JSON at `path`."""
        return self._read(self._ask("GET", path))

    def send(self, method: str, path: str, body: JSONObject | None = None) -> JSONObject:
        """The JSON that answers to a body; sent once, since it may change something."""
        return self._read(self._ask(method, path, body))

    def estimate(self, purchase: Purchase) -> JSONObject:
        """What a purchase would be and cost: nothing is bought."""
        try:
            return self._read(self._client.send(self._prepare(purchase, "?dryRun=true")))
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise self._nobody() from None

    def buy(self, purchase: Purchase) -> JSONObject:
        """The answer to a purchase, waited for as long as the gateway says that it is being made."""
        return self._read(self._send(purchase, stream=False))

    def stream(self, purchase: Purchase) -> Iterator[JSONObject]:
        """Each image of a purchase as it comes, and what failed.

        Where the connection breaks, the rest is collected: an item of the answer then, with its `index`.
        """
        response = self._send(purchase, stream=True)
        seen: set[int] = set()
        request_id = response.headers.get("x-request-id", "")
        try:
            if response.is_error or _EVENTS not in response.headers.get("content-type", ""):
                response.read()
                self._read(response)
                raise self._no_gateway(response)
            for event in _events_in(response.iter_lines()):
                seen.add(int(event.get("index", -1)))
                yield event
        except httpx2.TransportError:
            yield from self._missed(request_id, seen)
        finally:
            response.close()

    def _missed(self, request_id: str, seen: set[int]) -> Iterator[JSONObject]:
        answer = self.collect(request_id)
        rest = {name: value for name, value in answer.items() if name != "data"}
        failures = (answer.get("metadata") or {}).get("errors", [])
        failed = {int(one["index"]) for one in failures}
        made = (index for index in range(len(answer["data"]) + len(failed)) if index not in failed)
        for index, item in zip(made, answer["data"], strict=False):
            if index not in seen:
                yield {**rest, **item, "index": index}
        for failure in failures:
            yield {"type": "error", "error": failure}

    def glance(self, path: str) -> JSONObject:
        """The JSON at `path`, whatever its status; nothing where none comes quickly."""
        try:
            found = self._client.get(path, timeout=_GLANCE_SECONDS).json()
        # Nothing depends on it.
        except (httpx2.HTTPError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def find_asked(self, key: str) -> JSONObject | None:
        """The record of a purchase that is under way, as far as a glance shows it."""
        listed = self.glance(f"/requests?{urlencode({'limit': 100})}").get("data") or []
        return next((one for one in listed if one.get("client_request_id") == key), None)

    def _send(self, purchase: Purchase, *, stream: bool) -> httpx2.Response:
        # Longer than Runware's slowest model; giving up earlier would leave a paid image behind.
        deadline = self._clock() + _LONGEST_WAIT_SECONDS
        lost = 0
        while True:
            try:
                # The same key in every attempt: however often this is sent, it is bought once (0007).
                response = self._client.send(self._prepare(purchase), stream=stream)
            except httpx2.TransportError as error:
                if not lost and isinstance(error, _NEVER_SENT):
                    # The first attempt and no connection: surely nothing was sent, so there is nothing to collect.
                    raise self._nobody() from None
                lost += 1
                if lost > _LOST_TRIES:
                    why = "The connection broke before the answer came."
                    raise CommandError(how_to_repeat(why, purchase), code=ExitCode.UNREACHABLE) from None
                self._sleep(min(2.0 ** (lost - 1) / 2, _LONGEST_PAUSE_SECONDS))
                continue
            except (httpx2.HTTPError, httpx2.InvalidURL):
                raise self._nobody() from None
            # 504 with this header means "still being made": asked again, it joins.
            if response.status_code != _TIMED_OUT or response.headers.get("x-should-retry") != "true":
                return response
            response.close()
            if self._clock() >= deadline:
                raise self._still_made(response.headers.get("x-request-id", ""))
            self._sleep(_PAUSE_SECONDS)

    def collect(self, request_id: str) -> JSONObject:
        """The answer to a request of before, waited for while it is being made."""
        deadline = self._clock() + _LONGEST_WAIT_SECONDS
        while True:
            response = self._ask("GET", f"{place_of('requests', request_id)}/result")
            if response.status_code != _ACCEPTED:
                return self._read(response)
            if self._clock() >= deadline:
                raise self._still_made(request_id)
            self._sleep(_PAUSE_SECONDS)

    def bytes_of(self, item: JSONObject) -> bytes:
        """The image of one item of `data`, embedded or by its address."""
        text = item.get("b64_json")
        url = str(item.get("url") or "")
        if text is None and url.startswith("data:"):
            text = url.partition(",")[2]
        try:
            if text is not None:
                return base64.b64decode(text)
            # Without the key: an address may lead anywhere.
            return httpx2.get(url, timeout=_TIMEOUT_SECONDS, follow_redirects=True).raise_for_status().content
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
            raise CommandError("An image of the answer cannot be read or fetched.") from None

    def _prepare(self, purchase: Purchase, query: str = "") -> httpx2.Request:
        return self._client.build_request(
            "POST",
            f"{purchase.path}{query}",
            json=purchase.json_body,
            data=purchase.form,
            files=list(purchase.files) or None,
            headers=purchase.all_headers,
        )

    def _ask(self, method: str, path: str, body: JSONObject | None = None) -> httpx2.Response:
        try:
            return self._client.request(method, path, json=body)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise self._nobody() from None

    def _nobody(self) -> CommandError:
        where = self.address.base_url
        said = f"No gateway answers at {where}. Start one with `spillway serve`, or set --base-url."
        return CommandError(said, code=ExitCode.UNREACHABLE)

    def _no_gateway(self, response: httpx2.Response) -> CommandError:
        where, status = self.address.base_url, response.status_code
        said = f"What answers at {where} is no gateway (status {status}): is --base-url right?"
        return CommandError(said, code=ExitCode.UNREACHABLE)

    def _still_made(self, request_id: str) -> CommandError:
        return CommandError(f"It is still being made. {how_to_collect(request_id)}", code=ExitCode.UNREACHABLE)

    def _read(self, response: httpx2.Response) -> JSONObject:
        try:
            body = response.json()
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise self._no_gateway(response)
        if response.is_error:
            error = body.get("error")
            said = error if isinstance(error, dict) else {}
            code, request_id = str(said.get("code")), response.headers.get("x-request-id", "")
            message = f"{said.get('message', 'The request failed.')} [{response.status_code} {code}, {request_id}]"
            raise CommandError(message, code=code_of(response.status_code, code, said.get("provider_code")))
        return body


def _connect(address: Address) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {address.api_key}"} if address.api_key else {}
    try:
        url = httpx2.URL(address.base_url)
        is_web = url.scheme in {"http", "https"} and bool(url.host)
        # A proxy of the environment is for the world outside, not for this machine.
        client = httpx2.Client(
            base_url=url,
            headers=headers,
            timeout=httpx2.Timeout(_TIMEOUT_SECONDS, connect=_CONNECT_SECONDS),
            trust_env=url.host not in LOOPBACK,
        )
    # A variable of the environment may name a proxy or certificates that there are not.
    except (httpx2.InvalidURL, ValueError, ImportError):
        is_web = False
    if not is_web:
        said = f"{address.base_url!r} is no address of a gateway, or the key has characters no key has."
        raise CommandError(said, code=ExitCode.WRONG_USE)
    return client


def _events_in(lines: Iterator[str]) -> Iterator[JSONObject]:
    """The data of each server-sent event."""
    for line in lines:
        if line.startswith("data:"):
            try:
                event = json.loads(line[5:])
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


def how_to_repeat(what: str, purchase: Purchase) -> str:
    """What happened, and how to get what may have been bought."""
    how = f"to get it, run the same command again with --idempotency-key {purchase.key}"
    return f"{what} What was asked for may have been made all the same: {how}"

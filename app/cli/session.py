"""One conversation with a gateway over its public API, by which nothing that was bought is lost.

A purchase carries an Idempotency-Key: sent again after a broken connection or a wait that was too short, it joins what
was bought. Every fault is a ClientError, a sentence for the person at the terminal.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2

from app.cli.local import local_address, origin_of
from app.settings.named_keys import split_key

_TIMEOUT_SECONDS = 600.0
_CONNECT_SECONDS = 10.0
_LONGEST_WAIT_SECONDS = 3600.0
_LOST_TRIES = 5
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0
_ACCEPTED, _TIMED_OUT = 202, 504

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)

_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})

JSONObject = dict[str, Any]  # an answer, looked into field by field


class ClientError(Exception):
    """The command cannot go on; the message says why, and how to get what was bought."""


@dataclass(frozen=True, slots=True)
class Address:
    """A gateway and the key for it."""

    base_url: str
    api_key: str


def find_gateway(base_url: str | None, api_key: str | None, variables: Mapping[str, str]) -> Address:
    """The gateway that is named, else the one of this machine as its settings say, with the first of its keys."""
    named = base_url or variables.get("SPILLWAY_BASE_URL")
    key = api_key or variables.get("SPILLWAY_API_KEY")
    if named:
        return Address(named.rstrip("/"), key or "")
    keys = [one for one in variables.get("SPILLWAY_API_KEYS", "").split(",") if one.strip()]
    return Address(f"{origin_of(*local_address(variables))}/v1", key or (split_key(keys[0])[1] if keys else ""))


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is asked for: JSON, or a form with files. `key` is its Idempotency-Key."""

    path: str
    key: str
    json_body: JSONObject | None = None
    form: dict[str, str] | None = None
    files: tuple[tuple[str, tuple[str, bytes, str]], ...] = ()


class Session:
    """Talks to a gateway. `sleep` and `clock` are in seconds."""

    def __init__(
        self,
        address: Address,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
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

    def buy(self, purchase: Purchase) -> JSONObject:
        """The answer to a purchase, waited for as long as the gateway says that it is being made."""
        try:
            return self._read(self._send(purchase))
        except KeyboardInterrupt:
            raise ClientError(_how_to_repeat("Stopped.", purchase)) from None

    def _send(self, purchase: Purchase) -> httpx2.Response:
        # Longer than Runware's slowest model; giving up earlier would leave a paid image behind.
        deadline = self._clock() + _LONGEST_WAIT_SECONDS
        lost = 0
        while True:
            try:
                response = self._post(purchase)
            except httpx2.TransportError as error:
                if not lost and isinstance(error, _NEVER_SENT):
                    # The first attempt and no connection: surely nothing was sent, so there is nothing to collect.
                    raise self._nobody() from None
                lost += 1
                if lost > _LOST_TRIES:
                    why = "The connection broke before the answer came."
                    raise ClientError(_how_to_repeat(why, purchase)) from None
                self._sleep(min(2.0 ** (lost - 1) / 2, _LONGEST_PAUSE_SECONDS))
                continue
            except (httpx2.HTTPError, httpx2.InvalidURL):
                raise self._nobody() from None
            # 504 with this header means "still being made": asked again, it joins.
            if response.status_code != _TIMED_OUT or response.headers.get("x-should-retry") != "true":
                return response
            if self._clock() >= deadline:
                raise ClientError(f"It is still being made. {how_to_collect(response.headers.get('x-request-id', ''))}")
            self._sleep(_PAUSE_SECONDS)

    def collect(self, request_id: str) -> JSONObject:
        """The answer to a request of before, waited for while it is being made."""
        deadline = self._clock() + _LONGEST_WAIT_SECONDS
        while True:
            response = self._ask("GET", f"/requests/{quote(request_id, safe='')}/result")
            if response.status_code != _ACCEPTED:
                return self._read(response)
            if self._clock() >= deadline:
                raise ClientError(f"It is still being made. {how_to_collect(request_id)}")
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
            raise ClientError("An image of the answer cannot be read or fetched.") from None

    def _post(self, purchase: Purchase) -> httpx2.Response:
        # The same key in every attempt: however often this is sent, it is bought once (0007).
        headers = {"Idempotency-Key": purchase.key}
        files = list(purchase.files) or None
        return self._client.post(
            purchase.path, json=purchase.json_body, data=purchase.form, files=files, headers=headers
        )

    def _ask(self, method: str, path: str, body: JSONObject | None = None) -> httpx2.Response:
        try:
            return self._client.request(method, path, json=body)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise self._nobody() from None

    def _nobody(self) -> ClientError:
        where = self._address.base_url
        return ClientError(f"No gateway answers at {where}. Start one with `spillway serve`, or set --base-url.")

    def _read(self, response: httpx2.Response) -> JSONObject:
        try:
            body = response.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            body = None
        if not isinstance(body, dict):
            where, status = self._address.base_url, response.status_code
            raise ClientError(f"What answers at {where} is no gateway (status {status}): is --base-url right?")
        if response.is_error:
            error = body.get("error")
            said = error if isinstance(error, dict) else {}
            request_id = response.headers.get("x-request-id", "")
            message = said.get("message", "The request failed.")
            raise ClientError(f"{message} [{response.status_code} {said.get('code')}, {request_id}]")
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
            trust_env=url.host not in _THIS_MACHINE,
        )
    except (httpx2.InvalidURL, ValueError):
        is_web = False
    if not is_web:
        raise ClientError(f"{address.base_url!r} is no address of a gateway, or the key has characters no key has.")
    return client


def how_to_collect(request_id: str) -> str:
    """The command that gets the images of a request."""
    return f"The gateway keeps it for a day. Get it with: spillway collect {request_id} -o FILE"


def _how_to_repeat(what: str, purchase: Purchase) -> str:
    how = f"to get it, run the same command again with --idempotency-key {purchase.key}"
    return f"{what} What was asked for may have been made all the same: {how}"

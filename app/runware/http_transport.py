"""The transport of production: a small HTTP/1.1 client that knows whether a byte has left this process (0176).

Owns what a request looks like, and that it leaves only while `permit` allows it. Leaves connections to `pool`, their
bytes to `connection`, and answers to `answer_reader`. No redirects, which would carry the key to another host; no
cookies, which would tie callers together; no proxies of the environment.
"""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from urllib.parse import quote, urlsplit

from app import __version__
from app.observability.tracing import running_span
from app.runware.connecting import FindAddresses, Target, trusted
from app.runware.connection import Connection
from app.runware.keys import RunwareKey
from app.runware.pool import IDLE_SECONDS, MAX_CONNECTIONS, ConnectionPool
from app.runware.task_body import Body, pieces_of
from app.runware.transport import MAX_BYTES, HTTPReply, LateError, NotSentError, NotTriedError, Permit, TransportError
from app.runware.unpacking import ACCEPTED

_PORTS = {"http": 80, "https": 443}
# Held back until all others are with the system: nothing that is written later waits in a buffer unasked.
_LAST_BYTES = 1024
# A receiver that takes everything at once would keep the event loop for as long as a body is.
_PIECES_AT_ONCE = 4
_SMALL_BYTES = 64 * 1024
"""A system takes a body of this size at once, so that nothing of it waits here unasked."""


class HTTPTransport:
    """Posts to one address, over connections that are used again."""

    def __init__(
        self,
        url: str,
        find_addresses: FindAddresses | None = None,
        *,
        limit: int = MAX_CONNECTIONS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        port = parts.port or _PORTS[parts.scheme]
        trust = trusted() if parts.scheme == "https" else None
        self._pool = ConnectionPool(Target(host, port, trust, find_addresses), limit=limit, idle_seconds=idle_seconds)
        named = f"[{host}]" if ":" in host else host
        target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (f"?{parts.query}" if parts.query else "")
        self._start = _encoded(
            f"POST {target} HTTP/1.1\r\nHost: {named if port == _PORTS[parts.scheme] else f'{named}:{port}'}\r\n",
            {
                "Accept": "*/*",
                "Accept-Encoding": ACCEPTED,
                "Content-Type": "application/json",
                "User-Agent": f"spillway/{__version__}",
            },
        )
        self._own: tuple[RunwareKey | None, bytes] = (None, self._start)

    async def post(
        self,
        body: Body,
        key: RunwareKey | None,
        timeout_seconds: float,
        max_bytes: int = MAX_BYTES,
        permit: Permit | None = None,
    ) -> HTTPReply:
        """See Transport."""
        loop, pool = asyncio.get_running_loop(), self._pool
        now = loop.time()
        expires = now + timeout_seconds
        head = self._head(len(body), key)
        while True:
            connection = pool.take_idle(now) or await pool.connect(expires)
            timer = None
            try:
                if permit is not None and (asked := permit()) is not None:
                    await _within(asked, expires, NotTriedError)
                connection.begin(max_bytes)
                timer = loop.call_at(expires, connection.expire)
                if isinstance(body, bytes) and len(body) <= _SMALL_BYTES:
                    # One buffer, one call of the system: for bodies of this size cheaper than two without a copy.
                    is_sent = connection.send(head + body)
                else:
                    is_sent = await _send_large(connection, head, body, permit, expires)
                if is_sent:
                    outcome = await connection.answer
                    break
            finally:
                if timer is not None:
                    timer.cancel()
                now = loop.time()
                pool.give_back(connection, now)
            # It ended before anything was written on it, so there may be another; but one that was made for this
            # request and ended all the same says enough.
            if not connection.was_used:
                raise NotSentError
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    async def close(self) -> None:
        """See Transport."""
        await self._pool.close()

    def _head(self, length: int, key: RunwareKey | None) -> bytes:
        start = self._start
        # With the exchange, not with the connection: connections are shared by the callers' accounts (0135).
        if key is not None:
            known, start = self._own
            if known is not key:
                bearer = {"Authorization": f"Bearer {key.secret.get_secret_value()}"}
                start = _encoded(self._start.decode(), bearer)
                if not key.is_callers:  # those are remembered for a while elsewhere, and nowhere else (0136)
                    self._own = key, start
        span = running_span()
        if span is not None:
            start = _encoded(start.decode(), span.headers())
        return b"%bContent-Length: %d\r\n\r\n" % (start, length)


async def _send_large(connection: Connection, head: bytes, body: Body, permit: Permit | None, expires: float) -> bool:
    """Write a body in pieces, asking before each; False where surely nothing left this process.

    The end of the body is what makes it a request. It leaves only after a last look at the lease (0040), when
    everything before is with the system: the permission is not asked while seconds of body still wait here.
    """
    connection.is_sending = True
    pieces, left = _with_end_apart(body), len(body) - _LAST_BYTES
    first = next(pieces)
    if not connection.send(head, first):
        return False
    left -= len(first)
    for count, piece in enumerate(pieces, 1):
        if not left:
            await connection.flushed()
        if permit is not None and (asked := permit()) is not None:
            await _within(asked, expires, LateError)
        await connection.send_on(piece)
        if not left:
            break
        left -= len(piece)
        if count % _PIECES_AT_ONCE == 0:
            await asyncio.sleep(0)
        if connection.answer.done():  # before its end: who answers knows enough
            return True
    connection.is_sending = False
    return True


def _with_end_apart(body: Body) -> Iterator[bytes | memoryview]:
    """The pieces of a body, its last bytes in one of their own."""
    left, end = len(body) - _LAST_BYTES, b""
    for piece in pieces_of(body):
        if len(piece) <= left:
            yield piece
            left -= len(piece)
            continue
        if left:
            yield piece[:left]
        end += piece[left:]
        left = 0
    yield end


async def _within(asked: Awaitable[None], expires: float, error: type[TransportError]) -> None:
    """Wait for a permission, at the latest until `expires`."""
    deadline = asyncio.timeout_at(expires)
    try:
        async with deadline:
            await asked
    except TimeoutError:
        if deadline.expired():
            raise error from None
        raise


def _encoded(start: str, fields: Mapping[str, str]) -> bytes:
    head = start + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    # One line break more, and a value would be a header of its own.
    if head.count("\r") != start.count("\r") + len(fields) or head.count("\n") != head.count("\r") or "\0" in head:
        raise ValueError("a header has a line break in it")
    return head.encode()

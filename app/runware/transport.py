"""One POST to Runware: the seam at which everything below the client is exchanged.

Owns the connections; the key comes with each exchange. What matters about a failed one is whether Runware may have
accepted the task, so that is what the errors say: never sent, lost, or late. Leaves retries and meaning to `client`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple, Protocol

import aiohttp

from app import __version__
from app.observability.tracing import trace_headers
from app.runware.keys import RunwareKey
from app.runware.permitted_body import PermittedBody
from app.runware.resolver import FindAddresses, RunwareResolver

_CONNECT_SECONDS = 10.0
_CONNECTIONS = 2048
_IDLE_SECONDS = 20.0
MAX_BYTES = 1024 * 1024
"""Of an answer that carries no image."""
_PIECE_BYTES = 256 * 1024


Permit = Callable[[], Awaitable[None] | None]
"""Asked right before bytes leave, connected or not; raises where they may not leave any more. None is a yes at once,
else there is something to be waited for, which raises the same."""


class TransportError(Exception):
    """The exchange had no answer. `outcome` is its name among the attempts of a request."""

    outcome = "lost"


class NotSentError(TransportError):
    """No connection could be made: Runware has not seen the request."""

    outcome = "not_sent"


class LostError(TransportError):
    """The connection broke after the request may have been sent."""


class LateError(TransportError):
    """No answer within the time given; the task may be running."""

    outcome = "late"


class HTTPReply(NamedTuple):
    """An answer. `retry_after` is in seconds, when the header gives them.

    `is_cut` says that it was larger than asked for: then there is no body.
    """

    status: int
    body: bytes
    retry_after: float | None
    is_cut: bool = False


class Transport(Protocol):
    """Anything that can carry a body to Runware and an answer back."""

    async def post(
        self,
        body: bytes,
        key: RunwareKey | None,
        timeout_seconds: float,
        max_bytes: int = MAX_BYTES,
        permit: Permit | None = None,
    ) -> HTTPReply:
        """Send `body`, raising NotSentError, LostError or LateError when no answer comes, or what `permit` raises.

        Without a key Runware refuses it, which shows all the same that Runware is there.
        An answer of more than `max_bytes`, once unpacked, is not read to its end.
        """
        ...

    async def close(self) -> None:
        """Give back all connections."""
        ...


class AiohttpTransport:
    """The transport of production; `docs/decisions/0002` says why it is aiohttp."""

    def __init__(self, url: str, find_addresses: FindAddresses | None = None) -> None:
        self._url = url
        resolver = RunwareResolver(find_addresses) if find_addresses else None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_CONNECTIONS,
                keepalive_timeout=_IDLE_SECONDS,
                resolver=resolver,
                use_dns_cache=resolver is None,  # what finds addresses remembers them itself
            ),
            headers={"Content-Type": "application/json", "User-Agent": f"spillway/{__version__}"},
            # No state between tasks of different callers.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )

    async def post(
        self,
        body: bytes,
        key: RunwareKey | None,
        timeout_seconds: float,
        max_bytes: int = MAX_BYTES,
        permit: Permit | None = None,
    ) -> HTTPReply:
        """See Transport."""
        headers = {"Content-Length": str(len(body)), **trace_headers()}
        if key is not None:
            # With the exchange, not with the connection: connections are shared by the callers' accounts (0135).
            headers["Authorization"] = f"Bearer {key.secret.get_secret_value()}"
        data = _payload(body) if permit is None else PermittedBody(body, permit)
        timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=min(_CONNECT_SECONDS, timeout_seconds))
        try:
            async with self._session.post(
                self._url,
                data=data,
                headers=headers,
                timeout=timeout,
                # A redirect would carry the API key to another host.
                allow_redirects=False,
            ) as response:
                content = await _read(response, max_bytes)
                retry_after = _seconds(response.headers.get("Retry-After"))
                return HTTPReply(response.status, content or b"", retry_after, is_cut=content is None)
        # No connection, so surely nothing was sent. All other errors count as "may have been sent".
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise NotSentError from None
        except TimeoutError:
            raise LateError from None
        except (aiohttp.ClientError, OSError):
            if isinstance(data, PermittedBody) and data.refusal is not None:
                raise data.refusal from None
            raise LostError from None

    async def close(self) -> None:
        """See Transport."""
        await self._session.close()


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
    """The unpacked body, None where it has more than so many bytes; the connection is not used again then.

    It comes in pieces of bounded size, however much a few packed bytes unpack to.
    """
    if (response.content_length or 0) > max_bytes:
        response.close()
        return None
    pieces, size = [], 0
    # Chunk by chunk: `iter_any` would join those that wait, and all are joined once more below.
    async for piece, _ in response.content.iter_chunks():
        size += len(piece)
        if size > max_bytes:
            response.close()
            return None
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _payload(body: bytes) -> bytes | AsyncIterator[memoryview]:
    return body if len(body) <= _PIECE_BYTES else _in_pieces(body)


async def _in_pieces(body: bytes) -> AsyncIterator[memoryview]:
    """A large body, so that others get the event loop between its pieces."""
    view = memoryview(body)
    for start in range(0, len(view), _PIECE_BYTES):
        yield view[start : start + _PIECE_BYTES]


def _seconds(header: str | None) -> float | None:
    try:
        seconds = float(header) if header else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None

"""Who calls, and what a request says of itself beside its body.

Owns authentication: a route is given to the server through `Public` or `WithKey`, and nothing else asks for a key.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp

from app.access.authentication import Authenticator
from app.access.meters import Meters, is_metered
from app.access.metrics_key import MetricsKey
from app.domain.caller import ANONYMOUS, Caller
from app.domain.context import RequestContext
from app.domain.words import Delivery
from app.errors import ForbiddenError, InvalidRequestError
from app.observability.logs import get_logger
from app.openai_api.limit_headers import limit_headers
from app.openai_api.readers import read_boolean
from app.server.delivery import state_of
from app.server.front import Endpoint
from app.server.hosts import known_hosts
from app.settings.groups import ModelSettings
from app.settings.server import ServerSettings

KeyedEndpoint = Callable[[Request, Caller], Awaitable[ASGIApp]]
_LONGEST_KEY = 255
_LONGEST_TIMEOUT = 1_000_000.0
_SHORTEST_MARGIN, _LONGEST_MARGIN = 0.5, 5.0
_EMBEDDING_CLIENT = b"ai-sdk"
"""In the user agent of a client that reads base64 only and never says so."""
TIMEOUT_HEADERS = (b"x-spillway-timeout", b"x-stainless-read-timeout", b"x-stainless-timeout")
"""Headers that say how long a caller waits; the first one that does counts."""
_ANY_TIMEOUT = frozenset(TIMEOUT_HEADERS)
_REMEMBERED_ORIGINS = 64
_NO_RUNWARE_KEY = "Images are paid by the callers here: send the key of a Runware account, not one of this gateway."
_logger = get_logger("http")


@dataclass(frozen=True, slots=True)
class Public:
    """Anybody may call the handler, with or without a key."""

    handler: Endpoint

    def endpoint(self, authenticator: Authenticator, meters: Meters | None = None) -> Endpoint:
        """What the server calls."""
        del authenticator, meters
        return self.handler


@dataclass(frozen=True, slots=True)
class WithKey:
    """The handler is called for a known caller only; its type keeps it from being declared public."""

    handler: KeyedEndpoint

    def endpoint(self, authenticator: Authenticator, meters: Meters | None = None) -> Endpoint:
        """What the server calls."""
        return _Guard(self.handler, authenticator, meters).call


@dataclass(frozen=True, slots=True)
class Scrape:
    """The handler is called for who has the key of metrics, and for an administrator; where there are no keys, for all.

    Counts say what was spent, so that those who may only ask for images must not read them (0150).
    """

    handler: Endpoint
    key: MetricsKey

    def endpoint(self, authenticator: Authenticator, meters: Meters | None = None) -> Endpoint:
        """What the server calls."""
        del meters
        return _ScrapeGuard(self.handler, authenticator, self.key).call


@dataclass(frozen=True, slots=True)
class Admin:
    """The handler is called for an administrator only."""

    handler: KeyedEndpoint

    def endpoint(self, authenticator: Authenticator, meters: Meters | None = None) -> Endpoint:
        """What the server calls."""
        return _Guard(self.handler, authenticator, meters, needs_admin=True).call


def admin_required() -> ForbiddenError:
    """What a caller is told who is no administrator."""
    message = (
        "This needs the key of an administrator. Whoever runs this gateway makes one with "
        "`spillway keys create NAME --admin`, or names it in SPILLWAY_ADMIN_KEYS."
    )
    return ForbiddenError(message, code="admin_required")


class _Guard:
    """Authenticates before a handler sees anything, so that no handler can forget to."""

    def __init__(
        self,
        handler: KeyedEndpoint,
        authenticator: Authenticator,
        meters: Meters | None,
        *,
        needs_admin: bool = False,
    ) -> None:
        self._handler, self._needs_admin = handler, needs_admin
        self._authenticator, self._meters = authenticator, meters

    async def call(self, request: Request) -> ASGIApp:
        """Raises AuthenticationError or ForbiddenError before a byte of the body is read."""
        caller = await self._authenticator.authenticate(request.headers)
        scope, state = request.scope, state_of(request.scope)
        state.facts.key = caller.name or None
        if self._needs_admin and not caller.is_admin:
            raise admin_required()
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            _refuse_nul(request)
        if caller.key is None or self._meters is None or not is_metered(caller.key):
            return await self._handler(request, caller)
        state.head = _LimitHead(self._meters, caller.key.id)
        try:
            return await self._handler(request, caller)
        finally:
            # Refusals tell it too, and they are made into answers further out (0123).
            await self._meters.freshen(caller.key)


def _refuse_nul(request: Request) -> None:
    """Raises InvalidRequestError where an address has what no text of PostgreSQL may contain."""
    if "\0" in request.scope["path"]:
        raise InvalidRequestError("The path contains a NUL character (%00). Send it without.")
    if b"%00" in request.scope["query_string"]:
        named = next((name for name, value in request.query_params.multi_items() if "\0" in name + value), None)
        if named is not None:
            raise InvalidRequestError(
                f"`{named}` contains a NUL character (%00). Send it without.", param=named.replace("\0", "")
            )


class _ScrapeGuard:
    """Lets in who may read metrics."""

    def __init__(self, handler: Endpoint, authenticator: Authenticator, key: MetricsKey) -> None:
        self._handler, self._authenticator, self._key = handler, authenticator, key

    async def call(self, request: Request) -> ASGIApp:
        """Raises AuthenticationError or ForbiddenError."""
        # Before any other key: this one is known also while the database is away, which is when metrics matter.
        if self._key.opens(request.headers):
            return await self._handler(request)
        caller = await self._authenticator.authenticate(request.headers)
        if not caller.is_admin and (self._key.is_set or caller is not ANONYMOUS):
            raise ForbiddenError(
                "This needs SPILLWAY_METRICS_KEY or the key of an administrator.", code="admin_required"
            )
        return await self._handler(request)


@dataclass(frozen=True, slots=True)
class _LimitHead:
    """How a key stands when its answer begins."""

    meters: Meters
    key_id: str

    def lines(self) -> Sequence[tuple[bytes, bytes]]:
        account = self.meters.account_of(self.key_id)
        return () if account is None else limit_headers(account)


class ContextReader:
    """Reads what the headers of an image request ask for."""

    def __init__(self, server: ServerSettings, models: ModelSettings) -> None:
        self._origins = LinkOrigins(server)
        self._needs_runware_key = server.passes_keys_on
        self._delivery = Delivery.LINK if models.default_response_format == "url" else Delivery.EMBEDDED

    def read_context(self, request: Request, caller: Caller) -> RequestContext:
        """The context of one request, raising InvalidRequestError for a header that cannot be meant."""
        # Nothing else pays here; and a key of this gateway must not be tried at Runware.
        if self._needs_runware_key and caller.runware_key is None:
            raise ForbiddenError(_NO_RUNWARE_KEY)
        state = state_of(request.scope)
        headers = state.headers
        embeds = _EMBEDDING_CLIENT in headers.get(b"user-agent", b"")
        strict = headers.get(b"x-spillway-strict")
        client_id = headers.get(b"x-client-request-id")
        return RequestContext(
            state.request_id,
            self._origins.origin_for(request),
            Delivery.EMBEDDED if embeds else self._delivery,
            strict=strict is not None and _read_strictness(strict),
            tenant=caller.tenant,
            key=caller.key,
            runware_key=caller.runware_key,
            idempotency_key=_key_of(headers[b"idempotency-key"]) if b"idempotency-key" in headers else None,
            retries=headers.get(b"x-stainless-retry-count", b"0") not in {b"", b"0"},
            wait=None if _ANY_TIMEOUT.isdisjoint(headers) else _wait_of(headers),
            client_request_id=None if client_id is None else client_id.decode("latin-1")[:256] or None,
        )


class LinkOrigins:
    """Makes `scheme://host[:port]`: of the public URL, else of the name the caller used where it is a known one.

    A link is signed for this gateway, so it must not lead to a host that a caller, or a proxy's caller, made up.
    """

    def __init__(self, server: ServerSettings) -> None:
        self._public_url = server.public_url
        self._hosts = known_hosts(server)
        self._has_warned = False
        # Clients name the same few hosts over and over. Bounded, because anybody can send other names.
        self._remembered = lru_cache(_REMEMBERED_ORIGINS)(self._decide)

    def origin_for(self, request: Request) -> str:
        """The origin that the links of an answer to `request` have."""
        if self._public_url is not None:
            return self._public_url
        scope = request.scope
        local, port = scope["server"] or ("127.0.0.1", None)
        first = state_of(scope).headers
        if len(first) == len(scope["headers"]):  # none came twice, and the index has all there is
            named = (first[b"host"],) if b"host" in first else ()
        else:
            named = tuple(value for name, value in scope["headers"] if name == b"host")
        return self._remembered(scope["scheme"], local, port, named)

    def _decide(self, scheme: str, local: str, port: int | None, sent: tuple[bytes, ...]) -> str:
        named = [host.decode("latin-1") for host in sent]
        # A made-up Host header would put a signed link onto a stranger's server.
        if len(named) == 1 and self._hosts.knows(named[0], local):
            return f"{scheme}://{named[0]}"
        own = f"[{local}]" if ":" in local else local
        origin = f"{scheme}://{own}" + ("" if port is None else f":{port}")
        if named and not self._has_warned:
            self._has_warned = True
            advice = "set SPILLWAY_PUBLIC_URL, or add the host to SPILLWAY_ALLOWED_HOSTS"
            _logger.warning("links lead to the address listened on", host=named[0][:200], links=origin, advice=advice)
        return origin


def _read_strictness(value: bytes) -> bool:
    return bool(read_boolean({"X-Spillway-Strict": value.decode("latin-1")}, "X-Spillway-Strict"))


def _key_of(value: bytes) -> str | None:
    key = value.decode("latin-1").strip()
    # Refused, not cut: two long keys with one beginning would be one key.
    if len(key) > _LONGEST_KEY:
        message = f"`Idempotency-Key` has {len(key)} characters; at most {_LONGEST_KEY} are remembered."
        raise InvalidRequestError(message, param="Idempotency-Key")
    return key or None


def _wait_of(headers: Mapping[bytes, bytes]) -> float | None:
    """Seconds until shortly before the caller gives up, by the first header that says when that is."""
    for name in TIMEOUT_HEADERS:
        try:
            timeout = float(headers.get(name, b"").decode("latin-1"))
        except ValueError:
            continue
        if 0 < timeout < _LONGEST_TIMEOUT:
            # Before the caller's own timeout: a 504 that arrives leads the retry to the image, a broken connection only
            # maybe.
            margin = min(max(0.1 * timeout, _SHORTEST_MARGIN), _LONGEST_MARGIN)
            return max(timeout - margin, timeout / 2)
    return None


def wants_dry_run(request: Request) -> bool:
    """Whether the query asks for an estimate instead of images."""
    if b"dryRun" not in request.scope["query_string"]:
        return False
    return bool(read_boolean({"dryRun": request.query_params.get("dryRun")}, "dryRun"))


def prefers_background(headers: Headers) -> bool:
    """Whether the caller would rather ask later than wait (RFC 7240)."""
    preferences = ",".join(headers.getlist("prefer")).split(",")
    return any(one.partition(";")[0].strip().lower() == "respond-async" for one in preferences)

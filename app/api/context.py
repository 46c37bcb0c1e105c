"""What the routes are given: the parts of the gateway, and what a request says of itself beside its body."""

from dataclasses import dataclass
from typing import Protocol, cast

from starlette.datastructures import Headers
from starlette.requests import Request

from app.access.authentication import Authenticator
from app.access.memory import MemoryBudget
from app.api.origins import LinkOrigins
from app.catalog.registry import Registry
from app.domain.answer import Answer
from app.domain.request import Delivery, ImageRequest, RequestContext
from app.errors import InvalidRequestError
from app.generation.service import Stream
from app.jobs.runner import JobRunner
from app.journal.claims import Claim, Journal
from app.journal.history import History
from app.journal.records import Receipt
from app.media.store import MediaStore
from app.openai_api.readers import read_boolean
from app.planning.dry_run import DryRun
from app.runware.client import RunwareClient
from app.settings.load import Settings
from app.webhooks.signing import WebhookSecrets

_LONGEST_KEY = 255
_LONGEST_TIMEOUT = 1_000_000.0
_SHORTEST_MARGIN, _LONGEST_MARGIN = 0.5, 5.0
_EMBEDDING_CLIENT = "ai-sdk"
"""In the user agent of a client that reads base64 only and never says so."""


class Images(Protocol):
    """What the image routes need of the use case."""

    async def run(self, request: ImageRequest, context: RequestContext) -> Answer:
        """The answer to a request, raising a GatewayError."""
        ...

    async def stream(self, request: ImageRequest, context: RequestContext) -> Stream:
        """The answer image by image, raising what can be refused beforehand."""
        ...

    async def submit(self, request: ImageRequest, context: RequestContext) -> Claim:
        """The claim on a request that is carried out in the background, raising what can be refused beforehand."""
        ...

    def leave(self, request_id: str, parting: Receipt, answer: Answer | None = None) -> None:
        """A caller got the answer of this request, or went without it."""
        ...

    def retract(self, request_id: str) -> None:
        """An answer that was sent did not arrive."""
        ...

    async def estimate(self, request: ImageRequest, context: RequestContext) -> DryRun:
        """What a request would send and cost, raising the same errors."""
        ...


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that routes use, built once in `main`."""

    settings: Settings
    origins: LinkOrigins
    keys: Authenticator
    registry: Registry
    memory: MemoryBudget
    images: Images
    media: MediaStore
    runware: RunwareClient
    journal: Journal
    history: History
    works: JobRunner
    webhook_secrets: WebhookSecrets


def gateway_of(request: Request) -> Gateway:
    """The gateway that serves this request."""
    return cast("Gateway", request.app.state.gateway)


def request_id_of(request: Request) -> str:
    """The id that the middleware gave."""
    return cast("str", request.scope["state"]["request_id"])


def context_of(request: Request, gateway: Gateway, tenant: str) -> RequestContext:
    """What the headers of a request ask for."""
    headers, settings = request.headers, gateway.settings
    default = Delivery.LINK if settings.default_response_format == "url" else Delivery.EMBEDDED
    if _EMBEDDING_CLIENT in headers.get("user-agent", ""):
        default = Delivery.EMBEDDED
    strict = read_boolean({"X-Spillway-Strict": headers.get("x-spillway-strict")}, "X-Spillway-Strict")
    return RequestContext(
        request_id_of(request),
        gateway.origins.origin_for(request),
        default,
        strict=bool(strict),
        tenant=tenant,
        idempotency_key=_key_of(headers),
        retries=headers.get("x-stainless-retry-count", "0") not in {"", "0"},
        wait=_wait_of(headers),
        client_request_id=headers.get("x-client-request-id", "")[:256] or None,
    )


def _key_of(headers: Headers) -> str | None:
    key = headers.get("idempotency-key", "").strip()
    # Refused, not cut: two long keys with one beginning would be one key.
    if len(key) > _LONGEST_KEY:
        message = f"`Idempotency-Key` has {len(key)} characters; at most {_LONGEST_KEY} are remembered."
        raise InvalidRequestError(message, param="Idempotency-Key")
    return key or None


def _wait_of(headers: Headers) -> float | None:
    """Seconds until shortly before the caller gives up, by the first header that says when that is."""
    for name in ("x-spillway-timeout", "x-stainless-read-timeout", "x-stainless-timeout"):
        try:
            timeout = float(headers.get(name, ""))
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
    asked = request.query_params.get("dryRun") if b"dryRun" in request.scope["query_string"] else None
    return bool(read_boolean({"dryRun": asked}, "dryRun"))


def prefers_background(headers: Headers) -> bool:
    """Whether the caller would rather ask later than wait (RFC 7240)."""
    preferences = ",".join(headers.getlist("prefer")).split(",")
    return any(one.partition(";")[0].strip().lower() == "respond-async" for one in preferences)

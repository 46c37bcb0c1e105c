"""Every error a caller can see, with its status, code and public words.

The tree (HTTP status, OpenAI `type`, default `code`):

    GatewayError
    ├── InvalidRequestError        400  invalid_request_error   invalid_value
    │   ├── ConflictingKeyError    400  invalid_request_error   idempotency_key_reused
    │   └── ContentPolicyError     400  image_generation_user_error  content_policy_violation
    ├── AuthenticationError        401  authentication_error    invalid_api_key
    ├── QuotaError                 402  insufficient_quota      insufficient_quota
    ├── ForbiddenError             403  permission_error        forbidden
    ├── NotFoundError              404  invalid_request_error   not_found
    ├── MethodNotAllowedError      405  invalid_request_error   method_not_allowed
    ├── RequestTimeoutError        408  invalid_request_error   request_timeout
    ├── TooLargeError              413  invalid_request_error   request_too_large
    ├── UnsupportedEncodingError   415  invalid_request_error   unsupported_content_encoding
    ├── HeadTooLargeError          431  invalid_request_error   head_too_large
    ├── RateLimitedError           429  rate_limit_error        rate_limit_exceeded
    │   └── OverloadedError        429  rate_limit_error        overloaded
    ├── InternalError              500  server_error            internal_error
    ├── ProviderError              502  server_error            provider_error
    │   └── ProviderAuthenticationError  502  server_error      provider_authentication_error
    ├── UnavailableError           503  service_unavailable_error  provider_unavailable
    │   ├── JournalError           503  service_unavailable_error  journal_unavailable
    │   └── TooManyConnectionsError  503  service_unavailable_error  too_many_connections
    └── ProviderTimeoutError       504  server_error            provider_timeout
        └── StillProcessingError   504  server_error            still_processing

Messages are written for the caller: they name the field in the caller's words and say what to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Self

MAX_RETRY_AFTER_SECONDS = 60
"""OpenAI's SDKs sleep through, or give up on, anything longer."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a request that failed has cost, in dollars: all of it, None where a part is unknown, and what is known."""

    cost: Decimal | None
    known_cost: Decimal


class GatewayError(Exception):
    """The base of every error that becomes an answer.

    `retry_after` is in seconds (1 to 60); `should_retry` becomes the `x-should-retry` header that
    OpenAI's SDKs obey, and None leaves the decision to the status code. An error is never changed once it is raised.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str] = "internal_error"
    is_transient: ClassVar[bool] = False
    """Whether the same request may succeed a little later."""
    may_have_spent: ClassVar[bool] = False
    """Whether an image may have been paid for although the caller has none."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        provider_code: str | None = None,
        retry_after: int | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.default_code
        self.provider_code = provider_code
        # Bounded both ways: SDKs ignore 0 and give up on minutes.
        self.retry_after = None if retry_after is None else max(1, min(retry_after, MAX_RETRY_AFTER_SECONDS))
        # SDKs retry every 5xx by themselves; behind one of them an image may exist that a retry would buy again (0006).
        self.should_retry = should_retry

    def renamed(self, names: Mapping[str, str]) -> Self:
        """The same error, which speaks of fields by what the caller called them; `names` holds these by OpenAI's."""
        param, message = self.param, self.message
        base, bracket, rest = (param or "").partition("[")
        if base in names:
            param = f"{names[base]}{bracket}{rest}"
        for own, called in names.items():
            message = message.replace(f"`{own}`", f"`{called}`")
            message = message.replace(f"'{own}' parameter", f"'{called}' parameter")
        # Not by the class's own constructor, which may write its message itself.
        copy = type(self).__new__(type(self), message)
        copy.__dict__.update(self.__dict__, message=message, param=param)
        return copy


class InvalidRequestError(GatewayError):
    """The request cannot be carried out as it is; sending it again changes nothing."""

    status = 400
    type = "invalid_request_error"
    default_code = "invalid_value"


# Never 409, which SDKs send again: a key that was used for something else stays used.
class ConflictingKeyError(InvalidRequestError):
    """The Idempotency-Key belongs to another request."""

    default_code = "idempotency_key_reused"

    def __init__(self) -> None:
        message = "This Idempotency-Key was used with another request. Use a new key for a new request."
        super().__init__(message, param="Idempotency-Key")


# OpenAI's own type for what only the author of the prompt can change.
class ContentPolicyError(InvalidRequestError):
    """The provider's moderation refused the prompt, an input image or the result."""

    type = "image_generation_user_error"
    default_code = "content_policy_violation"
    may_have_spent = True


class AuthenticationError(GatewayError):
    """No key, one that is unknown, revoked, replaced or expired, or one that Runware refuses to its caller."""

    status = 401
    type = "authentication_error"
    default_code = "invalid_api_key"
    is_transient = True  # nothing ran: where Runware refuses it, an Idempotency-Key is free again (0065)


# 402, not 429: SDKs wait and repeat a 429, and credit does not come back by waiting.
class QuotaError(GatewayError):
    """The Runware account has no credit for this task."""

    status = 402
    type = "insufficient_quota"
    default_code = "insufficient_quota"
    is_transient = True


class ForbiddenError(GatewayError):
    """What this caller may not do here: its web page, its name for this gateway, or its key is not allowed to."""

    status = 403
    type = "permission_error"
    default_code = "forbidden"


class NotFoundError(GatewayError):
    """No such model, image or route."""

    status = 404
    type = "invalid_request_error"
    default_code = "not_found"


class MethodNotAllowedError(GatewayError):
    """The route exists, but not for this method."""

    status = 405
    type = "invalid_request_error"
    default_code = "method_not_allowed"


# The only 408: SDKs repeat it, which is right only because nothing was done.
class RequestTimeoutError(GatewayError):
    """The request did not arrive in time, so nothing was done."""

    status = 408
    type = "invalid_request_error"
    default_code = "request_timeout"


class TooLargeError(GatewayError):
    """The body, or one image in it, is larger than this gateway takes."""

    status = 413
    type = "invalid_request_error"
    default_code = "request_too_large"


class UnsupportedEncodingError(GatewayError):
    """The body's Content-Encoding is not supported."""

    status = 415
    type = "invalid_request_error"
    default_code = "unsupported_content_encoding"

    def __init__(self, encoding: str, known: tuple[str, ...]) -> None:
        advice = f"Send the body as it is, or packed as one of: {', '.join(known)}."
        super().__init__(f"Content-Encoding {encoding!r} is not unpacked here. {advice}", param="Content-Encoding")


class HeadTooLargeError(GatewayError):
    """The request's line and header fields, or the trailers behind its body, are more than this gateway reads."""

    status = 431
    type = "invalid_request_error"
    default_code = "head_too_large"

    def __init__(self, limit_bytes: int, fields: int) -> None:
        super().__init__(f"The head of a request may have {limit_bytes // 1024} KiB and {fields} fields.")


class RateLimitedError(GatewayError):
    """Too many requests, here or at Runware."""

    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"
    is_transient = True


# Said before anything is sent, so a repetition is free.
class OverloadedError(RateLimitedError):
    """This gateway is at its limit of running requests, and its queue is full."""

    default_code = "overloaded"

    def __init__(self) -> None:
        message = "This gateway has too many requests waiting. Nothing was sent; try again shortly."
        super().__init__(message, retry_after=2, should_retry=True)


class InternalError(GatewayError):
    """A fault of the gateway itself."""

    may_have_spent = True


class ProviderError(GatewayError):
    """Runware failed, or its answer was invalid."""

    status = 502
    default_code = "provider_error"
    may_have_spent = True


class ProviderAuthenticationError(ProviderError):
    """Runware refuses this gateway's own key: the caller's is fine, and its operator must act."""

    default_code = "provider_authentication_error"
    is_transient = True
    may_have_spent = False


class UnavailableError(GatewayError):
    """Runware cannot be reached or has no capacity."""

    status = 503
    type = "service_unavailable_error"
    default_code = "provider_unavailable"
    is_transient = True


class ProviderTimeoutError(GatewayError):
    """Runware did not finish in time."""

    status = 504
    default_code = "provider_timeout"
    may_have_spent = True


# Not a failure: the retry of an SDK joins the work instead of buying the image again (0062).
class StillProcessingError(ProviderTimeoutError):
    """The image is being made: the same request sent again joins it."""

    default_code = "still_processing"

    def __init__(self) -> None:
        message = "The image is still being made. Send the same request again, or ask for the result at Location."
        super().__init__(message, retry_after=1, should_retry=True)


# What cannot be written down is not bought: nobody would find it again (0007).
class JournalError(UnavailableError):
    """This gateway cannot write down what it is about to buy, so it buys nothing; or it cannot look up the past."""

    default_code = "journal_unavailable"

    def __init__(self, consequence: str = "nothing was sent") -> None:
        message = f"The gateway's journal does not answer, so {consequence}. Try again shortly."
        super().__init__(message, retry_after=2, should_retry=True)


class TooManyConnectionsError(UnavailableError):
    """There are more connections than this gateway holds, in all or from one address."""

    default_code = "too_many_connections"

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} Try again shortly.", retry_after=1, should_retry=True)

"""Errors of the 4xx kind: what the caller can change, or wait for."""

from app.errors.base import GatewayError


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


class GoneError(GatewayError):
    """What was there for a time only, and that time is over."""

    status = 410
    type = "invalid_request_error"
    default_code = "link_expired"


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


class RangeError(GatewayError):
    """The image has no bytes in the range that was asked for."""

    status = 416
    type = "invalid_request_error"
    default_code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"The image has {size} bytes, and none of them is in this range.", param="Range")
        self.size = size


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

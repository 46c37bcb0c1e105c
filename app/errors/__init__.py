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
    ├── GoneError                  410  invalid_request_error   link_expired
    ├── TooLargeError              413  invalid_request_error   request_too_large
    ├── UnsupportedEncodingError   415  invalid_request_error   unsupported_content_encoding
    ├── RangeError                 416  invalid_request_error   range_not_satisfiable
    ├── HeadTooLargeError          431  invalid_request_error   head_too_large
    ├── RateLimitedError           429  rate_limit_error        rate_limit_exceeded
    │   └── OverloadedError        429  rate_limit_error        overloaded
    ├── InternalError              500  server_error            internal_error
    ├── ProviderError              502  server_error            provider_error
    │   └── ProviderAuthenticationError  502  server_error      provider_authentication_error
    ├── UnavailableError           503  service_unavailable_error  provider_unavailable
    │   ├── JournalError           503  service_unavailable_error  journal_unavailable
    │   ├── StorageError           503  service_unavailable_error  storage_unavailable
    │   └── TooManyConnectionsError  503  service_unavailable_error  too_many_connections
    ├── StorageFullError           507  service_unavailable_error  storage_full
    └── ProviderTimeoutError       504  server_error            provider_timeout
        └── StillProcessingError   504  server_error            still_processing

Messages are written for the caller: they name the field in the caller's words and say what to do.
"""

from app.errors.base import (
    MAX_RETRY_AFTER_SECONDS,
    GatewayError,
    Spent,
)
from app.errors.faults import (
    InternalError,
    JournalError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderTimeoutError,
    StillProcessingError,
    StorageError,
    StorageFullError,
    TooManyConnectionsError,
    UnavailableError,
)
from app.errors.refusals import (
    AuthenticationError,
    ConflictingKeyError,
    ContentPolicyError,
    ForbiddenError,
    GoneError,
    HeadTooLargeError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    OverloadedError,
    QuotaError,
    RangeError,
    RateLimitedError,
    RequestTimeoutError,
    TooLargeError,
    UnsupportedEncodingError,
)

__all__ = [
    "MAX_RETRY_AFTER_SECONDS",
    "AuthenticationError",
    "ConflictingKeyError",
    "ContentPolicyError",
    "ForbiddenError",
    "GatewayError",
    "GoneError",
    "HeadTooLargeError",
    "InternalError",
    "InvalidRequestError",
    "JournalError",
    "MethodNotAllowedError",
    "NotFoundError",
    "OverloadedError",
    "ProviderAuthenticationError",
    "ProviderError",
    "ProviderTimeoutError",
    "QuotaError",
    "RangeError",
    "RateLimitedError",
    "RequestTimeoutError",
    "Spent",
    "StillProcessingError",
    "StorageError",
    "StorageFullError",
    "TooLargeError",
    "TooManyConnectionsError",
    "UnavailableError",
    "UnsupportedEncodingError",
]

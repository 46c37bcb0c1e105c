"""From Runware's failures to errors in the caller's words. Pure.

Statuses, codes and retry advice follow one table; names of Runware's fields in parameters and messages become the
caller's.
"""

import re
from collections.abc import Mapping

from app.catalog.model import USUAL_FIELDS
from app.errors import (
    AuthenticationError,
    ContentPolicyError,
    GatewayError,
    InvalidRequestError,
    NotFoundError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderTimeoutError,
    QuotaError,
    RateLimitedError,
    UnavailableError,
)
from app.openai_api.vocabulary import SYNONYMS, natives_of
from app.runware.failures import OVERSIZED, Kind, ProviderFailure

_DEFAULT_RETRY_SECONDS = 5
_LONGEST_MESSAGE = 600
_FIELDS = {
    **SYNONYMS,
    **{f"inputs.{native}": SYNONYMS[native] for native in natives_of("image", "mask")},
    "inputs.image": "image",
    USUAL_FIELDS["scale_factor"]: "scale_factor",
}
"""What a caller calls Runware's fields."""
# In texts only names that are no words of English.
_NAMES = "|".join(native for native in SYNONYMS if not native.islower())
_IN_TEXT = re.compile(rf"(?<![\w.])(?:inputs\.)?({_NAMES})(?![\w])")
_ADDRESS = re.compile(r"https?://\S+")


def to_caller_field(name: str) -> str:
    """Runware's name of a field as the caller knows it; indexes stay, unknown names too."""
    base, bracket, rest = name.partition("[")
    return f"{_FIELDS.get(base, base)}{bracket}{rest}"


def to_caller_text(text: str) -> str:
    """A message with Runware's names of fields replaced, without addresses, cut to a sensible length."""
    # Addresses in messages may carry signatures of Runware's storage.
    plain = _ADDRESS.sub("", text)
    plain = _IN_TEXT.sub(lambda match: _FIELDS[match[1]], plain)
    plain = " ".join(plain.split())
    return plain if len(plain) <= _LONGEST_MESSAGE else f"{plain[:_LONGEST_MESSAGE]}…"


def to_error(failure: ProviderFailure) -> GatewayError:
    """The error the caller sees for a failure that left it without any image."""
    return _BUILDERS[failure.kind](failure, to_caller_text(failure.message))


def _invalid(failure: ProviderFailure, text: str) -> GatewayError:
    param = to_caller_field(failure.parameters[0]) if failure.parameters else None
    code = "missing_required_parameter" if failure.code.startswith("missing") else "invalid_value"
    if failure.code in {"unsupportedParameter", "unknownParameter"}:
        code = "unknown_parameter"
    message = text or "Runware refused the request."
    return InvalidRequestError(message, param=param, code=code, provider_code=failure.code)


def _input_image(failure: ProviderFailure, text: str) -> GatewayError:
    param = to_caller_field(failure.parameters[0]) if failure.parameters else "image"
    message = text or "An input image could not be read."
    return InvalidRequestError(message, param=param, code="invalid_image", provider_code=failure.code)


def _unknown_model(failure: ProviderFailure, text: str) -> GatewayError:
    message = text or "Runware does not have this model, or not any more."
    return NotFoundError(message, param="model", code="model_not_found", provider_code=failure.code)


def _moderation(failure: ProviderFailure, text: str) -> GatewayError:
    message = text or "The request was refused by the provider's content policy. Change the prompt or the images."
    return ContentPolicyError(message, provider_code=failure.code)


def _money(failure: ProviderFailure, text: str) -> GatewayError:
    message = f"The Runware account that pays for this request has no credit for it. {text}".strip()
    return QuotaError(message, provider_code=failure.code)


def _authentication(failure: ProviderFailure, _: str) -> GatewayError:
    # 502, not 401: the caller's own key is fine, and SDKs would tell its user otherwise.
    message = "Runware refuses this gateway's API key. Its operator must set a valid RUNWARE_API_KEY."
    return ProviderAuthenticationError(message, provider_code=failure.code, should_retry=False)


def _callers_key(failure: ProviderFailure, _: str) -> GatewayError:
    # Without Runware's text, which might repeat the key.
    message = "Runware refuses this API key: send the key of your own Runware account, as it stands there."
    return AuthenticationError(message, provider_code=failure.code, should_retry=False)


def _rate_limit(failure: ProviderFailure, _: str) -> GatewayError:
    message = "Runware is limiting requests for this model. Try again shortly."
    return RateLimitedError(message, provider_code=failure.code, retry_after=_wait(failure))


def _capacity(failure: ProviderFailure, _: str) -> GatewayError:
    message = "Runware has no capacity for this model, or cannot be reached. Try again shortly."
    return UnavailableError(message, provider_code=failure.code, retry_after=_wait(failure))


def _timeout(failure: ProviderFailure, _: str) -> GatewayError:
    message = "Runware did not finish the image in time."
    # No retry: an image may exist that no retry of this failed request would join (0006).
    return ProviderTimeoutError(message, provider_code=failure.code, should_retry=False)


def _provider(failure: ProviderFailure, text: str) -> GatewayError:
    if failure.code == OVERSIZED:
        text = "Its answer is far larger than what was asked for, and was not read: the image may have been paid for."
    message = f"Runware failed to make the image. {text}".strip()
    return ProviderError(message, provider_code=failure.code, should_retry=False)


_BUILDERS = {
    Kind.INVALID: _invalid,
    Kind.INPUT_IMAGE: _input_image,
    Kind.UNKNOWN_MODEL: _unknown_model,
    Kind.MODERATION: _moderation,
    Kind.MONEY: _money,
    Kind.AUTHENTICATION: _authentication,
    Kind.CALLERS_KEY: _callers_key,
    Kind.RATE_LIMIT: _rate_limit,
    Kind.CAPACITY: _capacity,
    Kind.TIMEOUT: _timeout,
    Kind.PROVIDER: _provider,
    Kind.CONFLICT: _provider,
    Kind.UNKNOWN_TASK: _provider,
}


def _wait(failure: ProviderFailure) -> int:
    return round(failure.retry_after) if failure.retry_after else _DEFAULT_RETRY_SECONDS


def error_class(code: str) -> type[GatewayError]:
    """The class of an error of which no more than code and message are known, as of an image of a stored result."""
    return _CLASSES.get(code, ProviderError)


_OWN_CODES = (
    AuthenticationError,
    ContentPolicyError,
    InvalidRequestError,
    NotFoundError,
    QuotaError,
    RateLimitedError,
    UnavailableError,
)
_CLASSES: Mapping[str, type[GatewayError]] = {
    **{kind.default_code: kind for kind in (*_OWN_CODES, ProviderAuthenticationError, ProviderTimeoutError)},
    "invalid_image": InvalidRequestError,
    "missing_required_parameter": InvalidRequestError,
    "unknown_parameter": InvalidRequestError,
    "model_not_found": NotFoundError,
}

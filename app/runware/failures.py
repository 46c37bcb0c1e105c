"""What Runware's errors mean. Pure: a code and a status in, a kind out.

The code decides first, the status second: money errors of third-party models come as 400. Codes are those of
Runware's documentation, its clients and the wire; unknown ones fall to patterns and keep their name. Leaves the
caller's words to `generation`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from app.runware.wire import WireFault


class Kind(StrEnum):
    """What to make of a fault."""

    CONFLICT = "conflict"  # this taskUUID was accepted before: collect it
    AUTHENTICATION = "authentication"  # our own key
    CALLERS_KEY = "callers_key"  # the same of a key that came with the request
    MONEY = "money"
    MODERATION = "moderation"
    RATE_LIMIT = "rate_limit"
    CAPACITY = "capacity"  # no server, or none reachable: nothing ran
    TIMEOUT = "timeout"
    PROVIDER = "provider"  # a fault of Runware or of the model's provider
    UNKNOWN_MODEL = "unknown_model"
    UNKNOWN_TASK = "unknown_task"
    INPUT_IMAGE = "input_image"
    INVALID = "invalid"


OVERSIZED = "oversizedAnswer"
"""Our own code for an answer that was too large to be read."""
RETRYABLE = frozenset({Kind.RATE_LIMIT, Kind.CAPACITY, Kind.TIMEOUT, Kind.PROVIDER})

_CODES: dict[Kind, str] = {
    Kind.CONFLICT: "conflictTaskUUID",
    Kind.AUTHENTICATION: "invalidApiKey missingApiKey unauthorized forbidden permissionDenied insufficientPermissions "
    "authenticationFailed authFailed authTimeout invalidAuthentication invalidCredentials missingAuthentication "
    "tokenExpired tokenInvalid tokenMissing tokenRevoked accountSuspended accountDisabled organizationSuspended "
    "organizationDisabled workspaceSuspended workspaceDisabled",
    Kind.MONEY: "insufficientCredits thirdPartyInsufficientCredits videoInferenceInsufficientCredits "
    "textInferenceVideoInputInsufficientCredits providerInsufficientCredits paymentRequired environmentPaused",
    Kind.RATE_LIMIT: "rateLimitExceeded inferenceRateLimitExceeded inferenceRateLimitRequestTooLarge "
    "providerRateLimitExceeded",
    Kind.MODERATION: "contentPolicyViolation providerContentPolicyViolation sensitiveContentDetected "
    "unsafeContentDetected nsfwContentDetected promptBlocked imageBlocked moderationFailed invalidProviderContent",
    Kind.TIMEOUT: "providerTimeout providerGatewayTimeout webhookTimeout timeoutProvider",
    Kind.CAPACITY: "noAvailableServer serviceUnavailable serverUnavailable providerUnavailable modelUnavailable "
    "modelNotReady",
    Kind.PROVIDER: "providerError providerBadGateway providerInternalError providerUnknownError "
    "providerAuthenticationFailed inferenceError processingFailed taskFailed downloadFailed uploadFailed "
    "mediaStorageFileCouldNotBeMoved internalServerError standardError unknownError undefinedError defaultError "
    "unrecognizedResponse errorRetrievingAccountManagement taskCancelled",
    Kind.UNKNOWN_TASK: "taskNotFound taskFailedOrNotFound taskExpired",
    Kind.UNKNOWN_MODEL: "invalidModel modelNotFound unknownModel modelDisabled",
    Kind.INPUT_IMAGE: "failedToTransferImage mediaNotFound mediaExpired",
    Kind.INVALID: "missingPositivePrompt invalidPositivePrompt invalidPositivePromptLength invalidParameter "
    "unsupportedTaskType unknownParameter unsupportedParameter incompatibleParameters valueTooLarge arrayTooSmall "
    "maxLycorisModelsExceeded duplicatePreloadModelAIR mismatchProviderSettingsProvider "
    "unknownProviderSettingsProvider transparentModelMismatch modelOwnershipValidationError modelAlreadyExists "
    "validationFailed invalidWidth invalidHeight invalidCustomWidth invalidCustomHeight missingDimensionParameters "
    "invalidReferenceImages unsupportedDuration architectureId providerNotFound",
}
KNOWN_CODES: dict[str, Kind] = {code: kind for kind, codes in _CODES.items() for code in codes.split()}

_PATTERNS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"credit|quota|balance|payment", re.IGNORECASE), Kind.MONEY),
    (re.compile(r"rateLimit", re.IGNORECASE), Kind.RATE_LIMIT),
    (re.compile(r"timeout", re.IGNORECASE), Kind.TIMEOUT),
    (re.compile(r"moderation|contentPolicy|nsfw|unsafe|sensitive", re.IGNORECASE), Kind.MODERATION),
    (re.compile(r"^(invalid|missing|conflict|duplicate|unsupported|unknown.+|value|array|max)"), Kind.INVALID),
    (re.compile(r"(NotFound|Expired)$"), Kind.INVALID),
    (re.compile(r"^provider"), Kind.PROVIDER),
)
_STATUSES: dict[int, Kind] = {
    400: Kind.INVALID,
    401: Kind.AUTHENTICATION,
    402: Kind.MONEY,
    403: Kind.AUTHENTICATION,
    404: Kind.INVALID,
    429: Kind.RATE_LIMIT,
    503: Kind.CAPACITY,
    504: Kind.TIMEOUT,
}
_MODERATION_WORDS = re.compile(
    r"content[ _-]?polic|moderat|safety (?:system|filter|settings)|nsfw|flagged|inappropriate|prohibited|"
    r"IMAGE_SAFETY|PROHIBITED_CONTENT",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ProviderFailure:
    """Why a task, or one image of it, did not come: a kind with Runware's own words for it."""

    kind: Kind
    code: str
    message: str
    parameters: tuple[str, ...] = ()
    status: int | None = None
    retry_after: float | None = None

    @property
    def retryable(self) -> bool:
        """Whether the same task may succeed when it is sent again."""
        return self.kind in RETRYABLE


def classify(code: str, status: int) -> Kind:
    """The kind of an error with this code in an answer with this status."""
    known = KNOWN_CODES.get(code)
    # The code first: some money errors come as 400, and read by their status they would blame the caller.
    if known is not None:
        return known
    for pattern, kind in _PATTERNS:
        if pattern.search(code):
            return kind
    return _STATUSES.get(status, Kind.PROVIDER)


def to_failure(fault: WireFault, status: int, retry_after: float | None = None) -> ProviderFailure:
    """A fault with its meaning. A provider's refusal over content is moderation, whatever its code says."""
    kind = classify(fault.code, status)
    if kind in {Kind.PROVIDER, Kind.INVALID} and _MODERATION_WORDS.search(fault.content):
        kind = Kind.MODERATION
    return ProviderFailure(kind, fault.code, fault.message, fault.parameters, status, retry_after)


def from_status(status: int, retry_after: float | None = None) -> ProviderFailure:
    """The failure of an answer that carries no error of Runware's."""
    kind = _STATUSES.get(status, Kind.PROVIDER)
    if kind is Kind.INVALID:  # Runware explains its refusals; a bare 400 or 404 comes from something in between
        kind = Kind.PROVIDER
    return ProviderFailure(kind, f"http{status}", "", status=status, retry_after=retry_after)

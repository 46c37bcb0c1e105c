"""Errors of the 5xx kind: the gateway, its journal, or Runware failed."""

from app.errors.base import GatewayError


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


class StorageError(UnavailableError):
    """The store of this gateway's images does not answer."""

    default_code = "storage_unavailable"

    def __init__(self) -> None:
        message = "The gateway's store of images does not answer. Try again shortly."
        super().__init__(message, retry_after=2, should_retry=True)


# Not to be retried: it passes when images expire or somebody makes room, not in seconds.
class StorageFullError(GatewayError):
    """There is no room for more images, and this request needs some."""

    status = 507
    type = "service_unavailable_error"
    default_code = "storage_full"

    def __init__(self) -> None:
        message = (
            "The gateway has no room for more images, so nothing was sent. Ask for `response_format` b64_json, which "
            "needs none, or try again when images have expired."
        )
        super().__init__(message, should_retry=False)


class TooManyConnectionsError(UnavailableError):
    """There are more connections than this gateway holds, in all or from one address."""

    default_code = "too_many_connections"

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} Try again shortly.", retry_after=1, should_retry=True)

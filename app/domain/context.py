"""What comes with a request besides its body: who pays, how it is to be answered, and how long it is waited for."""

from msgspec import Struct
from pydantic import SecretStr

from app.domain.caller import ApiKey
from app.domain.words import Delivery


class RequestContext(Struct, frozen=True):
    """What comes with a request besides its body.

    `origin` is scheme://host[:port] as the caller sees it; `default_delivery` applies when it does not say.
    """

    request_id: str
    origin: str
    default_delivery: Delivery
    # In the context and not in the request: a header sets it, and it is part of the fingerprint (0063).
    strict: bool = False
    # Every row, queue and share is kept by this name; without API keys there is one for all.
    tenant: str = "anonymous"
    key: ApiKey | None = None
    """The key that pays, where it is one of the database."""
    runware_key: SecretStr | None = None
    """The caller's own key at Runware, where the gateway passes it on: it pays, whatever is known of it later."""
    idempotency_key: str | None = None
    retries: bool = False
    """The caller's client says that this is a retry."""
    wait: float | None = None
    """Seconds the caller waits, where it says."""
    client_request_id: str | None = None
    in_background: bool = False
    """The caller does not wait, but asks later."""
    # Mixed into the task ids, so that an expired key does not lead to its old image (0058).
    supersedes: tuple[str, ...] = ()
    """Earlier requests under the same key, so old that this is another one."""

    @property
    def is_repeatable(self) -> bool:
        """Whether the answer is likely to be asked for later."""
        return self.idempotency_key is not None or self.in_background

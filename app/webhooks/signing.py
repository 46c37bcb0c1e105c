"""Signs webhooks as Standard Webhooks says, with a secret of each API key's own. Pure.

Nothing is stored: a tenant's secret follows from the gateway's, and is the same on every replica.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence


class WebhookSecrets:
    """The secrets of each tenant; `derive` makes those for a purpose, the current one first."""

    def __init__(self, derive: Callable[[str], Sequence[bytes]]) -> None:
        self._derive = derive

    def of(self, tenant: str) -> Sequence[bytes]:
        """What signs: the secret, and those it replaced, so that receivers may change theirs at any time (0157)."""
        # Derived, so that there is no table of secrets to keep in step between replicas (0061).
        return self._derive(f"webhooks of {tenant}")

    def shown(self, tenant: str) -> str:
        """The secret as receivers are given it: `whsec_` and base64."""
        return f"whsec_{base64.b64encode(self.of(tenant)[0]).decode()}"


def signed_headers(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that let a receiver with any of these secrets trust `body`. `timestamp` is in unix seconds."""
    # Id and time are signed too, so that a receiver can refuse a repetition of an old message.
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    digests = [hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests),
    }

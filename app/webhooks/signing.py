"""Signs webhooks as Standard Webhooks says, with a secret of each API key's own. Pure.

Nothing is stored: a tenant's secret follows from the gateway's, and is the same on every replica.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable


class WebhookSecrets:
    """The secret of each tenant; `derive` makes 32 bytes out of a purpose."""

    def __init__(self, derive: Callable[[str], bytes]) -> None:
        self._derive = derive

    def of(self, tenant: str) -> bytes:
        """The bytes that sign."""
        # Derived, so that there is no table of secrets to keep in step between replicas (0061).
        return self._derive(f"webhooks of {tenant}")

    def shown(self, tenant: str) -> str:
        """The secret as receivers are given it: `whsec_` and base64."""
        return f"whsec_{base64.b64encode(self.of(tenant)).decode()}"


def signed_headers(secret: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that let a receiver trust `body`. `timestamp` is in unix seconds."""
    # Id and time are signed too, so that a receiver can refuse a repetition of an old message.
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signature = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }

"""Secrets for single purposes, out of the operator's own; also out of those it had before, while they are listed.

Nothing of them is stored: every process with the same settings derives the same.
"""

import hashlib
import hmac
from collections.abc import Sequence


def derive_secret(purpose: str, *material: str) -> bytes:
    """32 bytes for one purpose (HKDF with SHA-256, RFC 5869), the same on every process with this material."""
    # One secret for each purpose: a signature made for links is worth nothing for task ids or webhooks.
    extracted = hmac.new(b"spillway", "\x00".join(material).encode(), hashlib.sha256).digest()
    return hmac.new(extracted, purpose.encode() + b"\x01", hashlib.sha256).digest()


class Secrets:
    """What follows from the operator's secret and those it replaced, which are listed from the newest to the oldest."""

    def __init__(self, current: str, old: Sequence[str] = ()) -> None:
        # In this order, each once: in the first step of a rolling change the current one is listed as well.
        self._materials = tuple(dict.fromkeys((current, *old)))
        self._oldest = (current, *old)[-1]

    def every(self, purpose: str) -> tuple[bytes, ...]:
        """For what is signed with the first, and taken when any of them signed it."""
        return tuple(derive_secret(purpose, material) for material in self._materials)

    def lasting(self, purpose: str) -> bytes:
        """For names that must stay what they are when the secret is replaced: from the oldest that is listed."""
        # A new name for the same thing would buy it again, or hide what its owner has (0157).
        return derive_secret(purpose, self._oldest)

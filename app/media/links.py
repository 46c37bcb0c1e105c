"""Signed, expiring links to images this gateway hosts. Pure: time and secret are passed in."""

import base64
import hashlib
import hmac

_SIGNATURE_BYTES = 18


def derive_secret(purpose: str, *material: str) -> bytes:
    """32 bytes for one purpose (HKDF with SHA-256, RFC 5869), the same on every process with this material."""
    extracted = hmac.new(b"spillway", "\x00".join(material).encode(), hashlib.sha256).digest()
    return hmac.new(extracted, purpose.encode() + b"\x01", hashlib.sha256).digest()


def sign(secret: bytes, name: str, expires_at: int) -> str:
    """The signature of a link to `name` that ends at `expires_at` (unix seconds)."""
    digest = hmac.new(secret, f"{name}\x00{expires_at}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:_SIGNATURE_BYTES]).decode()


def verify(secret: bytes, name: str, expires_at: int, signature: str, now: float) -> bool:
    """Whether a link was signed here and has not ended."""
    expected = sign(secret, name, expires_at)
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")) and now < expires_at

"""Signed, expiring links to images this gateway hosts. Pure: time and secret are passed in."""

import base64
import hashlib
import hmac
import re
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

_SIGNATURE_BYTES = 18
_PATH = re.compile(r".*/media/([^/]+)")
_SECONDS = re.compile(r"[0-9]{1,12}")


class SignedLink(NamedTuple):
    """What a link says: a name, when it ends in unix seconds, and who says so."""

    name: str
    expires_at: int
    signature: str


def derive_secret(purpose: str, *material: str) -> bytes:
    """32 bytes for one purpose (HKDF with SHA-256, RFC 5869), the same on every process with this material."""
    # One secret for each purpose: a signature made for links is worth nothing for task ids or webhooks.
    extracted = hmac.new(b"spillway", "\x00".join(material).encode(), hashlib.sha256).digest()
    return hmac.new(extracted, purpose.encode() + b"\x01", hashlib.sha256).digest()


def sign(secret: bytes, name: str, expires_at: int) -> str:
    """The signature of a link to `name` that ends at `expires_at` (unix seconds)."""
    digest = hmac.new(secret, f"{name}\x00{expires_at}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:_SIGNATURE_BYTES]).decode()


def verify(secret: bytes, name: str, expires_at: int, signature: str, now: float) -> bool:
    """Whether a link was signed here and has not ended."""
    expected = sign(secret, name, expires_at)
    # Constant time; and first the signature, so that an expired link says nothing about names.
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")) and now < expires_at


def parse_link(url: str) -> SignedLink | None:
    """A link of the form this gateway makes, on whatever host; only its signature says whether it is one."""
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
    except ValueError:
        return None
    # By form only: the gateway may be reached under several names, and behind a proxy under none it knows.
    path = _PATH.fullmatch(parts.path)
    expires, signature = query.get("expires", [""])[0], query.get("signature", [""])[0]
    if path is None or not signature or not _SECONDS.fullmatch(expires):
        return None
    return SignedLink(path[1], int(expires), signature)

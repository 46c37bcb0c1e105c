"""Signed, expiring links to images this gateway hosts. Pure: time and secrets are passed in."""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from app.media.errors import LinkEndedError, LinkForgedError

MEDIA_PATH = "/v1/media/"
"""Where links begin below the origin."""
_SIGNATURE_BYTES = 18
_PATH = re.compile(r".*/media/([^/]+)")
_SECONDS = re.compile(r"[0-9]{1,12}")


class SignedLink(NamedTuple):
    """What a link says: a name, when it ends in unix seconds, and who says so."""

    name: str
    expires_at: int
    signature: str

    @property
    def path(self) -> str:
        """The link below the origin."""
        return f"{MEDIA_PATH}{self.name}?expires={self.expires_at}&signature={self.signature}"


class LinkSigner:
    """Signs with the first of its secrets, and takes links that any of them signed."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = tuple(secrets)

    def sign(self, name: str, expires_at: int) -> SignedLink:
        """A link to `name` that ends at `expires_at` (unix seconds)."""
        return SignedLink(name, expires_at, _signature(self._secrets[0], name, expires_at))

    def is_ours(self, link: SignedLink) -> bool:
        """Whether a link was signed here, ended or not."""
        given = link.signature.encode("utf-8", "replace")
        expected = [_signature(secret, link.name, link.expires_at).encode() for secret in self._secrets]
        # In constant time, and all of them: how long it takes tells nothing of a secret.
        matches = [hmac.compare_digest(one, given) for one in expected]
        return any(matches)

    def check(self, link: SignedLink, now: float) -> None:
        """Raise LinkForgedError for a link that was not signed here, LinkEndedError for one that has ended."""
        # First the signature, so that an ended link that was made up says nothing about names.
        if not self.is_ours(link):
            raise LinkForgedError
        if now >= link.expires_at:
            raise LinkEndedError


def parse_link(url: str) -> SignedLink | None:
    """A link of the form this gateway makes, on whatever host; only its signature says whether it is one."""
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
    except ValueError:
        return None
    # By form only: the gateway may be reached under several names, and behind a proxy under none it knows.
    path = _PATH.fullmatch(parts.path)
    return None if path is None else read_link(path[1], query.get("expires", [""])[0], query.get("signature", [""])[0])


def read_link(name: str, expires: str, signature: str) -> SignedLink | None:
    """A link of its parts as they are written; None where they are no link's."""
    return SignedLink(name, int(expires), signature) if signature and _SECONDS.fullmatch(expires) else None


def _signature(secret: bytes, name: str, expires_at: int) -> str:
    digest = hmac.new(secret, f"{name}\x00{expires_at}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:_SIGNATURE_BYTES]).decode()

"""Who may call: keys are compared by their SHA-256, and never kept, logged or shown."""

import hashlib
from collections.abc import Iterable, Mapping

from app.errors import AuthenticationError

ANONYMOUS = "anonymous"


class Authenticator:
    """The keys of this gateway. Without any, everybody may call."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = frozenset(_digest(key) for key in keys)

    def check(self, headers: Mapping[str, str]) -> str:
        """A stable name for the caller's key, raising AuthenticationError without a valid one.

        The key comes as `Authorization: Bearer KEY`, or as `api-key: KEY` from Azure's flavor of the SDKs.
        """
        if not self._digests:
            return ANONYMOUS
        scheme, _, token = headers.get("authorization", "").partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else headers.get("api-key", "").strip()
        if not key:
            raise AuthenticationError("No API key was given: send the header Authorization: Bearer YOUR_KEY.")
        digest = _digest(key)
        if digest not in self._digests:
            raise AuthenticationError("This API key is not valid here. Check the key with this gateway's operator.")
        return digest[:16]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()

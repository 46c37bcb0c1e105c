"""Who may call: keys are compared by their SHA-256, and never kept, logged or shown."""

import hashlib
from collections.abc import Iterable, Mapping

from app.domain.caller import ANONYMOUS, Caller
from app.errors import AuthenticationError


class Authenticator:
    """The keys of this gateway. Without any, everybody may call."""

    def __init__(self, keys: Iterable[str]) -> None:
        # A name for logs and rows from which nobody gets back to the key.
        self._callers = {digest: Caller(digest[:16]) for digest in map(_digest, keys)}

    def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Whose key is sent, raising AuthenticationError without a valid one.

        The key comes as `Authorization: Bearer KEY`, as `api-key: KEY` from Azure's flavor of the SDKs, or as
        `x-api-key: KEY`. Where several are sent, one that is valid is enough: SDKs insist on a key of their own.
        """
        if not self._callers:
            return ANONYMOUS
        keys = _keys_in(headers)
        if not keys:
            raise AuthenticationError("No API key was given: send the header Authorization: Bearer YOUR_KEY.")
        # Digests are compared, not keys: how long the comparison takes says nothing about a key.
        for digest in map(_digest, keys):
            if digest in self._callers:
                return self._callers[digest]
        raise AuthenticationError("This API key is not valid here. Check the key with this gateway's operator.")


def _keys_in(headers: Mapping[str, str]) -> list[str]:
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    bearer = token if scheme.lower() == "bearer" else ""
    given = (bearer, headers.get("api-key", ""), headers.get("x-api-key", ""))
    return [key.strip() for key in given if key.strip()]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()

"""Who may call: the keys of the settings, which need no database, and those of the database.

Digests are compared, in constant time; keys are never kept, logged or shown. What is wrong with a key is said only to
who has it: to everybody else it is not valid.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from hmac import compare_digest
from typing import NamedTuple, Protocol

from app.access.key_cache import KeyCache, KnownKey
from app.access.key_facts import show_time
from app.access.key_format import PREFIX, digest_of, id_in
from app.access.key_store import StoredKey
from app.access.key_uses import KeyUses
from app.domain.caller import ANONYMOUS, Caller
from app.errors import AuthenticationError
from app.settings.named_keys import NamedKey

_MOST_DIGESTS = 10_000
_MISSING = "No API key was given: send the header Authorization: Bearer YOUR_KEY."
_UNKNOWN = "This API key is not valid here. Check the key with this gateway's operator."
_MISTYPED = "This API key was not copied as it is: its checksum is wrong. Copy the whole key again."


class Authenticator(Protocol):
    """Says who calls."""

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Whose key is sent, raising AuthenticationError without a valid one."""
        ...


class _Opened(NamedTuple):
    """A key of the database that a secret opened, as it was read, and until when nothing is wrong with that."""

    known: KnownKey
    until: float


class KeyAuthenticator:
    """The keys of this gateway. Without any, in settings or database, everybody may call.

    `clock` is unix seconds. Without `cache` and `uses` there are no keys but those of the settings.
    """

    def __init__(
        self,
        keys: Iterable[NamedKey],
        admin_keys: Iterable[NamedKey] = (),
        *,
        cache: KeyCache | None = None,
        uses: KeyUses | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # Administrators last: a key that stands in both settings is theirs.
        listed = [(key, False) for key in keys] + [(key, True) for key in admin_keys]
        self._callers = dict(_to_caller(key, is_admin=is_admin) for key, is_admin in listed)
        self._cache = cache
        self._uses = uses
        self._clock = clock
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        """By digest, so that a key in use is not taken apart and judged for each request."""

    @property
    def names(self) -> dict[str, str]:
        """What the operator calls the keys of the settings, by tenant; those that have a name."""
        return {caller.tenant: caller.name for caller in self._callers.values() if caller.name}

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Whose key is sent, raising AuthenticationError without a valid one.

        The key comes as `Authorization: Bearer KEY`, as `api-key: KEY` from Azure's flavor of the SDKs, or as
        `x-api-key: KEY`. Where several are sent, one that is valid is enough: SDKs insist on a key of their own.
        """
        refusal: str | None = None
        bearer = _bearer_in(headers)
        if bearer:  # most send no other: where it is valid, no other is looked for
            found = await self._judge(bearer)
            if isinstance(found, Caller):
                return found
            refusal = found
        for key in _others_in(headers):
            found = await self._judge(key)
            if isinstance(found, Caller):
                return found
            # Of several keys, what is known of one says more than that another is not valid.
            refusal = found if refusal in {None, _UNKNOWN} else refusal
        if not self._callers and (self._cache is None or not await self._cache.has_keys()):
            return ANONYMOUS
        raise AuthenticationError(refusal or _MISSING)

    def find_listed(self, key: str) -> Caller | None:
        """Whose key it is, where it stands in the settings."""
        return self._callers.get(digest_of(key))

    async def _judge(self, key: str) -> Caller | str:
        """Whose key it is, or why it opens nothing."""
        digest = digest_of(key)
        caller = self._callers.get(digest)
        if caller is not None:
            return caller
        opened = self._opened.get(digest)
        key_id = id_in(key) if opened is None else opened.known.stored.key.id
        if key_id is None or self._cache is None:
            return _MISTYPED if key.startswith(PREFIX) else _UNKNOWN
        known, now = await self._cache.find(key_id), self._clock()
        # What was read anew is judged anew.
        if opened is None or opened.known is not known or now >= opened.until:
            if known is None or not _opens(known.stored, digest):
                return _UNKNOWN
            fault = _fault_of(known.stored, digest, now)
            if fault is not None:
                return fault
            self._remember(digest, _Opened(known, _end_of(known.stored, digest)))
        if self._uses is not None:
            self._uses.note(key_id)
        return known.caller

    def _remember(self, digest: str, opened: _Opened) -> None:
        self._opened[digest] = opened
        if len(self._opened) > _MOST_DIGESTS:
            self._opened.popitem(last=False)


def _to_caller(named: NamedKey, *, is_admin: bool) -> tuple[str, Caller]:
    digest = digest_of(named.key.get_secret_value())
    # The tenant is a name for logs and rows from which nobody gets back to the key; it stays when the key gets a name.
    return digest, Caller(digest[:16], named.name, is_admin)


def _opens(stored: StoredKey, digest: str) -> bool:
    """Whether it is the secret of this key, or was before it was rotated."""
    # Both are compared, and in constant time: how long it takes says nothing about a digest.
    is_current = compare_digest(stored.digest, digest)
    return compare_digest(stored.previous_digest or "", digest) or is_current


def _fault_of(stored: StoredKey, digest: str, now: float) -> str | None:
    """Why who has the right secret may not call any more."""
    key = stored.key
    if key.revoked_at is not None:
        return f"This API key was revoked on {show_time(key.revoked_at)}. Use another key."
    if digest != stored.digest and now >= (stored.previous_until or 0):
        return f"This API key was replaced, and ended on {show_time(stored.previous_until or 0)}. Use the new one."
    if key.expires_at is not None and now >= key.expires_at:
        return f"This API key expired on {show_time(key.expires_at)}. Ask this gateway's operator for another one."
    return None


def _end_of(stored: StoredKey, digest: str) -> float:
    """Until when nothing is wrong with a secret that opens the key now, as long as nobody changes the key."""
    ends = [stored.key.expires_at, None if digest == stored.digest else stored.previous_until]
    return min((end for end in ends if end is not None), default=float("inf"))


def keys_in(headers: Mapping[str, str]) -> list[str]:
    """The keys that came with a request, in the order in which they count."""
    bearer, others = _bearer_in(headers), _others_in(headers)
    return [bearer, *others] if bearer else others


def _bearer_in(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _others_in(headers: Mapping[str, str]) -> list[str]:
    given = (headers.get("api-key", "").strip(), headers.get("x-api-key", "").strip())
    return [key for key in given if key]

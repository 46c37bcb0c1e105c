"""The keys that tasks are paid with at Runware: the gateway's own, or the one of whoever a request belongs to.

Owns the seam only. What sends a task is handed its key, and nobody below this looks one up; which keys of callers are
known here, and for how long, is for `access.passthrough`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

CALLERS_PREFIX = "rw_"
"""Of the names of tenants whose tasks are paid with keys of their own."""


@dataclass(frozen=True, slots=True)
class RunwareKey:
    """A key of an account at Runware."""

    secret: SecretStr
    is_callers: bool = False
    """It came with the request: that Runware refuses it is the caller's to know, and no fault of this gateway."""


class Keys(Protocol):
    """Says which key pays."""

    def key_of(self, tenant: str) -> RunwareKey | None:
        """The key that pays for what this tenant asks for; None while it is not known here."""
        ...

    def prove(self, tenant: str) -> None:
        """Runware has taken this tenant's key."""
        ...

    def await_callers(self, tenants: frozenset[str], wake: Callable[[], None]) -> None:
        """These have open requests that nobody can ask for without their keys; `wake` when one comes."""
        ...


class OwnKey:
    """The gateway's own key pays for everybody."""

    def __init__(self, secret: SecretStr) -> None:
        self._key = RunwareKey(secret)

    def key_of(self, tenant: str) -> RunwareKey | None:
        """See Keys."""
        # Another account bought these, while this gateway passed keys on: under ours Runware has never heard of them,
        # and they would count as never sent (0136).
        return None if tenant.startswith(CALLERS_PREFIX) else self._key

    def prove(self, tenant: str) -> None:
        """Nothing depends on it."""

    def await_callers(self, tenants: frozenset[str], wake: Callable[[], None]) -> None:
        """No key comes with a caller."""

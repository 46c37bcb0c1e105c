"""Values that no line may show: those of the settings, and keys of callers for as long as anything here holds one.

Owns finding them in a text. Leaves when a text is looked through to `logs`, and what is held to whoever holds it.
"""

import re
from collections.abc import Iterable
from weakref import WeakValueDictionary

from pydantic import SecretStr

REDACTED = "[redacted]"
SHORTEST_HELD = 16
"""Characters; words of a line are rarely so long, and a caller whose key were `error` would blacken all errors."""
_KEY_BEGINS = "sk-spw-"
_KEYS = re.compile(rf"{_KEY_BEGINS}[\w-]+")
"""Keys of the database, whose values nobody here knows (0116)."""
_RUN = re.compile(r"[A-Za-z0-9._~+/=-]{16,}")
"""Where a held value may stand: keys of callers are bearer tokens (RFC 6750)."""


class HiddenValues:
    """The values to hide; `fixed` are there for good."""

    def __init__(self, fixed: Iterable[str] = ()) -> None:
        self._fixed = tuple(value for value in fixed if value)
        # Weak: whoever holds a key keeps it hidden, and with its last holder it is gone from memory as well.
        self._held: WeakValueDictionary[str, SecretStr] = WeakValueDictionary()
        self._lengths: tuple[int, ...] = ()

    def hold(self, value: str) -> SecretStr:
        """`value`, hidden for as long as anybody has what is returned."""
        known = self._held.get(value)
        if known is None:
            known = self._held[value] = SecretStr(value)
            # Replaced, not changed: lines are written in other threads too.
            self._lengths = tuple({*self._lengths, len(value)})
        return known

    def clean(self, text: str) -> str:
        """The text without any of them."""
        # First: a secret so short that it stands in the beginning of a key would hide from us that it is one.
        if _KEY_BEGINS in text:
            text = _KEYS.sub(REDACTED, text)
        for value in self._fixed:
            text = text.replace(value, REDACTED)
        # By windows, not by values: how long it takes does not grow with the number of callers.
        return _RUN.sub(self._blacken, text) if self._held else text

    def _blacken(self, run: re.Match[str]) -> str:
        text = run[0]
        found = {
            text[start : start + length]
            for length in self._lengths
            for start in range(len(text) - length + 1)
            if text[start : start + length] in self._held
        }
        for value in found:
            text = text.replace(value, REDACTED)
        return text

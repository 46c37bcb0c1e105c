"""What is worth remembering, within a bound: callers choose the keys."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Memory(Generic[_K, _V]):
    """The last `size` values by their keys. Usable from several threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[_K, _V] = {}
        self._lock = threading.Lock()
        # The dictionary's own method: what is remembered stands on the hot path.
        self.find: Callable[[_K], _V | None] = self._values.get
        """The value of a key, None where there is none."""

    def take(self, key: _K) -> _V | None:
        """The value of a key, which is forgotten then; None where there is none."""
        with self._lock:
            return self._values.pop(key, None)

    def keep(self, key: _K, value: _V) -> None:
        """Remember a value, and forget the one that was kept first where there are too many."""
        with self._lock:
            if len(self._values) >= self._size and key not in self._values:
                del self._values[next(iter(self._values))]
            self._values[key] = value

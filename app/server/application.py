"""The application on its way into a server process."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from starlette.types import ASGIApp


@dataclass(frozen=True, slots=True)
class PackedApplication:
    """Makes the application from what was read once for all processes.

    Packed until it is called: unpacking loads the whole gateway, and a process that is not there before counts as dead.
    """

    packed: bytes

    @classmethod
    def of(cls, make: Callable[[], ASGIApp]) -> "PackedApplication":
        """For `make`, which must be a value of a class at the top of its module."""
        return cls(pickle.dumps(make))

    def __call__(self) -> ASGIApp:
        """The application."""
        # From our own process, over a pipe nobody else has.
        return cast("Callable[[], ASGIApp]", pickle.loads(self.packed))()  # noqa: S301

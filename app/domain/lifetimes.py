"""How long images stay. Frozen values without behavior beyond their sums."""

from msgspec import Struct


class Lifetimes(Struct, frozen=True):
    """How long images of a request are here, in seconds: behind their links, and to be asked for again."""

    link: int
    result: int

    @property
    def longest(self) -> int:
        """How long an image stays whose link may be asked for again."""
        return max(self.link, self.result)

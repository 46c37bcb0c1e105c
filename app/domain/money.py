"""Money as whole nano-dollars, the unit of every table, and as exact dollars everywhere else."""

from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

PLACES = 9
"""Digits behind the point that the tables keep. Runware names costs with up to six."""
_NANO = Decimal(1).scaleb(-PLACES)
_MOST_NANOS = 10**15
"""A million dollars for one request: what is more was not written here, and a few of it would overflow a sum."""


@lru_cache(maxsize=1024)
def to_nanos(dollars: Decimal) -> int:
    """The nano-dollars of an amount; what is smaller than one is rounded."""
    # Remembered: a model has few prices, and each request asks several times.
    return int(dollars.quantize(_NANO, ROUND_HALF_EVEN).scaleb(PLACES))


def from_nanos(nanos: int) -> Decimal:
    """The dollars of nano-dollars, without trailing zeros or an exponent."""
    whole, rest = divmod(nanos, 10**PLACES)
    if not rest:
        return Decimal(whole)
    return Decimal(nanos).scaleb(-PLACES).normalize()


def read_nanos(value: object) -> int | None:
    """The nano-dollars in a column, None where it is empty or holds nothing that can be money."""
    # SQLite keeps whatever was written into a column, a text or a fraction too.
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MOST_NANOS else None

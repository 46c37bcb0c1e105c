"""Money as whole nano-dollars, the unit of every table, and as exact dollars everywhere else."""

from decimal import ROUND_HALF_EVEN, Decimal

PLACES = 9
"""Digits behind the point that the tables keep. Runware names costs with up to six."""
_NANO = Decimal(1).scaleb(-PLACES)


def to_nanos(dollars: Decimal) -> int:
    """The nano-dollars of an amount; what is smaller than one is rounded."""
    return int(dollars.quantize(_NANO, ROUND_HALF_EVEN).scaleb(PLACES))


def from_nanos(nanos: int) -> Decimal:
    """The dollars of nano-dollars, without trailing zeros or an exponent."""
    whole, rest = divmod(nanos, 10**PLACES)
    if not rest:
        return Decimal(whole)
    return Decimal(nanos).scaleb(-PLACES).normalize()

"""Money as the tables hold it: exact dollars in text. Pure; what cannot be read as money is unknown, never an error."""

from decimal import Decimal, InvalidOperation

LONGEST_MONEY = 40
"""Characters of the columns."""


def write_money(amount: Decimal | None) -> str | None:
    """The text of an amount, None for an unknown one."""
    # Never in exponent form, which comparisons in SQL and other readers would take for another amount.
    return None if amount is None else format(amount, "f")


def read_money(text: object) -> Decimal | None:
    """The amount in a column, None where it is empty or holds nothing that can be money."""
    if not isinstance(text, str) or len(text) > LONGEST_MONEY:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    # An exponent makes a short text a number beyond any sum; what is written here has none.
    return amount if amount.is_finite() and amount >= 0 and "e" not in text.lower() else None

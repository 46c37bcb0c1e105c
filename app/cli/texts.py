"""Values of answers as they are printed for a person at a terminal."""

from datetime import datetime
from decimal import Decimal

_LONGEST = 48


def plain(value: object) -> str:
    """A text of somebody else's in one short line: its characters cannot move the cursor or clear the screen."""
    shown = whole("-" if value is None else str(value)[: _LONGEST + 1])
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def whole(text: str) -> str:
    """A text of somebody else's in one line, however long."""
    # A caller chooses its `user`; what it writes must not be a command to the terminal of the operator (0132).
    return "".join(one if one.isprintable() else "\ufffd" for one in text)


def show_time(seconds: int | None, *, brief: bool = False) -> str:
    """A moment in this machine's time, empty for an unknown one."""
    form = "%m-%d %H:%M" if brief else "%Y-%m-%d %H:%M:%S"
    return "" if seconds is None else datetime.fromtimestamp(seconds).astimezone().strftime(form)


def show_money(dollars: object) -> str:
    """An amount with all its digits, at least two behind the point; `?` for an unknown one."""
    if dollars is None:
        return "?"
    amount = Decimal(str(dollars))
    return format(amount if int(str(amount.as_tuple().exponent)) <= -2 else amount.quantize(Decimal("0.01")), "f")  # noqa: PLR2004 - cents


def show_seconds(seconds: object) -> str:
    """A duration, empty for an unknown one."""
    return "" if seconds is None else f"{float(str(seconds)):.1f} s"

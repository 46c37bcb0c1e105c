"""Finds a field whose name is misspelled before anything is sent. Pure.

Fields nobody knows pass to the provider, since lists age. But a name one slip away from a known field, when no model of
the family has such a name, was meant for that field: passed on, it would be refused there or, worse, do nothing.
"""

from collections.abc import Collection, Iterable

from app.errors import InvalidRequestError

_MAX_NAMES = 16
_SHORTEST, _LONGEST = 3, 40
_TWO_SLIPS = 10
"""Names of this many letters may have two letters wrong."""


def refuse_misspelled(given: Collection[str], own: Collection[str], family: Collection[str], model: str) -> None:
    """Raise InvalidRequestError for the first of the `given` fields that is almost a known one.

    `own` are the gateway's fields, `family` those of models of one maker. What is given too was not meant.
    """
    unknown = [name for name in sorted(given) if name not in family and name not in own]
    known = [name for name in (*sorted(own), *sorted(family)) if name not in given] if unknown else []
    # Bounded: each name is compared with some hundred others, and a body may hold thousands of names.
    for name in unknown[:_MAX_NAMES]:
        meant = _find_meant(name, known)
        if meant is not None:
            message = f"`{name}` is no field of {model}. Did you mean `{meant}`?"
            raise InvalidRequestError(message, param=name, code="unknown_parameter")


def _find_meant(name: str, known: Iterable[str]) -> str | None:
    """The first of the known names that is nearest to `name`, None where all are far."""
    letters = _letters_of(name)
    # Of two letters one slip is half: nearly every short name would be near to another.
    if not _SHORTEST <= len(letters) <= _LONGEST:
        return None
    limit = 2 if len(letters) >= _TWO_SLIPS else 1
    best, meant = limit + 1, None
    for candidate in known:
        slips = _count_slips(letters, _letters_of(candidate), best)
        if slips < best:
            best, meant = slips, candidate
    return meant


def _letters_of(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _count_slips(first: str, second: str, limit: int) -> int:
    """How many letters are wrong, missing, too many or swapped with the next; `limit` stands for any more."""
    if abs(len(first) - len(second)) >= limit:
        return limit
    before: list[int] = []
    last = list(range(len(second) + 1))
    for row, letter in enumerate(first, 1):
        current = [row]
        for column, other in enumerate(second, 1):
            cost = min(last[column] + 1, current[-1] + 1, last[column - 1] + (letter != other))
            swapped = row > 1 and column > 1 and letter == second[column - 2] and first[row - 2] == other
            current.append(min(cost, before[column - 2] + 1) if swapped else cost)
        before, last = last, current
        # No later row can be better than the best of this one.
        if min(last) >= limit:
            return limit
    return last[-1]

"""A field that is dropped, and what an adjustment may repeat of its value (0056). Pure.

What is adjusted, and in which words, is said by the aspect that decides it.
"""

from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.words import JSONValue

_LONGEST_SHOWN = 64


def dropped(param: str, requested: JSONValue, reason: str) -> Adjustment:
    """The adjustment of a field that the model has no equivalent for."""
    return Adjustment(param, _shown(param, requested), None, AdjustmentMode.DROPPED, reason)


# Adjustments stand in headers and in the journal, where no prompt, address or image may be (0056).
def _shown(param: str, value: JSONValue) -> JSONValue:
    """A value as adjustments repeat it: None for prompts, addresses, images and whatever is long."""
    return None if _is_private(param) or not _may_be_shown(value) else value


def _is_private(name: str) -> bool:
    # By the ending, not by a list: a prompt under a name to come must not get into a log.
    return name == "apiKey" or name.lower().endswith("prompt")


def _may_be_shown(value: JSONValue) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_SHOWN and "//" not in value
    if isinstance(value, dict):
        return all(not _is_private(name) and _may_be_shown(inner) for name, inner in value.items())
    return not isinstance(value, list) or all(_may_be_shown(inner) for inner in value)

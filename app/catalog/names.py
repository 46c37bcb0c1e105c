"""How names are compared when they are not the same: spellings that mean one thing, and what somebody may have meant.

Pure. Which models there are is `registry`'s.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

_SEPARATORS = re.compile(r"[._\-\s]+")
_MAX_COMPARED_CHARS = 64
# Shorter ones begin half of all names.
_SHORTEST_BEGINNING = 4
_MAX_SPELLINGS = 3
# From here on two names look alike: `dall-e-4` and `dall-e-3` do, `gpt-5` and `gpt-image-1.5` do not.
_NEAR = 0.75


def loosen(name: str) -> str:
    """The name without regard to dots, dashes, underscores, spaces and case."""
    return _SEPARATORS.sub("", name).lower()


def without_vendors(name: str) -> list[str]:
    """The name, then what follows each slash in it: other gateways put vendors before the names of models."""
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def find_nearest(asked: str, names: Mapping[str, str], preferred: Iterable[str], limit: int) -> tuple[str, ...]:
    """The names most like `asked`, one for each model, those of preferred models first; none that is far from it.

    `names` leads from each name to its model's id; `preferred` are ids.
    """
    spellings = [loosen(spelled.replace("/", "")) for spelled in without_vendors(asked[:_MAX_COMPARED_CHARS])]
    wanted = [spelled for spelled in spellings if len(spelled) >= _SHORTEST_BEGINNING][-_MAX_SPELLINGS:]
    # One matcher for each spelling: it prepares its second text once, and there are hundreds of names.
    matchers = {spelled: SequenceMatcher(None, "", spelled, autojunk=False) for spelled in wanted}
    best: dict[str, tuple[float, str]] = {}
    for name, model in names.items():
        loose = loosen(name)
        score = max((_score(matcher, spelled, loose) for spelled, matcher in matchers.items()), default=0.0)
        if score >= _NEAR and score > best.get(model, (0.0, ""))[0]:
            best[model] = (score, name)
    # Default models first: they are known to work here.
    favorites = set(preferred)
    order = sorted(best.items(), key=lambda item: (item[0] not in favorites, -item[1][0], len(item[1][1])))
    return tuple(name for _, (_, name) in order[:limit])


def _score(matcher: "SequenceMatcher[str]", wanted: str, name: str) -> float:
    """How alike two loosened names are, from 0 to 1; one that begins with all of the other is near."""
    if name.startswith(wanted):
        return _NEAR + (1 - _NEAR) * len(wanted) / len(name)
    matcher.set_seq1(name)
    # Upper bounds first: they cost little, and rule out nearly every name.
    if matcher.real_quick_ratio() < _NEAR or matcher.quick_ratio() < _NEAR:
        return 0.0
    return matcher.ratio()

"""Evaluates the part of PromQL that our alerts use, on scrapes with their times, and what becomes of a rule over time.

Selectors with matchers, `rate` and `increase`, `sum`, `max` and `min` with `by`, `histogram_quantile`, division,
comparison with a number; anything else is a SyntaxError. As in Prometheus a counter that is new has not grown, and
growth is carried on to the ends of its range, no further than half a scrape beyond what was seen, nor below zero.
"""

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tests.support.scraping import Scrape

Labels = frozenset[tuple[str, str]]
Vector = Mapping[Labels, float]
_TOKEN = re.compile(
    r'\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_:][\w:]*)|("(?:[^"\\]|\\.)*")|(\[\d+[smhd]\])|(=~|!~|!=|==|[-+*/(){},=<>]))'
)


def tokens_of(text: str) -> list[str]:
    """An expression in pieces."""
    found, place = [], 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None:
            raise SyntaxError(text[place:])
        found.append(match.group().strip())
        place = match.end()
    return found


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_STALE_SECONDS = 300.0
"""As long as the last scrape counts as what is there now."""
_EDGE = 1.1
"""A range that begins, or ends, within so many times the usual pause is taken to be covered."""


def seconds_of(text: str) -> float:
    """A duration such as `5m`."""
    return float(text[:-1]) * _UNITS[text[-1]]


@dataclass(frozen=True)
class Seen:
    """What was scraped at a moment."""

    at: float
    scrape: Scrape


@dataclass(frozen=True)
class Selector:
    """What an expression asks for."""

    name: str
    labels: tuple[str, ...]


def selectors_of(text: str) -> list[Selector]:
    """Every metric an expression names, with the labels that are asked of it."""
    text = re.sub(r"\[\$__\w+\]", "[5m]", text)
    found = []
    for name, matchers in re.findall(r"\b((?:spillway_\w+)|up)\b(?:\{([^}]*)\})?", text):
        labels = tuple(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        found.append(Selector(name, labels))
    return found


def grouped_labels_of(text: str) -> set[str]:
    """The labels an expression groups by."""
    return {label.strip() for group in re.findall(r"by \(([^)]*)\)", text) for label in group.split(",")}


class Evaluator:
    """Evaluates one expression at the moment of the last of these scrapes."""

    def __init__(self, text: str, history: Sequence[Seen]) -> None:
        self._tokens = tokens_of(text)
        self._history = history
        self._now = history[-1].at

    def fires(self) -> bool:
        """Whether anything is left of it."""
        found = self._comparison()
        if self._tokens:
            raise SyntaxError(self._tokens[0])
        return bool(found)

    def _take(self, *expected: str) -> str:
        token = self._tokens.pop(0)
        if expected and token not in expected:
            raise SyntaxError(token)
        return token

    def _next_is(self, *expected: str) -> bool:
        return bool(self._tokens) and self._tokens[0] in expected

    def _comparison(self) -> Vector:
        left = self._quotient()
        if not self._next_is(">", "<", "=="):
            return left
        compare: Callable[[float, float], bool] = {
            ">": lambda a, b: a > b, "<": lambda a, b: a < b, "==": lambda a, b: a == b,
        }[self._take()]  # fmt: skip
        bound = float(self._take())
        return {labels: value for labels, value in left.items() if compare(value, bound)}

    def _quotient(self) -> Vector:
        left = self._term()
        while self._next_is("/"):
            self._take()
            right = self._term()
            # As Prometheus: nothing over nothing is not a number, and compares with nothing.
            left = {one: left[one] / right[one] if right[one] else math.nan for one in left if one in right}
        return left

    def _term(self) -> Vector:
        word = self._take()
        if word in {"sum", "max", "min"}:
            return self._aggregate({"sum": sum, "max": max, "min": min}[word])
        if word in {"rate", "increase"}:
            self._take("(")
            name, matchers = self._take(), self._matchers()
            seconds = seconds_of(self._take()[1:-1])
            self._take(")")
            grown = self._grown(name, matchers, seconds)
            return {one: value / (seconds if word == "rate" else 1) for one, value in grown.items()}
        if word == "histogram_quantile":
            self._take("(")
            share = float(self._take())
            self._take(",")
            found = self._comparison()
            self._take(")")
            return _quantiles(share, found)
        return self._instant(word, self._matchers())

    def _aggregate(self, combine: Callable[[list[float]], float]) -> Vector:
        by: set[str] = set()
        if self._next_is("by"):
            self._take("by")
            self._take("(")
            while not self._next_is(")"):
                by.add(self._take())
                if self._next_is(","):
                    self._take()
            self._take(")")
        self._take("(")
        found = self._comparison()
        self._take(")")
        groups: dict[Labels, list[float]] = {}
        for labels, value in found.items():
            groups.setdefault(frozenset(one for one in labels if one[0] in by), []).append(value)
        return {labels: combine(values) for labels, values in groups.items()}

    def _instant(self, name: str, matchers: "Sequence[Matcher]") -> Vector:
        last = self._history[-1]
        return dict(_chosen(last.scrape, name, matchers)) if self._now - last.at < _STALE_SECONDS else {}

    def _grown(self, name: str, matchers: "Sequence[Matcher]", seconds: float) -> Vector:
        series: dict[Labels, list[tuple[float, float]]] = {}
        for one in self._history:
            if self._now - seconds < one.at <= self._now:
                for labels, value in _chosen(one.scrape, name, matchers).items():
                    series.setdefault(labels, []).append((one.at, value))
        begin = self._now - seconds
        return {labels: _increase(seen, begin, self._now) for labels, seen in series.items() if len(seen) > 1}

    def _matchers(self) -> "list[Matcher]":
        found: list[Matcher] = []
        if not self._next_is("{"):
            return found
        self._take("{")
        while not self._next_is("}"):
            found.append(Matcher(self._take(), self._take("=", "!=", "=~", "!~"), self._take()[1:-1]))
            if self._next_is(","):
                self._take()
        self._take("}")
        return found


@dataclass(frozen=True)
class Matcher:
    """What a selector wants of a label."""

    label: str
    kind: str
    value: str

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels have it."""
        has = labels.get(self.label, "")
        found = bool(re.fullmatch(self.value, has)) if self.kind.endswith("~") else has == self.value
        return found != self.kind.startswith("!")


def _chosen(scrape: Scrape, name: str, matchers: Sequence[Matcher]) -> Vector:
    return {
        labels: value
        for (of, labels), value in scrape.samples.items()
        if of == name and all(one.fits(dict(labels)) for one in matchers)
    }


def _increase(seen: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    (first_at, first), (last_at, last) = seen[0], seen[-1]
    # A counter that fell began at zero again.
    resets = sum(before for (_, before), (_, after) in itertools.pairwise(seen) if after < before)
    grown, pause = last - first + resets, (last_at - first_at) / (len(seen) - 1)
    before, after = first_at - begin, end - last_at
    if grown > 0:  # carried on downwards no further than to zero
        before = min(before, (last_at - first_at) * first / grown)
    before = before if before < _EDGE * pause else pause / 2
    after = after if after < _EDGE * pause else pause / 2
    return grown * (last_at - first_at + before + after) / (last_at - first_at)


class State(Enum):
    """What a rule is."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


def states(expression: str, lasting: str, history: Sequence[Seen]) -> list[State]:
    """What a rule is after each of these scrapes: firing when it held for all of its `for`."""
    found, since = [], math.inf
    for count, one in enumerate(history, 1):
        holds = Evaluator(expression, history[:count]).fires()
        since = min(since, one.at) if holds else math.inf
        waited = one.at - since
        if not holds:
            found.append(State.INACTIVE)
        else:
            found.append(State.FIRING if waited >= seconds_of(lasting) else State.PENDING)
    return found


def _quantiles(share: float, found: Vector) -> Vector:
    groups: dict[Labels, dict[float, float]] = {}
    for labels, value in found.items():
        rest = frozenset(one for one in labels if one[0] != "le")
        groups.setdefault(rest, {})[float(dict(labels)["le"])] = value
    return {rest: _quantile(share, sorted(buckets.items())) for rest, buckets in groups.items()}


def _quantile(share: float, buckets: list[tuple[float, float]]) -> float:
    total = buckets[-1][1]
    if not total:
        return math.nan
    lower = seen_before = 0.0
    for bound, count in buckets:
        if count >= share * total:
            if bound == math.inf:
                return lower
            return lower + (bound - lower) * (share * total - seen_before) / max(count - seen_before, 1e-9)
        lower, seen_before = bound, count
    return lower

"""Evaluates the part of PromQL that our alerts use, on two scrapes of which the later one is `seconds` younger.

Selectors with matchers, `rate` and `increase`, `sum`, `max` and `min` with `by`, `histogram_quantile`, division,
comparison with a number. A range is all the time between the two scrapes; anything else is a SyntaxError.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
    """Evaluates one expression."""

    def __init__(self, text: str, before: Scrape, after: Scrape, seconds: float) -> None:
        self._tokens = tokens_of(text)
        self._before, self._after, self._seconds = before, after, seconds

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
            grown = self._selector(self._take(), is_range=True)
            self._take(")")
            return {one: value / (self._seconds if word == "rate" else 1) for one, value in grown.items()}
        if word == "histogram_quantile":
            self._take("(")
            share = float(self._take())
            self._take(",")
            found = self._comparison()
            self._take(")")
            return _quantiles(share, found)
        return self._selector(word, is_range=False)

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

    def _selector(self, name: str, *, is_range: bool) -> Vector:
        matchers = self._matchers()
        if is_range and not self._take().startswith("["):
            raise SyntaxError(name)

        def chosen(scrape: Scrape) -> Vector:
            return {
                labels: value
                for (of, labels), value in scrape.samples.items()
                if of == name and all(one.fits(dict(labels)) for one in matchers)
            }

        after = chosen(self._after)
        before = chosen(self._before) if is_range else {}
        return {labels: value - before.get(labels, 0) for labels, value in after.items()}

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

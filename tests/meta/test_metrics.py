"""What is written of metrics is what there is: their page, the dashboard, the alerts and the runbook."""

import ast
import json
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
import yaml

from app import __version__
from app.observability import families as f
from app.observability.exposition import Exposition
from app.observability.families import FAMILIES, Kind
from app.observability.metrics import _MODES, _ROOMS, _STAGES, WORKER_STATES, Metrics
from app.observability.numbers import Numbers
from scripts.write_docs import DOCS
from tests.support.promql import Seen, State, grouped_labels_of, seconds_of, selectors_of, states
from tests.support.scraping import Scrape, read

ROOT = DOCS.parent
PAGE = (DOCS / "metrics.md").read_text(encoding="utf-8")
ROWS = {name: (labels, text) for name, labels, text in re.findall(r"^\| `(spillway_\w+)` \| \w+ \|([^|]*)\| (.+) \|$", PAGE, re.MULTILINE)}  # fmt: skip
RULES = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
DASHBOARD = json.loads((ROOT / "deploy/grafana/spillway.json").read_text(encoding="utf-8"))
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]


def test_the_page_lists_exactly_the_metrics_there_are():
    rows = re.findall(r"^\| `(spillway_\w+)` \| (\w+) \|([^|]*)\| (.+) \|$", PAGE, re.MULTILINE)
    listed = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in rows}
    assert listed == {family.name: (family.kind.value, family.labels) for family in FAMILIES}
    assert [name for name, *_ in rows] == [family.name for family in FAMILIES]


STATUSES = ("499", "aborted")
"""Of requests, that are no statuses of HTTP; the page has them under its labels."""


def told_values(name: str) -> set[str]:
    """The values that the page names of a metric's labels, where these are a choice of few."""
    labels, text = ROWS[name]
    words = set(re.findall(r"`([a-z]\w*)`", text)) - set(re.findall(r"`(\w+)`", labels))
    return words | (set(STATUSES) if name == f.REQUESTS.name else set())


def asked_in_tests() -> dict[str, set[str]]:
    """Each metric that a test reads, or lists as a case, with the values of labels it asks for."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests" / "integration").glob("test_metrics*.py")):
        for call in [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]:
            words = [
                node.value for node in ast.walk(call) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
            names = {word.removesuffix("_count") for word in words if word.startswith("spillway_")}
            for name in names if len(names) == 1 else ():
                found.setdefault(name, set()).update(words)
    return found


def test_every_metric_and_every_value_of_a_label_is_driven_to_change_by_a_test():
    asked = asked_in_tests()
    assert [name for name in ROWS if name not in asked] == []
    missing = {name: told_values(name) - asked[name] for name in ROWS}
    assert {name: values for name, values in missing.items() if values} == {}
    # What the page leaves out would be left out of the tests too.
    choices = {f.STAGE_SECONDS: _STAGES, f.ADJUSTMENTS: _MODES, f.REFUSALS: _ROOMS, f.WORKERS: WORKER_STATES}
    assert {family.name: told_values(family.name) for family in choices} == {
        family.name: set(values) for family, values in choices.items()
    }


def names_of(family: f.Family) -> set[str]:
    if family.kind is Kind.HISTOGRAM:
        return {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
    return {family.name}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_dashboard_and_alerts_ask_for_what_there_is(expression):
    series = {name: family for family in FAMILIES for name in names_of(family)}
    asked = selectors_of(expression)
    assert asked
    known = {"le"} if "histogram_quantile" in expression else set()
    for one in asked:
        if one.name == "up":  # Prometheus's own
            continue
        assert one.name in series
        assert set(one.labels) <= set(series[one.name].labels)
        known |= set(series[one.name].labels)
        # A counter says something only over time, a gauge only now.
        is_over_time = re.search(rf"(?:rate|increase)\({one.name}\b", expression) is not None
        assert is_over_time == (series[one.name].kind is not Kind.GAUGE)
    assert grouped_labels_of(expression) <= known


def test_the_dashboard_shows_every_metric():
    shown = {one.name for panel in DASHBOARD["panels"] for t in panel["targets"] for one in selectors_of(t["expr"])}
    assert [family.name for family in FAMILIES if not names_of(family) & shown] == []
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in DASHBOARD["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_to_do(rule):
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    section = page.partition(f"### {rule['alert']}\n")[2].partition("\n##")[0]
    assert "**Means:**" in section
    assert "**Do:**" in section
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert re.fullmatch(r"\d+[smh]", rule["for"])


def test_the_runbook_has_no_alert_that_does_not_exist():
    page = (DOCS / "operations.md").read_text(encoding="utf-8").partition("\n## Alerts\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == [rule["alert"] for rule in RULES]


def answer(metrics: Metrics, status: int, times: int = 1) -> None:
    for _ in range(times):
        metrics.request_ended("/images/generations", "flux.1-schnell", status)


def repeat(verb: Callable[[Metrics], object], times: int) -> Callable[[Metrics], None]:
    def act(metrics: Metrics) -> None:
        for _ in range(times):
            verb(metrics)

    return act


FIRES: dict[str, Callable[[Metrics], object]] = {
    "SpillwayRunwareUnreachable": lambda m: m.state(f.BREAKER, 1),
    "SpillwayErrors": lambda m: answer(m, 503, 10),
    "SpillwaySlow": repeat(lambda m: m.stage_ended("queue", 25), 20),
    "SpillwayFull": lambda m: m.refused("bytes"),
    "SpillwayMemoryNearlyFull": lambda m: m.state(f.BYTES, 950),
    "SpillwayJournalFails": lambda m: m.journal_failed(),
    "SpillwayJournalSlow": repeat(lambda m: m.journal_committed(1, 2.0), 400),
    "SpillwayJournalBehind": lambda m: m.state(f.BACKLOG, 1001),
    "SpillwayStorageFails": lambda m: m.storage_failed(),
    "SpillwayStorageFull": lambda m: answer(m, 507),
    "SpillwayWorkersDie": repeat(lambda m: m.worker_replaced(), 2),
    "SpillwayTakeovers": repeat(lambda m: m.taken_over(), 3),
    "SpillwayBalanceLow": lambda m: m.state_balance(Decimal("1.5"), is_low=True),
    "SpillwayBudgetsRefuse": repeat(lambda m: m.budget_refused(), 2),
    "SpillwayKeysTooFast": repeat(lambda m: m.rate_limited(), 10),
}
"""What must go on happening, every minute, for each alert, in the verbs of metrics."""
PAUSE, CALM, LONGEST = 60, 3, 30
UP = ("up", frozenset({("job", "spillway")}))


class Counted:
    """A gateway on a good day, looked at every minute."""

    def __init__(self) -> None:
        self._numbers = Numbers.private()
        self.metrics = Metrics(self._numbers, {"runware:100@1": "flux.1-schnell"})
        self._exposition = Exposition(self._numbers, __version__)
        self.history: list[Seen] = []

    def go_on(self, happens: Callable[[Metrics], object], times: int, *, is_up: bool = True) -> None:
        """So many times a look, each after the usual work and what happens beside it."""
        for _ in range(times):
            self._work()
            happens(self.metrics)
            at = self.history[-1].at + PAUSE if self.history else 0.0
            # As Prometheus: nothing but that it is not there, of a gateway that does not answer.
            found = read(self._exposition.show().body.decode()) if is_up else Scrape({}, {})
            self.history.append(Seen(at, replace(found, samples={**found.samples, UP: float(is_up)})))

    def _work(self) -> None:
        for family, calm in ((f.BYTES_LIMIT, 1000), (f.BYTES, 0), (f.BREAKER, 0), (f.BACKLOG, 0)):
            self.metrics.state(family, calm)
        self.metrics.state_balance(Decimal(100), is_low=False)
        answer(self.metrics, 200, 100)
        self.metrics.stage_ended("queue", 0.1)
        for _ in range(200):
            self.metrics.journal_committed(3, 0.004)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r["alert"])
def test_an_alert_fires_when_it_lasts_and_not_before_and_ends(rule):
    counted, name = Counted(), rule["alert"]
    counted.go_on(lambda _: None, CALM)
    counted.go_on(FIRES.get(name, lambda _: None), LONGEST, is_up=name in FIRES)
    counted.go_on(lambda _: None, LONGEST)
    told = states(rule["expr"], rule["for"], counted.history)
    assert set(told[:CALM]) == {State.INACTIVE}
    pending = told.index(State.PENDING)
    firing = told.index(State.FIRING)
    assert (firing - pending) * PAUSE == seconds_of(rule["for"])
    # Some want so many within a quarter of an hour, which takes its time, or a commit that hangs in one in twenty.
    assert (pending - CALM) * PAUSE <= 600
    assert State.INACTIVE not in told[pending : CALM + LONGEST], "it does not flicker while it goes on"
    assert told[-1] is State.INACTIVE

"""What is written of metrics is what there is: their page, the dashboard, the alerts and the runbook."""

import json
import re
from collections.abc import Callable
from decimal import Decimal

import pytest
import yaml

from app import __version__
from app.observability import families as f
from app.observability.exposition import Exposition
from app.observability.families import FAMILIES, Kind
from app.observability.metrics import Metrics
from app.observability.numbers import Numbers
from scripts.write_docs import DOCS
from tests.support.promql import Evaluator, grouped_labels_of, selectors_of
from tests.support.scraping import Scrape, read

ROOT = DOCS.parent
BY_NAME = {family.name: family for family in FAMILIES}
RULES = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
DASHBOARD = json.loads((ROOT / "deploy/grafana/spillway.json").read_text(encoding="utf-8"))
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]
FIVE_MINUTES = 300.0


def test_the_page_lists_exactly_the_metrics_there_are():
    page = (DOCS / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(spillway_\w+)` \| (\w+) \|([^|]*)\| (.+) \|$", page, re.MULTILINE)
    listed = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in rows}
    assert listed == {family.name: (family.kind.value, family.labels) for family in FAMILIES}
    assert [name for name, *_ in rows] == [family.name for family in FAMILIES]


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
    "SpillwayWorkersDie": repeat(lambda m: m.worker_replaced(), 11),
    "SpillwayTakeovers": repeat(lambda m: m.taken_over(), 21),
    "SpillwayBalanceLow": lambda m: m.state_balance(Decimal("1.5"), is_low=True),
    "SpillwayBudgetsRefuse": repeat(lambda m: m.budget_refused(), 11),
    "SpillwayKeysTooFast": repeat(lambda m: m.rate_limited(), 101),
}
"""What must happen for each alert, in the verbs of metrics. That of Prometheus's own is its own affair."""


class Counted:
    """A gateway on a good day."""

    def __init__(self) -> None:
        numbers = Numbers.private()
        self.metrics = Metrics(numbers, {"runware:100@1": "flux.1-schnell"})
        self._exposition = Exposition(numbers, __version__)
        self.metrics.state(f.BYTES_LIMIT, 1000)
        for family in (f.BYTES, f.BREAKER, f.BACKLOG):
            self.metrics.state(family, 0)
        self.metrics.state_balance(Decimal(100), is_low=False)
        self.work()

    def work(self) -> None:
        answer(self.metrics, 200, 100)
        self.metrics.stage_ended("queue", 0.1)
        for _ in range(200):
            self.metrics.journal_committed(3, 0.004)

    def scrape(self) -> Scrape:
        return read(self._exposition.show().body.decode())


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule["alert"] != "SpillwayDown"], ids=lambda r: r["alert"])
def test_an_alert_fires_when_it_should_and_not_before(rule):
    counted = Counted()
    before = counted.scrape()
    counted.work()
    calm = counted.scrape()
    assert not Evaluator(rule["expr"], before, calm, FIVE_MINUTES).fires()
    FIRES[rule["alert"]](counted.metrics)
    assert Evaluator(rule["expr"], calm, counted.scrape(), FIVE_MINUTES).fires()

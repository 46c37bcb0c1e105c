"""Shows what was counted as Prometheus reads it, added up over all processes.

The format is prometheus_client's, from a registry that is made for the answer and holds nothing of others.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from app.observability.families import BUILD, FAMILIES, Family, Kind, Merge
from app.observability.numbers import Labels, Readable, Reading

PATH = "/metrics"
_MERGES: Mapping[Merge, Callable[[Iterable[int]], int]] = {Merge.SUM: sum, Merge.MOST: max, Merge.LEAST: min}
Sums = Mapping[Labels, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Shown:
    """The text of an answer, and its Content-Type."""

    body: bytes
    content_type: str


class Exposition:
    """Shows what `source` has."""

    def __init__(self, source: Readable, version: str) -> None:
        self._source = source
        self._version = version

    def show(self, accept: str = "") -> Shown:
        """All metrics as they are, in the form that the `Accept` header asks for."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(self._source.read(), self._version))
        encode, content_type = choose_encoder(accept)
        return Shown(encode(registry), content_type)


class _Collector:
    """One look at the numbers, as a collector of prometheus_client's."""

    def __init__(self, readings: Sequence[Reading], version: str) -> None:
        self._readings = readings
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """Every metric, also those of which there is nothing yet."""
        for family in FAMILIES:
            own: Sums = {(self._version,): (1,)}
            yield _shown(family, own if family is BUILD else merge(self._readings, family))


def merge(readings: Iterable[Reading], family: Family) -> Sums:
    """One family over all processes, by labels."""
    found: dict[Labels, list[Sequence[int]]] = {}
    for reading in readings:
        for (one, labels), cells in reading.series.items():
            if one is family:
                found.setdefault(labels, []).append(cells)
    combine = _MERGES[family.merge] if family.kind is Kind.GAUGE else sum
    return {labels: [combine(column) for column in zip(*rows, strict=True)] for labels, rows in found.items()}


def _shown(family: Family, sums: Sums) -> Metric:
    name, text, labels = family.name, family.text, family.labels
    if family.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(name, text, labels=labels)
        for values, cells in sorted(sums.items()):
            bounds = [*(str(bound) for bound in family.buckets), "+Inf"]
            counts = accumulate(cells[:-1])
            histogram.add_metric(values, list(zip(bounds, counts, strict=True)), cells[-1] / family.unit)
        return histogram
    metric = (CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily)(name, text, labels=labels)
    for values, cells in sorted(sums.items()):
        metric.add_metric(values, cells[0] / family.unit)
    return metric

"""Reads metrics as Prometheus does."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from tests.support import loopback

ADMIN_KEY = "metrics-boss-key"


@dataclass(frozen=True)
class Scrape:
    """What one answer of `/metrics` said: samples by name and labels."""

    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]
    families: Mapping[str, str]
    """The type of each metric, by its name."""

    def value(self, name: str, **labels: str) -> float:
        """The sum of all samples of this name that have these labels."""
        wanted = set(labels.items())
        return sum(value for (one, has), value in self.samples.items() if one == name and wanted <= has)

    def exact(self, name: str, **labels: str) -> Decimal:
        """As `value`, added up as they were written."""
        wanted = set(labels.items())
        return sum(
            (Decimal(repr(value)) for (one, has), value in self.samples.items() if one == name and wanted <= has),
            Decimal(0),
        )

    def labels(self, name: str, label: str) -> set[str]:
        """The values that a label has."""
        return {dict(has)[label] for one, has in self.samples if one == name and label in dict(has)}


def read(text: str) -> Scrape:
    """An answer of `/metrics`."""
    samples, families = {}, {}
    for family in text_string_to_metric_families(text):
        families[family.name + ("_total" if family.type == "counter" else "")] = family.type
        for sample in family.samples:
            samples[sample.name, frozenset(sample.labels.items())] = sample.value
    return Scrape(samples, families)


def scrape(origin: str, key: str | None = ADMIN_KEY) -> Scrape:
    """What a gateway says now."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    answer = loopback.get(f"{origin}/metrics", headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return read(answer.text)

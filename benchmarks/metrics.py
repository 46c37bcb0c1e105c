"""What metrics add to each request: the verbs that one request for an image calls, with metrics and without.

`python -m benchmarks.metrics` prints microseconds of CPU a request, in memory of this process alone and in a slot of
shared memory, as with several processes; and what it costs to show them. The rows are measured by turns, and the
smallest of all rounds is printed: whatever else the machine does only adds.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from app.catalog.loader import load_catalog
from app.observability import families as f
from app.observability.exposition import Exposition
from app.observability.metrics import Ending, Metrics, Stage
from app.observability.numbers import Numbers, SharedNumbers
from app.settings.load import load_settings

_REQUESTS, _ROUNDS = 20_000, 7
_STAGES: tuple[Stage, ...] = ("prepare", "upstream", "deliver")
_AIR = "runware:100@1"


def _serve(metrics: Metrics) -> None:
    """What a request for one image tells, in the order in which it happens."""
    began = time.perf_counter()
    for stage in _STAGES:
        metrics.stage_ended(stage, time.perf_counter() - began)
    metrics.task_attempted("submit", "ok")
    metrics.pixels_made(_AIR, 1024 * 1024)
    metrics.adjusted("dropped")
    metrics.request_settled(Ending(_AIR, 1, 0, 1_300_000))
    metrics.request_ended("/images/generations", "flux.1-schnell", 200)
    metrics.image_request_ended(0.35)
    # A commit is shared by several; alone, a request has three: its claim, its end, its receipt.
    for _ in range(3):
        metrics.journal_committed(1, 0.004)


def _microseconds(work: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times * 1e6


def main() -> None:
    """Measure, and print one line for each way."""
    settings = load_settings({}).models
    registry = load_catalog(settings.catalog_dir, {}, ())
    models = {model.air.lower(): model.id for model in registry.models}
    with tempfile.TemporaryDirectory() as folder:
        private, shared = Numbers.private(), SharedNumbers(Path(folder))
        ways = {
            "off": Metrics.off(),
            "on, one process": Metrics(private, models),
            "on, several processes": Metrics(shared.take_slot(), models),
        }
        least = dict.fromkeys(ways, float("inf"))
        for _ in range(_ROUNDS):
            for name, metrics in ways.items():
                least[name] = min(least[name], _microseconds(partial(_serve, metrics), _REQUESTS))
        for name, taken in least.items():
            print(f"{name:<24}{taken:6.1f} µs of CPU a request, {taken - least['off']:5.1f} more than off")
        counted = ways["on, one process"]
        for model in registry.models:
            for status in (200, 400, 402, 429, 502, 503, 504):
                counted.request_ended("/images/generations", model.id, status)
        counted.state(f.BYTES, 1)
        shown = min(_microseconds(Exposition(private, "0").show, 5) for _ in range(3))
        print(f"{'one scrape':<24}{shown / 1000:6.1f} ms, with every model in every state")


if __name__ == "__main__":
    main()

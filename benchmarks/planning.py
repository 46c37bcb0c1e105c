"""How long sizing and planning take, in microseconds per request, on the models with the largest tables.

Usage: python -m benchmarks.planning. Prints the median of several rounds; the target is 60.
"""

import statistics
import time
import uuid
from itertools import repeat

from app.catalog.loader import load_catalog
from app.catalog.model import CatalogModel, FixedSizes
from app.catalog.modes import Mode
from app.domain.request import ImageRequest, SizeRequest
from app.domain.words import Delivery
from app.planning.check import check
from app.planning.decide import decide
from app.planning.plan import FittedInputs, build_plan
from app.settings.load import Settings

_ROUNDS, _REQUESTS = 15, 400
SIZES = {
    "no size": SizeRequest(),
    "listed WxH": SizeRequest(exact=(1024, 1024), text="1024x1024"),
    "other WxH": SizeRequest(exact=(1001, 777), text="1001x777"),
    "ratio": SizeRequest(ratio=16 / 9, text="16:9"),
    "ratio and tier": SizeRequest(ratio=1 / 3, area=4_194_304, text="1:3", area_text="2K"),
}


def table_length(model: CatalogModel) -> int:
    """How many sizes a model lists."""
    sizes = model.sizes
    return sum(len(listed) for listed in sizes.tiers.values()) if isinstance(sizes, FixedSizes) else 0


def measure(model: CatalogModel, requested: SizeRequest) -> float:
    """Microseconds from an ImageRequest to its plan."""
    task_id = str(uuid.uuid4())
    rounds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(_REQUESTS):
            request = ImageRequest(Mode.GENERATE, "a harbor", size=requested)
            check(request, model)
            spec = decide(request, model, default_delivery=Delivery.LINK)
            build_plan(spec, FittedInputs(), repeat(task_id))
        rounds.append((time.perf_counter() - started) / _REQUESTS * 1e6)
    return statistics.median(rounds)


def main() -> None:
    """Print the table."""
    models = [model for model in load_catalog(Settings().models.catalog_dir).models if Mode.GENERATE in model.modes]
    largest = sorted(models, key=table_length, reverse=True)[:3]
    ranges = [next(model for model in models if model.id == name) for name in ("flux.1-schnell", "openai-gpt-image-2")]
    for model in [*largest, *ranges]:
        for name, requested in SIZES.items():
            print(f"{model.id:32} {table_length(model):4} sizes  {name:16} {measure(model, requested):7.1f} us")


if __name__ == "__main__":
    main()

"""Every price of the catalog against the simulator's own billing data: what is estimated is what is charged.

The two price lists were written apart; where Runware publishes a price they must agree to the last digit, and where
others only saw one the bill must lie between what they saw.
"""

import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from itertools import product

import pytest

from app.catalog.loader import load_catalog
from app.catalog.model import CatalogModel, FixedSizes
from app.catalog.modes import Mode
from app.domain.request import ImageRequest, LinkedImage, SizeRequest
from app.domain.words import Delivery
from app.ledger.order import Estimate, Order
from app.ledger.pricing import estimate_price
from app.planning.check import check
from app.planning.decide import decide
from app.planning.plan import FittedInputs, build_plan
from app.runware.tasks import encode
from app.settings.load import Settings
from app.simulator.billing import price_image
from app.simulator.rules import load_rules

REGISTRY = load_catalog(Settings().models.catalog_dir)
PRICED = [model for model in REGISTRY.models if model.pricing is not None and model.pricing.amounts]
INPUT_SIZES = [(1024, 1024), (1920, 1080), (640, 480)]
SIZES = [(512, 512), (1024, 1024), (1536, 1024), (1920, 1080), (2048, 2048)]
TOKENS_ONLY = {"google:nano-banana@2.1"}


def requests(model: CatalogModel) -> Iterator[ImageRequest]:
    """Sizes, counts, qualities and numbers of input images that a caller may combine."""
    sizes = list(SIZES)
    if isinstance(model.sizes, FixedSizes):
        sizes += [listed[0] for listed in model.sizes.tiers.values()]
    qualities = [
        {},
        *(nested(model.choices["quality"].field, value) for value in priced_qualities(model)),
    ]
    counts = {0} if model.images is None else {model.images.minimum, 1, 3}
    for size, quality, images, count in product([None, *sizes], qualities, sorted(counts), (1, 3)):
        if model.images is not None and model.images.maximum is not None and images > model.images.maximum:
            continue
        mode = Mode.EDIT if images else Mode.GENERATE
        if mode not in model.modes:
            continue
        requested = SizeRequest() if size is None else SizeRequest(exact=size, text="x")
        outpaint = {"outpaint": {"left": 256, "top": 64}} if "outpaint" in model.required else {}
        sent = tuple(LinkedImage(f"image[{index}]", "https://images.example/a.png") for index in range(images))
        mask = (
            LinkedImage("mask", "https://images.example/m.png") if model.images and model.images.mask_required else None
        )
        yield ImageRequest(
            mode,
            "a quiet harbor at dawn",
            size=requested,
            images=sent,
            mask=mask,
            passthrough=quality | outpaint,
            count=count,
        )


def priced_qualities(model: CatalogModel) -> list[str]:
    """The qualities, in the model's own words, that have a price."""
    return [*(model.pricing.per_quality or model.pricing.per_quality_size or ())]


def nested(path: str, value: str) -> dict:
    """The value at a dotted path of an otherwise empty object."""
    first, _, rest = path.partition(".")
    return {first: nested(rest, value) if rest else value}


def estimate_and_bill(model: CatalogModel, request: ImageRequest) -> tuple[Estimate, Decimal]:
    """What the gateway expects a request to cost, and what the simulator charges for the same tasks."""
    check(request, model)
    spec = decide(request, model, default_delivery=Delivery.LINK, image_size=INPUT_SIZES[0])
    references = INPUT_SIZES[: len(request.images)]
    inputs = FittedInputs(
        tuple(image.url for image in request.images), "https://images.example/m.png" if request.mask else None
    )
    tasks = build_plan(spec, inputs, (str(uuid.uuid4()) for _ in range(20))).tasks
    expected = estimate_price(
        Order(model, sum(task.number_results for task in tasks), spec.output.size, references, spec.fields)
    )
    bill = Decimal(0)
    for task in tasks:
        wire = json.loads(encode([task.to_wire()]))[0]
        bill += task.number_results * price_image(
            load_rules()[model.air].price, wire, references, made_size(wire, references)
        )
    return expected, bill


def made_size(wire: dict, references: list[tuple[int, int]]) -> tuple[int, int]:
    """The size of the result: that of the task, else of the first input image and its extension."""
    if "width" in wire:
        return wire["width"], wire["height"]
    width, height = references[0] if references else (1024, 1024)
    added = wire.get("outpaint", {})
    return width + added.get("left", 0), height + added.get("top", 0)


@pytest.mark.parametrize("model", PRICED, ids=lambda model: model.air)
def test_what_is_estimated_is_what_the_simulator_charges(model):
    known = 0
    for request in requests(model):
        expected, bill = estimate_and_bill(model, request)
        if expected.total is None:
            assert expected.reason
            continue
        known += 1
        assert expected.lowest <= bill <= expected.total, (request, expected)
        assert expected.confidence == "estimated" or bill == expected.total, (request, expected)
    assert known or model.air in TOKENS_ONLY, "no request has a known price: the catalog's entry leads nowhere"


def test_as_many_models_have_a_price_as_facts_were_found_for():
    assert len(PRICED) == 85

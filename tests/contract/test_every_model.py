"""Every model of the catalog against the simulator's own rules: what is planned is what Runware would accept."""

import itertools
import json
import uuid

import pytest

from app.catalog.loader import load_catalog
from app.catalog.model import CatalogModel, FixedSizes
from app.catalog.modes import Mode
from app.domain.answer import AdjustmentMode
from app.domain.request import ImageRequest, LinkedImage, SizeRequest
from app.domain.words import Delivery, ImageFormat
from app.errors import InvalidRequestError
from app.openai_api.model_schema import describe_model
from app.openai_api.vocabulary import OWN_NAMES
from app.planning.check import check
from app.planning.decide import decide
from app.planning.plan import FittedInputs, build_plan
from app.runware.tasks import ImageTask, encode
from app.settings.load import Settings
from app.simulator.rules import load_rules
from app.simulator.validation import validate

REGISTRY = load_catalog(Settings().models.catalog_dir)
MODELS = {model.air: model for model in REGISTRY.models}
URL = "https://images.example/a.png"
PROMPT = "a quiet harbor at dawn"


def plan(
    model: CatalogModel, mode: Mode, images: int = 0, image_size: tuple[int, int] | None = None, **fields: object
) -> list[dict]:
    """The tasks for a request, as they would be sent."""
    sent = tuple(LinkedImage(f"image[{index}]", URL) for index in range(images))
    mask = LinkedImage("mask", URL) if model.images and model.images.mask_required and images else None
    request = ImageRequest(mode, PROMPT, images=sent, mask=mask, **fields)
    check(request, model)
    spec = decide(request, model, default_delivery=Delivery.LINK, image_size=image_size)
    blank = (URL,) if spec.blank else ()
    inputs = FittedInputs(blank or (URL,) * images, URL if mask else None)
    return [on_the_wire(task) for task in build_plan(spec, inputs, (str(uuid.uuid4()) for _ in range(20))).tasks]


def on_the_wire(task: ImageTask) -> dict:
    """The task as JSON brings it."""
    return json.loads(encode([task.to_wire()]))[0]


def requested_sizes(model: CatalogModel) -> list[SizeRequest]:
    """Every size the model lists, some it does not, and none."""
    listed = (
        [size for sizes in model.sizes.tiers.values() for size in sizes] if isinstance(model.sizes, FixedSizes) else []
    )
    others = [
        SizeRequest(),
        SizeRequest(exact=(1000, 700), text="x"),
        SizeRequest(ratio=16 / 9, text="16:9"),
        SizeRequest(ratio=1 / 3, area=4_194_304, text="1:3", area_text="2K"),
    ]
    return [*(SizeRequest(exact=size, text="x") for size in listed), *others]


def test_the_catalog_holds_every_model_the_simulator_knows():
    assert set(MODELS) == set(load_rules())


@pytest.mark.parametrize("air", sorted(MODELS))
@pytest.mark.parametrize("mode", Mode)
def test_the_plan_of_every_model_at_every_size_is_accepted(air, mode):
    model = MODELS[air]
    fewest = max(1, model.images.minimum) if model.images else 1
    most = min(model.images.maximum or 16, 16) if model.images else 1
    refused = 0
    for requested in requested_sizes(model):
        for images in {fewest, most} if mode is Mode.EDIT else {0}:
            for count in (1, 3):
                try:
                    tasks = plan(model, mode, images, (640, 480), size=requested, count=count)
                except InvalidRequestError as error:
                    assert error.code == "unsupported_model"
                    assert mode not in model.modes
                    refused += 1
                    continue
                for task in tasks:
                    assert validate(task) == [], task
    assert refused == 0 or mode not in model.modes


@pytest.mark.parametrize("air", sorted(MODELS))
def test_every_model_answers_to_its_names(air):
    model = MODELS[air]
    for name in model.names:
        assert REGISTRY.find_model(name) is model
        assert REGISTRY.find_model(f"runware/{name.upper()}") is model


@pytest.mark.parametrize("air", sorted(MODELS))
def test_every_format_is_native_or_converted_from_what_the_model_makes(air):
    model = MODELS[air]
    mode = model.modes[0]
    images = 1 if mode is Mode.EDIT else 0
    for format_, compression in itertools.product(ImageFormat, [None, 5, 60, 100]):
        if format_ is ImageFormat.SVG and "SVG" not in model.formats:
            with pytest.raises(InvalidRequestError, match="makes no vector graphics"):
                plan(model, mode, images, (640, 480), format=format_, compression=compression)
            continue
        (task,) = plan(model, mode, images, (640, 480), format=format_, compression=compression)
        assert validate(task) == [], (format_, compression)
        assert task["outputFormat"] in model.formats, (format_, compression)


@pytest.mark.parametrize("air", sorted(MODELS))
def test_common_parameters_become_fields_the_model_takes_or_are_reported(air):
    model = MODELS[air]
    mode = model.modes[0]
    parameters = {"negative_prompt": "fog and rain", "guidance_scale": 4, "num_inference_steps": 20}
    request = ImageRequest(
        mode,
        PROMPT,
        images=(LinkedImage("image", URL),) if mode is Mode.EDIT else (),
        mask=LinkedImage("mask", URL) if model.images and model.images.mask_required else None,
        seed=7,
        parameters=tuple(parameters.items()),
    )
    spec = decide(request, model, default_delivery=Delivery.LINK, image_size=(640, 480))
    reported = {adjustment.param for adjustment in spec.adjustments}
    for name in ("seed", *parameters):
        assert (getattr(model.parameters, name) is None) == (name in reported)
    tasks = build_plan(
        spec,
        FittedInputs((URL,) if mode is Mode.EDIT else (), URL if request.mask else None),
        (str(uuid.uuid4()) for _ in range(20)),
    ).tasks
    assert validate(on_the_wire(tasks[0])) == []


SAMPLES = {
    "seed": {"seed": 7},
    "negative_prompt": {"parameters": (("negative_prompt", "fog and rain"),)},
    "guidance_scale": {"parameters": (("guidance_scale", 4),)},
    "num_inference_steps": {"parameters": (("num_inference_steps", 20),)},
    "quality": {"parameters": (("quality", "high"),)},
    "style": {"parameters": (("style", "vivid"),)},
    "moderation": {"parameters": (("moderation", "low"),)},
    "input_fidelity": {"parameters": (("input_fidelity", "high"),)},
    "complexity": {"parameters": (("complexity", "low"),)},
    "frame_count": {"parameters": (("frame_count", 3),)},
    "frame_duration_ms": {"parameters": (("frame_duration_ms", 100),)},
    "partial_images": {"parameters": (("partial_images", 1),)},
    "svg": {"parameters": (("svg", {"model": "x"}),)},
    "background": {"background": "transparent"},
    "user": {"user": "u"},
    "safety_identifier": {"user": "u"},
    "scale_factor": {"parameters": (("scale_factor", 2),)},
    "prompt": {},
    "response_format": {"delivery": Delivery.EMBEDDED},
    "output_format": {"format": ImageFormat.AVIF},
    "output_compression": {"format": ImageFormat.WEBP, "compression": 55},
}
"""A request that uses each field, for the table of field by model."""


@pytest.mark.parametrize("air", sorted(MODELS))
def test_the_published_mode_of_every_field_is_what_happens_to_it(air):
    model = MODELS[air]
    schema = describe_model(model)
    for field, usual in SAMPLES.items():
        native = schema["properties"][field].get("x-native") if field == "style" else None
        sample = {"parameters": (("style", native[0]),)} if native else usual
        edits = field == "scale_factor" and Mode.EDIT in model.modes  # a factor needs an image to scale
        mode = Mode.EDIT if edits else model.modes[0]
        request = ImageRequest(
            mode,
            PROMPT,
            images=(LinkedImage("image", URL),) if mode is Mode.EDIT else (),
            mask=LinkedImage("mask", URL) if model.images and model.images.mask_required else None,
            **sample,
        )
        spec = decide(request, model, default_delivery=Delivery.LINK, image_size=(640, 480))
        dropped = field in {one.param for one in spec.adjustments if one.mode is AdjustmentMode.DROPPED}
        assert dropped == (schema["properties"][field]["x-spillway-mode"] == "dropped"), field


@pytest.mark.parametrize("air", sorted(MODELS))
def test_the_schema_of_every_model_names_every_field_and_its_own_limits(air):
    model = MODELS[air]
    schema = describe_model(model)
    assert set(schema["properties"]) == {*OWN_NAMES, *model.fields.members}
    assert all(field["x-spillway-mode"] for field in schema["properties"].values())
    assert schema["properties"]["prompt"]["maxLength"] == (model.prompt.max_chars or 32_000)
    assert schema["x-sizes"]["kind"] == model.sizes.kind


FACTS_CORRECTED = [("google:4@3", "0.5K", (792, 336)), ("sourceful:1@0", "1K", (1152, 896))]


@pytest.mark.parametrize(("air", "tier", "size"), FACTS_CORRECTED)
def test_facts_that_were_corrected_stand_corrected(air, tier, size):
    assert size in MODELS[air].sizes.tiers[tier]


@pytest.mark.parametrize(
    ("name", "air"),
    [
        ("gpt-image-1", "openai:1@1"), ("gpt-image-2", "openai:gpt-image@2"), ("dall-e-3", "openai:2@3"), ("gpt-image-1.5", "openai:4@1"),
        ("riverflow-2-fast", "sourceful:2@2"), ("riverflow-2-max-preview", "sourceful:2@3"), ("seedream-4-0", "bytedance:5@0"),
        ("flux-2-pro", "bfl:5@1"), ("nano-banana-2", "google:4@3"),
    ],
)  # fmt: skip
def test_the_names_applications_use_find_their_model(name, air):
    assert REGISTRY.find_model(name).air == air

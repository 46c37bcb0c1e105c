"""The output aspect: format, delivery and transparency, decided together with what is said of them, and its limits."""

import pytest
from PIL import Image

from app.catalog.modes import Mode
from app.domain.request import ImageRequest
from app.domain.spec import Composition, FormatPlan, Lifetimes
from app.domain.values import replace
from app.domain.words import Delivery, ImageFormat
from app.errors import InvalidRequestError
from app.images.convert import encode_image
from app.planning.output import DEFAULT_RULES, LONGEST_SIDES, OutputRules, decide_output, decide_storage
from tests.support.images import open_bytes
from tests.support.planning import in_short, model_of


@pytest.mark.parametrize("format_", LONGEST_SIDES, ids=str)
@pytest.mark.parametrize("upright", [True, False], ids=["high", "wide"])
def test_an_image_at_the_limit_is_written_and_read_and_none_beyond(format_, upright):
    def size(side: int) -> tuple[int, int]:
        return (4, side) if upright else (side, 4)

    longest = LONGEST_SIDES[format_]
    made = open_bytes(encode_image(Image.new("RGB", size(longest), "teal"), format_.value, None).data)
    assert made.size == size(longest)
    with pytest.raises(Exception):  # noqa: B017, PT011 - every encoder and decoder has errors of its own
        open_bytes(encode_image(Image.new("RGB", size(longest + 1), "teal"), format_.value, None).data)


def test_every_format_but_png_and_vectors_has_its_limit():
    assert set(LONGEST_SIDES) == set(ImageFormat) - {ImageFormat.PNG, ImageFormat.SVG}


MADE = {"size": (1024, 1024), "fields": {}, "composition": None}
FITTED = Composition((1000, 700), "cover", "white", pastes=False)


def decide(made_by, /, *, default=Delivery.LINK, rules=DEFAULT_RULES, transparent=False, made=MADE, **fields):
    output, adjustments = decide_output(
        ImageRequest(Mode.GENERATE, "a hat", **fields),
        model_of(made_by),
        **made,
        default=default,
        rules=rules,
        transparent=transparent,
    )
    return output, in_short(adjustments)


@pytest.mark.parametrize(
    ("model", "fields", "plan", "adjusted"),
    [
        pytest.param("flux.1-dev", {}, ("png", None, "PNG", None), [], id="nothing asked"),
        pytest.param("flux.1-dev", {"format": "jpeg", "compression": 60}, ("jpeg", 60, "JPG", 60), [], id="natively"),
        pytest.param("flux.1-dev", {"format": "jpeg", "compression": 100}, ("jpeg", 100, "JPG", 99), [], id="the best"),
        pytest.param(
            "flux.1-dev", {"format": "jpeg", "compression": 5}, ("jpeg", 5, "PNG", None), [], id="a quality we make"
        ),
        pytest.param("flux.1-dev", {"format": "gif"}, ("gif", None, "PNG", None), [], id="a format we make"),
        pytest.param(
            "flux.1-dev",
            {"compression": 50},
            ("png", None, "PNG", None),
            ["output_compression dropped None"],
            id="a quality of PNG",
        ),
        pytest.param("flux.1-dev", {"compression": 100}, ("png", None, "PNG", None), [], id="full quality is no loss"),
        pytest.param(
            "recraft-v4-vector",
            {"format": "webp"},
            ("svg", None, "SVG", None),
            ["output_format changed svg"],
            id="vectors stay vectors",
        ),
    ],
)
def test_a_format_is_made_natively_or_converted_once(model, fields, plan, adjusted):
    if "format" in fields:
        fields = {**fields, "format": ImageFormat(fields["format"])}
    output, adjustments = decide(model, **fields)
    delivered, quality, native, native_quality = plan
    assert output.format == FormatPlan(ImageFormat(delivered), quality, native, native_quality)
    assert adjustments == adjusted


def test_an_image_that_is_composed_is_compressed_once_only():
    output, _ = decide("flux.1-dev", made={**MADE, "composition": FITTED}, format=ImageFormat.JPEG)
    assert (output.format.native, output.composition, output.native_link) == ("PNG", FITTED, False)


@pytest.mark.parametrize(
    ("fields", "default", "delivery", "is_native", "adjusted"),
    [
        pytest.param({}, Delivery.LINK, Delivery.LINK, True, [], id="the default"),
        pytest.param({}, Delivery.EMBEDDED, Delivery.EMBEDDED, False, [], id="the client's default"),
        pytest.param({"delivery": Delivery.LINK}, Delivery.EMBEDDED, Delivery.LINK, True, [], id="as asked"),
        pytest.param({"model": "gpt-image-1"}, Delivery.LINK, Delivery.EMBEDDED, False, [], id="as OpenAI's models do"),
        pytest.param(
            {"model": "openai/GPT_Image 1"}, Delivery.LINK, Delivery.EMBEDDED, False, [], id="however spelled"
        ),
        pytest.param({"stream": True}, Delivery.LINK, Delivery.EMBEDDED, False, [], id="a stream"),
        pytest.param(
            {"stream": True, "delivery": Delivery.LINK},
            Delivery.LINK,
            Delivery.EMBEDDED,
            False,
            ["response_format dropped None"],
            id="a stream of links",
        ),
        pytest.param({"format": ImageFormat.AVIF}, Delivery.LINK, Delivery.LINK, False, [], id="a link of ours"),
    ],
)
def test_delivery_is_decided_and_stated_together(fields, default, delivery, is_native, adjusted):
    output, adjustments = decide("flux.1-dev", default=default, **fields)
    assert (output.delivery, output.native_link, adjustments) == (delivery, is_native, adjusted)


def test_an_operator_may_forbid_links_to_the_provider():
    assert not decide("flux.1-dev", rules=OutputRules(native_links=False))[0].native_link


@pytest.mark.parametrize(
    ("model", "task", "asked", "promised"),
    [
        pytest.param("flux.1-dev", {}, {}, False, id="nothing asked"),
        pytest.param("flux.1-dev", {}, {"transparent": True}, True, id="a background the model makes"),
        pytest.param("flux.1-dev", {"layerDiffuse": True}, {}, True, id="layers"),
        pytest.param("flux.1-dev", {"advancedFeatures": {"layerDiffuse": True}}, {}, True, id="layers, as documented"),
        pytest.param("bria-rmbg-v2-0", {}, {}, True, id="a background remover"),
        pytest.param("bria-rmbg-v2-0", {"settings": {"rgba": [0, 0, 0, 255]}}, {}, False, id="which paints another"),
        pytest.param("bria-rmbg-v2-0", {}, {"format": ImageFormat.JPEG}, False, id="a format without"),
    ],
)
def test_transparency_is_promised_where_it_is_made(model, task, asked, promised):
    assert decide(model, made={**MADE, "fields": task}, **asked)[0].transparent is promised


def test_layers_need_a_format_that_holds_them():
    with pytest.raises(InvalidRequestError, match="`layerDiffuse` makes transparent images"):
        decide("flux.1-dev", made={**MADE, "fields": {"layerDiffuse": True}}, format=ImageFormat.JPEG)


HOSTED = {"format": ImageFormat.GIF}
STEPS = {"steps": 9}


@pytest.mark.parametrize(
    ("asked", "sent", "lives", "adjusted"),
    [
        pytest.param({"ttl": 60}, {**STEPS, "ttl": 60}, (60, 60), [], id="a link of Runware's"),
        pytest.param({"ttl": 10**7}, {**STEPS, "ttl": 10**7}, (10**7, 10**7), [], id="as long as Runware says"),
        pytest.param({"ttl": 60, **HOSTED}, STEPS, (60, 60), [], id="a link of ours"),
        pytest.param({"ttl": 60, "delivery": Delivery.EMBEDDED}, STEPS, (60, 60), [], id="no link"),
        pytest.param({"ttl": 500, **HOSTED}, STEPS, (500, 500), [], id="as long as anything stays here"),
        pytest.param({"ttl": 501, **HOSTED}, STEPS, (500, 500), ["ttl changed 500"], id="longer than that"),
        pytest.param(HOSTED, STEPS, (100, 500), [], id="nothing said"),
    ],
)
def test_how_long_images_stay_is_the_callers_to_say_up_to_what_the_operator_allows(asked, sent, lives, adjusted):
    rules = replace(DEFAULT_RULES, lives=Lifetimes(100, 500))
    output, adjustments = decide("flux.1-dev", made={**MADE, "fields": STEPS}, rules=rules, **asked)
    assert (decide_storage(STEPS, output), output.lives, adjustments) == (sent, Lifetimes(*lives), adjusted)


@pytest.mark.parametrize(
    ("made", "asked", "refusal"),
    [
        pytest.param(MADE, {}, None, id="as Runware makes it"),
        pytest.param(MADE, {"format": ImageFormat.GIF}, "as PNG, before it is made gif", id="converted"),
        pytest.param({**MADE, "composition": FITTED}, {}, "before it is fitted or pasted", id="fitted"),
    ],
)
def test_an_upload_gets_the_image_that_was_asked_for_or_none(made, asked, refusal):
    fields = {"uploadEndpoint": "https://bucket.example/a"}
    output, _ = decide("flux.1-dev", made={**made, "fields": fields}, **asked)
    if refusal is None:
        assert decide_storage(fields, output) == fields
        return
    with pytest.raises(InvalidRequestError, match=refusal):
        decide_storage(fields, output)

"""Deciding and binding: what all aspects come to together, and what is bound to be sent."""

import pytest

from app.catalog.modes import Mode
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.context import RequestContext
from app.domain.request import IgnoredField, ImageRequest, SizeRequest, UploadedImage
from app.domain.values import replace
from app.domain.words import Delivery, ImageFormat
from app.errors import InvalidRequestError
from app.images.hashing import ImageHash
from app.images.types import ImageBytes
from app.planning.bind import bind
from app.planning.decide import decide
from app.planning.fingerprint import TaskIds, fingerprint
from app.planning.output import OutputRules
from app.planning.plan import FittedInputs
from tests.support.images import png
from tests.support.planning import IMAGE, MASK, in_short, model_of

CONTEXT = RequestContext("id", "http://here", Delivery.LINK, idempotency_key="key")
IDS = TaskIds(b"secret")
EXACT = SizeRequest(exact=(1024, 1024), text="1024x1024")
WIDE = SizeRequest(ratio=16 / 9, text="16:9")


def request(**fields):
    return ImageRequest(fields.pop("mode", Mode.EDIT if "images" in fields else Mode.GENERATE), "a hat", **fields)


def test_adjustments_come_in_the_order_of_the_decisions_under_the_callers_names():
    spec = decide(
        request(
            images=(IMAGE,),
            mask=MASK,
            count=3,
            size=SizeRequest(exact=(333, 222), text="333x222"),
            format=ImageFormat.GIF,
            compression=50,
            stream=True,
            delivery=Delivery.LINK,
            parameters=(("guidance_scale", 4),),
            passthrough={"taskUUID": "t"},
            ttl=100_000_000,
            ignored=(IgnoredField("outputType", "dataURI", "because"),),
            names={"output_compression": "outputQuality"},
        ),
        model_of("riverflow-1-pro"),
        default_delivery=Delivery.LINK,
        image_size=(640, 480),
    )
    assert in_short(spec.adjustments) == [
        "outputType dropped None",
        "guidance_scale dropped None",
        "mask emulated pasted inside the mask",
        "size converted 333x222",
        "taskUUID dropped None",
        "response_format dropped None",
        "outputQuality dropped None",
        "ttl changed 86400",
    ]


@pytest.mark.parametrize(
    ("model", "prompt", "sent", "adjusted"),
    [
        pytest.param("flux.1-dev", "a hat", "a hat", [], id="as it is"),
        pytest.param("bfl-flux-erase", "a hat", None, ["prompt dropped None"], id="a model without a prompt"),
        pytest.param("bfl-flux-erase", " ", None, [], id="nothing is no loss"),
    ],
)
def test_a_prompt_is_sent_or_stated_without_its_text(model, prompt, sent, adjusted):
    asked = ImageRequest(Mode.EDIT, prompt, images=(IMAGE,), mask=MASK)
    spec = decide(asked, model_of(model), default_delivery=Delivery.LINK, image_size=(640, 480))
    stated = [one for one in spec.adjustments if one.param == "prompt"]
    assert (spec.prompt, in_short(stated)) == (sent, adjusted)
    assert all(one.requested is None for one in stated)


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        pytest.param(None, "missing_required_parameter", id="none"),
        pytest.param(" \n", "missing_required_parameter", id="only spaces"),
        pytest.param("x" * 40_000, "string_above_max_length", id="too long"),
    ],
)
def test_a_prompt_a_model_cannot_take_is_refused(prompt, code):
    with pytest.raises(InvalidRequestError) as caught:
        decide(ImageRequest(Mode.GENERATE, prompt), model_of("flux.1-dev"), default_delivery=Delivery.LINK)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param(
            {"size": SizeRequest(exact=(17_000, 64), text="x"), "format": ImageFormat.WEBP}, "size", id="a side"
        ),
        pytest.param({"size": SizeRequest(exact=(2048, 2048), text="x")}, "size", id="all pixels"),
        pytest.param({"size": SizeRequest(ratio=1, area=4_194_304, ratio_field="size")}, "size", id="by shape"),
        pytest.param({"size": SizeRequest(area=4_194_304)}, "resolution", id="by scale"),
    ],
)
def test_a_size_nobody_could_deliver_is_refused_at_its_field(fields, param):
    rules = OutputRules(max_pixels=2_000_000)
    with pytest.raises(InvalidRequestError) as caught:
        decide(request(**fields), model_of("civitai:1@2"), default_delivery=Delivery.LINK, rules=rules)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("mode", "is_refused"),
    [
        pytest.param(AdjustmentMode.CHANGED, True, id="changed"),
        pytest.param(AdjustmentMode.DROPPED, True, id="dropped"),
        pytest.param(AdjustmentMode.CONVERTED, False, id="converted"),
        pytest.param(AdjustmentMode.EMULATED, False, id="emulated"),
    ],
)
def test_a_strict_request_is_refused_for_what_its_images_lost_too(mode, is_refused):
    asked, model = request(images=(IMAGE,), size=EXACT), model_of("flux.1-dev")
    spec = decide(asked, model, default_delivery=Delivery.LINK)
    fitted = FittedInputs((IMAGE.url,), adjustments=(Adjustment("image", "9x9", "8x8", mode, "Because."),))
    assert bind(asked, "flux.1-dev", spec, fitted, CONTEXT, IDS).spec.adjustments == fitted.adjustments
    strict = replace(CONTEXT, strict=True)
    if not is_refused:
        bind(asked, "flux.1-dev", spec, fitted, strict, IDS)
        return
    with pytest.raises(InvalidRequestError, match=r"Strict mode: `image` cannot be honored exactly\. Because\."):
        bind(asked, "flux.1-dev", spec, fitted, strict, IDS)


def test_what_is_bound_can_be_bound_again_to_the_same_ids_and_price():
    asked, model = request(count=2, size=EXACT), model_of("flux.2-pro")
    spec = decide(asked, model, default_delivery=Delivery.LINK)
    prepared = bind(asked, "flux.2", spec, FittedInputs(), CONTEXT, IDS)
    assert prepared == bind(asked, "flux.2", spec, FittedInputs(), CONTEXT, IDS)
    assert (prepared.requested_model, prepared.fingerprint) == ("flux.2", fingerprint(asked, CONTEXT))
    assert (
        prepared.price.total
        == 2 * bind(replace(asked, count=1), "x", replace(spec, count=1), FittedInputs(), CONTEXT, IDS).price.total
    )


def test_the_fingerprint_is_of_the_request_as_it_came():
    image = UploadedImage("image", ImageBytes(png()), ImageHash.BLAKE3.digest_bytes(png()))
    asked, model = request(images=(image,), size=EXACT), model_of("flux.1-dev")
    settled = replace(asked, passthrough={})
    spec = decide(settled, model, default_delivery=Delivery.LINK, image_size=(640, 480))
    bound = [bind(asked, "m", spec, FittedInputs((url,)), CONTEXT, IDS) for url in ("https://a.example", IMAGE.url)]
    assert {one.fingerprint for one in bound} == {fingerprint(asked, CONTEXT)}
    assert len({one.plan.places for one in bound}) == 1

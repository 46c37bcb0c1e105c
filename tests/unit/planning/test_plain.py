"""What plain requests have in common: remembered by their shape, and never anything else of them."""

from itertools import product

import pytest

from app.catalog.modes import Mode
from app.domain.context import RequestContext
from app.domain.request import IgnoredField, ImageRequest, SizeRequest
from app.domain.values import replace
from app.domain.words import Delivery, ImageFormat
from app.errors import InvalidRequestError
from app.planning.bind import bind
from app.planning.decide import decide
from app.planning.fingerprint import TaskIds
from app.planning.output import OutputRules
from app.planning.plain import PlainRequests
from app.planning.plan import NO_FITTED_INPUTS
from tests.support.planning import IMAGE, MARKUP, MASK, model_of

RULES = OutputRules()
IDS = TaskIds(b"secret")
EXACT = SizeRequest(exact=(1024, 1024), text="1024x1024")
WIDE = SizeRequest(ratio=16 / 9, text="16:9")


def request(prompt="a hat", **fields):
    return ImageRequest(Mode.GENERATE, prompt, **fields)


def common_of(memory, asked, model, delivery=Delivery.LINK, rules=RULES):
    """What is known of a request, or learned of it."""
    at = (asked, model, delivery, rules)
    return memory.find(*at) or memory.learn(*at)


PLAIN = {
    "nothing": {},
    "count": {"count": 3},
    "size": {"size": EXACT},
    "another size": {"size": SizeRequest(exact=(1000, 700), text="1000x700")},
    "shape": {"size": WIDE},
    "delivery": {"delivery": Delivery.EMBEDDED},
    "format": {"format": ImageFormat.GIF},
    "compression": {"format": ImageFormat.JPEG, "compression": 5},
    "stream": {"stream": True, "delivery": Delivery.LINK},
    "model": {"model": "gpt-image-1"},
    "model and delivery": {"model": "gpt-image-1", "delivery": Delivery.LINK},
    "user": {"user": "u"},
    "given": {"given": frozenset({"prompt"})},
    "background": {"background": "transparent"},
    "fit": {"fit": "cover", "size": SizeRequest(exact=(1000, 700), text="1000x700")},
    "seed": {"seed": 7},
    "parameters": {"parameters": (("guidance_scale", 4), ("quality", "high"), ("style", "vivid"))},
    "ttl": {"ttl": 90},
}
"""Requests that are decided by their shape, or bring what decides nothing."""
NOT_PLAIN = {
    "images": (IMAGE,),
    "mask": MASK,
    "markup": MARKUP,
    "mask_is_native": True,
    "webhook_url": "https://a.example/hook",
    "in_background": True,
    "parameters": (("svg", {"version": 1}), ("negative_prompt", "fog " * 10)),
    "passthrough": {"steps": 9},
    "names": {"size": "width"},
    "ignored": (IgnoredField("outputType", "dataURI", "because"),),
}
"""Fields that need a decision of their own."""


@pytest.mark.parametrize("model", ["flux.1-dev", "openai-gpt-image-1", "riverflow-1", "midjourney:3@1", "civitai:1@2"])
@pytest.mark.parametrize("fields", PLAIN.values(), ids=PLAIN)
def test_what_is_remembered_is_what_would_be_prepared_anew(model, fields):
    memory, rules = PlainRequests(), [RULES, OutputRules(native_links=False)]
    for prompt, delivery, rule in product(
        ("a hat", '"prompt":null"seed":null'), (Delivery.LINK, Delivery.EMBEDDED), rules
    ):
        asked, entry = request(prompt, **fields), model_of(model)
        context = RequestContext("id", "http://here", delivery, idempotency_key="key")
        common = common_of(memory, asked, entry, delivery, rule)
        if common is None:
            assert (asked.seed, entry.parameters.seed) == (7, None)
            continue
        spec = common.spec_of(asked)
        remembered = bind(asked, "m", spec, NO_FITTED_INPUTS, context, IDS, common)
        decided = decide(asked, entry, default_delivery=delivery, rules=rule)
        assert remembered == bind(asked, "m", decided, NO_FITTED_INPUTS, context, IDS)
        assert spec.prompt == prompt


@pytest.mark.parametrize("fields", PLAIN.values(), ids=PLAIN)
def test_a_shape_is_decided_once(fields):
    memory, model = PlainRequests(), model_of("flux.1-dev")
    first, second = (common_of(memory, request(prompt, **fields), model) for prompt in ("a hat", "a cap"))
    assert first is second


def test_every_field_of_a_request_is_in_its_shape_or_keeps_it_from_being_remembered():
    plain = {name for fields in PLAIN.values() for name in fields}
    assert set(ImageRequest.__struct_fields__) == plain | NOT_PLAIN.keys() | {"mode", "prompt"}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_a_field_of_its_own_is_never_answered_from_memory(name):
    memory, model = PlainRequests(), model_of("flux.1-dev")
    plain = request(size=SizeRequest(exact=(1000, 700), text="1000x700"))
    assert common_of(memory, plain, model) is not None
    assert common_of(memory, replace(plain, **{name: NOT_PLAIN[name]}), model) is None


@pytest.mark.parametrize("strict", [False, True], ids=["usual", "strict"])
@pytest.mark.parametrize(
    "values", [(1, 1.0), (1.0, 1), (0.0, -0.0)], ids=["a fraction later", "a fraction first", "sign"]
)
def test_values_that_are_equal_and_mean_different_things_are_remembered_apart(values, strict):
    memory, model = PlainRequests(), model_of("flux.1-dev")
    context = RequestContext("id", "http://here", Delivery.LINK, strict=strict, idempotency_key="key")
    for value in values:
        asked = request(parameters=(("guidance_scale", value),))
        common = common_of(memory, asked, model)
        made = common.counted.fingerprint(asked, strict=strict)
        decided = decide(asked, model, default_delivery=Delivery.LINK)
        assert made == bind(asked, "m", replace(decided, adjustments=()), NO_FITTED_INPUTS, context, IDS).fingerprint
        assert repr(common.spec_of(asked).fields) == repr(decided.fields)


def test_a_value_that_is_refused_is_refused_also_where_an_equal_one_is_remembered():
    memory, model = PlainRequests(), model_of("flux.1-dev")
    assert common_of(memory, request(parameters=(("guidance_scale", 1),)), model) is not None
    with pytest.raises(InvalidRequestError):
        common_of(memory, request(parameters=(("guidance_scale", True),)), model)


def test_a_blank_image_that_stands_in_for_one_to_edit_is_in_the_price():
    model, asked = model_of("riverflow-1"), request()
    common = common_of(PlainRequests(), asked, model)
    fitted = replace(NO_FITTED_INPUTS, images=(IMAGE.url,))
    context = RequestContext("id", "http://here", Delivery.LINK)
    known = bind(asked, "m", common.spec_of(asked), fitted, context, IDS, common)
    assert known.price == bind(asked, "m", common.spec_of(asked), fitted, context, IDS).price


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(
            {"size": SizeRequest((64, 64), text="64x64", ignored=(("resolution", "x" * 10**6),))}, id="ignored"
        ),
        pytest.param({"size": SizeRequest(ratio=1, text="0" * 10**6 + "1:1")}, id="a shape"),
        pytest.param({"size": SizeRequest(area=10**6, area_text="0" * 10**6 + "1MP")}, id="a scale"),
        pytest.param({"model": "m" * 10**6}, id="a name"),
        pytest.param({"parameters": (("negative_prompt", "fog" * 10**6),)}, id="a parameter"),
        pytest.param({"parameters": (("svg", {"version": 1}),)}, id="an object"),
    ],
)
def test_what_is_written_at_length_does_not_fill_the_memory(fields):
    assert common_of(PlainRequests(), request(**fields), model_of("flux.1-dev")) is None


def test_a_refusal_is_not_remembered_as_an_answer():
    memory, model, small = PlainRequests(), model_of("civitai:1@2"), OutputRules(max_pixels=1000)
    for _ in range(2):
        with pytest.raises(InvalidRequestError):
            common_of(memory, request(size=EXACT), model, rules=small)
    assert common_of(memory, request(size=EXACT), model).spec.output.size == (1024, 1024)


@pytest.mark.parametrize("prompt", [None, " ", "x" * 40_000], ids=["none", "empty", "too long"])
def test_a_prompt_is_judged_before_a_shape_and_also_where_its_shape_is_remembered(prompt):
    memory, model, small = PlainRequests(), model_of("civitai:1@2"), OutputRules(max_pixels=1000)
    common = common_of(memory, request(size=EXACT), model)
    with pytest.raises(InvalidRequestError) as first:
        common_of(memory, request(prompt, size=EXACT), model, rules=small)
    with pytest.raises(InvalidRequestError) as again:
        common.spec_of(request(prompt, size=EXACT))
    assert (first.value.param, first.value.message) == ("prompt", again.value.message)


@pytest.mark.parametrize("seed", [-1, 2**70], ids=["below", "above"])
def test_a_seed_is_judged_for_each_request_also_where_its_shape_is_remembered(seed):
    model = model_of("flux.1-dev")
    common = common_of(PlainRequests(), request(seed=7), model)
    with pytest.raises(InvalidRequestError) as known:
        common.spec_of(request(seed=seed))
    with pytest.raises(InvalidRequestError) as anew:
        decide(request(seed=seed), model, default_delivery=Delivery.LINK)
    assert (known.value.message, known.value.param) == (anew.value.message, anew.value.param)


def test_a_memory_forgets_what_came_first():
    memory, model = PlainRequests(), model_of("civitai:1@2")
    asked = [request(size=SizeRequest(exact=(side, side))) for side in range(64, 64 + 1025)]
    first, *_, last = (common_of(memory, one, model) for one in asked)
    assert memory.find(asked[-1], model, Delivery.LINK, RULES) is last
    assert memory.find(asked[0], model, Delivery.LINK, RULES) is None
    assert common_of(memory, asked[0], model) == first

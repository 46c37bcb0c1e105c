"""Runware's own fields are judged before anything is sent: FLUX.1 [dev] SRPO's page line by line, and Riverflow's."""

import pytest

from app.catalog.field_rules import FieldRule
from app.catalog.loader import load_catalog
from app.catalog.modes import Mode
from app.domain.answer import AdjustmentMode
from app.domain.request import ImageRequest, LinkedImage
from app.domain.spec import Lifetimes
from app.domain.words import Delivery
from app.errors import InvalidRequestError
from app.planning.decide import decide
from app.settings.load import Settings

REGISTRY = load_catalog(Settings().models.catalog_dir)
UUID = "c64351d5-4c59-42f7-95e1-eace013eddab"
LORA = {"model": "civitai:1@2"}
GUIDE = {"model": "runware:20@1", "guideImage": UUID}
ADAPTER = {"model": "runware:55@1", "guideImages": [UUID]}
FACE = {"images": [UUID]}


def fit(model="srpo", mode=Mode.GENERATE, images=0, **asked):
    """The spec of a request, or the refusal."""
    sent = tuple(LinkedImage(f"image[{index}]", "https://a.example/b.png") for index in range(images))
    request = ImageRequest(mode, "a portrait", images=sent, **asked)
    return decide(request, REGISTRY.find_model(model), default_delivery=Delivery.LINK, image_size=(640, 480))


LEGAL = [
    ("everything at its lowest", {"steps": 1, "CFGScale": 0, "strength": 0, "maskMargin": 32, "seed": 0}),
    ("everything at its highest", {"steps": 50, "CFGScale": 20, "strength": 1, "maskMargin": 128}),
    ("steps of a hundredth", {"CFGScale": 7.35, "strength": 0.07}),
    ("prompt weighting", {"promptWeighting": "compel"}),
    ("the other prompt weighting", {"promptWeighting": "sdEmbeds"}),
    ("accelerator", {"acceleratorOptions": {"teaCache": True, "teaCacheDistance": 0.5, "cacheStartStep": 2, "cacheEndStep": 8}, "steps": 8}),
    ("accelerator by percentage", {"acceleratorOptions": {"cacheStartStepPercentage": 0, "cacheEndStepPercentage": 100}}),
    ("two adapters", {"lora": [LORA | {"weight": 0.8}, LORA | {"weight": -4, "transformer": "both"}]}),
    ("a guide", {"controlNet": [GUIDE | {"weight": 0.7, "startStep": 0, "endStep": 20, "controlMode": "controlnet"}], "steps": 20}),
    ("an image prompt", {"ipAdapters": [{"model": "runware:55@3", "guideImages": [UUID], "weightComposition": 1}]}),
    ("wider", {"outpaint": {"top": 0, "left": 256}}),
    ("hires as it is", {"hiresFix": True}),
    ("hires configured", {"hiresFix": {"model": "runware:esrgan@ultrasharp", "steps": 15, "strength": 0.6}}),
    ("layers", {"layerDiffuse": True}),
    ("layers where the example has them", {"advancedFeatures": {"layerDiffuse": True}}),
    ("an image prompt of FLUX", {"ipAdapters": [{"model": "runware:56@4", "guideImages": [UUID], "weightType": "ease_in_out"}]}),
    ("an identity", {"pulid": FACE | {"idWeight": 3, "trueCFGScale": 1.5, "CFGstartStep": 3}, "steps": 4}),
    ("an identity as the example spells it", {"puLID": FACE | {"CFGStartStep": 3}}),
    ("better faces", {"ultralytics": {"CFGScale": 50, "confidence": 0.01, "maskBlur": 100, "maskPadding": 20, "steps": 100, "strength": 1}}),
    ("a guidance of its own", {"trueCFGScale": 4.25}),
    ("safety", {"safety": {"checkContent": True, "mode": "fast"}}),
    ("storage", {"uploadEndpoint": "https://bucket.example/x?X-Amz-Signature=1"}),
    ("what nobody knows", {"wobble": {"deep": [1, None]}, "lora": [LORA | {"newThing": 1}]}),
]  # fmt: skip


@pytest.mark.parametrize("passthrough", [row[1] for row in LEGAL], ids=[row[0] for row in LEGAL])
def test_what_the_page_allows_is_passed_on_as_it_is(passthrough):
    spec = fit(passthrough=passthrough)
    assert {name: spec.fields[name] for name in passthrough} == passthrough
    assert spec.adjustments == ()


ILLEGAL = [
    ("steps", {"steps": 0}), ("steps", {"steps": 51}), ("steps", {"steps": 7.5}), ("steps", {"steps": True}), ("steps", {"steps": "20"}),
    ("CFGScale", {"CFGScale": -0.01}), ("CFGScale", {"CFGScale": 20.5}), ("CFGScale", {"CFGScale": 1.005}),
    ("strength", {"strength": 1.01}), ("maskMargin", {"maskMargin": 31}), ("maskMargin", {"maskMargin": 129}),
    ("scheduler", {"scheduler": "Nonsense"}), ("promptWeighting", {"promptWeighting": "other"}),
    ("negativePrompt", {"negativePrompt": "x"}), ("negativePrompt", {"negativePrompt": "x" * 3001}), ("trueCFGScale", {"trueCFGScale": "high"}),
    ("acceleratorOptions", {"acceleratorOptions": []}),
    ("acceleratorOptions.cacheEndStep", {"acceleratorOptions": {"cacheEndStep": 0}}),
    ("acceleratorOptions.cacheEndStep", {"acceleratorOptions": {"cacheEndStep": 9}, "steps": 8}),
    ("acceleratorOptions.cacheStartStep", {"acceleratorOptions": {"cacheStartStep": 5, "cacheEndStep": 5}}),
    ("acceleratorOptions.cacheStartStepPercentage", {"acceleratorOptions": {"cacheStartStep": 5, "cacheStartStepPercentage": 5}}),
    ("acceleratorOptions.cacheEndStepPercentage", {"acceleratorOptions": {"cacheEndStep": 5, "cacheEndStepPercentage": 5}}),
    ("acceleratorOptions.cacheEndStepPercentage", {"acceleratorOptions": {"cacheEndStepPercentage": 101}}),
    ("acceleratorOptions.cacheStartStepPercentage", {"acceleratorOptions": {"cacheStartStepPercentage": 50, "cacheEndStepPercentage": 50}}),
    ("acceleratorOptions.cacheMaxConsecutiveSteps", {"acceleratorOptions": {"cacheMaxConsecutiveSteps": 6}}),
    ("acceleratorOptions.fbCache", {"acceleratorOptions": {"fbCache": "yes"}}),
    ("acceleratorOptions.fbCacheThreshold", {"acceleratorOptions": {"fbCacheThreshold": 1.5}}),
    ("acceleratorOptions.teaCacheDistance", {"acceleratorOptions": {"teaCacheDistance": 0.505}}),
    ("acceleratorOptions.dbCacheSkipInterval", {"acceleratorOptions": {"dbCacheSkipInterval": 0}}),
    ("lora", {"lora": []}), ("lora", {"lora": LORA}), ("lora[0]", {"lora": ["civitai:1@2"]}), ("lora[1].model", {"lora": [LORA, {"weight": 1}]}),
    ("lora[1].weight", {"lora": [LORA, LORA | {"weight": 4.01}]}), ("lora[1].weight", {"lora": [LORA, LORA | {"weight": 0.805}]}),
    ("lora[0].transformer", {"lora": [LORA | {"transformer": 3}]}), ("lora[0].transformer", {"lora": [LORA | {"transformer": "middle"}]}),
    ("controlNet[0].controlMode", {"controlNet": [GUIDE | {"controlMode": "strict"}]}),
    ("ipAdapters[0].combineMethod", {"ipAdapters": [ADAPTER | {"combineMethod": "multiply"}]}),
    ("ipAdapters[0].embedScaling", {"ipAdapters": [ADAPTER | {"embedScaling": "v"}]}),
    ("ipAdapters[0].weightType", {"ipAdapters": [ADAPTER | {"weightType": "linear"}]}),
    ("ipAdapters[0].guideImages", {"ipAdapters": [{"model": "runware:55@1"}]}),
    ("controlNet", {"controlNet": []}), ("controlNet[0].guideImage", {"controlNet": [{"model": "runware:20@1"}]}),
    ("controlNet[0].weight", {"controlNet": [GUIDE | {"weight": -5}]}),
    ("controlNet[0].endStep", {"controlNet": [GUIDE | {"endStep": 21}], "steps": 20}),
    ("controlNet[0].startStep", {"controlNet": [GUIDE | {"startStep": 9, "endStep": 9}]}),
    ("controlNet[0].startStepPercentage", {"controlNet": [GUIDE | {"startStepPercentage": 100}]}),
    ("controlNet[0].endStepPercentage", {"controlNet": [GUIDE | {"endStep": 3, "endStepPercentage": 5}]}),
    ("ipAdapters[0].guideImages", {"ipAdapters": [{"model": "runware:55@1", "guideImages": []}]}),
    ("ipAdapters[0].model", {"ipAdapters": [{"model": "runware:55@9", "guideImages": [UUID]}]}),
    ("ipAdapters[0].weightComposition", {"ipAdapters": [{"model": "runware:55@1", "guideImages": [UUID], "weightComposition": 2}]}),
    ("outpaint.left", {"outpaint": {"left": -1}}),
    ("hiresFix", {"hiresFix": False}), ("hiresFix.model", {"hiresFix": {"steps": 3}}), ("hiresFix.model", {"hiresFix": {"model": "runware:1@1"}}),
    ("layerDiffuse", {"layerDiffuse": "true"}), ("advancedFeatures.layerDiffuse", {"advancedFeatures": {"layerDiffuse": 1}}),
    ("pulid.images", {"pulid": {"idWeight": 1}}), ("pulid.idWeight", {"pulid": FACE | {"idWeight": 3.01}}),
    ("pulid.trueCFGScale", {"pulid": FACE | {"trueCFGScale": 0.05}}), ("pulid.CFGstartStep", {"pulid": FACE | {"CFGstartStep": 20}, "steps": 20}),
    ("pulid.CFGstartStepPercentage", {"pulid": FACE | {"CFGstartStep": 1, "CFGstartStepPercentage": 1}}), ("puLID.images", {"puLID": {"images": []}}),
    ("ultralytics.confidence", {"ultralytics": {"confidence": 1.1}}), ("ultralytics.maskPadding", {"ultralytics": {"maskPadding": 21}}),
    ("ultralytics.steps", {"ultralytics": {"steps": 101}}), ("ultralytics.CFGScale", {"ultralytics": {"CFGScale": 50.1}}),
    ("inputs.seedImage", {"inputs": {"seedImage": ["a"]}}),
    ("safety.checkContent", {"safety": {"checkContent": "yes"}}), ("safety.mode", {"safety": {"mode": "full"}}), ("safety", {"safety": True}),
    ("uploadEndpoint", {"uploadEndpoint": "ftp://x"}), ("uploadEndpoint", {"uploadEndpoint": 3}),
]  # fmt: skip


@pytest.mark.parametrize(("place", "passthrough"), ILLEGAL, ids=[f"{row[0]}={row[1]!s:.70}" for row in ILLEGAL])
def test_what_the_page_forbids_is_refused_at_its_exact_place(place, passthrough):
    with pytest.raises(InvalidRequestError) as refusal:
        fit(passthrough=passthrough)
    assert refusal.value.param == place
    assert f"`{place}`" in refusal.value.message


@pytest.mark.parametrize(
    ("passthrough", "message"),
    [
        ({"lora": [LORA, LORA | {"weight": 9}]}, "Invalid value for `lora[1].weight`: expected a number from -4 to 4 in steps of 0.01; got 9."),
        ({"safety": {"mode": 1}}, "Invalid value for `safety.mode`: expected one of none, fast; got 1."),
        ({"pulid": {"images": []}}, "Invalid value for `pulid.images`: expected a list of 1 items; got a list of 0."),
        ({"scheduler": "x"}, "Invalid value for `scheduler`: expected one of DDIM, DDIMScheduler, "),
        ({"steps": 8, "acceleratorOptions": {"cacheEndStep": 9}}, "it must be at most `steps`, which is 8."),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_a_refusal_says_what_is_taken(passthrough, message):
    with pytest.raises(InvalidRequestError) as refusal:
        fit(passthrough=passthrough)
    assert message in refusal.value.message


OWN = {
    "includeCost": False,
    "numberResults": 4,
    "outputQuality": 50,
    "outputType": "dataURI",
    "taskUUID": UUID,
    "deliveryMethod": "async",
    "webhookURL": "https://a.example",
}


@pytest.mark.parametrize("model", ["riverflow-1-mini", "riverflow-1", "riverflow-1-pro", "srpo"])
@pytest.mark.parametrize("name", OWN)
def test_the_gateways_own_fields_cannot_be_set_and_that_is_told(model, name):
    spec = fit(model, Mode.EDIT, 1, passthrough={name: OWN[name]})
    assert name not in spec.fields
    assert [(one.param, one.mode) for one in spec.adjustments] == [(name, AdjustmentMode.DROPPED)]


@pytest.mark.parametrize("model", ["riverflow-1-mini", "riverflow-1-pro"])
def test_riverflows_platform_fields_pass(model):
    passthrough = {"safety": {"checkContent": True}, "uploadEndpoint": "https://bucket.example/a"}
    spec = fit(model, Mode.EDIT, 1, passthrough=passthrough)
    assert {name: spec.fields[name] for name in passthrough} == passthrough


@pytest.mark.parametrize(("delivery", "sent"), [(Delivery.LINK, 120), (Delivery.EMBEDDED, None)])
def test_how_long_images_stay_is_sent_for_links_of_runwares_and_kept_here_for_all_else(delivery, sent):
    spec = fit(ttl=120, delivery=delivery)
    assert (spec.fields.get("ttl"), spec.output.lives, spec.adjustments) == (sent, Lifetimes(120, 120), ())


@pytest.mark.parametrize(
    ("model", "word", "asked", "applied"),
    [
        ("srpo", "guidance_scale", 30, 20),
        ("bria-fibo", "guidance_scale", 4.4, 4),
        ("bria-fibo", "guidance_scale", 4.5, 5),
        ("bfl:1@2", "num_inference_steps", 4, 15),
        ("srpo", "num_inference_steps", 400, 50),
        ("srpo", "guidance_scale", 1.005, 1.0),
    ],
)
def test_a_word_beyond_the_models_range_becomes_the_nearest_and_is_told(model, word, asked, applied):
    mask = LinkedImage("mask", "https://a.example/m.png") if model.startswith("bfl") else None
    mode, images = (Mode.EDIT, 1) if mask else (Mode.GENERATE, 0)
    spec = fit(model, mode, images, parameters=((word, asked),), mask=mask)
    (adjustment,) = [one for one in spec.adjustments if one.param == word]
    assert (adjustment.requested, adjustment.applied, adjustment.mode) == (asked, applied, AdjustmentMode.CHANGED)


@pytest.mark.parametrize(
    ("model", "asked", "param"),
    [
        ("srpo", {"parameters": (("negative_prompt", "x"),)}, "negative_prompt"),
        ("google:4@3", {"seed": 2**31}, "seed"),
        ("ideogram:4@0", {"passthrough": {"settings": {"structuredPrompt": {"a": 1}}}}, "settings.structuredPrompt"),
        ("sourceful-riverflow-2-5-pro", {"passthrough": {"settings": {"backgroundMode": "solid"}}}, "settings.backgroundColor"),
        ("sourceful-riverflow-2-5-pro", {"passthrough": {"settings": {"backgroundMode": "solid", "backgroundColor": "red"}}}, "settings.backgroundColor"),
        ("flux.2-pro", {"passthrough": {"providerSettings": {"bfl": {"safetyTolerance": 7}}}}, "providerSettings.bfl.safetyTolerance"),
    ],
)  # fmt: skip
def test_what_a_model_forbids_is_refused_in_the_callers_words(model, asked, param):
    with pytest.raises(InvalidRequestError) as refusal:
        fit(model, **asked)
    assert refusal.value.param == param


def test_a_negative_prompt_beside_images_is_dropped_where_the_model_takes_only_one_of_them():
    spec = fit("qwen-image-2-0", Mode.EDIT, 1, parameters=(("negative_prompt", "fog"),))
    assert "negativePrompt" not in spec.fields
    assert [(one.param, one.mode) for one in spec.adjustments] == [("negative_prompt", AdjustmentMode.DROPPED)]
    with pytest.raises(InvalidRequestError, match=r"cannot be combined"):
        fit("qwen-image-2-0", Mode.EDIT, 1, passthrough={"negativePrompt": "fog"})


def test_an_unlisted_model_is_judged_by_runware_alone():
    passthrough = {"steps": 9000, "lora": "x"}
    assert fit("civitai:1@2", passthrough=passthrough).fields == passthrough


@pytest.mark.parametrize(
    ("rule", "number", "nearest"),
    [
        (FieldRule(type="integer", minimum=1, maximum=50), 7.5, 8),
        (FieldRule(type="integer", minimum=0, maximum=0), 7, 0),
        (FieldRule(type="number", values=(2, 4)), 3, 4),
        (FieldRule(type="number", minimum=0, maximum=1, step=0.25), 0.3, 0.25),
        (FieldRule(type="number"), 3.3, 3.3),
    ],
)
def test_the_nearest_legal_number(rule, number, nearest):
    assert rule.nearest(number) == nearest

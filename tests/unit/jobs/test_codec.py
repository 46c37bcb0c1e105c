"""What the journal holds is read again as it was, also where an older version wrote it."""

import msgspec
import pytest

from app.domain.answer import Adjustment, AdjustmentMode, Attempt, DeliveredImage, MissingImage, Result
from app.domain.spec import Composition, FormatPlan, OutputSpec, TaskPlace
from app.domain.values import replace
from app.domain.words import Delivery, ImageFormat
from app.errors import GatewayError, ProviderError, UnavailableError
from app.jobs.codec import (
    StoredPlan,
    decode_error,
    decode_plan,
    decode_result,
    encode_error,
    encode_plan,
    encode_result,
    places_of,
)

ADJUSTMENTS = (Adjustment("size", {"w": [1, None]}, "8x8", AdjustmentMode.CHANGED, "why"),)
PLACES = (TaskPlace("a", 0, 1, 1), TaskPlace("b", 1, 1, 4))
OUTPUT = OutputSpec(
    size=(1024, 768),
    delivery=Delivery.DATA_URI,
    native_link=False,
    format=FormatPlan(ImageFormat.GIF, 80, "PNG", None),
    composition=Composition((640, 480), "contain", "white", pastes=False),
)
OLD_PLAN = (
    '{"requested_model":"m","origin":"http://h","count":2,"tasks":[{"task_id":"a","first_index":0,"wanted":1,'
    '"number_results":1},{"task_id":"b","first_index":1,"wanted":1,"number_results":4}],"size":[1024,768],'
    '"delivery":"data_uri","native_link":false,"format":{"delivered":"gif","quality":80,"native":"PNG",'
    '"native_quality":null},"finish":{"size":[640,480],"fit":"contain","pad":"white","pastes":false},"adjustments":'
    '[{"param":"size","requested":{"w":[1,null]},"applied":"8x8","mode":"changed","reason":"why"}]}'
)
"""As it was written up to the version that stored the output itself."""


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(OUTPUT, id="composed"),
        pytest.param(
            replace(OUTPUT, native_link=True, composition=None, size=None, transparent=True, link_seconds=60),
            id="a link that ends",
        ),
    ],
)
def test_a_plan_is_read_as_it_was_stored(output):
    plan = StoredPlan("http://h", PLACES, output, ADJUSTMENTS)
    assert decode_plan(encode_plan(plan)) == plan


def test_a_plan_of_an_older_version_is_read():
    assert decode_plan(OLD_PLAN) == StoredPlan("http://h", PLACES, OUTPUT, ADJUSTMENTS)


@pytest.mark.parametrize("text", ["no JSON", "{}", "[]", "null", '{"output":{}}', '{"tasks":7}'])
def test_what_is_no_plan_cannot_be_read(text):
    with pytest.raises(msgspec.MsgspecError):
        decode_plan(text)
    assert places_of(text) == ()


RESULT = Result(
    created=5,
    images=(
        DeliveredImage((8, 8), ImageFormat.PNG, 7, name="k.png"),
        DeliveredImage((8, 8), ImageFormat.PNG, 8, "http://h/media/x", 99, hosted="x.png"),
    ),
    failures=(MissingImage(2, "c", "msg"),),
    task_ids=("a", "b"),
    attempts=(Attempt("a", "submit", "ok", 200, 5),),
    adjustments=ADJUSTMENTS,
)
TOLD = replace(
    RESULT,
    images=(
        replace(RESULT.images[0], as_uri=True, image_uuid="u-1", nsfw_content=False, provider_fields={"x": [1]}),
        RESULT.images[1],
    ),
    provider_fields={"warnings": ["w"]},
)
OLDEST_RESULT = (
    '{"created":5,"requested_model":"m","images":[{"size":[8,8],"format":"png","seed":7,"url":null,"expires_at":null,'
    '"name":"k.png","hosted":null},{"size":[8,8],"format":"png","seed":8,"url":"http://h/media/x","expires_at":99,'
    '"name":null,"hosted":"x.png"}],"failures":[{"index":2,"code":"c","message":"msg"}],"format":"png","cost":"0.01",'
    '"task_ids":["a","b"],"attempts":[{"task_id":"a","kind":"submit","outcome":"ok","status":200,"duration_ms":5}],'
    '"adjustments":[{"param":"size","requested":{"w":[1,null]},"applied":"8x8","mode":"changed","reason":"why"}]}'
)
"""As it was written before Runware's other words were kept."""
OLDER_RESULT = (
    '{"created":5,"requested_model":"m","images":[{"size":[8,8],"format":"png","seed":7,"url":null,"expires_at":null,'
    '"name":"k.png","hosted":null,"as_uri":true,"image_uuid":"u-1","nsfw_content":false,"provider_fields":{"x":[1]}},'
    '{"size":[8,8],"format":"png","seed":8,"url":"http://h/media/x","expires_at":99,"name":null,"hosted":"x.png",'
    '"as_uri":false,"image_uuid":null,"nsfw_content":null,"provider_fields":{}}],"failures":[{"index":2,"code":"c",'
    '"message":"msg"}],"format":"png","task_ids":["a","b"],"attempts":[{"task_id":"a","kind":"submit","outcome":"ok",'
    '"status":200,"duration_ms":5}],"adjustments":[{"param":"size","requested":{"w":[1,null]},"applied":"8x8",'
    '"mode":"changed","reason":"why"}],"provider_fields":{"warnings":["w"]}}'
)
"""As it was written up to the version that stored the result itself."""


@pytest.mark.parametrize("result", [pytest.param(RESULT, id="little"), pytest.param(TOLD, id="all that Runware says")])
def test_a_result_is_read_as_it_was_stored(result):
    assert decode_result(encode_result(result)) == result


@pytest.mark.parametrize(
    ("text", "result"), [pytest.param(OLDEST_RESULT, RESULT, id="oldest"), pytest.param(OLDER_RESULT, TOLD, id="older")]
)
def test_a_result_of_an_older_version_is_read(text, result):
    assert decode_result(text) == result


@pytest.mark.parametrize(
    "text", ["no JSON", "{}", "[1]", "null", OLDER_RESULT[:-2], OLDER_RESULT.replace('"duration_ms":5', '"x":1e999')]
)
def test_what_is_no_result_cannot_be_read(text):
    with pytest.raises(msgspec.MsgspecError):
        decode_result(text)


def seen(error: GatewayError) -> tuple[object, ...]:
    return type(error), error.message, error.code, error.provider_code, error.retry_after, error.should_retry


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            '{"kind":"ProviderError","message":"no","param":null,"code":"c","provider_code":"pc"}',
            (ProviderError, "no", "c", "pc", None, False),
            id="oldest",
        ),
        pytest.param(
            '{"kind":"UnavailableError","message":"no","param":null,"code":"c","provider_code":"pc","retry_after":1}',
            (UnavailableError, "no", "c", "pc", 1, True),
            id="with the advice to retry",
        ),
    ],
)
def test_an_error_of_an_older_version_is_read(text, expected):
    assert seen(decode_error(text)) == expected


@pytest.mark.parametrize(("may_retry", "advice"), [(False, (None, False)), (True, (7, True))])
def test_an_error_is_read_as_it_was_stored_with_advice_only_where_the_key_is_free_again(may_retry, advice):
    error = UnavailableError("no", code="c", provider_code="pc", retry_after=7, should_retry=True)
    expected = (UnavailableError, "no", "c", "pc", *advice)
    assert seen(decode_error(encode_error(error, may_retry=may_retry))) == expected


@pytest.mark.parametrize("text", ["no JSON", "{}", "[1]"])
def test_an_error_that_cannot_be_read_says_so(text):
    assert decode_error(text).code == "unreadable_record"

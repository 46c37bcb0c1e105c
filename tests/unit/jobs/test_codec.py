"""What the journal holds is read again as it was, also where an older version wrote it."""

from dataclasses import replace

import msgspec
import pytest

from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import Delivery, ImageFormat
from app.domain.spec import Composition, FormatPlan, OutputSpec, TaskPlace
from app.jobs.codec import StoredPlan, decode_plan, encode_plan, places_of

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

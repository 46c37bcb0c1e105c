"""A request of the past is shown with its result, with its error, or with neither while it runs."""

import json
from decimal import Decimal

from app.domain.answer import Adjustment, AdjustmentMode, Attempt, DeliveredImage, MissingImage, Result, TaskCost
from app.domain.spec import Composition, FormatPlan, OutputSpec, TaskPlace
from app.domain.values import replace
from app.domain.words import Delivery, ImageFormat
from app.errors import ProviderError
from app.journal.records import Intent, PlanView, RequestView, Status
from app.journal.rows import new_record
from app.openai_api.request_log import Question, render_list, render_record, render_webhook

INTENT = Intent("req_1", "t", None, "f", "generations", "m", "runware:100@1", 1, ("a",), Decimal("0.02"), "{}")
RECORD = new_record(INTENT, owner="o", now=1.5)
RESULT = Result(
    created=5,
    images=(
        DeliveredImage((8, 8), ImageFormat.PNG, 7, url="https://x/a.png", image_uuid="u", provider_fields={"x": [1]}),
        DeliveredImage((8, 8), ImageFormat.PNG, None, name="k.png", nsfw_content=False),
    ),
    failures=(MissingImage(2, "c", "msg"),),
    task_ids=("a",),
    attempts=(Attempt("a", "submit", "ok", 200, 5, 2),),
    adjustments=(Adjustment("size", {"w": [1, None]}, "8x8", AdjustmentMode.CHANGED, "why"),),
    provider_fields={"warnings": ["w"]},
)
ENDED = RequestView(replace(RECORD, status=Status.PARTIAL, completed_at=3.0), RESULT, None)
FAILED = RequestView(
    replace(RECORD, status=Status.FAILED, completed_at=3.0), None, ProviderError("no", code="c", provider_code="pc")
)


def test_what_runware_said_of_each_image_is_shown_and_never_where_it_lies():
    shown = json.loads(render_record(ENDED))
    assert shown["images"] == [{"seed": 7, "image_uuid": "u", "provider_fields": {"x": [1]}}, {"nsfw_content": False}]
    assert shown["provider_fields"] == {"warnings": ["w"]}
    assert "k.png" not in json.dumps(shown)
    assert shown["attempts"] == [
        {"task_id": "a", "kind": "submit", "outcome": "ok", "status": 200, "duration_ms": 5, "started_ms": 2}
    ]
    assert shown["adjustments"] == [
        {"param": "size", "requested": {"w": [1, None]}, "applied": "8x8", "mode": "changed", "reason": "why"}
    ]
    assert shown["errors"] == [{"index": 2, "code": "c", "message": "msg"}]
    assert (shown["error"], shown["status"], shown["duration_ms"]) == (None, "partial", 1500)


def test_a_failure_shows_its_error_and_nothing_that_was_made():
    shown = json.loads(render_record(FAILED))
    assert shown["error"] == {"message": "no", "param": None, "code": "c", "provider_code": "pc"}
    assert (shown["images"], shown["attempts"], shown["adjustments"], shown["errors"]) == ([], [], [], [])
    assert "provider_fields" not in shown


def test_a_request_that_runs_has_no_end_and_no_cost():
    shown = json.loads(render_record(RequestView(RECORD, None, None)))
    assert (shown["completed_at"], shown["duration_ms"], shown["cost"], shown["error"]) == (None, None, None, None)
    assert (shown["estimated_cost"], shown["task_uuids"]) == (0.02, ["a"])


def test_a_stored_prompt_stands_in_the_record_alone():
    """Administrators read lists without a line in the audit log, and webhooks lie in the logs of others."""
    asked = replace(ENDED, record=replace(ENDED.record, prompt="a secret pier"))
    assert json.loads(render_record(asked))["prompt"] == "a secret pier"
    assert b"a secret pier" not in render_list([asked], Question(), more=False) + render_webhook(asked)


def test_the_plan_tells_each_task_with_its_images_and_its_cost():
    output = OutputSpec(
        (8, 8), Delivery.LINK, native_link=False, format=FormatPlan(ImageFormat.GIF, None, "PNG", None),
        composition=Composition((9, 9), "cover", "black", pastes=False),
    )  # fmt: skip
    record = replace(
        ENDED.record,
        costs=(TaskCost("a", Decimal("0.01"), is_complete=True), TaskCost("b", Decimal("0.02"), is_complete=False)),
    )
    plan = PlanView((TaskPlace("a", 0, 2, 2), TaskPlace("b", 2, 1, 1)), output)
    assert json.loads(render_record(replace(ENDED, record=record, plan=plan)))["plan"] == {
        "tasks": [
            {"task_uuid": "a", "first_index": 0, "images": 2, "cost": 0.01},
            {"task_uuid": "b", "first_index": 2, "images": 1, "cost": None, "known_cost": 0.02},
        ],
        "size": "8x8", "runware_format": "png", "output_format": "gif", "response_format": "url", "fit": "cover", "pasted": False,
    }  # fmt: skip
    running = replace(record, status=Status.PROCESSING)
    tasks = json.loads(render_record(replace(ENDED, record=running, plan=plan)))["plan"]["tasks"]
    assert [task["cost"] for task in tasks] == [None, None]


def test_the_webhook_and_the_list_say_of_a_request_what_its_own_route_says():
    shown = {name: value for name, value in json.loads(render_record(ENDED)).items() if name != "prompt"}
    assert json.loads(render_list([ENDED], Question(), more=False))["data"] == [shown]
    body = json.loads(render_webhook(ENDED))
    assert (body["type"], body["timestamp"], body["data"]) == ("image.completed", "1970-01-01T00:00:03Z", shown)
    assert json.loads(render_webhook(FAILED))["type"] == "image.failed"

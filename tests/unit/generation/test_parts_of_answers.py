"""Answers of single tasks become one answer, and that one becomes theirs again when a stream is replayed."""

from dataclasses import replace
from decimal import Decimal

import pytest

from app.catalog.registry import unlisted_model
from app.domain.answer import Answer, Attempt, DeliveredImage, MissingImage, Result, TaskCost
from app.domain.request import ImageFormat
from app.domain.spec import TaskPlace
from app.generation.collect import merge_fields, merge_parts, split_parts


def answer_of(task_id: str, *seeds: int) -> Answer:
    images = tuple(DeliveredImage((8, 8), ImageFormat.PNG, seed, url=f"https://x/{seed}") for seed in seeds)
    attempts = (Attempt(task_id, "submit", "ok", 200, 1),)
    return Answer(
        request_id="r",
        model=unlisted_model("civitai:1@1"),
        result=Result(1, images, failures=(), task_ids=(task_id,), attempts=attempts, adjustments=()),
        costs=(TaskCost(task_id, Decimal(len(seeds)), is_complete=True),),
    )


def test_what_was_merged_is_split_into_the_same_parts():
    parts = [answer_of("a", 1, 2), answer_of("b", 3)]
    merged = merge_parts(parts, [], tuple(cost for part in parts for cost in part.costs))
    assert split_parts(merged, [TaskPlace("a", 0, 2, 2), TaskPlace("b", 2, 1, 1)]) == [(0, parts[0]), (2, parts[1])]


def test_a_missing_image_leaves_its_place_and_its_task_out():
    parts = [answer_of("a", 1), answer_of("c", 3)]
    merged = merge_parts(parts, [], ())
    found = split_parts(
        replace(merged, result=replace(merged.result, failures=(MissingImage(1, "c", "m"),))),
        [TaskPlace(task, place, 1, 1) for place, task in enumerate("abc")],
    )
    shown = [(index, part.result.task_ids, [image.seed for image in part.result.images]) for index, part in found]
    assert shown == [(0, ("a",), [1]), (2, ("c",), [3])]


def test_without_a_plan_that_can_be_read_the_answer_is_one_part():
    whole = answer_of("a", 1, 2)
    assert split_parts(whole, []) == [(0, whole)]


@pytest.mark.parametrize(
    ("said", "merged"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param([{"a": 1}, {"a": 1}], {"a": 1}, id="the same twice"),
        pytest.param([{"a": 1}, {"a": 2}, {"b": 3}], {"a": [1, 2], "b": 3}, id="different values are listed"),
        pytest.param([{"a": [1, 2]}, {"a": [2, 3]}], {"a": [1, 2, 3]}, id="lists are joined"),
        pytest.param([{"a": [1]}, {"a": 1}], {"a": [[1], 1]}, id="a list beside a value"),
        pytest.param([{"a": None}, {"a": {"b": []}}], {"a": [None, {"b": []}]}, id="values that cannot be hashed"),
    ],
)
def test_what_several_tasks_say_is_said_once(said, merged):
    assert merge_fields(said) == merged

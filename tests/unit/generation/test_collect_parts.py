"""Answers of single tasks become one answer, and that one becomes theirs again when a stream is replayed."""

from decimal import Decimal

import pytest

from app.catalog.registry import unlisted_model
from app.domain.answer import Answer, Attempt, DeliveredImage, TaskCost
from app.domain.outcome import Part
from app.domain.spec import TaskPlace
from app.domain.words import ImageFormat
from app.errors import ProviderError
from app.generation.collect import FailedImage, TaskEnd, build_result, merge_fields, split_parts


def end_of(task_id: str, first_index: int, *seeds: int, wanted: int | None = None) -> TaskEnd:
    images = tuple(DeliveredImage((8, 8), ImageFormat.PNG, seed, url=f"https://x/{seed}") for seed in seeds)
    place = TaskPlace(task_id, first_index, wanted or len(seeds), wanted or len(seeds))
    failed = tuple(
        FailedImage(first_index + offset, ProviderError("It failed.")) for offset in range(len(seeds), place.wanted)
    )
    return TaskEnd(place, (Attempt(task_id, "submit", "ok", 200, 1),), {}, images, failed)


def answer_of(*ends: TaskEnd) -> Answer:
    costs = tuple(TaskCost(end.place.task_id, Decimal(len(end.images)), is_complete=True) for end in ends)
    return Answer("r", unlisted_model("civitai:1@1"), build_result(1, (), ends), costs)


def test_an_answer_is_split_into_the_answers_of_its_tasks():
    ends = [end_of("a", 0, 1, 2), end_of("b", 2, 3)]
    parts = [Part(end.place.first_index, answer_of(end)) for end in ends]
    assert split_parts(answer_of(*ends), [end.place for end in ends]) == parts


def test_an_image_that_its_task_did_not_make_is_reported_with_the_others_of_that_task():
    ends = [end_of("a", 0, 1, wanted=2), end_of("b", 2, 3)]
    parts = [Part(end.place.first_index, answer_of(end)) for end in ends]
    assert [one.index for one in parts[0].answer.result.failures] == [1]
    assert split_parts(answer_of(*ends), [end.place for end in ends]) == parts


def test_a_missing_image_leaves_its_place_and_its_task_out():
    ends = [end_of("a", 0, 1), end_of("b", 1, wanted=1), end_of("c", 2, 3)]
    whole = answer_of(*ends)
    assert [(one.index, one.code) for one in whole.result.failures] == [(1, "provider_error")]
    assert whole.result.task_ids == ("a", "b", "c")
    found = [(part.first_index, part.answer.result) for part in split_parts(whole, [end.place for end in ends])]
    assert [(index, part.task_ids, [one.seed for one in part.images]) for index, part in found] == [
        (0, ("a",), [1]),
        (2, ("c",), [3]),
    ]


def test_without_a_plan_that_can_be_read_the_answer_is_one_part():
    whole = answer_of(end_of("a", 0, 1, 2))
    assert split_parts(whole, []) == [Part(0, whole)]


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

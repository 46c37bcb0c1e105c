"""The count aspect and the plan: how images are split into tasks, with what is said of it, and under which ids."""

from itertools import count

import pytest

from app.catalog.modes import Mode
from app.catalog.registry import unlisted_model
from app.domain.context import RequestContext
from app.domain.request import ImageRequest
from app.domain.spec import TaskPlace
from app.domain.words import Delivery, ImageFormat
from app.errors import InvalidRequestError
from app.images.types import ImageBytes
from app.planning.decide import decide
from app.planning.fingerprint import TaskIds
from app.planning.plan import FittedInputs, build_plan, count_held_bytes, decide_count, with_ids
from app.runware.tasks import InlineImage
from tests.support.planning import IMAGE, in_short, model_of

CONTEXT = RequestContext("id", "http://here", Delivery.LINK, idempotency_key="key")
NUMBERS = [str(number) for number in range(20)]


def model_making(most: int, multiple: int):
    return unlisted_model("civitai:1@1").model_copy(update={"max_results": most, "results_multiple": multiple})


def spec_of(model, **fields):
    return decide(
        ImageRequest(fields.pop("mode", Mode.GENERATE), "a hat", **fields), model, default_delivery=Delivery.LINK
    )


@pytest.mark.parametrize(
    ("wanted", "most", "multiple", "streams", "per_task", "adjusted"),
    [
        pytest.param(3, 4, 1, False, 4, [], id="all in one task"),
        pytest.param(3, 4, 1, True, 1, [], id="a stream: one each"),
        pytest.param(3, 4, 4, False, 4, ["n emulated 4"], id="more are made than wanted"),
        pytest.param(5, 4, 4, True, 4, ["n emulated 8"], id="a stream of multiples"),
        pytest.param(8, 4, 4, False, 4, [], id="a multiple is no difference"),
    ],
)
def test_a_count_is_split_and_what_is_over_is_stated(wanted, most, multiple, streams, per_task, adjusted):
    request = ImageRequest(Mode.GENERATE, "a hat", count=wanted, stream=streams)
    decided, adjustments = decide_count(request, model_making(most, multiple))
    assert (decided, in_short(adjustments)) == (per_task, adjusted)


@pytest.mark.parametrize(
    ("wanted", "most", "multiple", "places"),
    [
        pytest.param(3, 4, 1, [(0, 3, 3)], id="one task"),
        pytest.param(5, 2, 1, [(0, 2, 2), (2, 2, 2), (4, 1, 1)], id="three tasks"),
        pytest.param(6, 4, 4, [(0, 4, 4), (4, 2, 4)], id="the last makes more than is wanted"),
    ],
)
def test_each_task_has_its_place_and_its_id(wanted, most, multiple, places):
    plan = build_plan(spec_of(model_making(most, multiple), count=wanted), FittedInputs(), NUMBERS)
    assert plan.places == tuple(TaskPlace(NUMBERS[at], *place) for at, place in enumerate(places))
    assert [(task.task_uuid, task.number_results) for task in plan.tasks] == [
        (place.task_id, place.number_results) for place in plan.places
    ]
    assert plan.images_made == sum(made for _, _, made in places)


def test_other_ids_change_nothing_else():
    plan = build_plan(spec_of(model_making(1, 1), count=2, seed=7), FittedInputs(), NUMBERS)
    renamed = with_ids(plan, ["a", "b"])
    assert [task.task_uuid for task in renamed.tasks] == [place.task_id for place in renamed.places] == ["a", "b"]
    assert with_ids(renamed, NUMBERS[:2]) == plan


def test_an_input_of_the_callers_own_must_not_hide_an_image():
    spec = spec_of(
        model_of("flux.1-dev"),
        mode=Mode.EDIT,
        images=(IMAGE,),
        passthrough={"inputs": {"seedImage": "https://a.example/b"}},
    )
    with pytest.raises(InvalidRequestError, match=r"`inputs\.seedImage` is given twice"):
        build_plan(spec, FittedInputs((IMAGE.url,)), NUMBERS)


def test_ids_follow_from_key_fingerprint_tenant_and_what_is_superseded():
    ids = TaskIds(b"secret")
    first = ids.of(CONTEXT, "print", 3)
    assert len(set(first)) == 3
    assert ids.of(CONTEXT, "print", 2) == first[:2]
    others = [
        TaskIds(b"another").of(CONTEXT, "print", 1),
        ids.of(CONTEXT, "another", 1),
        ids.of(RequestContext("id", "o", Delivery.LINK, idempotency_key="key", tenant="t"), "print", 1),
        ids.of(RequestContext("id", "o", Delivery.LINK, idempotency_key="another"), "print", 1),
        ids.of(RequestContext("id", "o", Delivery.LINK, idempotency_key="key", supersedes=("old",)), "print", 1),
    ]
    assert len({first[0], *(one for (one,) in others)}) == 6


def test_without_a_key_every_task_has_a_new_id():
    numbers = count()
    ids = TaskIds(b"secret", lambda: f"id-{next(numbers)}")
    context = RequestContext("id", "http://here", Delivery.LINK)
    assert ids.of(context, "print", 2) == ("id-0", "id-1")
    assert ids.of(context, "print", 1) == ("id-2",)


INPUT = InlineImage(ImageBytes(b"x" * 3000), "png")


@pytest.mark.parametrize(
    ("fields", "inputs", "least", "most"),
    [
        pytest.param({}, FittedInputs(), 0, 0, id="the caller fetches from Runware"),
        pytest.param({"delivery": Delivery.EMBEDDED}, FittedInputs(), 4_000_000, 4_300_000, id="a text that passes"),
        pytest.param(
            {"format": ImageFormat.GIF}, FittedInputs(), 11_000_000, 12_000_000, id="an image that is converted"
        ),
        pytest.param({}, FittedInputs((INPUT,)), 3000, 3000, id="an input, whose base64 never exists as a whole"),
    ],
)
def test_held_bytes_are_inputs_and_what_passes_through(fields, inputs, least, most):

    spec = spec_of(model_of("flux.1-dev"), **fields)
    assert least <= count_held_bytes(spec, build_plan(spec, inputs, NUMBERS)) <= most

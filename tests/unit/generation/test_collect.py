"""n images come back as exactly n, or as stated failures, in order and with an exact cost."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.modes import Mode
from app.catalog.registry import unlisted_model
from app.domain.answer import DeliveredImage
from app.domain.request import ImageRequest
from app.domain.values import replace
from app.domain.words import Delivery, ImageFormat
from app.generation.collect import build_result, end_of
from app.planning.decide import decide
from app.planning.plan import FittedInputs, build_plan
from app.runware.failures import Kind, ProviderFailure
from app.runware.members import Image
from app.runware.tasks import TaskResult


def plan_for(count: int, per_task: int, seed: int | None = None):
    model = unlisted_model("civitai:1@1").model_copy(update={"max_results": per_task})
    request = ImageRequest(Mode.GENERATE, "a pear", count=count, seed=seed)
    spec = decide(request, model, default_delivery=Delivery.LINK)
    return build_plan(spec, FittedInputs(), (f"task-{index}" for index in range(count)))


@settings(deadline=None)
@given(st.integers(1, 10), st.integers(1, 20), st.data())
def test_every_image_asked_for_is_delivered_or_stated_missing(count, per_task, data):
    plan = plan_for(count, per_task)
    assert sum(task.number_results for task in plan.tasks) == count
    results = []
    for at in plan.places:
        images = tuple(
            Image(f"{at.first_index}-{place}", "u", None, at.first_index + place, Decimal("0.1"))
            for place in range(data.draw(st.integers(0, at.number_results + 2)))
        )
        failures = data.draw(
            st.lists(st.builds(lambda kind: ProviderFailure(kind, "c", "m"), st.sampled_from(Kind)), max_size=3)
        )
        results.append(TaskResult(images, tuple(failures), ()))
    ends = []
    for place, result in zip(plan.places, results, strict=True):
        end, delivered = end_of(place, result)
        indexes = [*range(place.first_index, place.first_index + len(delivered)), *(one.index for one in end.failed)]
        assert indexes == list(range(place.first_index, place.first_index + place.wanted))
        images = tuple(DeliveredImage((8, 8), ImageFormat.PNG, one.seed, url="u") for one in delivered)
        ends.append(replace(end, images=images))
    made = build_result(1, (), ends[::-1])
    missing = [failure.index for failure in made.failures]
    assert [image.seed for image in made.images] == [index for index in range(count) if index not in missing]
    assert len(made.images) + len(missing) == count


@pytest.mark.parametrize(("per_task", "seeds"), [(20, [7]), (1, [7, 8, 9, 10]), (3, [7, 10])])
def test_seeds_of_split_tasks_differ_by_the_place_of_their_first_image(per_task, seeds):
    assert [task.fields["seed"] for task in plan_for(4, per_task, seed=7).tasks] == seeds


def test_the_largest_seed_wraps_instead_of_leaving_its_range():
    assert [task.fields["seed"] for task in plan_for(2, 1, seed=2**63 - 1).tasks] == [2**63 - 1, 0]

"""Preparing: what is refused before anything is opened, and that nothing is opened for a request that brings nothing."""

import asyncio

import pytest

from app.catalog.modes import Mode
from app.catalog.registry import Registry
from app.domain.context import RequestContext
from app.domain.request import ImageRequest, UploadedImage
from app.domain.words import Delivery
from app.errors import InvalidRequestError, NotFoundError
from app.generation.opening import OpenedImage, OpenedInputs
from app.generation.prepare import Policy, Preparer
from app.images.types import Header, ImageBytes
from app.planning.fingerprint import TaskIds
from app.planning.plan import FittedInputs
from app.runware.tasks import InlineImage
from tests.support.planning import model_of

CONTEXT = RequestContext("id", "http://here", Delivery.LINK)
MODELS = [model_of(name) for name in ("flux.1-dev", "bfl-flux-1-1-pro", "riverflow-1-pro", "bfl-flux-erase")]


class Untouched:
    """A part that a request must not reach."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


def prepare(request, *, stores_prompts=False, context=CONTEXT, inputs=None):
    preparer = Preparer(
        registry=Registry(MODELS, {"mine": "flux.1-dev"}, defaults=("riverflow-1-pro",)),
        inputs=inputs or Untouched(),
        task_ids=TaskIds(b"secret"),
        policy=Policy(
            {Mode.GENERATE: "mine", Mode.EDIT: "riverflow-1-pro"}, 60, 600, 10**8, stores_prompts=stores_prompts
        ),
        webhooks=Untouched(),
    )
    return asyncio.run(preparer.prepare(request, context))


@pytest.mark.parametrize(
    ("name", "model"),
    [
        pytest.param("flux.1-dev", "flux.1-dev", id="by its name"),
        pytest.param("mine", "flux.1-dev", id="by an alias"),
        pytest.param(None, "flux.1-dev", id="the default"),
    ],
)
def test_a_request_that_brings_nothing_is_prepared_without_opening_anything(name, model):
    prepared = prepare(ImageRequest(Mode.GENERATE, "a hat", model=name, count=2))
    assert (prepared.spec.model.id, prepared.requested_model) == (model, name or "mine")
    assert (prepared.spec.prompt, prepared.plan.images_made, prepared.base) == ("a hat", 2, None)


@pytest.mark.parametrize(
    ("stores_prompts", "kept"), [pytest.param(True, "a hat", id="stored"), pytest.param(False, None, id="not stored")]
)
def test_a_prompt_is_kept_where_the_operator_wants_it(stores_prompts, kept):
    assert prepare(ImageRequest(Mode.GENERATE, "a hat"), stores_prompts=stores_prompts).kept_prompt == kept


def test_one_prompt_is_never_given_to_the_request_after_it():
    assert [prepare(ImageRequest(Mode.GENERATE, prompt)).spec.prompt for prompt in ("a hat", "a cap")] == [
        "a hat",
        "a cap",
    ]


@pytest.mark.parametrize(
    ("request_", "kind", "message"),
    [
        pytest.param(
            ImageRequest(Mode.GENERATE, "a hat", model="flux.1-dew"),
            NotFoundError,
            "Did you mean flux.1-dev",
            id="no such model",
        ),
        pytest.param(
            ImageRequest(Mode.GENERATE, "a hat", given=frozenset({"prompt", "negative_promt"})),
            InvalidRequestError,
            "Did you mean `negativePrompt`",
            id="a misspelled field",
        ),
        pytest.param(
            ImageRequest(Mode.EDIT, "a hat", model="bfl-flux-1-1-pro"),
            InvalidRequestError,
            "Models that do: riverflow-1-pro, flux.1-dev, bfl-flux-erase.",
            id="a model that cannot, the operator's default first",
        ),
        pytest.param(ImageRequest(Mode.GENERATE, None), InvalidRequestError, "`prompt` is missing", id="no prompt"),
        pytest.param(
            ImageRequest(Mode.EDIT, "a hat", model="bfl-flux-1-1-pro", webhook_url="https://a.example/hook"),
            InvalidRequestError,
            "does not edit",
            id="before a webhook is looked at",
        ),
    ],
)
def test_what_is_certain_to_be_refused_is_refused_before_anything_is_opened(request_, kind, message):
    with pytest.raises(kind, match=message):
        prepare(request_)


def test_a_name_nobody_knows_is_no_misspelled_one():
    prepare(ImageRequest(Mode.GENERATE, "a hat", given=frozenset({"prompt", "wobble"})))


class Fitting:
    """Takes one image in, which is sent as `sent`."""

    def __init__(self, came: ImageBytes, sent: ImageBytes) -> None:
        self._came, self._sent = came, sent

    async def open(self, *_: object) -> OpenedInputs:
        return OpenedInputs((OpenedImage("image", self._came, Header("png", 64, 64)),), first_size=(64, 64))

    async def fit(self, *_: object) -> FittedInputs:
        return FittedInputs((InlineImage(self._sent, "png"),))


@pytest.mark.parametrize("is_sent", [pytest.param(True, id="as it came"), pytest.param(False, id="as another")])
def test_the_bytes_of_an_upload_stay_only_where_they_are_sent(is_sent):
    came, other = ImageBytes(b"came"), ImageBytes(b"made")
    request = ImageRequest(Mode.EDIT, "a hat", model="flux.1-dev", images=(UploadedImage("image", came, "0" * 64),))
    prepared = prepare(request, inputs=Fitting(came, came if is_sent else other))
    (sent,) = prepared.plan.tasks[0].inline_images
    assert sent.content is (came if is_sent else other)
    assert len(came) == (4 if is_sent else 0)

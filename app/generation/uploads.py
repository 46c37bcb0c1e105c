"""Uploads the input images of a request once when several tasks need them, instead of sending them with each."""

from collections.abc import Mapping, Sequence

from app.domain.values import replace
from app.generation.gather import gather_in_order
from app.planning.plan import Plan
from app.runware.keys import RunwareKey
from app.runware.media_storage import MediaStorage, UploadedImage
from app.runware.tasks import InlineImage, InputReference


class InputUploads:
    """Brings images to Runware's media storage for the time of a request."""

    def __init__(self, storage: MediaStorage) -> None:
        self._storage = storage

    async def share(self, plan: Plan, key: RunwareKey) -> tuple[Plan, tuple[UploadedImage, ...]]:
        """The plan with every embedded image uploaded once and named by all its tasks, and what was uploaded."""
        embedded = _embedded(plan)
        if not embedded:
            return plan, ()
        uploads = await gather_in_order([self._storage.upload_image(image, key) for image in embedded])
        shared = _with_addresses(plan, dict(zip(embedded, uploads, strict=True)))
        for image, uploaded in zip(embedded, uploads, strict=True):
            if uploaded is not None:
                image.content.let_go()  # named by an address from here on (0208)
        return shared, tuple(image for image in uploads if image is not None)

    def release(self, uploaded: Sequence[UploadedImage], key: RunwareKey) -> None:
        """Delete what was uploaded, in the background: input images are the caller's own."""
        for image in uploaded:
            self._storage.delete_image(image, key)


def _embedded(plan: Plan) -> list[InlineImage]:
    """The distinct images that all tasks carry."""
    found: dict[InlineImage, None] = {}
    for value in plan.tasks[0].inputs.values():
        images = value if isinstance(value, tuple) else (value,)
        found |= dict.fromkeys(image for image in images if isinstance(image, InlineImage))
    return list(found)


def _with_addresses(plan: Plan, kept: Mapping[InlineImage, UploadedImage | None]) -> Plan:
    def name(image: InputReference) -> InputReference:
        found = kept.get(image) if isinstance(image, InlineImage) else None
        return image if found is None else found.url

    inputs = {
        slot: tuple(name(image) for image in value) if isinstance(value, tuple) else name(value)
        for slot, value in plan.tasks[0].inputs.items()
    }
    return replace(plan, tasks=tuple(replace(task, inputs=inputs) for task in plan.tasks))

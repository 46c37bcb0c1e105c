"""Uploads the input images of a request once when several tasks need them, instead of sending them with each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from app.generation.gather import gather_in_order
from app.planning.plan import Plan
from app.runware.media_storage import MediaStorage, UploadedImage
from app.runware.tasks import InlineImage, InputReference


@dataclass(frozen=True, slots=True)
class SharedPlan:
    """A plan whose tasks name uploaded images."""

    plan: Plan
    uploaded: tuple[UploadedImage, ...] = ()


class InputUploads:
    """Brings images to Runware's media storage for the time of a request."""

    def __init__(self, storage: MediaStorage) -> None:
        self._storage = storage

    async def share(self, plan: Plan) -> SharedPlan:
        """The plan with every embedded image uploaded once, where more than one task needs it."""
        # For a single task an upload would only be a second round trip.
        embedded = _embedded(plan) if len(plan.tasks) > 1 else []
        if not embedded:
            return SharedPlan(plan)
        uploads = await gather_in_order([self._storage.upload_image(image) for image in embedded])
        kept = dict(zip(embedded, uploads, strict=True))
        return SharedPlan(_with_addresses(plan, kept), tuple(one for one in kept.values() if one is not None))

    def release(self, shared: SharedPlan) -> None:
        """Delete what was uploaded, in the background: input images are the caller's own."""
        for image in shared.uploaded:
            self._storage.delete_image(image)


def _embedded(plan: Plan) -> list[InlineImage]:
    """The distinct images that all tasks carry."""
    found: dict[InlineImage, None] = {}
    for value in plan.tasks[0].task.inputs.values():
        images = value if isinstance(value, tuple) else (value,)
        found |= dict.fromkeys(image for image in images if isinstance(image, InlineImage))
    return list(found)


def _with_addresses(plan: Plan, kept: Mapping[InlineImage, UploadedImage | None]) -> Plan:
    def name(image: InputReference) -> InputReference:
        found = kept.get(image) if isinstance(image, InlineImage) else None
        return image if found is None else found.url

    inputs = {
        slot: tuple(name(image) for image in value) if isinstance(value, tuple) else name(value)
        for slot, value in plan.tasks[0].task.inputs.items()
    }
    tasks = tuple(replace(planned, task=replace(planned.task, inputs=inputs)) for planned in plan.tasks)
    return replace(plan, tasks=tasks)

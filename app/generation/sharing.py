"""Uploads the input pictures of a request once when several tasks need them, instead of sending them with each."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from app.generation.plan import Plan
from app.generation.together import together
from app.runware.shelf import KeptPicture, MediaShelf


@dataclass(slots=True)
class SharedPlan:
    """A plan whose tasks name kept pictures. Set `still_needed` when a task may yet read them after the end."""

    plan: Plan
    still_needed: bool = False


class SharingDesk:
    """Brings pictures to Runware's shelf for the time of a request."""

    def __init__(self, shelf: MediaShelf) -> None:
        self._shelf = shelf

    @asynccontextmanager
    async def shared(self, plan: Plan) -> AsyncIterator[SharedPlan]:
        """The plan with every embedded picture uploaded once, where more than one task needs it."""
        embedded = _embedded(plan) if len(plan.tasks) > 1 else []
        if not embedded:
            yield SharedPlan(plan)
            return
        kept = dict(zip(embedded, await together([self._shelf.keep(picture) for picture in embedded]), strict=True))
        share = SharedPlan(_with_addresses(plan, kept))
        try:
            yield share
        finally:
            for picture in kept.values():
                if picture is not None and not share.still_needed:
                    self._shelf.forget(picture)


def _embedded(plan: Plan) -> list[str]:
    """The distinct pictures that all tasks carry."""
    found: dict[str, None] = {}
    for value in plan.tasks[0].task.inputs.values():
        pictures = (value,) if isinstance(value, str) else value
        found |= dict.fromkeys(picture for picture in pictures if picture.startswith("data:"))
    return list(found)


def _with_addresses(plan: Plan, kept: Mapping[str, KeptPicture | None]) -> Plan:
    def name(picture: str) -> str:
        found = kept.get(picture)
        return picture if found is None else found.url

    inputs = {
        slot: name(value) if isinstance(value, str) else tuple(name(picture) for picture in value)
        for slot, value in plan.tasks[0].task.inputs.items()
    }
    tasks = tuple(replace(planned, task=replace(planned.task, inputs=inputs)) for planned in plan.tasks)
    return replace(plan, tasks=tasks)

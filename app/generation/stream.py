"""A streamed answer: a caller who listens to the parts of a job, wherever that runs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from app.catalog.model import CatalogModel
from app.domain.answer import Adjustment
from app.domain.outcome import Answered, Part, Unresolved
from app.domain.spec import ImageSpec
from app.generation.collect import find_lost_task, split_parts
from app.jobs.codec import places_of
from app.jobs.entry import Accepted
from app.jobs.job import Event
from app.jobs.runner import JobRunner

_SILENCE_SECONDS = 15.0
"""Proxies cut connections that stay silent for a minute."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed answer of at most `count` images.

    Its events come as they are made, None for a while of silence, and last what went wrong.
    """

    request_id: str
    count: int
    model: CatalogModel
    adjustments: tuple[Adjustment, ...]
    events: AsyncIterator[Event | None]


def stream_of(jobs: JobRunner, accepted: Accepted, spec: ImageSpec, wait: float) -> Stream:
    """The stream of an accepted request; for one that runs elsewhere, of at most `wait` seconds."""
    return Stream(accepted.record.id, spec.count, spec.model, spec.adjustments, _listen(jobs, accepted, wait))


async def _listen(jobs: JobRunner, accepted: Accepted, wait: float) -> AsyncIterator[Event | None]:
    reported: set[int] = set()
    if accepted.parts is not None:
        async for event in accepted.parts.listen(_SILENCE_SECONDS):
            # The first caller learns that its request is left to a takeover; all others wait on.
            if isinstance(event, Unresolved) and not accepted.is_new:
                break
            if isinstance(event, Part):
                reported.add(event.first_index)
            yield event
        else:
            return
    async for event in _replay(jobs, accepted, wait):
        if not (isinstance(event, Part) and event.first_index in reported):
            yield event


async def _replay(jobs: JobRunner, accepted: Accepted, wait: float) -> AsyncIterator[Event | None]:
    """The parts of a request that was carried out before, or still is, elsewhere."""
    # As long as the work itself may take: a stream has its keep-alives, so the caller's own timeout does not end it.
    joining = asyncio.create_task(jobs.join(accepted.record, wait))
    try:
        while not joining.done():
            await asyncio.wait({joining}, timeout=_SILENCE_SECONDS)
            if not joining.done():
                yield None
    finally:
        joining.cancel()  # a caller that has left waits for nothing; on a task that is done this does nothing
    outcome = joining.result()
    if not isinstance(outcome, Answered):
        yield outcome
        return
    places = places_of(accepted.record.plan)
    for part in split_parts(outcome.answer, places):
        yield part
    lost = find_lost_task(outcome.answer, places)
    if lost is not None:
        yield lost

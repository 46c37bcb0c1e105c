"""One request from end to end: the table of the architecture as code, read straight down.

Prepared without anything being sent or written, accepted by `jobs`, waited for or listened to. Leaves statuses and
words of answers to `api` and `openai_api`.
"""

import time
from collections.abc import Callable

from app.domain.context import RequestContext
from app.domain.outcome import Outcome
from app.domain.request import ImageRequest
from app.domain.values import replace
from app.generation.prepare import Policy, Preparer
from app.generation.stream import Stream, stream_of
from app.jobs.entry import Accepted
from app.jobs.runner import JobRunner
from app.observability.metrics import Metrics
from app.observability.tracing import piece_of, running_span
from app.planning.dry_run import DryRun
from app.planning.prepared import Prepared


class ImageService:
    """Makes images. `monotonic` counts seconds."""

    def __init__(
        self,
        preparer: Preparer,
        jobs: JobRunner,
        policy: Policy,
        metrics: Metrics | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._preparer = preparer
        self._jobs = jobs
        self._policy = policy
        self._prepared_in = (metrics or Metrics.off()).timer("prepare")
        self._monotonic = monotonic

    async def generate(self, request: ImageRequest, context: RequestContext) -> Outcome:
        """How `request` ends within its time, raising a GatewayError where it is not accepted."""
        # From the very beginning: preparing counts against the caller's own timeout, or the 504 would come after it has
        # left.
        until = self._monotonic() + self._policy.wait_of(context)
        prepared = await self._prepare(request, context)
        return await self._jobs.carry_out(prepared, until - self._monotonic())

    async def submit(self, request: ImageRequest, context: RequestContext) -> Accepted:
        """`request`, accepted and carried out in the background; its images are kept."""
        return await self._jobs.accept(await self._prepare(request, replace(context, in_background=True)))

    async def stream(self, request: ImageRequest, context: RequestContext) -> Stream:
        """The answer to `request` image by image, raising what can be refused before anything is sent."""
        prepared = await self._prepare(request, context)
        accepted = await self._jobs.accept(prepared)
        return stream_of(self._jobs, accepted, prepared.spec, self._policy.longest_wait)

    async def estimate_request(self, request: ImageRequest, context: RequestContext) -> DryRun:
        """What `request` would send and cost, raising the same refusals as `generate`, without anything being sent."""
        return await self._preparer.estimate_request(request, context)

    async def _prepare(self, request: ImageRequest, context: RequestContext) -> Prepared:
        began, outer = self._monotonic(), running_span()
        try:
            if outer is None:
                return await self._preparer.prepare(request, context)
            with piece_of(outer, "prepare"):
                return await self._preparer.prepare(request, context)
        finally:
            self._prepared_in(self._monotonic() - began)

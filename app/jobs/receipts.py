"""Notes how callers go: with their answers, without them, or to ask later; and keeps what did not reach them.

Leaves fetching images that nobody stored in time from Runware to `generation.resolve`.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from app.domain.answer import Answer, Result
from app.jobs.codec import encode_result
from app.jobs.job import RunningJobs
from app.jobs.leases import LeaseKeeper
from app.jobs.result_store import ResultStore, has_all_images, is_embedded, needs_refetch
from app.jobs.write_queue import WriteQueue
from app.journal.journal import Journal
from app.journal.records import Receipt


class DeliveryReceipts:
    """Writes in the background. `running` are the jobs of this process."""

    def __init__(
        self,
        journal: Journal,
        results: ResultStore,
        queue: WriteQueue,
        keeper: LeaseKeeper,
        running: RunningJobs,
    ) -> None:
        self._journal = journal
        self._results = results
        self._queue = queue
        self._keeper = keeper
        self._running = running
        self._awaited: dict[str, set[asyncio.Event]] = {}

    def acknowledge(self, request_id: str, receipt: Receipt, answer: Answer | None = None) -> None:
        """Note in the background how a caller went; images that did not reach it are kept."""
        self._keeper.remove_caller(request_id)
        # Broken connections are written at once, as a retry is about to ask; others may wait for a group.
        post = self._queue.post_later if receipt is Receipt.LOST else self._queue.post_patiently
        post(request_id, self._journal.claims.acknowledge, request_id, receipt)
        # A retry may be waiting for just this departure (0062).
        for event in self._awaited.get(request_id, ()):
            event.set()
        # The bytes are still in memory: storing them now saves fetching them from Runware later (0053).
        if receipt is Receipt.LOST and answer is not None and is_embedded(answer.result):
            if not self._results.keeps(asked_again=True):  # asked for again, they are fetched from Runware (0165)
                return
            self._queue.enqueue(_images_of(request_id), lambda: self._store(request_id, answer.result))
        elif receipt is Receipt.LOST:
            self._refetch_later(request_id)

    async def wait_for_departure(self, request_ids: Sequence[str], seconds: float) -> None:
        """Wait until a caller of one of these requests has left, at most so long."""
        event = asyncio.Event()
        for request_id in request_ids:
            self._awaited.setdefault(request_id, set()).add(event)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), seconds)
        finally:
            for request_id in request_ids:
                self._awaited[request_id].discard(event)
                if not self._awaited[request_id]:
                    del self._awaited[request_id]

    async def stored(self, request_id: str) -> None:
        """Wait for images of this request that are being kept here."""
        await self._queue.drain(_images_of(request_id))

    async def _store(self, request_id: str, result: Result) -> None:
        stored = await self._results.store(result, request_id, images=True)
        write, answer = self._journal.outcomes.store_answer, encode_result(stored)
        await self._journal.writer.post(write, request_id, answer, images_kept=has_all_images(stored))

    def retract(self, request_id: str) -> None:
        """Note in the background that an answer did not arrive after all, though it was sent."""
        self._queue.post_later(request_id, self._journal.claims.retract, request_id)
        self._refetch_later(request_id)

    def _refetch_later(self, request_id: str) -> None:
        self._queue.enqueue(_images_of(request_id), lambda: self._refetch_unkept(request_id))

    async def _refetch_unkept(self, request_id: str) -> None:
        """Have embedded images that nobody got or stored fetched from Runware, once the work has ended."""
        running = self._running.get(request_id)
        if running is not None:
            await asyncio.wait({running.task})
        # The outcome must be in the journal before it can be judged.
        await self._queue.drain(request_id)
        record = await self._journal.history.find_request(request_id)
        if record is not None and needs_refetch(record):
            await self._journal.writer.post(self._journal.outcomes.reopen, record)
            self._keeper.wake()


def _images_of(request_id: str) -> str:
    """Where the images stand in line: apart from who comes and goes, which must not wait for them."""
    return f"images of {request_id}"

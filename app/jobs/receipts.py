"""Notes how callers go: with their answers, without them, or to ask later; and keeps what did not reach them.

Leaves to `recovery` to bring images from Runware that nobody kept in time.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from app.domain.answer import Answer
from app.jobs.result_store import ResultStore, embeds, needs_refetch
from app.jobs.write_queue import WriteQueue
from app.journal.claims import Journal
from app.journal.records import Receipt


class DeliveryReceipts:
    """Writes in the background; `work_of` gives the running work of a request, if there is any here."""

    def __init__(
        self,
        journal: Journal,
        results: ResultStore,
        scribe: WriteQueue,
        work_of: Callable[[str], asyncio.Task[Any] | None],
    ) -> None:
        self._journal = journal
        self._results = results
        self._scribe = scribe
        self._work_of = work_of

    def leave(self, request_id: str, parting: Receipt, answer: Answer | None = None) -> None:
        """Note in the background how a caller went; images that did not reach him are kept."""
        self._scribe.enqueue(request_id, lambda: self._journal.leave(request_id, parting))
        if parting is Receipt.BROKEN and answer is not None and embeds(answer):
            self._scribe.enqueue(_images_of(request_id), lambda: self._store(request_id, answer))
        elif parting is Receipt.BROKEN:
            self._bring(request_id)

    async def stored(self, request_id: str) -> None:
        """Wait for images of this request that are being kept here."""
        await self._scribe.written(_images_of(request_id))

    async def _store(self, request_id: str, answer: Answer) -> None:
        await self._journal.keep_answer(request_id, await self._results.keep(answer, images=True))

    def retract(self, request_id: str) -> None:
        """Note in the background that an answer did not arrive after all, though it was sent."""
        self._scribe.enqueue(request_id, lambda: self._journal.retract(request_id))
        self._bring(request_id)

    def _bring(self, request_id: str) -> None:
        """Have embedded images that nobody got and nobody kept brought from Runware, once the work has ended."""

        async def bring() -> None:
            running = self._work_of(request_id)
            if running is not None:
                await asyncio.wait({running})
            await self._scribe.written(request_id)
            record = await self._journal.find(request_id)
            if record is not None and needs_refetch(record):
                await self._journal.reopen(record)

        self._scribe.enqueue(_images_of(request_id), bring)


def _images_of(request_id: str) -> str:
    """Where the images stand in line: apart from who comes and goes, which must not wait for them."""
    return f"images of {request_id}"

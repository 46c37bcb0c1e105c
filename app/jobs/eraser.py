"""Deletes what a request was about: its prompt, its answer and its images, wherever they are; what it was stays known.

The rows first, so that whatever is under way for it finds that it was deleted, and brings nothing back (0168).
"""

from app.errors import InvalidRequestError, StorageError
from app.jobs.codec import without_message
from app.jobs.memory import KeyMemory
from app.jobs.result_store import ResultStore
from app.journal.journal import Journal
from app.journal.records import Record
from app.media.errors import MediaUnavailableError


class Eraser:
    """Deletes payloads. `memory` is what this process remembers of requests with keys."""

    def __init__(self, journal: Journal, results: ResultStore, memory: KeyMemory) -> None:
        self._journal = journal
        self._results = results
        self._memory = memory

    async def erase(self, record: Record) -> None:
        """Delete the images and the prompt of a request, raising InvalidRequestError while it runs.

        Raises StorageError where the store is away: the images are given to nobody any more, and go when it is back.
        """
        error = None if record.error is None else without_message(record.error)
        if not await self._journal.writer.write(self._journal.outcomes.purge_payloads, record, error):
            message = "This request is still being carried out; forget it when it has ended."
            raise InvalidRequestError(message, code="request_running")
        self._memory.forget(record.id)
        try:
            await self._results.delete_images(record)
        except MediaUnavailableError:
            raise StorageError from None
        finally:
            await self._journal.writer.scrub()

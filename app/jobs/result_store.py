"""Stores how requests ended and gives that back: the result or the error, the bill, and images that were embedded.

What the journal holds is a result without bytes; the bytes lie in a store under names nobody can guess.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
import pybase64

from app.catalog.registry import Registry
from app.domain.answer import Answer, DeliveredImage, Result
from app.domain.outcome import Answered, Failed, Outcome
from app.domain.values import replace
from app.errors import GatewayError, NotFoundError, Spent, StorageError
from app.jobs.codec import decode_error, decode_result, encode_error, encode_result
from app.jobs.leases import LeaseKeeper
from app.jobs.memory import KeyMemory
from app.jobs.shelf import HANDOVER_SECONDS, ImageShelf, Keep
from app.jobs.write_queue import WriteQueue
from app.journal.outcomes import Outcomes
from app.journal.records import UNREADABLE, Lease, Record, Settlement, Status
from app.ledger.bill import Costs, known_cost, total_cost
from app.media.errors import MediaNotFoundError, MediaUnavailableError
from app.media.links import MEDIA_PATH
from app.media.store import outlives_link
from app.observability.logs import get_logger

_logger = get_logger("results")


class ImagesMissingError(Exception):
    """Images of an answer are not in the store, and may be fetched from Runware again."""


class ResultStore:
    """Answers of the past, whose images are on the `shelf`. `clock` is unix seconds.

    Their ends are dated by `dates`, which is the same clock unless said otherwise.
    """

    def __init__(
        self,
        shelf: ImageShelf,
        registry: Registry,
        clock: Callable[[], float] = time.time,
        dates: Callable[[], float] | None = None,
    ) -> None:
        self._shelf = shelf
        self._registry = registry
        self._clock = clock
        self._dates = dates or clock

    def keeps(self, *, asked_again: bool) -> bool:
        """Whether embedded images are stored that nobody got yet, or that are likely to be `asked_again` (0165)."""
        return self._shelf.keep is Keep.ALL or (asked_again and self._shelf.keep is not Keep.NONE)

    async def check(self, images: int) -> None:
        """Raise StorageError or StorageFullError where so many images could not be hosted."""
        await self._shelf.check(images)

    def until(self, result: Result, before: float | None = None) -> float:
        """Until when the images of a request that ends now can be asked for; where it ended before, as then."""
        return before or self._dates() + (result.lives or self._shelf.lives).result

    async def store(self, result: Result, request_id: str, *, images: bool, until: float | None = None) -> Result:
        """`result` as it is written down, without bytes; with `images` those that were embedded are kept by name."""
        if not is_embedded(result):
            return result
        seconds = (until or self.until(result)) - self._dates()
        if self._shelf.keep is Keep.NONE:  # fetched again for those who asked
            seconds = min(seconds, HANDOVER_SECONDS)
        names = [await self._store_image(image, request_id, seconds) if images else None for image in result.images]
        stripped = [replace(image, base64=None, name=name) for image, name in zip(result.images, names, strict=True)]
        return replace(result, images=tuple(stripped))

    async def replay(self, record: Record) -> Outcome:
        """How a request ended, with its images.

        Raises NotFoundError where these can be had no more, ImagesMissingError where they must be fetched again, and
        StorageError while the store is away.
        """
        if record.error is not None:
            # From the tasks as they are booked by now: a cost may have been completed since the error was stored
            # (0101).
            spent = Spent(total_cost(record.costs), known_cost(record.costs))
            return Failed(record.id, decode_error(record.error), spent)
        if record.answer is None:
            raise _gone()
        try:
            stored = decode_result(record.answer)
        except msgspec.MsgspecError:
            _logger.exception("a stored result cannot be read", id=record.id)
            return Failed(record.id, decode_error(UNREADABLE))
        if record.images_until is not None and self._clock() >= record.images_until and _is_here(stored):
            raise _gone()
        try:
            images = tuple([await self._restore(image, stored, record) for image in stored.images])
        except MediaNotFoundError:
            if _may_be_fetched(record):
                raise ImagesMissingError from None
            raise _gone() from None
        except MediaUnavailableError:
            raise StorageError from None
        model = self._registry.find_model(record.executed_model)
        return Answered(Answer(record.id, model, replace(stored, images=images), record.costs))

    async def _restore(self, image: DeliveredImage, stored: Result, record: Record) -> DeliveredImage:
        """The image with its bytes where it was embedded, and with a link that has not ended where it was not."""
        if image.name is not None:
            text = await asyncio.to_thread(pybase64.b64encode, await self._shelf.stores.results.read_image(image.name))
            return replace(image, name=None, base64=memoryview(text))
        if image.url is None:
            raise NotFoundError("The images of this request were delivered and not kept.", code="result_gone")
        # A link is never prolonged: one that leaked ends when it said so (0057).
        if image.hosted is None or (image.expires_at or 0) > self._clock():
            return image
        # It goes with its link, if it has not gone yet: another link would lead nowhere in a minute.
        if not outlives_link(image.hosted):
            raise MediaNotFoundError
        seconds = (stored.lives or self._shelf.lives).link
        if record.images_until is not None:
            seconds = min(seconds, int(record.images_until - self._clock()))
        link = await self._shelf.stores.media.renew_link(image.hosted, image.url, seconds)
        origin = image.url.partition(MEDIA_PATH)[0]
        return replace(image, url=link.url_at(origin), expires_at=link.expires_at)

    async def delete_images(self, record: Record) -> None:
        """Delete the images of a request.

        Raises DatabaseUnavailableError, or MediaUnavailableError where the sweeper will have to.
        """
        await self._shelf.delete_of(record.id, [place for image in _images_of(record) for place in self._places(image)])

    def _places(self, image: DeliveredImage) -> list[str]:
        stores = self._shelf.stores
        kept = [] if image.name is None else [stores.results.path_of(image.name)]
        return kept if image.hosted is None else [*kept, stores.media.path_of(image.hosted)]

    async def _store_image(self, image: DeliveredImage, request_id: str, seconds: float) -> str | None:
        if image.base64 is None:
            return None
        data = await asyncio.to_thread(pybase64.b64decode, image.base64)
        try:
            return await self._shelf.keep_image(data, image.format.value, request_id, seconds)
        # A full disk must not cost the caller its answer; asked for again, the image is fetched from Runware (0104).
        except MediaUnavailableError:
            _logger.exception("an image cannot be stored")
            return None


class Endings:
    """Writes down how requests end; through the queue, so that no caller waits for a database that is away."""

    def __init__(
        self, outcomes: Outcomes, results: ResultStore, keeper: LeaseKeeper, queue: WriteQueue, memory: KeyMemory
    ) -> None:
        self._outcomes = outcomes
        self._results = results
        self._keeper = keeper
        self._queue = queue
        self._memory = memory

    async def write_answer(
        self, lease: Lease, answer: Answer, *, keeps: bool | None, before: float | None = None
    ) -> None:
        """A good end; images that are embedded are kept too where it `keeps` them, until `before` if that was said.

        None says that none is embedded: each is behind its link.
        """
        result, total = answer.result, total_cost(answer.costs)
        until, has_all = self._results.until(result, before), True
        if keeps is not None:
            result = await self._results.store(result, lease.request_id, images=keeps, until=until)
            has_all = has_all_images(result)
        settlement = Settlement(
            Status.PARTIAL if result.failures else Status.COMPLETED,
            encode_result(result),
            None,
            total,
            known_cost(answer.costs) if total is None else None,
            images_kept=has_all,
            images=len(result.images),
            images_until=until,
        )
        await self._write(lease, settlement, answer.costs)

    async def write_failure(self, lease: Lease, error: GatewayError, costs: Costs) -> None:
        """A bad end; where the caller may try again and surely nothing was bought, the key is free again."""
        # A cost that is unknown is no zero: the task may exist, and a new attempt would pay for it again (0065).
        total = total_cost(costs)
        releases = error.is_transient and not error.may_have_spent and total == 0
        said, known = encode_error(error, may_retry=releases), known_cost(costs) if total is None else None
        await self._write(lease, Settlement(Status.FAILED, None, said, total, known, releases=releases), costs)

    async def leave_to_others(self, lease: Lease, costs: Costs) -> None:
        """Nobody knows what was bought: it is looked for as what a dead process left behind.

        What is known of the bill goes along, so that a takeover never takes it for not sent.
        """
        # Costs before the lease: once it is released, this process may write nothing more of the request (0059).
        await self._queue.post(lease.request_id, self._outcomes.book_costs, lease, costs)
        await self._queue.write(lease.request_id, lambda: self._keeper.release(lease))

    def _write(self, lease: Lease, settlement: Settlement, costs: Costs) -> Awaitable[None]:
        # First, so that the end is known here also where the journal is away.
        self._memory.end(lease.request_id, settlement, costs)
        return self._queue.post(lease.request_id, self._outcomes.settle, lease, settlement, costs)


def needs_refetch(record: Record) -> bool:
    """Whether an answer that is to be given again had embedded images that were not stored: they are at Runware."""
    if record.answer is None or not _may_be_fetched(record):
        return False
    if record.images_kept is not None:
        return not record.images_kept
    # A row that is older than the column (0076). One that cannot be read has no images to fetch.
    return any(image.url is None and image.name is None for image in _images_of(record))


def _may_be_fetched(record: Record) -> bool:
    """Whether images of a request are fetched again that are not here (0165)."""
    # Once delivered, images of a request without a key are nobody's (0053).
    return record.delivered_at is None or (record.has_key and record.images_until is not None)


def _is_here(stored: Result) -> bool:
    """Whether a result has images that only this gateway has."""
    return any(image.hosted is not None or image.url is None for image in stored.images)


def has_all_images(stored: Result) -> bool:
    """Whether a stored result has each image behind a link or kept by name."""
    return all(image.url is not None or image.name is not None for image in stored.images)


def is_embedded(result: Result) -> bool:
    """Whether a result carries its images itself."""
    for image in result.images:  # noqa: SIM110 - twice on the path of every request, where a generator costs the most
        if image.base64 is not None:
            return True
    return False


def _images_of(record: Record) -> tuple[DeliveredImage, ...]:
    """The images of a stored result; none where there is none, or it cannot be read."""
    try:
        return () if record.answer is None else decode_result(record.answer).images
    except msgspec.MsgspecError:
        return ()


def _gone() -> NotFoundError:
    return NotFoundError("The images of this request are gone.", code="result_gone")

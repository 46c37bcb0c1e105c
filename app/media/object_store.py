"""Bytes under names in one store, each call within a bound of time.

Owns how long each call may take, and the errors of all stores. Leaves which address means which store to `backend`,
and names, links and lifetimes of images to `store`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store

from app.media.errors import InvalidStorageError, MediaNotFoundError, MediaUnavailableError
from app.observability.metrics import Metrics
from app.observability.tracing import span

if TYPE_CHECKING:  # exists only in the stubs
    from obstore import Attributes, GetOptions, GetResult, ObjectMeta

_T = TypeVar("_T")
AnyStore = LocalStore | S3Store | GCSStore | AzureStore
ANSWER_SECONDS = 10.0
"""For a call that carries no bytes, and between two pieces of one that does."""
_SLOWEST_BYTES = 1024 * 1024
"""A second: slower no store takes what is written."""
_PART = 8 * 1024 * 1024
"""What is larger is written in parts; S3 takes none below 5 MiB."""
_PARTS_AT_ONCE = 2
_CHUNK = 256 * 1024
"""An image is read in such pieces, so that a large one is never in memory whole."""


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """What lies under a name; `modified_at` in unix seconds."""

    name: str
    size: int
    modified_at: float


@dataclass(frozen=True, slots=True)
class OpenedBytes:
    """Bytes `start` to `end` of what lies under a name, on their way."""

    stored: StoredBytes
    start: int
    end: int
    chunks: AsyncIterator[bytes]


class ObjectStore:
    """One store. Every method raises MediaUnavailableError where it does not do its part within `patience`."""

    def __init__(
        self,
        store: AnyStore,
        metrics: Metrics,
        patience: float = ANSWER_SECONDS,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._patience = patience

    @property
    def signs(self) -> bool:
        """Whether it gives links of its own; a folder cannot."""
        return not isinstance(self._store, LocalStore)

    async def put(self, name: str, data: bytes | memoryview, media_type: str = "") -> None:
        """Store bytes under a name, all or nothing."""
        with span("store.put"), self._translated(MediaUnavailableError):
            async with asyncio.timeout(self._patience + len(data) / _SLOWEST_BYTES):
                # Up to a part in one call, without a copy; more in parts, of which only few are held.
                await obstore.put_async(
                    self._store,
                    name,
                    data,
                    attributes=self._attributes(media_type),
                    use_multipart=len(data) > _PART,
                    chunk_size=_PART,
                    max_concurrency=_PARTS_AT_ONCE,
                )

    async def put_stream(self, name: str, chunks: AsyncIterator[bytes], media_type: str = "") -> None:
        """Store bytes as they come, all or nothing; what `chunks` raises is raised, and nothing is stored."""
        first = bytearray()
        async for chunk in chunks:
            first += chunk
            if len(first) >= _PART:
                break
        else:
            # Three calls for what fits into one would take three times as long.
            await self.put(name, memoryview(first), media_type)
            return
        with span("store.put"), self._translated(MediaUnavailableError):
            async with asyncio.timeout(self._patience) as limit:
                await obstore.put_async(
                    self._store,
                    name,
                    self._within(limit, first, chunks),
                    attributes=self._attributes(media_type),
                    chunk_size=_PART,
                    max_concurrency=_PARTS_AT_ONCE,
                )

    async def get(self, name: str, start: int = 0, end: int | None = None) -> OpenedBytes:
        """Open what lies under a name, with an `end` only a part of it, raising MediaNotFoundError."""
        with self._translated():
            async with asyncio.timeout(self._patience):
                part: GetOptions = {} if end is None else {"range": (start, end)}
                found = await obstore.get_async(self._store, name, options=part)
        return OpenedBytes(_stored(found.meta), *found.range, chunks=self._read(found))

    async def read(self, name: str) -> memoryview:
        """All bytes under a name, raising MediaNotFoundError."""
        with span("store.read"), self._translated():
            async with asyncio.timeout(self._patience) as limit:
                found = await obstore.get_async(self._store, name)
                _extend(limit, self._patience + found.meta["size"] / _SLOWEST_BYTES)
                # A view of the library's own memory: bytes would be a second copy.
                return memoryview(await found.bytes_async())

    async def head(self, name: str) -> StoredBytes:
        """What is known of a name, raising MediaNotFoundError."""
        with self._translated():
            async with asyncio.timeout(self._patience):
                return _stored(await obstore.head_async(self._store, name))

    async def delete(self, name: str) -> None:
        """Delete what lies under a name, if it is there."""
        try:
            with self._translated():
                async with asyncio.timeout(self._patience):
                    await obstore.delete_async(self._store, name)
        except MediaNotFoundError:  # a folder says so, object stores do not
            return

    async def walk(self, prefix: str) -> AsyncIterator[StoredBytes]:
        """What lies below a prefix such as `media`, in no order."""
        with self._translated():
            batches = aiter(obstore.list(self._store, prefix))
            while True:
                batch = await self._next(batches)
                if batch is None:
                    return
                for meta in batch:
                    yield _stored(meta)

    async def sign(self, name: str, seconds: int) -> str:
        """An address at the store itself under which anybody can read for so long; nobody asks whether it is there."""
        if isinstance(self._store, LocalStore):
            raise InvalidStorageError("A folder signs no links.")
        with self._translated():
            async with asyncio.timeout(self._patience):
                return await obstore.sign_async(self._store, "GET", name, timedelta(seconds=seconds))

    async def try_sign(self, name: str, seconds: int) -> str | None:
        """As `sign`; None where this store cannot, which is no fault of it: then it gave out no such address."""
        if isinstance(self._store, LocalStore):
            return None
        try:
            async with asyncio.timeout(self._patience):
                return await obstore.sign_async(self._store, "GET", name, timedelta(seconds=seconds))
        except (OSError, BaseError):
            return None

    async def check(self, name: str) -> None:
        """Write, and delete again, something under a name that nothing else uses.

        Raises InvalidStorageError where the store refuses it for good; the message goes on where its name ends.
        """
        try:
            async with asyncio.timeout(self._patience):
                await obstore.put_async(self._store, name, b"", use_multipart=False)
                await obstore.delete_async(self._store, name)
        except (PermissionDeniedError, UnauthenticatedError, PermissionError):
            raise InvalidStorageError("refuses to be written to: look at its keys and their rights") from None
        except FileNotFoundError:
            raise InvalidStorageError("does not exist: create it first") from None
        except (OSError, BaseError) as error:
            if not self.signs:  # a folder is not away for a while
                raise InvalidStorageError("cannot be written to") from None
            raise MediaUnavailableError from error

    def _attributes(self, media_type: str) -> "Attributes | None":
        # A folder keeps none; whoever reads by a presigned link has only what the object store says.
        return None if isinstance(self._store, LocalStore) or not media_type else {"Content-Type": media_type}

    async def _within(
        self, limit: asyncio.Timeout, first: bytearray, chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes | bytearray]:
        """Bytes as they come; the store has its time for each piece, stopped while their source is waited for."""
        yield first
        limit.reschedule(None)
        async for chunk in chunks:
            _extend(limit, self._patience)
            yield chunk
            limit.reschedule(None)
        _extend(limit, self._patience)

    async def _read(self, found: "GetResult") -> AsyncIterator[bytes]:
        with self._translated():
            chunks = aiter(found.stream(min_chunk_size=_CHUNK))
            while True:
                # For each piece alone: between two of them a slow reader may take its time.
                chunk = await self._next(chunks)
                if chunk is None:
                    return
                yield bytes(chunk)

    async def _next(self, pieces: AsyncIterator[_T]) -> _T | None:
        """The next of them, None at their end."""
        async with asyncio.timeout(self._patience):
            try:
                # Without its second argument, which the library's iterators do not bear.
                return await anext(pieces)
            except StopAsyncIteration:
                return None

    @contextmanager
    def _translated(self, missing: type[Exception] = MediaNotFoundError) -> Iterator[None]:
        """One error for every store, so that those who use it need not know which it is."""
        try:
            yield
        except FileNotFoundError:
            if missing is not MediaNotFoundError:
                self._metrics.storage_failed()
            raise missing from None
        except (OSError, BaseError) as error:
            self._metrics.storage_failed()
            raise MediaUnavailableError from error


def _extend(limit: asyncio.Timeout, seconds: float) -> None:
    limit.reschedule(asyncio.get_running_loop().time() + seconds)


def _stored(meta: "ObjectMeta") -> StoredBytes:
    return StoredBytes(meta["path"], meta["size"], meta["last_modified"].timestamp())

"""What the journal must cost at least on SQLite: its statements, from rows that are ready, with nothing around them.

`python -m benchmarks.journal_floor` measures the statements alone, in groups of several sizes, and then with callers of
an event loop who wait for a thread: first for their claim, then for their end, as a request does. No decisions, no
checks, no rows to be made, no faults to be told; commits reach the disk, as the journal's do. CPU is the process's own.
"""

import asyncio
import queue
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from app.database.engine import open_engine
from app.database.gathering import Gathering
from app.database.schema import migrate
from app.database.statement import Ordered, Statement
from app.domain.ids import GrowingIds
from app.journal import statements as sql
from app.ledger.entries import INSERT_ENTRY
from app.server.middleware import RequestIds

_REQUESTS, AT_ONCE, _ROUNDS = 3000, 32, 5
_ids, _task_ids = RequestIds(), GrowingIds()
_NOW, _DAY = 1_795_800_000.0, 20_784
_Row = tuple[object, ...]


class _Request(NamedTuple):
    """The rows of one request, by the step that writes them."""

    claim: Sequence[tuple[Statement, _Row]]
    end: Sequence[tuple[Statement, _Row]]
    receipt: Sequence[tuple[Statement, _Row]]


def _request() -> _Request:
    request_id, task_id = _ids(), _task_ids()
    row = (
        request_id, "bench", None, uuid.uuid4().hex, "generations", "flux.1-schnell", "runware:100@1", 1, "processing",
        _NOW, _NOW, 1, "a process", 1, None, 250_000_000, 0, "{}" + " " * 400, None, None, None, None, None,
    )  # fmt: skip
    opened = (request_id, "bench", _DAY, _NOW, "reserve", 250_000_000, 0, False)
    ended = (request_id, "bench", _DAY, _NOW, "settle", -250_000_000, 1_300_000, False)
    end = ("completed", _NOW, 1_300_000, None, 1, None, '{"images": []}' + " " * 600, True, _NOW, None, request_id, 1)
    return _Request(
        [(sql.INSERT_REQUEST, row), (sql.INSERT_TASKS, (task_id, request_id, 0)), (INSERT_ENTRY, opened)],
        [(sql.SETTLE_FIRST, end), (sql.BOOK_TASK, (1_300_000, None, task_id)), (INSERT_ENTRY, ended)],
        [(sql.ACKNOWLEDGE_DELIVERED, (_NOW, request_id))],
    )


class _File:
    """A journal of SQLite, and how it is written."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._cursor = connection.connection.cursor()
        self._known: dict[Statement, Ordered] = {}

    def write(self, steps: Sequence[Sequence[tuple[Statement, _Row]]]) -> None:
        """All of them in one commit: each statement once for all rows that it has."""
        rows: dict[Statement, list[_Row]] = {}
        for step in steps:
            for statement, row in step:
                rows.setdefault(statement, []).append(row)
        self._cursor.execute("BEGIN IMMEDIATE")
        for statement, its_rows in rows.items():
            known = self._known.get(statement)
            if known is None:
                known = self._known[statement] = Ordered(self._connection, statement)
            known.execute(self._cursor, its_rows)
        self._cursor.execute("COMMIT")


@contextmanager
def _opened() -> Iterator[_File]:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'journal.db'}")
        migrate(engine)
        with engine.connect() as connection:
            yield _File(connection)
        engine.dispose()


def _statements_alone(at_once: int) -> float:
    """CPU seconds of a request, where so many claims, ends and receipts share each commit."""
    requests = [_request() for _ in range(_REQUESTS)]
    groups = [requests[start : start + at_once] for start in range(0, _REQUESTS, at_once)]
    with _opened() as file:
        cpu = time.process_time()
        # A commit has the claims of one group, the ends of the one before it and the receipts of the one before that.
        for claimed, ended, received in zip([*groups, [], []], [[], *groups, []], [[], [], *groups], strict=True):
            file.write([one.receipt for one in received] + [one.end for one in ended] + [one.claim for one in claimed])
        return (time.process_time() - cpu) / _REQUESTS


class _Writer:
    """A thread that takes rows and wakes whoever waits for them; `None` ends it."""

    def __init__(self, file: _File, loop: asyncio.AbstractEventLoop) -> None:
        self.waiting: queue.SimpleQueue[tuple[Any, asyncio.Future[None] | None] | None] = queue.SimpleQueue()
        self._file, self._loop = file, loop
        self.groups = 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        gathering, is_ended = Gathering(self.waiting.qsize), False
        while not is_ended:
            group, piece = [], self.waiting.get()
            gathering.wait_for_more()
            while piece is not None:
                group.append(piece)
                if self.waiting.empty():
                    break
                piece = self.waiting.get()
            is_ended = piece is None
            self._file.write([step for step, _ in group])
            self._loop.call_soon_threadsafe(_wake, [future for _, future in group if future is not None])
            gathering.end(len(group))
            self.groups += 1


def _wake(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


async def _with_callers(file: _File) -> tuple[float, float]:
    loop = asyncio.get_running_loop()
    requests, writer = [_request() for _ in range(_REQUESTS)], _Writer(file, loop)

    async def ask(step: Sequence[tuple[Statement, _Row]]) -> None:
        future = loop.create_future()
        writer.waiting.put((step, future))
        await future

    async def call() -> None:
        while requests:
            request = requests.pop()
            await ask(request.claim)
            await ask(request.end)
            writer.waiting.put((request.receipt, None))

    cpu = time.process_time()
    await asyncio.gather(*(call() for _ in range(AT_ONCE)))
    writer.waiting.put(None)
    await asyncio.to_thread(writer.thread.join)
    return (time.process_time() - cpu) / _REQUESTS, _REQUESTS / writer.groups


def measure_with_callers() -> tuple[float, float]:
    """CPU seconds of a request with callers that wait, and requests in each commit."""
    with _opened() as file:
        return uvloop.run(_with_callers(file))


def main() -> None:
    """The table; medians of some rounds."""
    for at_once in (8, 12, 16, 32):
        cost = statistics.median(_statements_alone(at_once) for _ in range(_ROUNDS))
        print(f"statements alone, {at_once:2} requests in each commit: {cost * 1e6:4.0f} us of CPU a request")
    measured = [measure_with_callers() for _ in range(_ROUNDS)]
    cost, size = (statistics.median(column) for column in zip(*measured, strict=True))
    print(f"with {AT_ONCE} callers that wait: {cost * 1e6:4.0f} us, {size:.1f} requests in each commit")


if __name__ == "__main__":
    main()

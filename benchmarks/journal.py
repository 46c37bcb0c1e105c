"""What the journal costs per request: a claim before anything is sent, its end, and how the caller went.

CPU is this process's own, writer thread and commits included. `python -m benchmarks.journal [URL]`; without an address
an SQLite file on the disk of the system's temporary folder.
"""

import asyncio
import sys
import tempfile
import time
import uuid
from decimal import Decimal
from pathlib import Path

from app.database.engine import migrate, open_engine
from app.database.reader import Reader
from app.database.writer import Writer
from app.domain.answer import TaskCost
from app.journal.claims import Claims
from app.journal.history import History
from app.journal.journal import Journal
from app.journal.leases import Leases
from app.journal.outcomes import Outcomes
from app.journal.records import Intent, Lease, Receipt, Settlement, Status

_REQUESTS = 3000
_DONE = Settlement(Status.COMPLETED, '{"images": []}' + " " * 600, None, "0.0013")


def _intent() -> Intent:
    task_id = str(uuid.uuid4())
    return Intent(
        request_id=f"req_{uuid.uuid4().hex}",
        tenant="bench",
        key_hash=None,
        fingerprint=uuid.uuid4().hex,
        endpoint="generations",
        model="flux.1-schnell",
        executed_model="runware:100@1",
        n=1,
        task_ids=(task_id,),
        estimate=None,
        plan="{}" + " " * 400,
    )


async def _one(journal: Journal, waits: list[float], partings: list[asyncio.Task[None]]) -> None:
    intent = _intent()
    started = time.perf_counter()
    record = (await journal.writer.decide(journal.claims.names_of(intent), journal.claims.claim, intent)).record
    waits.append(time.perf_counter() - started)
    cost = TaskCost(intent.task_ids[0], Decimal("0.0013"), is_complete=True)
    await journal.writer.post(journal.outcomes.settle, Lease(record.id, record.fence), _DONE, [cost])
    receipt = journal.writer.post_patiently(journal.claims.acknowledge, record.id, Receipt.DELIVERED)
    partings.append(asyncio.create_task(receipt))  # nobody waits for it


async def _run(journal: Journal, at_once: int) -> list[float]:
    waits: list[float] = []
    partings: list[asyncio.Task[None]] = []

    async def work(count: int) -> None:
        for _ in range(count):
            await _one(journal, waits, partings)

    await asyncio.gather(*(work(_REQUESTS // at_once) for _ in range(at_once)))
    await asyncio.gather(*partings)
    return sorted(waits)


def main() -> None:
    """The table."""
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path(folder) / 'journal.db'}"
        engine = open_engine(url)
        migrate(engine)
        writer = Writer(engine)
        reader = Reader(engine, writer)
        claims = Claims(key_ttl=86_400, adopt_window=60)
        journal = Journal(writer, reader, claims, Outcomes(), Leases(claims.owner), History(reader))
        print(f"{'requests at once':>16} {'CPU us':>8} {'requests/s':>11} {'claim p50 ms':>13} {'claim p99 ms':>13}")
        for at_once in (1, 32, 256):
            cpu, started = time.process_time(), time.perf_counter()
            waits = asyncio.run(_run(journal, at_once))
            made, seconds = len(waits), time.perf_counter() - started
            print(
                f"{at_once:>16} {(time.process_time() - cpu) / made * 1e6:8.0f} {made / seconds:11.0f} "
                f"{waits[made // 2] * 1e3:13.1f} {waits[int(made * 0.99)] * 1e3:13.1f}"
            )
        reader.close()
        writer.close()


if __name__ == "__main__":
    main()

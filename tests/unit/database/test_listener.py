"""A listener goes on listening after whatever kept it from that; `jobs/test_end_watch` cuts its session."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import Engine, make_url, text

from app.database.engine import open_engine
from app.database.listener import EndListener
from app.database.transaction import ENDS_CHANNEL
from tests.support.descriptors import no_descriptors
from tests.support.waiting import seen_meanwhile


@pytest.fixture
def engine(postgres) -> Iterator[Engine]:
    opened = open_engine(make_url(postgres.fresh()).set(host="localhost").render_as_string(hide_password=False))
    yield opened
    opened.dispose()


def tell(engine: Engine, request_id: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_notify(:channel, :id)"), {"channel": ENDS_CHANNEL, "id": request_id})


@contextlib.asynccontextmanager
async def listening(engine: Engine, heard: list[str]) -> AsyncIterator[EndListener]:
    listener = EndListener(engine)
    task = asyncio.create_task(listener.listen(heard.append))  # begins with the first pause of whoever listens
    yield listener
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not listener.is_listening


async def is_heard(engine: Engine, listener: EndListener, heard: list[str], request_id: str) -> bool:
    await seen_meanwhile(lambda: listener.is_listening, bool)
    await asyncio.to_thread(tell, engine, request_id)
    return await seen_meanwhile(lambda: request_id in heard, bool)


def test_a_process_without_descriptors_listens_once_it_has_some(engine):
    async def course() -> None:
        heard: list[str] = []
        async with listening(engine, heard) as listener:
            with no_descriptors():
                # Longer than an attempt takes to fail, and the pause before the next one.
                await asyncio.sleep(1.5)
                assert not listener.is_listening
            assert await is_heard(engine, listener, heard, "req_after")

    asyncio.run(course())


def test_sqlite_has_nothing_to_listen_to(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'journal.db'}")
    asyncio.run(EndListener(engine).listen(print))
    engine.dispose()

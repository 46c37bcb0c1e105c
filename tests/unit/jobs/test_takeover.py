"""Abandoned requests whose callers alone have the keys they were paid with."""

import pytest
from pydantic import SecretStr

from app.access.callers_keys import CallersKeys
from app.domain.values import replace
from app.jobs.lease_watch import LOOKS
from app.journal.records import Status
from tests.support.jobs import Maker, kept_open, open_runner, prepare, run
from tests.support.waiting import seen_meanwhile

TENANT, SECRET = "rw_0123", SecretStr("k" * 32)


class Awaited(CallersKeys):
    """Counts how often a look found that callers are waited for."""

    looks = 0

    def await_callers(self, tenants, wake):
        super().await_callers(tenants, wake)
        self.looks += bool(tenants)


async def looked(keys: Awaited) -> None:
    """Wait until it was looked for abandoned requests for longer than a lease."""
    assert await seen_meanwhile(lambda: keys.looks, lambda looks: looks > LOOKS)


def known() -> CallersKeys:
    keys = CallersKeys()
    keys.remember(TENANT, SECRET)
    return keys


async def abandoned(folder, url: str, **context: object) -> str:
    """A request of the tenant whose process has ended in the middle of it; its id."""
    _, maker = kept_open()
    async with open_runner(folder, maker, url=url, lease_seconds=0.5) as first:
        accepted = await first.runner.accept(prepare(tenant=TENANT, **context))
        assert await seen_meanwhile(lambda: maker.bought, bool)
        await first.runner.close(0)  # as at the end of a process whose grace is over
    return accepted.record.id


@pytest.fixture
def url(database) -> str:
    return database.fresh()


def test_without_its_key_a_request_is_let_go_and_no_try_is_counted(tmp_path, url):
    async def course():
        request_id, keys = await abandoned(tmp_path, url), Awaited()
        async with open_runner(tmp_path, Maker(), url=url, lease_seconds=0.5, keys=keys) as replica:
            replica.takeover.loop.start()
            await looked(keys)
            record = await replica.record(request_id)
            assert (record.status, record.owner, record.tries) == (Status.PROCESSING, "", 0)
            assert replica.maker.resolved == []

    run(course())


def test_once_its_caller_comes_it_is_resolved_by_the_first_try(tmp_path, url):
    async def course():
        request_id, keys = await abandoned(tmp_path, url), Awaited()
        async with open_runner(tmp_path, Maker(), url=url, lease_seconds=0.5, keys=keys) as replica:
            replica.takeover.loop.start()
            await looked(keys)
            keys.remember("rw_of_somebody_else", SECRET)
            keys.remember(TENANT, SECRET)
            record = await replica.ended(request_id)
            assert (record.status, record.tries, replica.maker.resolved) == (Status.COMPLETED, 1, [request_id])

    run(course())


def test_the_replica_that_knows_the_key_takes_what_another_let_go(tmp_path, url):
    async def course():
        request_id, keys = await abandoned(tmp_path, url), Awaited()
        async with (
            open_runner(tmp_path, Maker(), url=url, lease_seconds=0.5, keys=keys) as blind,
            open_runner(tmp_path, Maker(), url=url, lease_seconds=0.5, keys=known()) as knowing,
        ):
            blind.takeover.loop.start()
            await looked(keys)
            knowing.takeover.loop.start()
            await knowing.ended(request_id)
            assert (blind.maker.resolved, knowing.maker.resolved) == ([], [request_id])

    run(course())


def test_a_retry_joins_what_was_let_go(tmp_path, url):
    async def course():
        request_id, keys = await abandoned(tmp_path, url), Awaited()
        async with open_runner(tmp_path, Maker(), url=url, lease_seconds=0.5, keys=keys) as replica:
            replica.takeover.loop.start()
            await looked(keys)
            keys.remember(TENANT, SECRET)
            accepted = await replica.runner.accept(prepare(tenant=TENANT, retries=True))
            assert (accepted.record.id, accepted.is_new, replica.maker.bought) == (request_id, False, [])

    run(course())


def test_what_was_let_go_is_nobodys_and_no_caller_is_left(tmp_path, url):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker, url=url) as replica:
            accepted = await replica.runner.accept(prepare(tenant=TENANT))
            leases, writer = replica.journal.leases, replica.journal.writer
            (seen,) = await replica.journal.reader.read(leases.list_watched)
            assert (seen.tenant, bool(seen.owner)) == (TENANT, True)
            await writer.write(leases.let_go, [replace(seen, beat=seen.beat + 1)])
            assert (await replica.record(accepted.record.id)).owner  # it had moved meanwhile: its holder lives
            await writer.write(leases.let_go, [seen])
            record = await replica.record(accepted.record.id)
            assert (record.owner, record.tries, record.fence) == ("", 0, seen.fence + 1)
            retried = await replica.runner.accept(prepare(tenant=TENANT, retries=True))
            assert (retried.record.id, retried.is_new) == (accepted.record.id, False)
            gate.set()

    run(course())

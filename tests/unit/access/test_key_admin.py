"""What becomes of keys and of the log of it, on both databases; each deed is one transaction."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from app.access.audit import AuditLog
from app.access.key_admin import KeyAdmin
from app.access.key_format import digest_of, id_in
from app.database.key_tables import accounts, api_keys
from app.database.reader import Reader
from app.database.writer import Writer
from app.domain.key_records import AuditPage, KeyPage, KeyStatus
from app.errors import InvalidRequestError, NotFoundError
from app.openai_api.key_fields import KeyFields
from tests.support.databases import open_migrated
from tests.support.journals import Clock


class Desk:
    """An administrator at a database, on a clock of the test."""

    def __init__(self, url: str) -> None:
        self.engine = open_migrated(url)
        self.clock = Clock()
        self._writer = Writer(self.engine)
        self._reader = Reader(self.engine, self._writer)
        self.admin = KeyAdmin(self._writer, self._reader, clock=self.clock)
        self.audit = AuditLog(self._writer, self._reader, self.clock)

    async def create(self, name: str, **fields: object):
        self.clock.now += 1
        return await self.admin.create("boss", self.fields(name=name, **fields))

    def fields(self, **fields: object) -> KeyFields:
        return KeyFields(fields, self.clock.now)

    def rows(self, table):
        with self.engine.begin() as connection:
            return connection.execute(select(table)).all()

    async def entries(self):
        return (await self.audit.page(AuditPage(100)))[0]

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


@pytest.fixture
def during(database) -> Callable[[Callable[[Desk], Awaitable[None]]], None]:
    def run(story: Callable[[Desk], Awaitable[None]]) -> None:
        async def tell() -> None:
            desk = Desk(database.fresh())
            try:
                await story(desk)
            finally:
                desk.close()

        asyncio.run(tell())

    return run


def test_a_key_is_stored_as_its_digest_with_an_account_and_a_line(during):
    async def story(desk: Desk) -> None:
        made = await desk.create("ci", budget=20, period="month")
        key = made.view.key
        assert (id_in(made.text), key.last_four, key.name) == (key.id, made.text[-4:], "ci")
        (row,) = desk.rows(api_keys)
        assert (row.id, row.digest, row.budget) == (key.id, digest_of(made.text), 20_000_000_000)
        (account,) = desk.rows(accounts)
        assert (account.key_id, account.spent, account.reserved, account.period_start) == (key.id, 0, 0, 0)
        budget = made.view.budget
        assert (budget.spent, budget.remaining, budget.resets_at) == (0, 20, 2_678_400)
        (entry,) = await desk.entries()
        assert (entry.actor, entry.action, entry.target, entry.before) == ("boss", "key.created", key.id, None)
        assert json.loads(entry.after)["budget"] == {"limit": 20.0, "period": "month"}
        assert made.text not in str([*desk.rows(api_keys), await desk.entries()])

    during(story)


def test_a_change_touches_what_it_names_and_tells_what_stood_before(during):
    async def story(desk: Desk) -> None:
        made = await desk.create("ci", rpm=60)
        changed = await desk.admin.update("boss", "ci", desk.fields(rpm=None, concurrency=2, name="cd"))
        assert changed.key == replace(made.view.key, name="cd", limits=changed.key.limits)
        assert (changed.key.limits.rpm, changed.key.limits.concurrency) == (None, 2)
        entry = (await desk.entries())[0]
        before, after = json.loads(entry.before), json.loads(entry.after)
        assert {name for name in before if before[name] != after[name]} == {"name", "rpm", "concurrency"}

    during(story)


def test_the_log_keeps_no_password_and_no_token_of_an_address(during):
    async def story(desk: Desk) -> None:
        await desk.create("ci", webhook_url="https://me:hunter2@example.com/hook?token=hunter3")
        await desk.admin.update("boss", "ci", desk.fields(rpm=1))
        changed, made = await desk.entries()
        logged = [made.after, changed.before, changed.after]
        assert [json.loads(one)["webhook_url"] for one in logged] == ["https://example.com/hook"] * 3

    during(story)


def test_nor_of_an_address_among_the_defaults(during):
    async def story(desk: Desk) -> None:
        defaults = {"webhook_url": "https://me:hunter2@example.com/hook?token=hunter3", "model": "riverflow-1"}
        made = await desk.create("ci", defaults=defaults)
        (entry,) = await desk.entries()
        assert "hunter" not in entry.after
        assert json.loads(entry.after)["defaults"] == {
            "webhook_url": "https://example.com/hook",
            "model": "riverflow-1",
        }
        assert made.view.key.defaults == defaults

    during(story)


def test_a_rotated_key_has_another_secret_and_keeps_the_old_one_for_a_while(during):
    async def story(desk: Desk) -> None:
        made = await desk.create("ci")
        rotated = await desk.admin.rotate("boss", made.view.key.id, 60)
        assert rotated.text != made.text
        assert id_in(rotated.text) == id_in(made.text)
        (row,) = desk.rows(api_keys)
        assert (row.digest, row.previous_digest) == (digest_of(rotated.text), digest_of(made.text))
        assert (row.previous_until, row.last_four) == (desk.clock.now + 60, rotated.text[-4:])
        assert [entry.action for entry in await desk.entries()] == ["key.rotated", "key.created"]

    during(story)


def test_a_revoked_key_stays_revoked_and_its_name_is_free(during):
    async def story(desk: Desk) -> None:
        first = await desk.create("ci")
        revoked = await desk.admin.revoke("boss", "ci")
        desk.clock.now += 5
        assert await desk.admin.revoke("boss", first.view.key.id) == revoked  # at its first time
        for deed in (desk.admin.update("boss", "ci", desk.fields(rpm=1)), desk.admin.rotate("boss", "ci", 0)):
            with pytest.raises(InvalidRequestError, match="revoked"):
                await deed
        second = await desk.create("ci")
        assert (await desk.admin.show("ci")).key.id == second.view.key.id
        assert (await desk.admin.show(first.view.key.id)).status is KeyStatus.REVOKED
        assert [entry.action for entry in await desk.entries()] == ["key.created", "key.revoked", "key.created"]

    during(story)


def test_two_keys_never_have_one_name(during):
    async def story(desk: Desk) -> None:
        made = await asyncio.gather(
            *(desk.admin.create("boss", desk.fields(name="ci")) for _ in range(5)), return_exceptions=True
        )
        refused = [one for one in made if isinstance(one, InvalidRequestError)]
        assert {(one.code, one.param) for one in refused} == {("name_taken", "name")}
        assert (len(refused), len(desk.rows(api_keys)), len(await desk.entries())) == (4, 1, 1)
        await desk.create("cd")
        with pytest.raises(InvalidRequestError, match="Another key is called 'ci'"):
            await desk.admin.update("boss", "cd", desk.fields(name="ci"))
        assert (await desk.admin.update("boss", "ci", desk.fields(name="ci", rpm=1))).key.limits.rpm == 1

    during(story)


def test_what_is_refused_leaves_nothing_behind(during):
    async def story(desk: Desk) -> None:
        for fields in ({"name": "a", "budget": -1}, {}, {"name": "a", "rmp": 1}):
            with pytest.raises(InvalidRequestError):
                await desk.admin.create("boss", KeyFields(fields, desk.clock.now))
        deeds = (desk.admin.show("a"), desk.admin.revoke("boss", "a"), desk.admin.rotate("boss", "a", 1))
        for deed in (*deeds, desk.admin.show("a\x00b"), desk.admin.revoke("boss", "a\x00b")):
            with pytest.raises(NotFoundError):
                await deed
        assert (desk.rows(api_keys), desk.rows(accounts), await desk.entries()) == ([], [], [])

    during(story)


def test_an_expired_key_is_extended_before_it_is_rotated(during):
    async def story(desk: Desk) -> None:
        await desk.create("ci", expires_at="10s")
        desk.clock.now += 10
        assert (await desk.admin.show("ci")).status is KeyStatus.EXPIRED
        with pytest.raises(InvalidRequestError, match="expired"):
            await desk.admin.rotate("boss", "ci", 0)
        assert (await desk.admin.update("boss", "ci", desk.fields(expires_at="1d"))).status is KeyStatus.ACTIVE
        await desk.admin.rotate("boss", "ci", 0)

    during(story)


def test_keys_are_listed_in_pages_in_both_directions_and_by_status(during):
    async def story(desk: Desk) -> None:
        names = [f"key {number}" for number in range(5)]
        ids = [(await desk.create(name, expires_at="10s" if name == "key 3" else None)).view.key.id for name in names]
        await desk.admin.revoke("boss", "key 1")
        desk.clock.now += 10

        async def page(**asked: object) -> tuple[list[str], bool]:
            views, more = await desk.admin.page(KeyPage(**{"limit": 2, **asked}))
            return [view.key.name[-1] for view in views], more

        assert await page() == (["4", "3"], True)
        assert await page(after=ids[3]) == (["2", "1"], True)
        assert await page(after=ids[1]) == (["0"], False)
        assert await page(before=ids[1]) == (["3", "2"], True)
        assert await page(before=ids[3]) == (["4"], False)
        assert await page(after="key_nobody") == ([], False)
        assert await page(status=KeyStatus.ACTIVE, limit=9) == (["4", "2", "0"], False)
        assert await page(status=KeyStatus.REVOKED) == (["1"], False)
        assert await page(status=KeyStatus.EXPIRED) == (["3"], False)

    during(story)


def test_a_budget_is_shown_as_it_is_now_whoever_wrote_it_last(during):
    async def story(desk: Desk) -> None:
        await desk.create("ci", budget="0.5", period="day")
        with desk.engine.begin() as connection:
            connection.execute(accounts.update().values(spent=300_000_000, reserved=250_000_000))
        budget = (await desk.admin.show("ci")).budget
        assert [str(one) for one in (budget.spent, budget.reserved, budget.remaining)] == ["0.3", "0.25", "0"]
        desk.clock.now = float(budget.resets_at)
        following = (await desk.admin.show("ci")).budget
        assert (following.spent, following.reserved, str(following.remaining)) == (0, 0, "0.5")
        assert following.resets_at == budget.resets_at + 86_400

    during(story)


def test_the_log_is_read_in_pages_and_by_what_it_is_about(during):
    async def story(desk: Desk) -> None:
        ids = [(await desk.create(f"key {number}")).view.key.id for number in range(3)]
        await desk.admin.revoke("other", ids[0])

        async def targets(**asked: object) -> list[int]:
            entries, _ = await desk.audit.page(AuditPage(**{"limit": 10, **asked}))
            return [ids.index(entry.target) for entry in entries]

        first, second, *_ = (entry.id for entry in reversed(await desk.entries()))
        assert await targets() == [0, 2, 1, 0]
        assert await targets(limit=1) == [0]
        assert (await targets(after=second), await targets(before=first, limit=1)) == ([0], [1])
        assert (await targets(actor="other"), await targets(target=ids[0])) == ([0], [0, 0])
        assert await targets(action="key.created") == [2, 1, 0]

    during(story)

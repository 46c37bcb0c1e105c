"""When a key was last used is written, together and not for every request."""

import asyncio

from sqlalchemy import select

from app.access.key_uses import KeyUses
from app.database.key_tables import api_keys
from app.database.writer import Writer
from tests.support.databases import open_migrated
from tests.support.journals import Clock
from tests.support.keys import change_key, numbered_key, put_key


def test_uses_are_written_once_a_minute_and_the_latest_stays(database):
    engine = open_migrated(database.fresh())
    for number in (1, 2, 3):
        put_key(engine, number)
    change_key(engine, 2, last_used_at=9e9)  # of a replica whose clock is ahead
    ids = [numbered_key(number)[0] for number in (1, 2, 3)]
    clock = Clock()
    began = clock.now

    async def use() -> None:
        writer = Writer(engine)
        uses = KeyUses(writer, clock)
        for seconds in (0, 59, 2):
            clock.now += seconds
            for key_id in ids[:2]:
                uses.note(key_id)
            await uses.close()
        writer.close()

    asyncio.run(use())
    engine = open_migrated(engine.url.render_as_string(hide_password=False))
    with engine.begin() as connection:
        used = dict(connection.execute(select(api_keys.c.id, api_keys.c.last_used_at)).all())
    engine.dispose()
    assert used == {ids[0]: began + 61, ids[1]: 9e9, ids[2]: None}

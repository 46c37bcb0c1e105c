"""Ids that grow with time are UUIDs that Runware takes, and nobody can guess the next one."""

import uuid
from itertools import count

from app.domain.ids import GrowingIds

NOW = 1_790_000_000_123_456_789


def test_an_id_is_a_uuid_of_version_4_that_begins_with_the_time():
    made = GrowingIds(clock=lambda: NOW)()

    assert str(uuid.UUID(made)) == made
    assert (uuid.UUID(made).version, uuid.UUID(made).variant) == (4, uuid.RFC_4122)
    assert int(made[:13].replace("-", ""), 16) == NOW // 1_000_000


def test_ids_sort_as_they_were_made():
    millisecond = count(NOW, 1_000_000)
    ids = GrowingIds(clock=lambda: next(millisecond))
    made = [ids() for _ in range(200)]

    assert made == sorted(made)


def test_ids_of_one_moment_differ_in_72_bits_of_chance():
    drawn = count()
    ids = GrowingIds(lambda size: b"".join(next(drawn).to_bytes(9) for _ in range(size // 9)), lambda: NOW)
    made = [ids() for _ in range(1000)]

    assert len(set(made)) == 1000
    chances = [int(one[15:18] + one[20:23] + one[24:], 16) for one in made]
    assert chances == list(range(1000))

"""What is remembered, and what is forgotten for it."""

from app.domain.memory import Memory


def test_what_was_kept_first_is_forgotten_first():
    memory = Memory[str, int](2)
    for value, key in enumerate("abc"):
        memory.keep(key, value)
    assert [memory.find(key) for key in "abc"] == [None, 1, 2]


def test_a_key_that_is_kept_again_pushes_nothing_out():
    memory = Memory[str, int](2)
    for value, key in enumerate("abab"):
        memory.keep(key, value)
    assert [memory.find(key) for key in "ab"] == [2, 3]


def test_what_is_taken_is_forgotten():
    memory = Memory[str, int](2)
    memory.keep("a", 1)
    assert [memory.take("a"), memory.take("a"), memory.find("a")] == [1, None, None]

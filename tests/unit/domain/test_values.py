"""Frozen values are changed into others, whatever they are made as."""

from dataclasses import FrozenInstanceError, dataclass

import pytest
from msgspec import Struct

from app.domain.values import replace


class AsStruct(Struct, frozen=True):
    """A value of the path of a request."""

    name: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class AsDataclass:
    """Another one."""

    name: str
    count: int = 1


@pytest.mark.parametrize("kind", [AsStruct, AsDataclass])
def test_a_value_is_changed_into_another_one(kind):
    before = kind("a hat", 2)
    after = replace(before, name="a cap")
    assert (before, after) == (kind("a hat", 2), kind("a cap", 2))
    assert hash(after) == hash(kind("a cap", 2))
    with pytest.raises((FrozenInstanceError, AttributeError)):
        after.name = "a bow"


@pytest.mark.parametrize("kind", [AsStruct, AsDataclass])
def test_a_field_that_there_is_not_is_refused(kind):
    with pytest.raises(TypeError):
        replace(kind("a hat"), size=3)


def test_what_is_no_value_is_refused():
    with pytest.raises(TypeError):
        replace("a hat", name="a cap")

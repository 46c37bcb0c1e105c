"""Frozen values are changed into others, and only in fields that they have."""

import os
import subprocess
import sys

import pytest
from msgspec import Struct

from app.domain.values import replace


class Value(Struct, frozen=True):
    """A value of the path of a request."""

    name: str
    count: int = 1


def test_a_value_is_changed_into_another_one():
    before = Value("a hat", 2)
    after = replace(before, name="a cap")
    assert (before, after) == (Value("a hat", 2), Value("a cap", 2))
    assert hash(after) == hash(Value("a cap", 2))
    with pytest.raises(AttributeError):
        after.name = "a bow"


def test_a_field_that_there_is_not_is_refused():
    with pytest.raises(TypeError):
        replace(Value("a hat"), size=3)


def test_what_is_no_value_is_refused():
    with pytest.raises(TypeError):
        replace("a hat", name="a cap")


WRONG = """
from app.domain.request import SizeRequest
from app.domain.values import replace

def change(size: SizeRequest) -> None:
    replace(size, area=1_000_000)
    replace(size, area="1MP")
    replace(size, are=1_000_000)
    replace("1MP", area=1)
"""


@pytest.mark.slow
def test_a_wrong_field_and_a_wrong_value_are_errors_before_anything_runs():
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", os.devnull, "-c", WRONG]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300).stdout
    assert [line.split(":")[1] for line in said.splitlines() if ": error:" in line] == ["7", "8", "9"]

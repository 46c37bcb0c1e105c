"""A log that nobody takes: lines are lost and counted, and whoever writes them never fails or waits."""

import contextlib
import os
import time

import pytest

from app.observability.standard_error import PatientStream


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def test_what_is_taken_arrives_as_it_is(pipe):
    stream = PatientStream(pipe[1])
    stream.write("a line\n")
    stream.write("zurück \ud800\n")
    assert os.read(pipe[0], 100) == b"a line\nzur\xc3\xbcck \\ud800\n"


def test_a_reader_that_sleeps_keeps_nobody_waiting_and_hears_later_how_much_it_missed(pipe):
    stream, line = PatientStream(pipe[1]), "x" * 999 + "\n"
    began = time.monotonic()
    for _ in range(200):  # three times what the pipe holds
        stream.write(line)
    assert time.monotonic() - began < 5
    taken = os.read(pipe[0], 1_000_000).count(b"\n")
    stream.write("and on\n")
    assert os.read(pipe[0], 1000).decode() == f"{200 - taken} lines of the log were lost: nothing took them\nand on\n"


def test_a_reader_that_is_gone_is_no_error(pipe):
    os.close(pipe[0])
    stream = PatientStream(pipe[1])
    for _ in range(3):
        assert stream.write("a line\n") == 7


def test_a_long_text_is_written_whole_and_never_waits(pipe):
    stream = PatientStream(pipe[1])
    stream.write("y" * 20_000 + "\n")
    assert len(os.read(pipe[0], 100_000)) == 20_001
    stream.write("y" * 200_000 + "\n")  # more than the pipe holds


@pytest.mark.parametrize("name", ["closed", "full", "none"])
def test_what_cannot_be_written_to_is_no_error(name):
    descriptor = None if name == "none" else os.open("/dev/full", os.O_WRONLY)
    if name == "closed":
        os.close(descriptor)
    assert PatientStream(descriptor).write("a line\n") == 7
    if name == "full":
        os.close(descriptor)

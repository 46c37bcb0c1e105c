"""What a line of the log says of a fault: its cause, and the request, stage and image it happened on."""

import json
import subprocess
import sys
import textwrap

import pytest


def lines_of(work: str, format_: str = "json") -> list[dict]:
    """What a process that logs so writes; logging belongs to a whole process."""
    program = textwrap.dedent(
        f"""
        import asyncio
        from app.observability.hidden import HiddenValues
        from app.observability.logs import configure_logs, get_logger
        from app.observability.logs import Stage, begin_request
        configure_logs({format_!r}, "info", HiddenValues(["s3cret-key"]))
        log = get_logger("test")
        """
    ) + textwrap.dedent(work)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stderr.splitlines()]


DEEP = """
def fall(depth):
    if depth == 0:
        raise ValueError("the very cause")
    return fall(depth - 1)
"""


@pytest.mark.parametrize("depth", [1, 50, 900])
def test_a_traceback_keeps_its_end_which_tells_the_cause(depth):
    (line,) = lines_of(DEEP + f"\ntry:\n    fall({depth})\nexcept ValueError:\n    log.exception('it failed')\n")
    assert line["exception"].endswith("ValueError: the very cause")
    assert "in fall" in line["exception"]
    assert len(line["exception"]) < 7000


def test_a_long_message_does_not_push_the_cause_out():
    (line,) = lines_of(
        "try:\n    raise ValueError('x' * 50_000 + 'the end s3cret-key')\nexcept ValueError:\n    log.exception('no')\n"
    )
    assert line["exception"].endswith("the end [redacted]")
    assert len(line["exception"]) < 7000


def test_every_error_of_a_chain_is_told_with_its_nearest_frames():
    work = (
        DEEP
        + """
try:
    try:
        fall(30)
    except ValueError as error:
        raise KeyError("the consequence") from error
except KeyError:
    log.exception("it failed")
"""
    )
    (line,) = lines_of(work)
    assert "ValueError: the very cause" in line["exception"]
    assert line["exception"].endswith("KeyError: 'the consequence'")


def test_a_fault_told_far_above_says_the_request_the_stage_and_the_image():
    work = """
async def convert():
    with Stage("convert", {"type": "png", "size": "20000x100", "bytes": 12}):
        raise OSError("encoder error")

async def deliver():
    with Stage("deliver", {"image": 1}):
        await asyncio.gather(convert())

async def main():
    begin_request("req_1")
    try:
        await asyncio.create_task(deliver())
    except OSError:
        log.exception("unexpected fault")
    log.info("afterwards")

asyncio.run(main())
"""
    fault, after = lines_of(work)
    told = {name: fault[name] for name in ("request", "stage", "image", "type", "size", "bytes")}
    assert told == {
        "request": "req_1",
        "stage": "deliver > convert",
        "image": 1,
        "type": "png",
        "size": "20000x100",
        "bytes": 12,
    }
    assert (after["request"], "stage" in after) == ("req_1", False)


def test_requests_side_by_side_do_not_mix():
    work = """
async def one(name):
    begin_request(name)
    with Stage("deliver", {}):
        await asyncio.sleep(0)
        log.info("here")

async def main():
    await asyncio.gather(*(asyncio.create_task(one(f"req_{n}")) for n in range(5)))

asyncio.run(main())
"""
    assert sorted(line["request"] for line in lines_of(work)) == [f"req_{number}" for number in range(5)]


def test_a_task_that_works_on_one_request_after_another_tells_of_the_last():
    work = """
with Stage("resolve", {}):
    for number in range(3):
        begin_request(f"req_{number}")
        log.info("here")
    begin_request("req_last")
    log.info("here")
"""
    assert [(line["request"], line["stage"]) for line in lines_of(work)] == [
        *((f"req_{number}", "resolve") for number in range(3)),
        ("req_last", "resolve"),
    ]

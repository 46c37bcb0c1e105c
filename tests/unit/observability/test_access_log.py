# ruff: noqa: RUF001 - lines say how many images as people write it
"""The line of a request: what a person reads, what a machine reads, and what neither may ever show."""

import asyncio
import io
import json
import sys
import weakref
from contextlib import redirect_stderr
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.observability.access_log import AccessLog, RequestFacts
from app.observability.hidden import HiddenValues

ID = "req_00000001" + "0" * 24
MADE = RequestFacts(
    model="gpt-image-1", executed_model="riverflow-1", size="1280x720", images=2, cost=Decimal("0.078"), key="team-a",
    adjustments=("size=changed", "quality=dropped"), attempts=1, bytes_in=120, bytes_out=4096,
)  # fmt: skip
GENERATIONS = "/v1/images/generations"


class Watched(str):
    """A text of which can be told whether somebody keeps it."""

    __slots__ = ("__weakref__",)


def line_of(facts: RequestFacts = MADE, form: str = "console", *, path: str = GENERATIONS, status: int = 200, level: str = "info", share: float = 1.0, request_id: str = ID, method: str = "POST") -> str:  # fmt: skip
    """What is written of one request."""
    written = io.StringIO()
    with redirect_stderr(written):
        assert sys.stderr is written
        log = AccessLog(form, level, HiddenValues(["s3cret-of-ours-0123"]), share, lambda: datetime(2026, 11, 27, 1, 2, 3, tzinfo=UTC).timestamp())  # fmt: skip
        log.log_request(request_id, method, path, status, 366, facts)
    return written.getvalue()


@pytest.mark.parametrize(
    ("line", "read"),
    [
        pytest.param(line_of(), f'2026-11-27T01:02:03Z POST generations 200 366 ms riverflow-1 1280x720 ×2 $0.078 adjusted="size=changed,quality=dropped" key=team-a {ID}\n', id="images"),
        pytest.param(line_of(RequestFacts(executed_model="flux.1-schnell", size="256x256", images=1, cost=Decimal("0.6"), attempts=3)), f"2026-11-27T01:02:03Z POST generations 200 366 ms flux.1-schnell 256x256 ×1 $0.60 attempts=3 {ID}\n", id="several attempts"),
        pytest.param(line_of(RequestFacts(model="nobody", error="model_not_found"), status=404), f"2026-11-27T01:02:03Z POST generations 404 366 ms nobody error=model_not_found {ID}\n", id="a refusal"),
        pytest.param(line_of(RequestFacts(), method="GET", path="/v1/models/flux"), f"2026-11-27T01:02:03Z GET /v1/models/flux 200 366 ms {ID}\n", id="no images"),
        pytest.param(line_of(RequestFacts(), path="/v1/a b"), f'2026-11-27T01:02:03Z POST "/v1/a b" 200 366 ms {ID}\n', id="a path with a space"),
    ],
)  # fmt: skip
def test_a_person_reads(line, read):
    assert line == read


MEMBERS = ["time", "level", "event", "id", "method", "path", "endpoint", "status", "duration_ms", "model", "executed_model", "size", "images", "cost", "key", "adjustments", "attempts", "bytes_in", "bytes_out", "trace_id", "error"]  # fmt: skip


@pytest.mark.parametrize("facts", [MADE, RequestFacts()], ids=["all is known", "nothing is known"])
def test_a_machine_reads_exactly_these_members(facts):
    assert list(json.loads(line_of(facts, "json"))) == MEMBERS


def test_a_machine_reads_values_of_their_types():
    shown = json.loads(line_of(form="json"))
    assert shown | {"time": None} == {
        "time": None, "level": "info", "event": "request", "id": ID, "method": "POST", "path": GENERATIONS, "endpoint": "generations", "status": 200, "duration_ms": 366,
        "model": "gpt-image-1", "executed_model": "riverflow-1", "size": "1280x720", "images": 2, "cost": 0.078, "key": "team-a", "adjustments": ["size=changed", "quality=dropped"], "attempts": 1,
        "bytes_in": 120, "bytes_out": 4096, "trace_id": None, "error": None,
    }  # fmt: skip
    assert datetime.fromisoformat(shown["time"]) == datetime(2026, 11, 27, 1, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        (GENERATIONS, "generations"),
        ("/v1/images/edits", "edits"),
        ("/openai/deployments/x/images/edits", "edits"),
        ("/v1/requests/req_1/result", "requests"),
        ("/healthz", "healthz"),
        ("/", None),
        ("/v1/../../etc", None),
        ("/somewhere/else", None),
    ],
)
def test_the_endpoint_is_a_word_of_ours_or_none(path, endpoint):
    assert json.loads(line_of(RequestFacts(), "json", path=path))["endpoint"] == endpoint


ODD = {
    "a new line": "a\r\nlevel=error event=forged",
    "an escape of the terminal": "\x1b[2J\x1b]0;owned\x07",
    "a line separator": "a\u2028b\u2029c\x85d",
    "reversed writing": "\u202egnp.exe\u2066\u200f",
    "zero bytes": "\x00\x7f",
    "half a character": "\udcff",
    "another member": '" key="admin',
}


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_whatever_callers_and_operators_write_stays_one_line_of_characters_that_can_be_shown(odd, form):
    facts = RequestFacts(model=odd, executed_model=odd, key=odd, adjustments=(f"{odd}=dropped",), error=odd)
    line = line_of(facts, form, path=f"/v1/{odd}")
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    line.encode()
    if form == "json":
        assert list(json.loads(line)) == MEMBERS


HIDDEN = {
    "a secret of the settings": ("s3cret-of-ours-0123", "s3cret-of-ours"),
    "a key of a caller": ("sk-spw-abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijkl"),
    "an image": ("iVBORw0KGgo" + "A" * 400, "A" * 81),
}


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("place", ["path", "model", "executed_model", "key", "adjustments", "error"])
@pytest.mark.parametrize(("value", "never"), HIDDEN.values(), ids=HIDDEN)
def test_no_secret_and_no_image_is_shown_wherever_it_stands(value, never, place, form):
    if place == "path":
        line = line_of(RequestFacts(), form, path=f"/v1/models/{value}")
    else:
        line = line_of(RequestFacts(**{place: (f"{value}=dropped",) if place == "adjustments" else value}), form)
    assert never not in line


def test_a_prompt_in_the_place_of_a_model_is_not_shown():
    assert "harbor" not in line_of(RequestFacts(model="a quiet harbor at night"))
    assert json.loads(line_of(RequestFacts(model="a quiet harbor at night"), "json"))["model"] == "?"


@pytest.mark.parametrize(
    ("status", "facts", "share", "level", "is_written"),
    [
        pytest.param(200, MADE, 1.0, "info", True, id="all of them"),
        pytest.param(200, MADE, 0.0, "info", False, id="none"),
        pytest.param(400, RequestFacts(), 0.0, "info", True, id="a refusal is never left out"),
        pytest.param(502, RequestFacts(), 0.0, "info", True, id="a fault is never left out"),
        pytest.param(0, RequestFacts(), 0.0, "info", True, id="what was cut off is never left out"),
        pytest.param(200, RequestFacts(error="still_processing"), 0.0, "info", True, id="a stream that failed is never left out"),
        pytest.param(200, MADE, 1.0, "warning", False, id="what went well is no warning"),
        pytest.param(502, RequestFacts(), 1.0, "warning", True, id="a fault is a warning"),
        pytest.param(502, RequestFacts(), 1.0, "error", False, id="and no more than that"),
    ],
)  # fmt: skip
def test_which_requests_leave_a_line(status, facts, share, level, is_written):
    assert bool(line_of(facts, status=status, share=share, level=level)) is is_written


def test_the_sample_is_the_share_and_the_same_everywhere():
    # Ids of one moment: they begin alike, with the time.
    ids = [f"req_019abcdef012{'0' * 12}{number * 0x0100_0000:08x}" for number in range(256)]
    kept = [one for one in ids if line_of(share=0.25, request_id=one)]
    assert len(kept) == 64
    assert kept == [one for one in ids if line_of(share=0.25, request_id=one, form="json")]


def test_lines_of_one_turn_of_the_loop_are_written_together_in_their_order():
    written: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    async def run() -> list[int]:
        seen = []
        for count in (1, 3, 40):
            for number in range(count):
                log.log_request(f"req_{number:032x}", "POST", GENERATIONS, 200, number, MADE)
            await asyncio.sleep(0)
            seen.append(len(written))
        return seen

    with redirect_stderr(Stream()):
        log = AccessLog("console", "info", HiddenValues())
        writes = asyncio.run(run())
    assert writes[:2] == [1, 2]
    assert all(len(text) <= 2000 for text in written)
    lines = "".join(written).splitlines()
    assert [line.split()[-1] for line in lines] == [f"req_{n:032x}" for count in (1, 3, 40) for n in range(count)]
    assert len(written) < len(lines) / 3


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_name_that_is_no_models_is_kept_by_nobody_once_its_line_is_written(form):
    name = Watched(form + "x" * 1_000_000)
    kept = weakref.ref(name)
    assert "xx" not in line_of(RequestFacts(model=name), form, status=404)
    del name
    assert kept() is None

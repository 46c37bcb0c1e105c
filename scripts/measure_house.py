"""Measures the house: the path of one `url` request through its files, what it costs, and the shape of the code.

Usage: python -m scripts.measure_house [--rooms] [--files] [--types] [--path] [--cpu] [--against TREE ...]

The path is traced in process: the ASGI application with a canned upstream and a real SQLite file, without a server.
Counted are calls of functions defined under `app/`, in all threads. `--cpu` adds the CPU time of a request on the same
path. `--path` lists the modules in the order in which the request reaches them. `--against` measures other checkouts
beside this one, in turns, so that all of them meet the same machine.
"""

import argparse
import ast
import asyncio
import gc
import importlib
import importlib.util
import inspect
import io
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tokenize
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import cast

import msgspec
from fastapi import FastAPI

from app import __file__ as _package
from app import main as root
from app.runware.transport import HTTPReply

APP = Path(_package).resolve().parent
"""Of the checkout that is imported, which may be another one than this script's."""
_BODY = b'{"model": "flux.1-schnell", "prompt": "a quiet harbor", "size": "1024x1024", "response_format": "url"}'
_WARM_UP, _ROUNDS, _PER_ROUND, _AT_ONCE = 200, 5, 320, 8
_TURNS = 3
_LONG = 30
"""Lines of a function that does not fit on a small screen."""
_CPU = "CPU per request, microseconds"


class CannedTransport:
    """Answers each task at once, with an address."""

    async def post(self, body: bytes, *_: object) -> HTTPReply:
        """One finished image."""
        task = msgspec.json.decode(body)[0]
        item = {
            "taskType": "imageInference",
            "taskUUID": task["taskUUID"],
            "imageUUID": "c1f0b6ae-9a8a-4f4e-9f3b-1d2e3f405162",
            "imageURL": "https://im.runware.ai/image/ws/2/ii/c1f0b6ae.png",
            "seed": 1,
            "cost": 0.0013,
        }
        return HTTPReply(200, msgspec.json.encode({"data": [item]}), None)

    async def close(self) -> None:
        """Nothing is open."""


class Trace:
    """Every call into the house while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.calls: list[tuple[str, str]] = []
        self.types: Counter[str] = Counter()
        self._prefix = str(APP)

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Note a call; called by the interpreter."""
        if not self.on or event != "call":
            return
        code = frame.f_code
        if code.co_filename.startswith(self._prefix) and not _is_background(frame):
            self.calls.append((code.co_filename.removeprefix(self._prefix), f"{code.co_firstlineno} {code.co_name}"))
        elif code.co_name == "__init__" and code.co_filename == "<string>":  # a generated one: a value is made
            kind = type(frame.f_locals.get("self"))
            if kind.__module__.startswith("app."):
                self.types[f"{kind.__module__}.{kind.__name__}"] += 1


def _is_background(frame: FrameType) -> bool:
    """Whether this belongs to no request, but to what is done again and again beside them."""
    caller: FrameType | None = frame
    while caller is not None:
        if caller.f_code.co_filename.endswith("/observability/background.py"):
            return True
        caller = caller.f_back
    return False


async def _post(app: FastAPI) -> bytes:
    sent: list[bytes] = []
    pending = [{"type": "http.request", "body": _BODY, "more_body": False}]

    async def receive() -> dict[str, object]:
        if pending:
            return pending.pop()
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(cast("bytes", message.get("body", b"")))

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/images/generations",
        "raw_path": b"/v1/images/generations",
        "query_string": b"",
        "headers": [*headers, (b"content-length", str(len(_BODY)).encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    await app(scope, receive, send)  # type: ignore[arg-type]  # plain dicts are what servers pass
    body = b"".join(sent)
    if b"im.runware.ai" not in body:
        message = f"the request failed: {body[:300]!r}"
        raise RuntimeError(message)
    return body


def _replacements() -> dict[str, object]:
    """The canned upstream, and a name lookup that finds every host, as on a machine with a network."""
    lookup = {"lookup": lambda *_: ["93.184.216.34"]}
    known = inspect.signature(root.create_app).parameters
    if "parts" in known:
        return {"parts": root.Parts(connect=lambda *_: CannedTransport(), **lookup)}
    return {"connect": CannedTransport} | {name: value for name, value in lookup.items() if name in known}


@asynccontextmanager
async def _gateway() -> AsyncIterator[FastAPI]:
    """A running gateway over the canned upstream, with a journal of its own."""
    with tempfile.TemporaryDirectory() as folder:
        values = {"RUNWARE_API_KEY": "k" * 32, "SPILLWAY_DATA_DIR": folder, "SPILLWAY_LOG_LEVEL": "error"}
        # Older checkouts, which `--against` measures, have their settings in one file and the transport as an argument.
        grouped = importlib.util.find_spec("app.settings").submodule_search_locations  # type: ignore[union-attr]
        settings = importlib.import_module("app.settings.load" if grouped else "app.settings")
        app = root.create_app(settings.load_settings(values), **_replacements())
        async with app.router.lifespan_context(app):
            yield app


async def trace_request() -> Trace:
    """One traced request, after one that warms the caches."""
    trace = Trace()
    threading.setprofile(trace)
    async with _gateway() as app:
        await _post(app)
        await asyncio.sleep(1)  # what starts with the process, such as the first worker, has started
        sys.setprofile(trace)
        trace.on = True
        await _post(app)
        await asyncio.sleep(0.2)  # what is written after the answer belongs to the request
        trace.on = False
        sys.setprofile(None)
    threading.setprofile(None)  # type: ignore[arg-type]  # None ends it
    return trace


async def measure_cpu() -> float:
    """Microseconds of CPU of one request: of several rounds the best, which others on the machine disturbed least."""

    async def send(app: FastAPI, count: int) -> None:
        for _ in range(count):
            await _post(app)

    best = float("inf")
    async with _gateway() as app:
        await send(app, _WARM_UP)
        for _ in range(_ROUNDS):
            gc.collect()
            began = time.process_time()
            await asyncio.gather(*(send(app, _PER_ROUND // _AT_ONCE) for _ in range(_AT_ONCE)))
            best = min(best, time.process_time() - began)
    return 1_000_000 * best / _PER_ROUND


def _functions(tree: ast.AST) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    """Every function, and whether it stands inside another."""

    def walk(node: ast.AST, *, inside: bool) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield child, inside
                yield from walk(child, inside=True)
            else:
                yield from walk(child, inside=inside and not isinstance(child, ast.ClassDef))

    return walk(tree, inside=False)


def _count_comments(text: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(
        token.type == tokenize.COMMENT and not token.string.startswith(("# noqa", "# type:", "#!")) for token in tokens
    )


@dataclass(frozen=True, slots=True)
class Module:
    """The shape of one file; `arguments` are the most that one of its constructors takes."""

    name: str
    lines: int
    comments: int
    functions: tuple[int, ...]
    closures: int
    arguments: int

    @property
    def room(self) -> str:
        """The package it stands in, or itself."""
        return self.name.split("/", 1)[0]


def read_module(path: Path) -> Module:
    """What one file looks like."""
    text = path.read_text(encoding="utf-8")
    found = list(_functions(ast.parse(text)))
    constructors = [node.args for node, _ in found if node.name == "__init__"]
    return Module(
        name=str(path.relative_to(APP)),
        lines=len(text.splitlines()),
        comments=_count_comments(text),
        functions=tuple((node.end_lineno or node.lineno) - node.lineno + 1 for node, _ in found),
        closures=sum(inside for _, inside in found),
        arguments=max((len(args.args) + len(args.kwonlyargs) - 1 for args in constructors), default=0),
    )


def describe_code(modules: list[Module]) -> dict[str, str]:
    """Lines, rooms, functions, comments, closures and constructors."""
    lines = sum(module.lines for module in modules)
    rooms: Counter[str] = Counter()
    for module in modules:
        rooms[module.room] += module.lines
    lengths = sorted(length for module in modules for length in module.functions)
    room, size = rooms.most_common(1)[0]
    widest = max(modules, key=lambda module: module.arguments)
    return {
        "lines under app/": str(lines),
        "largest room": f"{room} {size / lines:.1%}",
        "comments per 100 lines": f"{100 * sum(module.comments for module in modules) / lines:.1f}",
        "function lines median / p90 / max": (
            f"{statistics.median(lengths):.0f} / {lengths[len(lengths) * 9 // 10]} / {lengths[-1]}"
        ),
        f"functions over {_LONG} lines": str(sum(length > _LONG for length in lengths)),
        "closures per 1,000 lines": f"{1000 * sum(module.closures for module in modules) / lines:.2f}",
        "most constructor arguments": f"{widest.arguments} ({widest.name})",
    }


def describe_path(trace: Trace) -> dict[str, str]:
    """Files, changes of file, functions and value types of the traced request."""
    files = [file for file, _ in trace.calls]
    changes = sum(before != after for before, after in itertools.pairwise(files))
    return {
        "files touched by one url request": str(len(set(files))),
        "changes of file on the way": str(changes),
        "calls / distinct functions": f"{len(files)} / {len(set(trace.calls))}",
        "value types / values made": f"{len(trace.types)} / {sum(trace.types.values())}",
    }


def describe_rooms(modules: list[Module], trace: Trace) -> Iterator[str]:
    """One line a room: what it is made of, and how much of it one request visits."""
    yield f"\n{'room':<16}{'lines':>6}{'comments/100':>14}{'over 30':>9}{'closures':>10}{'visited':>9}{'calls':>7}"
    calls = Counter(file.removeprefix("/").split("/", 1)[0] for file, _ in trace.calls)
    visited = Counter(file.removeprefix("/").split("/", 1)[0] for file in {file for file, _ in trace.calls})
    for room in sorted({module.room for module in modules}):
        own = [module for module in modules if module.room == room]
        lines, closures = sum(module.lines for module in own), sum(module.closures for module in own)
        comments = 100 * sum(module.comments for module in own) / lines
        long = sum(length > _LONG for module in own for length in module.functions)
        yield f"{room:<16}{lines:>6}{comments:>14.1f}{long:>9}{closures:>10}{visited[room]:>9}{calls[room]:>7}"


def _measure_elsewhere(tree: Path) -> dict[str, str]:
    """The rows of another checkout, in a process of its own."""
    told = subprocess.run(  # noqa: S603 - this script itself
        [sys.executable, "-P", __file__, "--cpu", "--json"],
        env=os.environ | {"PYTHONPATH": str(tree)},
        cwd=tree,
        check=True,
        capture_output=True,
        text=True,
    )
    rows: dict[str, str] = json.loads(told.stdout)
    return rows


def compare(trees: list[Path]) -> Iterator[str]:
    """The table with a column for each checkout; of the CPU times of several turns the best is shown."""
    turns = [[_measure_elsewhere(tree) for tree in trees] for _ in range(_TURNS)]
    columns = turns[-1]
    for place, column in enumerate(columns):
        column[_CPU] = min((turn[place][_CPU] for turn in turns), key=int)
    yield f"{'':<36}" + "".join(f"{tree.name:>30}" for tree in trees)
    for name in columns[-1]:
        yield f"{name:<36}" + "".join(f"{column[name]:>30}" for column in columns)


def describe(options: argparse.Namespace) -> Iterator[str]:
    """This checkout's table, with the details that were asked for."""
    trace = asyncio.run(trace_request())
    if options.path:
        yield from dict.fromkeys(file.removeprefix("/") for file, _ in trace.calls)
        return
    modules = [read_module(path) for path in sorted(APP.rglob("*.py"))]
    rows = describe_path(trace) | describe_code(modules)
    if options.cpu:
        rows[_CPU] = str(round(asyncio.run(measure_cpu())))
    if options.json:
        yield json.dumps(rows)
        return
    yield from (f"{name:<36} {value}" for name, value in rows.items())
    if options.rooms:
        yield from describe_rooms(modules, trace)
    details = (trace.types if options.types else Counter()) + (
        Counter(file for file, _ in trace.calls) if options.files else Counter()
    )
    yield from (f"  {count:4} {name}" for name, count in details.most_common())


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("rooms", "files", "types", "path", "cpu", "json"):
        parser.add_argument(f"--{flag}", action="store_true")
    parser.add_argument("--against", nargs="+", type=Path, metavar="TREE")
    options = parser.parse_args()
    others = [tree.resolve() for tree in options.against or ()]
    for line in compare([*others, APP.parent]) if others else describe(options):
        print(line)


if __name__ == "__main__":
    main()

"""Measures the house: the path of one `url` request through its files, and the shape of its code.

Usage: python -m scripts.measure_house. The path is traced in process: the ASGI application with a canned upstream and a
real SQLite file, without a server. Counted are calls of functions defined under `app/`, in all threads.
"""

import ast
import asyncio
import io
import itertools
import statistics
import sys
import tempfile
import threading
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import cast

import msgspec
from fastapi import FastAPI

from app.main import create_app
from app.runware.transport import HTTPReply
from app.settings.load import load_settings

ROOT = Path(__file__).resolve().parent.parent
APP = str(ROOT / "app")
_BODY = b'{"model": "flux.1-schnell", "prompt": "a quiet harbor", "size": "1024x1024", "response_format": "url"}'


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

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Note a call; called by the interpreter."""
        if not self.on or event != "call":
            return
        code = frame.f_code
        if code.co_filename.startswith(APP):
            self.calls.append((code.co_filename.removeprefix(APP), f"{code.co_firstlineno} {code.co_name}"))
        elif code.co_name == "__init__" and code.co_filename == "<string>":  # a generated one: a value is made
            kind = type(frame.f_locals.get("self"))
            if kind.__module__.startswith("app."):
                self.types[f"{kind.__module__}.{kind.__name__}"] += 1


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
    return b"".join(sent)


async def trace_request() -> Trace:
    """One traced request, after one that warms the caches."""
    trace = Trace()
    with tempfile.TemporaryDirectory() as folder:
        values = {"RUNWARE_API_KEY": "k" * 32, "SPILLWAY_DATA_DIR": folder, "SPILLWAY_LOG_LEVEL": "error"}
        app = create_app(load_settings(values), connect=CannedTransport)
        threading.setprofile(trace)
        async with app.router.lifespan_context(app):
            await _post(app)
            await asyncio.sleep(0.2)
            sys.setprofile(trace)
            trace.on = True
            body = await _post(app)
            await asyncio.sleep(0.2)  # what is written after the answer belongs to the request
            trace.on = False
            sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # None ends it
    if b"im.runware.ai" not in body:
        message = f"the request failed: {body[:300]!r}"
        raise RuntimeError(message)
    return trace


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


def _comments(text: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(
        token.type == tokenize.COMMENT and not token.string.startswith(("# noqa", "# type:", "#!")) for token in tokens
    )


def measure_code() -> list[tuple[str, str]]:
    """Lines, rooms, functions, comments, closures and constructors."""
    rooms: Counter[str] = Counter()
    lines = comments = closures = 0
    lengths: list[int] = []
    most_arguments = ("", 0)
    for path in sorted(Path(APP).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        count = len(text.splitlines())
        lines, comments = lines + count, comments + _comments(text)
        rooms[path.relative_to(APP).parts[0]] += count
        for node, inside in _functions(ast.parse(text)):
            lengths.append((node.end_lineno or node.lineno) - node.lineno + 1)
            closures += inside
            arguments = len(node.args.args) + len(node.args.kwonlyargs) - 1
            if node.name == "__init__" and arguments > most_arguments[1]:
                most_arguments = (f"{path.relative_to(APP)}:{node.lineno}", arguments)
    lengths.sort()
    room, size = rooms.most_common(1)[0]
    return [
        ("lines under app/", str(lines)),
        ("largest room", f"{room} {size / lines:.1%}"),
        ("comments per 100 lines", f"{100 * comments / lines:.1f}"),
        (
            "function lines median / p90 / max",
            f"{statistics.median(lengths):.0f} / {lengths[len(lengths) * 9 // 10]} / {lengths[-1]}",
        ),
        ("functions over 30 lines", str(sum(length > 30 for length in lengths))),  # noqa: PLR2004 - the row's own
        ("closures per 1,000 lines", f"{1000 * closures / lines:.2f}"),
        ("most constructor arguments", f"{most_arguments[1]} ({most_arguments[0]})"),
    ]


def main() -> None:
    """The table."""
    trace = asyncio.run(trace_request())
    files = [file for file, _ in trace.calls]
    changes = sum(before != after for before, after in itertools.pairwise(files))
    rows = [
        ("files touched by one url request", str(len(set(files)))),
        ("changes of file on the way", str(changes)),
        ("calls / distinct functions", f"{len(files)} / {len(set(trace.calls))}"),
        ("value types / values made", f"{len(trace.types)} / {sum(trace.types.values())}"),
        *measure_code(),
    ]
    for name, value in rows:
        print(f"{name:<36} {value}")
    if "--types" in sys.argv:
        for name, count in trace.types.most_common():
            print(f"  {count:3} {name}")
    if "--files" in sys.argv:
        for name, count in Counter(files).most_common():
            print(f"  {count:4} {name}")


if __name__ == "__main__":
    main()

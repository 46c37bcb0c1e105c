"""House rules no linter knows."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "app").rglob("*.py"))
MAX_LINES = 300
MAX_FUNCTION = 60


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_owns_and_stays_readable(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "every module opens with what it owns"
    assert len(text.splitlines()) <= MAX_LINES
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno <= MAX_FUNCTION, node.name


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.name not in {"logs.py", "env.py"}], ids=lambda path: path.name
)
def test_nothing_happens_at_import_beyond_definitions(path):
    allowed = (
        ast.Import,
        ast.ImportFrom,
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.Assign,
        ast.AnnAssign,
        ast.If,
    )
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        registers = isinstance(node, ast.Expr) and (isinstance(node.value, ast.Constant) or "cli" in path.parts)
        assert isinstance(node, allowed) or registers, ast.dump(node)[:80]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).is_file()]


def test_locks_carry_hashes_and_no_addresses():
    for name in (
        "requirements.lock",
        "requirements-otel.lock",
        "requirements-dev.lock",
        "requirements-audit.lock",
        "tests/contract/requirements-clients.lock",
    ):
        text = (ROOT / name).read_text(encoding="utf-8")
        pinned = re.findall(r"^[a-z0-9._-]+(?:\[[a-z,]+\])?==", text, re.MULTILINE | re.IGNORECASE)
        assert len(pinned) > 20
        assert text.count("--hash=sha256:") >= len(pinned)
        assert "://" not in text
        assert "--index" not in text
        assert "--find-links" not in text


def test_nothing_in_the_product_refers_to_what_is_outside_it():
    for path in tracked():
        if path.suffix in {".py", ".md", ".toml", ".yml", ".yaml", ".mjs", ".json"} or path.name in {
            "Makefile",
            "Dockerfile",
            "run",
        }:
            assert "../shared" not in path.read_text(encoding="utf-8") or path == Path(__file__)


def test_tests_patch_nothing_of_ours():
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path != Path(__file__):
            assert not re.search(r"unittest\.mock|monkeypatch\.setattr|mocker", text), path


def test_unit_tests_stand_in_the_room_of_what_they_test():
    for path in sorted((ROOT / "tests" / "unit").rglob("test_*.py")):
        room = path.parent.relative_to(ROOT / "tests" / "unit")
        assert room.parts, f"{path.name} stands in no room"
        assert (ROOT / "app" / room).is_dir(), path
        imported = re.findall(r"^\s*from (app(?:\.\w+)+) import", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert any(name.startswith(f"app.{'.'.join(room.parts)}") for name in imported), f"{path} tests another room"
        # Named after a module of its room, with an aspect behind it where one file does not hold all.
        modules = {module.stem for module in (ROOT / "app" / room).iterdir() if not module.name.startswith("_")}
        words = path.stem.split("_")[1:]
        assert any("_".join(words[:end]) in modules for end in range(1, len(words) + 1)), f"{path} names no module"


@pytest.mark.parametrize(
    ("program", "unneeded"),
    [
        pytest.param("app.images.workers.inside", {"app.main", "pydantic", "asyncio", "ssl"}, id="an image worker"),
        pytest.param("app.main", {"alembic", "psycopg"}, id="a gateway on SQLite whose tables are up to date"),
        pytest.param("app.cli.processes", {"app.main", "fastapi", "sqlalchemy"}, id="what starts several gateways"),
        pytest.param("app.cli.metrics_port", {"app.main", "fastapi", "sqlalchemy"}, id="a port for metrics"),
    ],
)
def test_a_process_starts_without_what_only_the_gateway_needs(program, unneeded):
    load = f"import {program} as program, importlib, sys\nfor name in getattr(program, '_WARM', ()): importlib.import_module(name)\n"
    command = [sys.executable, "-c", f"{load}print(*sys.modules, sep='\\n')"]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert program in loaded
    assert unneeded.isdisjoint(loaded)


def test_an_error_that_was_caught_is_never_changed():
    """Several callers may be given the same error: facts about one of them stand in its outcome (0111)."""
    for path in SOURCES:
        handlers = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler)]
        for handler in handlers:
            assigned = [node for node in ast.walk(handler) if isinstance(node, ast.Attribute)]
            changed = [
                ast.unparse(node)
                for node in assigned
                if isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == handler.name
            ]
            assert not changed, f"{path.relative_to(ROOT)}:{handler.lineno}"


def test_that_a_wait_is_over_is_an_error_at_the_edge_only():
    """Inside it is an outcome: nobody knows yet (0111)."""
    named = {path.relative_to(ROOT / "app").parts[0] for path in SOURCES if "StillProcessingError" in path.read_text()}
    assert named == {"errors", "api", "openai_api"}

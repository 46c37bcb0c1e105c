"""The list of commands, how quickly each is there, and how a run ends."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from app import __version__
from app.cli.program import COMMANDS, app, load_command
from tests.support.commands import ROOT

HEAVY = {"aiohttp", "alembic", "anyio", "app.main", "asyncio", "fastapi", "httpx2", "msgspec", "PIL", "sqlalchemy"}
HEAVY |= {"ruamel.yaml", "structlog", "uvicorn", "yaml"}


@pytest.mark.parametrize("listed", COMMANDS, ids=lambda one: one.name)
def test_the_list_of_commands_says_of_each_what_it_says_of_itself(listed):
    assert load_command(listed).help.partition("\n")[0] == listed.summary


@pytest.mark.parametrize("name", [*(one.name for one in COMMANDS), "models show", "keys create"])
def test_help_is_there_without_what_only_the_work_needs(name):
    """Counted in modules: seconds would measure the machine (0190)."""
    program = (
        "import sys\nfrom app.cli.program import app\ntry:\n    app(sys.argv[1:], prog_name='spillway')\n"
        "except SystemExit:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", program, *name.split(), "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert next(one.place.partition(":")[0] for one in COMMANDS if one.name == name.split()[0]) in loaded
    assert (HEAVY | {"pydantic"}) & loaded == set()
    assert len(loaded) < 460
    assert f"spillway {name}" in done.stdout
    assert "completion" not in done.stdout, "completion is taught by the program as a whole"


def test_the_list_itself_loads_no_command():
    program = "import sys\nfrom app.cli.program import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    print(*sys.modules, file=sys.stderr)\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name for name in done.stderr.split() if name.startswith("app.")}
    assert loaded == {"app.cli", "app.cli.exits", "app.cli.groups", "app.cli.program"}


@pytest.mark.parametrize("arguments", [["--version"], ["version"]], ids=["an option", "a command"])
def test_the_version_is_one_line(arguments):
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (0, f"{__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["modles"], "models", id="a command that is almost one"),
        pytest.param(["models", "--max-price", "cheap"], "max-price", id="no number"),
        pytest.param(["generate"], "prompt", id="without a prompt"),
        pytest.param(["generate", "a pear", "--colour", "red"], "--colour", id="an option that there is not"),
    ],
)
def test_wrong_use_is_told_with_its_own_code(arguments, said):
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, said in done.stderr.lower()) == (2, True)

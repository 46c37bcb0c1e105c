"""The `spillway` command: the table of its commands, each loaded only when it is run, and how every run ends.

Owns names, order and panels, and that no fault becomes a traceback. Leaves what a command does to its own module.
"""

import contextlib
import errno
import importlib
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, cast

import typer
from typer.core import TyperCommand, TyperGroup

from app import __version__
from app.cli.exits import CommandError, ExitCode
from app.cli.groups import CommandGroup

_COMPLETING = "_SPILLWAY_COMPLETE"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
IMAGES, ACCOUNT, OPERATION = "Images", "What was asked for and used", "The gateway itself"


@dataclass(frozen=True, slots=True)
class Listed:
    """A command as the list of all shows it, and where it is: loading all would take longer than most of them run."""

    name: str
    place: str
    summary: str
    panel: str


COMMANDS = (
    Listed("generate", "app.cli.buying:generate", "Make images from text.", IMAGES),
    Listed("edit", "app.cli.buying:edit", "Change images as the prompt says.", IMAGES),
    Listed("collect", "app.cli.buying:collect", "Get the images of a request of before: nothing is bought.", IMAGES),
    Listed(
        "models", "app.cli.models:models", "List models with their prices, show one, or refresh the catalog.", IMAGES
    ),
    Listed("requests", "app.cli.requests:requests", "Show requests, follow them, or collect their images.", ACCOUNT),
    Listed("doctor", "app.cli.doctor:doctor", "Tell all that is known of a request, and what to do.", ACCOUNT),
    Listed("usage", "app.cli.usage:usage", "Show images, cost, failures and durations by day, model or key.", ACCOUNT),
    Listed("keys", "app.cli.keys:keys", "Make, list, change and revoke keys of callers.", ACCOUNT),
    Listed("ledger", "app.cli.ledger:ledger", "Verify what was reserved and spent.", ACCOUNT),
    Listed("serve", "app.cli.serve:serve", "Start the gateway; without a Runware key also the simulator.", OPERATION),
    Listed("check", "app.cli.check:check", "Say what is wrong with settings and catalog, and where.", OPERATION),
    Listed("config", "app.cli.config:config", "Show the settings in effect and where each came from.", OPERATION),
    Listed("migrate", "app.cli.journal:migrate", "Bring the tables of the journal up to this version.", OPERATION),
    Listed("simulate", "app.cli.simulate:simulate", "Start the Runware simulator alone.", OPERATION),
    Listed("version", "app.cli.program:version", "Print the version.", OPERATION),
)
_BY_NAME = {one.name: one for one in COMMANDS}


def load_command(listed: Listed) -> TyperCommand | TyperGroup:
    """The command itself, with what its module imports."""
    module, _, name = listed.place.partition(":")
    found = getattr(importlib.import_module(module), name)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name=listed.name)(found)
        found = alone
    command = typer.main.get_command(found)
    command.name = listed.name
    return cast("TyperCommand | TyperGroup", command)


class _Commands(dict[str, TyperCommand | TyperGroup]):
    """All commands by name: one that is taken out is loaded, one that is only looked at says what the table says."""

    def __getitem__(self, name: str) -> TyperCommand | TyperGroup:
        return load_command(_BY_NAME[name])


class Program(CommandGroup):
    """All commands. The list of them is made of what the table says, without loading any."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]  # as Typer itself calls it
        shown = (TyperCommand(one.name, help=one.summary, rich_help_panel=one.panel) for one in COMMANDS)
        self.commands = _Commands((one.name or "", one) for one in shown)  # type: ignore[assignment]  # all are Typer's

    def resolve_command(  # type: ignore[override]  # all contexts are Typer's
        self, ctx: typer.Context, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        """The command that the arguments name, now loaded."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else self.commands[name], rest  # type: ignore[return-value]  # same

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001 - Typer's own signature
        windows_expand_args: bool = True,  # noqa: FBT001 - same
        **extra: object,
    ) -> object:
        """Run a command to its end, which is an exit code and never a traceback."""
        _ready_streams()
        try:
            return super().main(args, prog_name, complete_var, standalone_mode, windows_expand_args, **extra)
        except CommandError as error:
            _say(*error.lines)
            sys.exit(_after_flush(error.code))
        except SystemExit as end:
            # A reader that left has what it wanted; whether it left before the last line was written is chance.
            has_left = isinstance(end.__context__, BrokenPipeError)
            sys.exit(_after_flush(end.code if isinstance(end.code, int) and not has_left else ExitCode.DONE))
        except UnicodeEncodeError:
            _say("What was given holds bytes that are no text in UTF-8.")
            sys.exit(_after_flush(ExitCode.WRONG_USE))
        except OSError as error:
            _say(_explain_os(error))
            sys.exit(_after_flush(ExitCode.UNWRITABLE if error.errno in _FULL else ExitCode.OTHER))
        # The last line of defense: a person at a terminal can do nothing with a traceback (0190).
        except Exception as error:  # noqa: BLE001
            if _COMPLETING in os.environ:
                # A shell asked; what is printed would land in the middle of what somebody types.
                sys.exit(ExitCode.OTHER)
            _say(_explain(error))
            sys.exit(_after_flush(ExitCode.OTHER))


def _show_version(asked: bool) -> None:  # noqa: FBT001 - Typer's callback
    if asked:
        version()
        raise typer.Exit


app = typer.Typer(
    name="spillway",
    cls=Program,
    help="A self-hosted, OpenAI-compatible image gateway in front of Runware.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _program(
    version_: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    del version_


def version() -> None:
    """Print the version."""
    print(__version__)  # noqa: T201 - output


def _ready_streams() -> None:
    """Standard streams that take any text: some are closed, others of an encoding that lacks a character."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for the whole run
        elif mode == "w" and hasattr(stream, "reconfigure"):
            # A file's name may be no text at all; in UTF-8 it goes out as the bytes that it is.
            is_utf = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if is_utf else "replace")


def _say(*lines: str) -> None:
    is_read = sys.stderr.isatty()
    for line in lines:
        # On a terminal between words; elsewhere a fault is one line.
        width = shutil.get_terminal_size().columns
        shown = (
            textwrap.wrap(line, max(width, 20), break_long_words=False, break_on_hyphens=False) if is_read else [line]
        )
        with contextlib.suppress(OSError, ValueError):
            print(*shown, sep="\n", file=sys.stderr, flush=True)  # noqa: T201 - output


def _after_flush(code: int) -> int:
    """The exit code after all output has left, or could not: left to the interpreter, that would be a traceback."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass
    except (OSError, ValueError) as error:
        _say(f"The output cannot be written: {error}.")
        code = code or ExitCode.UNWRITABLE
    else:
        return code
    # What is left in the buffers must go nowhere.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _explain_os(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}."


def _explain(error: Exception) -> str:
    """What went wrong and where in our own code, for whoever reports it."""
    place, trace = "", error.__traceback__
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        place = f" in {name}, line {trace.tb_lineno}" if name.startswith("app.") else place
        trace = trace.tb_next
    return f"This should not have happened ({type(error).__name__}{place}). Please report it."

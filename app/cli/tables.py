"""How answers are printed: tables on a terminal, tab-separated lines into a pipe, facts of one thing, and JSON.

What others wrote passes through `texts`, so that it moves no cursor. Nothing is wider than the terminal, except what is
there to be copied.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from app.cli.texts import whole


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `copied` ones are never cut or broken, `numbers` stand at the right."""

    name: str
    copied: bool = False
    number: bool = False
    folds: bool = False


def on_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def plain_console(*, errors: bool = False) -> Console:
    """A console that takes texts as they are, without markup, and breaks no line that may be copied."""
    return Console(stderr=errors, markup=False, highlight=False, emoji=False, soft_wrap=True)


def note(text: str) -> None:
    """A line for the person, beside the output."""
    plain_console(errors=True).print(text)


def print_json(value: object) -> None:
    """The answer as it came. Not by Rich, which would break long lines and no longer be JSON."""
    print(json.dumps(value, indent=2))  # noqa: T201 - output


def print_rows(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; into a pipe a line each, its cells parted by tabs, without a head."""
    if not on_terminal():
        for row in rows:
            print("\t".join(whole(cell) for cell in row))  # noqa: T201 - output
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for one in columns:
        table.add_column(
            one.name,
            no_wrap=not one.folds,
            overflow="ignore" if one.copied else "fold" if one.folds else "ellipsis",
            justify="right" if one.number else "left",
        )
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False, emoji=False).print(table)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """What is known of one thing, one fact a line; what is not known gets none."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value:
            table.add_row(name, value)
    Console(markup=False, highlight=False, emoji=False).print(table)

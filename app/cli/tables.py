"""How answers are printed: tables on a terminal, tab-separated lines into a pipe, facts of one thing, and JSON.

What others wrote passes through `texts`, so that it moves no cursor. Nothing is wider than the terminal, except what is
there to be copied.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from app.cli.texts import whole

_GAP, _LEAST = 2, 6
_WIDE = 110
"""Columns of a terminal from which tables show all of theirs."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. Cells are whole unless it `folds` them, or `cuts` them where there is no room."""

    name: str
    number: bool = False
    folds: bool = False
    cuts: bool = False
    only_wide: bool = False
    """Left out on narrow terminals."""


def on_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def is_wide() -> bool:
    """Whether there is room for all of a table."""
    return not on_terminal() or Console().width >= _WIDE


def plain_console(*, errors: bool = False) -> Console:
    """A console that takes texts as they are, without markup, and breaks no line that may be copied."""
    return Console(stderr=errors, markup=False, highlight=False, emoji=False, soft_wrap=True)


def say(text: str, *, errors: bool = False, color: str | None = None) -> None:
    """A sentence: on a terminal broken between words, so that it can be read; elsewhere one line."""
    console = plain_console(errors=errors)
    lines = [text]
    if console.is_terminal:
        lines = textwrap.wrap(text, console.width, break_long_words=False, break_on_hyphens=False) or [""]
    for line in lines:
        console.print(line, style=color)


def print_json(value: object) -> None:
    """The answer as it came. Not by Rich, which would break long lines and no longer be JSON."""
    print(json.dumps(value, indent=2))  # noqa: T201 - output


def print_rows(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; into a pipe a line each, its cells parted by tabs, without a head."""
    if not on_terminal():
        for row in rows:
            print("\t".join(whole(cell) for cell in row))  # noqa: T201 - output
        return
    console, cells = Console(markup=False, highlight=False, emoji=False), [*rows]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    shown = [place for place, one in enumerate(columns) if is_wide() or not one.only_wide]
    widths = {
        place: max(cell_len(text) for text in (columns[place].name, *(row[place] for row in cells))) for place in shown
    }
    for place in shown:
        one, rest = columns[place], sum(width + _GAP for other, width in widths.items() if other != place)
        # Ids, figures and the like are there to be read whole: half a sum is a wrong one.
        table.add_column(
            one.name,
            no_wrap=not one.folds,
            overflow="fold" if one.folds else "ellipsis",
            justify="right" if one.number else "left",
            min_width=None if one.folds or one.cuts else widths[place],
            max_width=max(_LEAST, console.width - rest) if one.cuts else None,
        )
    for row in cells:
        table.add_row(*(row[place] for place in shown))
    console.print(table)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """What is known of one thing, one fact a line; what is not known gets none."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value:
            table.add_row(name, value)
    Console(markup=False, highlight=False, emoji=False).print(table)

"""Options of commands that buy: those of the vocabulary by their own names, bounds and types."""

from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from app.cli.options import BuyOptions, with_options
from app.openai_api.vocabulary import FIELDS, Kind


def run(*arguments: str) -> tuple[int, list[tuple[str, BuyOptions]]]:
    """The exit code, and what the command was called with."""
    called: list[tuple[str, BuyOptions]] = []
    app = typer.Typer(add_completion=False)

    @app.command()
    @with_options
    def buy(prompt: Annotated[str, typer.Argument()], options: BuyOptions) -> None:
        called.append((prompt, options))

    return CliRunner().invoke(app, [*arguments]).exit_code, called


def test_only_fields_that_were_named_are_sent_under_their_own_names():
    _, called = run("a pear", "--n", "2", "--format", "webp", "--aspect-ratio", "16:9", "-o", "here", "--json")
    fields = {"n": 2, "output_format": "webp", "aspect_ratio": "16:9"}
    assert called == [("a pear", BuyOptions(fields, output=Path("here"), as_json=True))]


def test_without_options_nothing_is_asked_for():
    assert run("a pear") == (0, [("a pear", BuyOptions({}))])


@pytest.mark.parametrize("number", ["0", "11", "many"])
def test_bounds_are_those_of_the_vocabulary(number):
    assert run("a pear", "--n", number) == (2, [])


def test_every_option_of_the_vocabulary_is_there():
    taken = {flag for field in FIELDS for flag in field.options}
    assert {"--model", "--size", "--aspect-ratio", "--resolution", "--n", "-n", "--format"} <= taken
    for field in FIELDS:
        for flag in field.options:
            assert run("a pear", flag, "1" if field.kind is Kind.INTEGER else "x")[0] == 0, flag

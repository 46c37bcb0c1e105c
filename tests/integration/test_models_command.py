"""`spillway models` on a terminal of 80 columns, and on a wide one."""

import os
import subprocess
import sys

import pytest

from app.catalog.loader import load_catalog
from app.settings.load import Settings


def models(gateway, columns: int, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPILLWAY")}
    finished = subprocess.run(
        [sys.executable, "-m", "app", "models", *arguments, "--base-url", gateway.base_url, "--api-key", "test-key"],
        env=environment | {"COLUMNS": str(columns)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def narrow(gateway) -> str:
    """The list at 80 columns."""
    return models(gateway, 80)


def rows(text: str) -> dict[str, list[str]]:
    """The words of each row, by its first one."""
    return {line.split()[0].rstrip("*"): line.split() for line in text.splitlines() if line.strip()}


def test_the_list_fits_a_narrow_terminal_with_every_id_whole(narrow):
    assert max(map(len, narrow.splitlines())) <= 80
    found = rows(narrow)
    for model in load_catalog(Settings().models.catalog_dir).models:
        assert model.id in found
    assert "…" not in narrow
    assert len(narrow.splitlines()) < len(found) + 6, "one row a model, and a legend"


@pytest.mark.parametrize(
    ("id_", "row"),
    [
        ("riverflow-1-mini", ["riverflow-1-mini*", "text~,", "edit", "10", "$0.03025"]),
        ("flux.1-dev-srpo", ["flux.1-dev-srpo", "text,", "edit", "1", "unknown"]),
        ("bytedance-seedream-4-5", ["bytedance-seedream-4-5", "text,", "edit", "14", "~$0.04"]),
        ("bfl-flux-2-max", ["bfl-flux-2-max", "text,", "edit", "8", "$0.07+"]),
        ("google-imagen-3", ["google-imagen-3*", "text", "0", "$0.04"]),
    ],
)
def test_a_row_says_what_a_model_makes_takes_and_costs(narrow, id_, row):
    assert rows(narrow)[id_] == row


def test_the_signs_of_the_list_are_explained(narrow):
    assert "not published by Runware" in narrow
    assert "may still answer" in narrow
    assert "blank image" in narrow


def test_a_wide_terminal_shows_names_and_air_ids_too(gateway):
    text = models(gateway, 160)
    assert max(map(len, text.splitlines())) <= 160
    assert "Riverflow 1.1 Mini" in text
    assert "sourceful:1@0" in text


@pytest.mark.parametrize("name", ["riverflow-1-mini", "flux.1-dev-srpo", "ideogram-3-0"])
def test_one_model_fits_a_narrow_terminal_and_is_told_whole(gateway, name):
    text = models(gateway, 80, name)
    assert max(map(len, text.splitlines())) <= 80
    model = load_catalog(Settings().models.catalog_dir).find_model(name)
    flat = " ".join(text.split())
    assert model.name in flat
    assert model.air in flat
    assert ("not published." in flat) == (model.pricing is None)
    assert ("may still answer" in flat) == model.unlisted

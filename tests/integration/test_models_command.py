"""`spillway models` on a terminal of 80 columns, and on a wide one."""

import json

import pytest

from app.catalog.loader import load_catalog
from app.settings.load import Settings
from tests.support.commands import spillway
from tests.support.terminal import on_terminal


def models(gateway, folder, columns: int, *arguments: str) -> str:
    named = {"SPILLWAY_BASE_URL": gateway.base_url, "SPILLWAY_API_KEY": "test-key"}
    shown = on_terminal(folder, "models", *arguments, columns=columns, **named)
    assert shown.returncode == 0, shown.screen
    assert shown.width <= columns
    return shown.screen


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def narrow(gateway, folder) -> str:
    """The list at 80 columns."""
    return models(gateway, folder, 80)


def rows(text: str) -> dict[str, list[str]]:
    """The words of each row, by its first one."""
    return {line.split()[0].rstrip("*"): line.split() for line in text.splitlines() if line.strip()}


def test_the_list_fits_a_narrow_terminal_with_every_id_whole(narrow):
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
    assert "not published by Runware" in " ".join(narrow.split())
    assert "may still answer" in narrow
    assert "blank image" in narrow


def test_a_wide_terminal_shows_names_and_air_ids_too(gateway, folder):
    text = models(gateway, folder, 160)
    assert "Riverflow 1.1 Mini" in text
    assert "sourceful:1@0" in text


@pytest.mark.parametrize("name", ["riverflow-1-mini", "flux.1-dev-srpo", "ideogram-3-0"])
def test_one_model_fits_a_narrow_terminal_and_is_told_whole(gateway, folder, name):
    text = models(gateway, folder, 80, "show", name)
    model = load_catalog(Settings().models.catalog_dir).find_model(name)
    flat = " ".join(text.split())
    assert model.name in flat
    assert model.air in flat
    assert ("not published." in flat) == (model.pricing is None)
    assert ("may still answer" in flat) == model.unlisted


@pytest.fixture
def piped(gateway, folder):
    def piped(*arguments: str):
        named = {"SPILLWAY_BASE_URL": gateway.base_url, "SPILLWAY_API_KEY": "test-key"}
        return spillway(folder, "models", *arguments, **named)

    return piped


def test_into_a_pipe_each_model_is_a_line_of_six_cells_and_nothing_else(piped):
    cells = [line.split("\t") for line in piped().stdout.splitlines()]
    assert {len(row) for row in cells} == {6}
    assert [row[0] for row in cells] == [one.id for one in load_catalog(Settings().models.catalog_dir).models]
    assert ["riverflow-1-mini", "text~, edit", "10", "$0.03025", "Riverflow 1.1 Mini", "sourceful:1@0"] in cells


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        pytest.param(["--search", "FLUX.1 schnell"], ["flux.1-schnell"], id="words of the name, in any case"),
        pytest.param(["--search", "sourceful:1@0"], ["riverflow-1-mini"], id="an AIR id"),
        pytest.param(["--search", "google-imagen-3 ", "--mode", "edit"], [], id="no edits"),
        pytest.param(["--search", "no such model"], [], id="nothing"),
    ],
)
def test_models_are_found_by_words_and_mode(piped, arguments, found):
    listed = piped(*arguments)
    assert listed.returncode == 0, listed.stderr
    assert [line.split("\t")[0] for line in listed.stdout.splitlines()] == found


def test_models_are_bounded_and_sorted_by_their_lowest_price(piped):
    rows = [line.split("\t") for line in piped("--max-price", "0.01", "--sort", "price").stdout.splitlines()]
    prices = [float(row[3].lstrip("~$").rstrip("+").split("-")[0]) for row in rows]
    assert len(prices) > 10
    assert prices == sorted(prices)
    assert prices[-1] <= 0.01
    everything = [line.split("\t")[3] for line in piped("--sort", "price").stdout.splitlines()]
    assert everything[-1] == "unknown", "what nobody knows comes last"


def test_a_list_in_json_is_filtered_too_and_one_model_needs_no_word_before_it(piped):
    listed = json.loads(piped("--search", "schnell", "--json").stdout)
    assert [one["id"] for one in listed["data"]][:1] == ["flux.1-schnell"]
    assert piped("flux.1-schnell").stdout == piped("show", "flux.1-schnell").stdout
    assert json.loads(piped("show", "flux.1-schnell", "--json").stdout)["schema"]["properties"]["prompt"]


def test_a_mode_that_there_is_not_is_wrong_use(piped):
    refused = piped("--mode", "video")
    assert (refused.returncode, "generate" in refused.stderr, "Traceback" in refused.stderr) == (2, True, False)

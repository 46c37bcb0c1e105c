"""Documentation is code: what the docs say is compared with what the code does."""

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from app import __version__
from app.api.routes import PREFIXES
from app.errors import GatewayError
from app.openai_api.vocabulary import OWN_NAMES
from app.settings.load import CLIENT_VARIABLES, setting_fields
from app.simulator import scenarios
from scripts.write_docs import DOCS, GENERATED, SCHEMA, catalog_schema, render

ROOT = DOCS.parent
SOURCES = list((ROOT / "app").rglob("*.py"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", GENERATED)
def test_generated_parts_are_current(name):
    assert read(f"docs/{name}") == render(name), "run: python -m scripts.write_docs"


def test_the_catalogs_schema_is_current():
    assert SCHEMA.read_text(encoding="utf-8") == catalog_schema(), "run: python -m scripts.write_docs"


@pytest.mark.parametrize("path", sorted((ROOT / "config" / "models").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_catalog_file_fits_the_schema(path):
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    errors = list(Draft202012Validator(schema).iter_errors(yaml.safe_load(path.read_text(encoding="utf-8"))))
    assert [error.message for error in errors] == []


@pytest.mark.parametrize("field", setting_fields().values(), ids=lambda field: field.alias)
def test_every_setting_is_documented_with_a_meaning(field):
    assert f"| `{field.alias}` |" in read("docs/configuration.md")
    assert field.description.endswith(".")


def test_every_variable_the_docs_name_exists():
    known = set(setting_fields()) | CLIENT_VARIABLES
    for name in [
        "README.md",
        ".env.example",
        "docker-compose.yml",
        "Dockerfile",
        *[f"docs/{path.name}" for path in DOCS.glob("*.md")],
    ]:
        named = set(re.findall(r"\b(?:SPILLWAY|RUNWARE)_[A-Z_]+\b", read(name)))
        assert named <= known, name


def codes_in_the_code() -> set[str]:
    found: set[str] = set()
    for path in SOURCES:
        if {"simulator", "runware"} & set(path.parts):
            continue
        found |= set(re.findall(r'\bcode(?:: ClassVar\[str\])? ?= ?"([a-z_]+)"', path.read_text()))
        found |= set(re.findall(r'default_code(?:: ClassVar\[str\])? = "([a-z_]+)"', path.read_text()))
    return found


def test_every_error_code_is_documented_and_the_reverse():
    table = read("docs/errors.md").partition("## Codes")[2].partition("## Retries")[0]
    documented = set(
        re.findall(
            r"`([a-z_]+)`", " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
        )
    )
    assert documented == codes_in_the_code()


def test_the_error_tree_in_the_docstring_is_the_tree():
    import app.errors

    drawn = set(re.findall(r"(\w+Error)\s+(\d{3})", app.errors.__doc__))
    assert drawn == {(kind.__name__, str(kind.status)) for kind in descendants(GatewayError)}


def descendants(kind: type) -> set[type]:
    return {child for direct in kind.__subclasses__() for child in {direct, *descendants(direct)}}


def test_every_field_is_in_the_api_page():
    page = read("docs/api.md")
    assert [name for name in sorted(OWN_NAMES) if f"`{name}`" not in page and f"`{name}=true`" not in page] == []


def test_every_route_is_in_the_api_page(gateway):
    page = read("docs/api.md")
    for path in gateway.client.get(f"{gateway.origin}/openapi.json").json()["paths"]:
        assert path.replace("{model_id}", "{id}").replace("{request_id}", "{id}").replace("{key_id}", "{id}") in page
    assert all(prefix in page for prefix in PREFIXES)


def test_every_marker_of_the_simulator_is_documented_the_same_in_code_and_page():
    handled = set(scenarios._BEFORE) | set(scenarios._AFTER)
    for path in (ROOT / "app" / "simulator").glob("*.py"):
        handled |= set(re.findall(r'(?:has|number|_times)\("([a-z-]+)"', path.read_text()))
    handled |= set(re.findall(r'"([a-z-]+)" in self\.markers', (ROOT / "app/simulator/scenarios.py").read_text()))
    assert (
        handled
        == set(re.findall(r"\[sim:([a-z-]+)", scenarios.__doc__))
        == set(re.findall(r"\[sim:([a-z-]+)", read("docs/simulator.md")))
    )


def test_every_dependency_is_justified():
    project = read("pyproject.toml").partition("dependencies = [")[2].partition("]")[0]
    page = read("docs/decisions/0001-dependencies.md")
    for name in re.findall(r'"([a-z0-9-]+)>=', project):
        assert name in page, name


def test_the_make_targets_the_docs_name_exist():
    targets = set(re.findall(r"^([a-z-]+):.*##", read("Makefile"), re.MULTILINE))
    for path in [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / ".ci" / "run", *DOCS.rglob("*.md")]:
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)(?:`|$)", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, path.name
    assert {"run", "test", "test-slow", "install"} <= targets


def test_the_version_is_one():
    assert f'version = "{__version__}"' in read("pyproject.toml")


def test_every_file_and_folder_the_architecture_names_exists():
    named = set(re.findall(r"`([\w.]+(?:/[\w.]+)+)`|`(\w+\.py)`", read("ARCHITECTURE.md")))
    names = {name for pair in named for name in pair if name}
    assert len(names) > 60
    assert [name for name in sorted(names) if not ((ROOT / "app" / name).exists() or (ROOT / name).exists())] == []


def test_the_path_of_a_request_is_numbered_and_names_modules_at_every_step():
    rows = re.findall(r"^\| (\d+) \|.*\|(.*)\|$", read("ARCHITECTURE.md"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    assert all(".py`" in modules for _, modules in rows)


def test_the_layers_the_architecture_draws_are_those_that_are_checked():
    drawn = read("ARCHITECTURE.md").partition("## The layers")[2].partition("```text\n")[2].partition("\n```")[0]
    checked = read("pyproject.toml").partition("\nlayers = [")[2].partition("]")[0]
    assert drawn.splitlines() == re.findall(r'"([^"]+)"', checked)


def test_the_architecture_says_what_every_room_owns():
    table = read("ARCHITECTURE.md").partition("## What each room owns")[2].partition("\n## ")[0]
    rooms = {path.parent.name for path in (ROOT / "app").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == rooms


def test_every_decision_that_code_or_a_page_cites_is_on_record():
    records = {path.name[:4] for path in (DOCS / "decisions").glob("*.md")}
    pages = [ROOT / "ARCHITECTURE.md", *DOCS.rglob("*.md")]
    cited = {number for path in [*SOURCES, *pages] for number in re.findall(r"\((0\d{3})\)", path.read_text("utf-8"))}
    assert len(cited) > 15
    assert cited <= records


@pytest.mark.parametrize("path", sorted((DOCS / "decisions").glob("*.md")), ids=lambda path: path.stem[:4])
def test_a_record_holds_one_decision_with_its_context_consequences_and_alternatives(path):
    text = path.read_text("utf-8")
    assert re.match(rf"# {path.stem[:4]} \S", text)
    parts = re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE)
    assert sorted(parts) == ["Alternatives", "Consequences", "Context", "Decision"]


def test_a_caller_is_it():
    for path in [*SOURCES, ROOT / "README.md", ROOT / "ARCHITECTURE.md", *DOCS.rglob("*.md")]:
        found = re.search(r"\b(?:he|him|his|himself)\b", path.read_text("utf-8"), re.IGNORECASE)
        assert found is None, f"{path.name}: {found}"


def test_relative_links_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#{1,6} (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_to_headings_lead_to_one():
    for page in [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *DOCS.rglob("*.md")]:
        for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
            assert heading in anchors(page.parent / target if target else page), f"{page.name}: {target}#{heading}"


def test_every_page_is_in_the_index_and_the_index_is_in_the_readme():
    listed = re.findall(r"\]\(([\w-]+\.md)\)", read("docs/README.md"))
    assert sorted(set(listed)) == sorted(path.name for path in DOCS.glob("*.md") if path.name != "README.md")
    assert "(docs/README.md)" in read("README.md")


def test_the_image_is_slim_rootless_and_healthy():
    text = read("Dockerfile")
    assert text.count("FROM python:3.13-slim") == 2
    assert all(
        word in text
        for word in (
            "USER 10001",
            'CMD ["python", "-m", "app.cli.health"]',
            "STOPSIGNAL SIGTERM",
            "--require-hashes -r requirements-otel.lock",
        )
    )
    copied = re.findall(r"^COPY (?!--from)(?:--chown=\d+ )?(.+) \S+$", text, re.MULTILINE)
    allowed = {line[1:] for line in Path(ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name in " ".join(copied).split():
        assert (ROOT / name).exists()
        assert name.split("/")[0] in allowed

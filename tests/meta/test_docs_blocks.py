"""Every block of the documentation that can be run is run, against a gateway over the simulator."""

import re
import shutil

import pytest

from app.catalog.loader import load_catalog
from app.settings.load import Settings
from tests.support.blocks import ROOT, Block, blocks_of, prepare_folder, run_block

PAGES = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
RUN = {"bash", "python", "js", "java"}
SHOWN = {"text", "json", "yaml", "go", "csharp"}
"""What stands there to be read; requests of the clients in Go and C# are replayed in tests/contract."""
SLOW_CLIENTS = {("LangChain", "python"), ("LiteLLM", "python")}
"""Their packages have a Python of their own: tests/contract/test_client_recipes.py."""
OPERATORS = "spillway keys"
BLOCKS = [
    block for page in PAGES for block in blocks_of(page) if block.language in RUN
    and (block.heading, block.language) not in SLOW_CLIENTS
]  # fmt: skip
PROGRAMS = {"js": "node", "java": "java"}


@pytest.fixture(scope="module")
def open_gateway(start_shared_gateway):
    """As `make run` starts it without a key."""
    simulated = {"SPILLWAY_UPSTREAM_NAME": "simulator", "SPILLWAY_HOST_ALL_PICTURES": "true"}
    return start_shared_gateway(SPILLWAY_API_KEYS="", RUNWARE_API_KEY="", **simulated)


def test_there_are_blocks_of_every_language_and_none_of_an_unknown_one():
    found = {block.language for page in PAGES for block in blocks_of(page)}
    assert found >= RUN
    assert found - RUN - SHOWN == set()
    assert len(BLOCKS) > 15


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=f"{number} {block.id}") for number, block in enumerate(BLOCKS)]
)
def test_a_block_works_as_it_is_printed(open_gateway, tmp_path, block):
    program = PROGRAMS.get(block.language)
    if program is not None and shutil.which(program) is None:
        pytest.skip(f"there is no {program} on this machine")
    folder = prepare_folder(tmp_path)
    # What an operator does works on the database of the folder, beside a running gateway or without one.
    out = run_block(block, folder, None if OPERATORS in block.text else open_gateway.origin)
    assert '"error": {' not in out
    assert '{"error"' not in out
    assert says_what_was_made(block, out, folder), out


def says_what_was_made(block: Block, out: str, folder) -> bool:
    """Whether a block shows an image, an address of one, an estimate, a list or a key."""
    if OPERATORS in block.text:
        return re.search(r"^sk-spw-\w+-\w+$", out, re.MULTILINE) is not None
    made = [path for path in folder.iterdir() if path.suffix in {".png", ".webp"}]
    return bool(made) or re.search(r'https?://|"object":"list"|"estimated":true', out) is not None


def test_the_second_answer_under_a_key_is_the_first_one(open_gateway, tmp_path):
    (block,) = [block for block in BLOCKS if "Idempotency-Key" in block.text]
    assert block.page == "docs/paid-once.md"
    first, second = re.findall(r'"id":"(req_\w+)"', run_block(block, prepare_folder(tmp_path), open_gateway.origin))
    assert first == second


def test_every_model_the_pages_show_is_in_the_catalog():
    registry = load_catalog(Settings().models.catalog_dir)
    named = {
        name
        for page in PAGES
        for block in blocks_of(page)
        for name in re.findall(
            r'(?:"?\b(?:model|MODEL)"?\s*[:=]\s*"?|\.image(?:Model)?\("|ImageClient\(")(?:openai/)?([a-z][\w.-]+)',
            block.text,
        )
    } - {"spillway.image", "spillway.imageModel", "openai"}
    assert len(named) >= 4
    assert [name for name in sorted(named) if registry.find_model(name).id is None] == []

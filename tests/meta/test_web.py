"""House rules of the web pages: what runs is in files, small ones, and comes from the gateway alone."""

import re
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "app" / "web"
FILES = sorted(path for path in WEB.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
PAGES = [path for path in FILES if path.suffix == ".html"]
MAX_LINES = 300
# The names of XML's vocabularies are addresses that nobody asks.
NAMESPACES = ("http://www.w3.org/2000/svg",)
# What would take HTML or code from a string.
SINKS = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|createContextualFragment|setHTMLUnsafe"


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(WEB).as_posix() for path in paths]


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_a_file_is_one_that_is_served_and_stays_readable(path):
    assert path.suffix in {".html", ".css", ".js", ".svg"}
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_no_file_names_another_server(path):
    text = path.read_text(encoding="utf-8")
    for namespace in NAMESPACES:
        text = text.replace(namespace, "")
    # Examples of code call this gateway, whose origin is only known where they are shown.
    assert re.findall(r"""(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}[^\s"'`]*""", text) == []
    assert "@import" not in text


@pytest.mark.parametrize("path", PAGES, ids=names(PAGES))
def test_a_page_has_no_script_or_style_inside(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert all(re.search(r'\ssrc="\{\{root\}\}web/', tag) for tag in re.findall(r"<script[^>]*>", text))
    assert re.findall(r"<script[^>]*>([^<]*)</script>", text) == [""] * text.count("<script")


@pytest.mark.parametrize("path", SCRIPTS, ids=names(SCRIPTS))
def test_no_script_takes_html_or_code_from_text(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(SINKS, text) == []
    assert text.lstrip().startswith("//"), "every script opens with what it owns"


@pytest.mark.parametrize("builder", [WheelBuilder, SdistBuilder])
def test_every_file_of_the_pages_is_in_what_is_installed(builder):
    packed = {file.distribution_path for file in builder(str(ROOT)).recurse_included_files()}
    wanted = {path.relative_to(ROOT).as_posix() for path in FILES}
    assert wanted <= packed
    assert len(wanted) > 30

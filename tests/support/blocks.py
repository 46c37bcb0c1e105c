"""Blocks of code in the documentation, run as they are printed; only the address is another one."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Block:
    """One block, and the heading it stands under."""

    page: str
    heading: str
    language: str
    text: str

    @property
    def id(self) -> str:
        """Its name in a report."""
        return f"{self.page.rpartition('/')[2]} {self.heading} {self.language}"


def blocks_of(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found, heading = [], ""
    for title, language, code in re.findall(r"^#{1,3} ([^\n]+)$|^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        heading = title or heading
        if language:
            found.append(Block(page, heading, language, code))
    return found


def prepare_folder(folder: Path) -> Path:
    """A folder like a checkout after `make install`, in a second terminal."""
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / ".venv").symlink_to(sys.prefix)
    modules = ROOT / "tests" / "contract" / "node_modules"
    if modules.exists():
        (folder / "node_modules").symlink_to(modules)
    return folder


def run_block(block: Block, folder: Path, origin: str | None, python: str = sys.executable, **more: str) -> str:
    """What a block prints; that it fails is an error. Without an origin, commands work on the folder's own database."""
    text = block.text.replace(ADDRESS, origin or ADDRESS)
    if block.language == "js":
        (folder / "example.mjs").write_text(text)
    if block.language == "java":
        (folder / "Lighthouse.java").write_text(text)
    command = {
        "bash": ["bash", "-euo", "pipefail", "-c", text],
        "python": [python, "-c", text],
        "js": ["node", "example.mjs"],
        "java": ["java", "Lighthouse.java"],
    }[block.language]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    base = {"SPILLWAY_BASE_URL": f"{origin}/v1"} if origin else {}
    environment = os.environ | {"PATH": path} | base | more
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

"""Java's own HttpClient against a live gateway, where there is Java: Spring, Ktor and LangChain4j stand on it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.images import png

pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java on this machine")
NAMES = ["json", "again", "chunked", "form", *["parallel"] * 8, "http11"]


def test_a_stock_client_gets_its_images(gateway, tmp_path):
    (tmp_path / "otter.png").write_bytes(png(320, 320))
    program = Path(__file__).with_name("JavaClient.java")
    command = ["java", str(program), gateway.base_url, str(tmp_path / "otter.png")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [f"{name} 200 HTTP_1_1 1" for name in NAMES]

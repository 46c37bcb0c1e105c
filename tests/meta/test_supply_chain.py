"""What is shipped: pinned, licensed, listed, and silent."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.list_packages import LOCK, PAGE, bill_of_materials, licenses_page, read_lock
from tests.support import loopback
from tests.support.processes import free_port, process, unique

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = re.compile(
    r"(Apache-2.0|BSD-2-Clause|BSD-3-Clause|CC0-1.0|ISC|LGPL-3.0-only|MIT|MIT-CMU|PSF-2.0)( (AND|OR) (Apache-2.0|BSD-2-Clause|MIT))*"
)
LISTENER = """
import atexit, sys

def listen(event, arguments):
    if event == "socket.getaddrinfo":
        hosts = [arguments[0]]
    elif event in ("socket.connect", "socket.sendto"):
        hosts = [arguments[1][0]] if isinstance(arguments[1], tuple) else []
    else:
        return
    for host in hosts:
        with open({path!r}, "a") as heard:
            heard.write(f"{{event}} {{host!r}}\\n")

sys.addaudithook(listen)
"""


def pins() -> list[str]:
    return re.findall(r"^([a-z0-9._-]+==[^ ]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_package_has_a_license_that_is_allowed_and_listed():
    packages = read_lock()

    assert [f"{package.name}=={package.version}" for package in packages] == pins()
    assert [package for package in packages if package.license and not ALLOWED.fullmatch(package.license)] == []
    assert PAGE.read_text(encoding="utf-8") == licenses_page(packages), "run `python -m scripts.list_packages licenses`"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-otel.lock"])
def test_the_bill_of_materials_has_every_pin_with_its_hashes_and_is_the_same_each_time(name):
    lock = ROOT / name
    command = [sys.executable, "-m", "scripts.list_packages", "sbom", str(lock)]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    bill = json.loads(printed)

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    text = lock.read_text(encoding="utf-8")
    assert len(bill["components"]) == len(re.findall("^[a-z0-9._-]+==", text, re.MULTILINE)) > 40
    assert sum(len(one["hashes"]) for one in bill["components"]) == text.count("--hash=sha256:")
    assert all(one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}" for one in bill["components"])
    assert bill == bill_of_materials(lock)


EVERYTHING = """
import contextlib, importlib, importlib.metadata as packages, pathlib, re
pinned = set(re.findall(r"^([a-z0-9._-]+)==", pathlib.Path("requirements.lock").read_text(), re.MULTILINE))
imported = 0
for module, names in packages.packages_distributions().items():
    if module.isidentifier() and {re.sub("[-_.]+", "-", name).lower() for name in names} & pinned:
        with contextlib.suppress(ImportError):  # parts for other platforms
            importlib.import_module(module)
            imported += 1
print(imported)
"""


@pytest.fixture
def heard(tmp_path):
    """What programs that start with these variables ask of the network, one line each."""
    (tmp_path / "sitecustomize.py").write_text(LISTENER.format(path=str(tmp_path / "heard")))
    (tmp_path / "heard").touch()
    return {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}, tmp_path / "heard"


def test_no_package_calls_home_when_it_is_imported(heard):
    variables, file = heard
    command = [sys.executable, "-c", EVERYTHING]
    run = subprocess.run(
        command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=True, timeout=120
    )

    assert int(run.stdout) > 40
    assert file.read_text() == ""


def test_a_gateway_asks_for_nobody_but_runware(simulator, heard, tmp_path):
    variables, file = heard
    port = free_port()
    with process(simulator, tmp_path / "data", port, **variables):
        body = {"prompt": unique(), "output_format": "avif"}
        answer = loopback.post(
            f"http://127.0.0.1:{port}/v1/images/generations", json=body, headers={"api-key": "test-key"}, timeout=60
        )
        assert answer.status_code == 200

    lines = file.read_text().splitlines()
    # It was listened to: it asked for the addresses of its Runware.
    assert "socket.getaddrinfo '127.0.0.1'" in lines
    assert set(lines) <= {f"socket.{event} '127.0.0.1'" for event in ("getaddrinfo", "connect")}

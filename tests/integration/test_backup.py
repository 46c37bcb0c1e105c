"""A copy of the journal that is made while a gateway runs is whole, and a gateway that starts on it goes on from there."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import threading

import pytest

from tests.support import loopback
from tests.support.processes import free_port, process, unique

KEY = {"Authorization": "Bearer test-key"}


def generate(port: int, key: str) -> dict:
    body = {"prompt": unique(), "output_format": "gif"}  # an image of our own, which is hosted
    headers = KEY | {"Idempotency-Key": key}
    answer = loopback.post(f"http://127.0.0.1:{port}/v1/images/generations", json=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json() | {"prompt": body["prompt"]}


@pytest.mark.slow
def test_a_backup_made_under_load_holds_whole_requests_and_can_be_restored(simulator, tmp_path):
    port, data, copy = free_port(), tmp_path / "data", tmp_path / "copy"
    copy.mkdir()
    enough, stop = threading.Semaphore(0), threading.Event()
    made: list[dict] = []

    def work(number: int) -> None:
        while not stop.is_set():
            made.append(generate(port, f"{number}-{len(made)}-{unique()}"))
            enough.release()

    with process(simulator, data, port):
        first = generate(port, "before")
        callers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for caller in callers:
            caller.start()
        for _ in range(12):
            assert enough.acquire(timeout=120)
        with contextlib.closing(sqlite3.connect(data / "journal.db", timeout=60)) as journal:
            journal.execute("VACUUM INTO ?", (str(copy / "journal.db"),))
        stop.set()
        for caller in callers:
            caller.join()
        shutil.copytree(data, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("journal.db*"))

    restored = free_port()
    with process(simulator, copy, restored):
        origin = f"http://127.0.0.1:{restored}"
        again = loopback.get(f"{origin}/v1/requests/{first['id']}/result", headers=KEY, timeout=60).json()
        assert again["id"] == first["id"]
        link = again["data"][0]["url"].replace(str(port), str(restored))
        assert loopback.get(link, timeout=60).content[:4] == b"GIF8"
        # Also what was bought after the copy was made is not bought again under its key, but found.
        tasks = simulator.accepted()
        body = {"prompt": first["prompt"], "output_format": "gif"}
        headers = KEY | {"Idempotency-Key": "before"}
        replay = loopback.post(f"{origin}/v1/images/generations", json=body, headers=headers, timeout=60)
        assert (replay.json()["id"], simulator.accepted()) == (first["id"], tasks)

    verified = subprocess.run(
        [sys.executable, "-m", "app", "ledger", "verify"],
        env={"PATH": "", "SPILLWAY_DATA_DIR": str(copy)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout + verified.stderr

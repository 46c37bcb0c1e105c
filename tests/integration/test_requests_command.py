"""`spillway requests`: what was asked for, followed and collected over a running gateway."""

import json
import signal
import subprocess
import sys
import threading

import pytest

from tests.support.commands import INTERRUPTIBLE, ROOT, environment, spillway
from tests.support.holding import holding
from tests.support.images import open_bytes
from tests.support.processes import unique
from tests.support.waiting import seen

KEYS = {"SPILLWAY_API_KEYS": "mobile=test-key,other-key", "SPILLWAY_ADMIN_KEYS": "boss=admin-key"}
OTHER = {"Authorization": "Bearer other-key"}


@pytest.fixture
def shop(start_gateway):
    return start_gateway(**KEYS)


@pytest.fixture
def run(shop, tmp_path):
    def run(*arguments: str, api_key: str = "test-key"):
        named = {"SPILLWAY_BASE_URL": shop.base_url, "SPILLWAY_API_KEY": api_key, "PYTHONIOENCODING": "utf-8"}
        return spillway(tmp_path, "requests", *arguments, **named)

    return run


def ended(gateway, request_id: str) -> dict:
    return seen(
        lambda: gateway.client.get(f"/requests/{request_id}").json(), lambda record: record["completed_at"] is not None
    )


def ids_in(output: str) -> list[str]:
    return [line.split()[0] for line in output.splitlines() if line.startswith("req_")]


def test_the_newest_are_a_table_and_an_administrator_sees_those_of_all_keys(shop, run):
    own = [ended(shop, shop.generate(prompt=unique(), n=2).json()["id"])["id"] for _ in range(2)]
    failed = shop.generate(prompt=f"{unique()} [sim:moderation]").headers["x-request-id"]
    foreign = shop.client.post(
        "/images/generations", json={"prompt": unique(), "size": "256x256"}, headers=OTHER
    ).json()
    listed = run()
    assert ids_in(listed.stdout) == [failed, *reversed(own)], listed.stderr
    assert next(line for line in listed.stdout.splitlines() if line.startswith(own[0])).split()[5] == "2/2"
    assert ids_in(run("--status", "failed").stdout) == [failed]
    assert ids_in(run("--limit", "1").stdout) == [failed]
    assert ids_in(run(api_key="admin-key").stdout) == [foreign["id"], failed, *reversed(own)]
    assert ids_in(run("--key", "mobile", api_key="admin-key").stdout) == [failed, *reversed(own)]
    assert ids_in(run("--key", "mobile").stdout) == [failed, *reversed(own)]
    refused = run("--key", "boss")
    assert (refused.returncode, "admin_required" in refused.stderr) == (3, True)


def test_one_is_shown_with_what_became_of_it(shop, run):
    answer = shop.generate(prompt=unique(), model="riverflow-1", quality="hd", user="ann", size="1024x1024")
    record = ended(shop, answer.json()["id"])
    shown = run(record["id"]).stdout
    for said in (record["id"], "completed", "riverflow-1", "1/1", "ann", "quality dropped", *record["task_uuids"]):
        assert said in shown
    assert json.loads(run(record["id"], "--json").stdout) == record
    nobody = run("req_nobody")
    assert (nobody.returncode, "request_not_found" in nobody.stderr) == (5, True)


def test_images_are_collected_into_a_folder(shop, run, tmp_path):
    prompts = [unique(), unique()]
    ids = [shop.generate(prompt=prompt, n=2, response_format="url").json()["id"] for prompt in prompts]
    failed = shop.generate(prompt=f"{unique()} [sim:moderation]").headers["x-request-id"]
    for one in (*ids, failed):
        ended(shop, one)
    collected = run("--collect", "-o", str(tmp_path / "made"))
    assert collected.returncode == 0, collected.stderr
    files = sorted((tmp_path / "made").iterdir())
    assert len(files) == 4
    assert {open_bytes(file.read_bytes()).size for file in files} == {(256, 256)}
    one = run(ids[0], "--collect", "-o", str(tmp_path / "one"))
    assert one.returncode == 0, one.stderr
    assert [shop.simulator.made(prompt) for prompt in prompts] == [2, 2], "nothing was bought again"


@pytest.mark.parametrize("which", ["one", "many"])
def test_images_collected_into_a_file_that_is_there_end_it_as_unwritable(shop, run, tmp_path, which):
    ids = [ended(shop, shop.generate(prompt=unique(), response_format="url").json()["id"])["id"] for _ in range(2)]
    (tmp_path / "taken").write_bytes(b"mine")
    refused = run(*(ids[:1] if which == "one" else []), "--collect", "-o", str(tmp_path / "taken"))
    assert (refused.returncode, len(refused.stderr.splitlines())) == (6, 1), refused.stderr
    assert (tmp_path / "taken").read_bytes() == b"mine"


def test_images_that_are_gone_keep_no_others_from_coming(shop, run, tmp_path):
    ids = [shop.generate(prompt=unique(), response_format="url").json()["id"] for _ in range(2)]
    for one in ids:
        ended(shop, one)
    shop.client.delete(f"/requests/{ids[0]}/payloads").raise_for_status()
    collected = run("--collect", "-o", str(tmp_path / "made"))
    assert (collected.returncode, ids[0] in collected.stderr) == (1, True)
    assert len(list((tmp_path / "made").iterdir())) == 1


def test_one_is_followed_until_it_ends(start_gateway, simulator, tmp_path):
    prompt = unique()
    with holding(simulator.url, prompt) as runware:
        gateway = start_gateway(upstream=f"{runware.url}/v1", **KEYS)
        body = {"prompt": prompt, "size": "256x256", "model": "flux.1-schnell"}
        record = gateway.client.post("/images/generations", json=body, headers={"Prefer": "respond-async"}).json()
        with following(gateway, tmp_path, record["id"]) as (lines, errors):
            assert seen(lambda: errors, lambda said: said) == [f"{record['id']} processing"]
            runware.released.set()
            assert seen(lambda: [line for line in lines if line.startswith("status")], bool)[0].split() == [
                "status",
                "completed",
            ]


def test_many_are_followed_as_they_come_and_end(start_gateway, simulator, tmp_path):
    prompt = unique()
    with holding(simulator.url, prompt) as runware:
        gateway = start_gateway(upstream=f"{runware.url}/v1", **KEYS)
        first = gateway.generate(prompt=unique()).json()["id"]
        ended(gateway, first)
        with following(gateway, tmp_path) as (lines, _):
            assert [line.split()[0] for line in seen(lambda: lines, lambda said: said)] == [first]
            body = {"prompt": prompt, "size": "256x256", "model": "flux.1-schnell"}
            record = gateway.client.post("/images/generations", json=body, headers={"Prefer": "respond-async"}).json()
            assert [line.split()[0] for line in seen(lambda: lines, lambda said: len(said) > 1)] == [
                first,
                record["id"],
            ]
            assert "processing" in lines[1]
            runware.released.set()
            last = seen(lambda: lines, lambda said: len(said) > 2)[2]
            assert last.split()[0] == record["id"]
            assert "completed" in last


class following:  # noqa: N801 - used as a block
    """The command with --follow: its lines as they come, ended by an interrupt."""

    def __init__(self, gateway, folder, *arguments: str) -> None:
        named = {"SPILLWAY_BASE_URL": gateway.base_url, "SPILLWAY_API_KEY": "test-key", "PYTHONPATH": str(ROOT)}
        command = [*INTERRUPTIBLE, sys.executable, "-m", "app", "requests", *arguments, "--follow"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=folder, env=environment(folder, **named), **pipes)
        # Many are followed until somebody has seen enough; one until it ends.
        self.interrupts = not arguments
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.readers = [
            threading.Thread(target=keep_lines, args=(self.process.stdout, self.lines), daemon=True),
            threading.Thread(target=keep_lines, args=(self.process.stderr, self.errors), daemon=True),
        ]

    def __enter__(self):
        for reader in self.readers:
            reader.start()
        return self.lines, self.errors

    def __exit__(self, *_: object) -> None:
        if self.interrupts:
            self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0
        for reader in self.readers:
            reader.join(10)
        self.process.stdout.close()
        self.process.stderr.close()


def keep_lines(pipe, lines: list[str]) -> None:
    """Keep each line as it comes."""
    for line in pipe:
        lines.append(line.rstrip("\n"))  # noqa: PERF401 - each is looked at as it comes

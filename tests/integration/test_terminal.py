"""Every command as a person sees it: on a terminal of 80 columns, which nothing exceeds and in which no id is cut."""

import json
import re

import pytest

from app.cli.program import COMMANDS
from app.settings.load import setting_fields
from tests.support.commands import spillway
from tests.support.holding import holding
from tests.support.images import open_bytes, png
from tests.support.processes import unique
from tests.support.terminal import on_terminal
from tests.support.waiting import seen

KEYS = {"SPILLWAY_API_KEYS": "mobile=test-key", "SPILLWAY_ADMIN_KEYS": "boss=admin-key"}
WIDTH = 80


@pytest.fixture(scope="module")
def shop(start_shared_gateway):
    return start_shared_gateway(SPILLWAY_REQUEST_TIMEOUT="30", SPILLWAY_ALLOW_PRIVATE_INPUT_URLS="true", **KEYS)


@pytest.fixture
def see(shop, tmp_path):
    def see(*arguments: str, code: int = 0, key: str = "admin-key", **more):
        named = {"SPILLWAY_BASE_URL": shop.base_url, "SPILLWAY_API_KEY": key}
        shown = on_terminal(tmp_path, *arguments, columns=WIDTH, **named, **more)
        assert (shown.returncode, "Traceback" in shown.raw) == (code, False), shown.screen
        assert shown.width <= WIDTH, shown.screen
        return shown

    return see


@pytest.fixture(scope="module")
def asked(shop) -> dict:
    """A request that has ended, with an adjustment."""
    body = {"prompt": unique(), "model": "riverflow-1", "quality": "hd", "user": "ann", "size": "1024x1024"}
    made = shop.client.post("/images/generations", json=body, timeout=60).raise_for_status().json()
    return seen(
        lambda: shop.client.get(f"/requests/{made['id']}").json(), lambda record: record["status"] == "completed"
    )


@pytest.mark.parametrize("name", ["", *(one.name for one in COMMANDS), "models show", "models refresh", "keys create", "keys list", "ledger verify"])  # fmt: skip
def test_help_fits(see, name):
    assert f"Usage: spillway {name}".strip() in see(*name.split(), "--help").screen


def test_images_have_a_line_each_while_they_are_made_and_the_end_says_what_and_where(see, shop):
    shown = see("generate", f"{unique()} [sim:slow=6]", "-n", "2", "--size", "256x256", "-o", "pear.webp")
    assert re.search(r"image 1  running \d+ s", shown.raw), "seconds are counted while it is made"
    first, second, *rest = shown.lines
    for number, line in ((1, first), (2, second)):
        assert re.fullmatch(rf"image {number}  done  \d+\.\d s( +\$0\.\d+)?", line)
    assert rest[:2] == ["pear-1.webp", "pear-2.webp"]
    assert re.fullmatch(r"flux\.1-schnell, 256x256, 2 images, cost \$0\.\d+, \d+\.\d s", rest[2])
    assert re.fullmatch(re.escape(shop.origin) + r"/requests/req_[0-9a-f]{32}", rest[3])


def test_a_request_that_waits_for_its_turn_says_so(see, start_gateway, simulator):
    held = unique()
    with holding(simulator.url, held) as runware:
        crowded = start_gateway(upstream=f"{runware.url}/v1", SPILLWAY_MAX_IN_FLIGHT="1", **KEYS)
        body = {"prompt": held, "size": "256x256", "model": "flux.1-schnell"}
        crowded.client.post("/images/generations", json=body, headers={"Prefer": "respond-async"}).raise_for_status()

        def release(text: str) -> bool:
            if "image 1  queued" in text:
                runware.released.set()
            return False

        shown = see("generate", unique(), "--size", "256x256", "--base-url", crowded.base_url, until=release)
    assert shown.lines[0].startswith("image 1  done")


def test_streamed_images_have_each_its_own_cost(see):
    shown = see("generate", unique(), "-n", "3", "--stream", "--size", "256x256", "-o", "pear.png")
    assert all(re.fullmatch(r"image [123]  done  \d+\.\d s  \$0\.\d+", line) for line in shown.lines[:3])
    assert shown.lines[3:6] == ["pear-1.png", "pear-2.png", "pear-3.png"]


def test_images_of_a_stream_that_never_came_are_marked_and_counted_as_failed(see, tmp_path):
    failing = f"{unique()} [sim:fail-odd]"
    asked = ["generate", failing, "--stream", "-n", "4", "--seed", "2", "--size", "256x256", "-o", "pear.png"]
    shown = see(*asked, code=1)
    ends = [re.match(r"image (\d)  (done|failed)", line).groups() for line in shown.lines[:4]]
    assert ends == [("1", "done"), ("2", "failed"), ("3", "done"), ("4", "failed")]
    assert "2 images failed: " in shown.screen
    assert sorted(path.name for path in tmp_path.glob("pear*")) == ["pear-1.png", "pear-3.png"]


def test_whoever_interrupts_is_told_how_to_get_it_in_two_ways(see, tmp_path):
    shown = see("generate", f"{unique()} [sim:hold]", "--size", "256x256", code=1, until=lambda text: "running" in text)
    words = " ".join(shown.lines)
    assert re.search(r"--idempotency-key \S+", words)
    assert re.search(r"spillway collect req_[0-9a-f]{32}", words)


def test_a_dry_run_shows_price_and_plan_as_a_table(see):
    shown = see("generate", "a pear", "--model", "riverflow-1", "--quality", "hd", "--dry-run")
    facts = {line.split()[0]: line for line in shown.lines if line.strip() and not line.startswith(" ")}
    assert "$0.039" in facts["price"]
    assert "published" in facts["price"]
    assert "quality dropped" in shown.screen
    assert "sourceful:1@1" in shown.screen
    assert "nothing: this was a dry run" in facts["sent"]


def test_the_list_of_requests_keeps_ids_and_costs_whole(see, asked):
    line = next(one for one in see("requests").lines if one.startswith(asked["id"]))
    assert line.split()[-1] == "0.039"
    assert "completed" in line


@pytest.mark.parametrize("command", [["requests"], ["doctor"]], ids=["requests", "doctor"])
def test_one_request_is_told_whole(see, asked, command):
    screen = see(*command, asked["id"]).screen
    for said in (asked["id"], "riverflow-1", "quality dropped", *asked["task_uuids"], "0.039", "ann"):
        assert said in " ".join(screen.split())


def test_the_doctor_says_what_to_do(see, shop, asked):
    assert f"spillway collect {asked['id']} -o FILE" in see("doctor", asked["id"]).lines, "a line of its own, to copy"
    refused = shop.generate(prompt=f"{unique()} [sim:moderation]").headers["x-request-id"]
    assert "Change the prompt or the images" in see("doctor", refused).screen
    told = see("doctor", "req_nobody", code=5)
    assert "no such request" in told.screen


@pytest.mark.parametrize("group", ["day", "model", "key", "status"])
def test_usage_fits(see, asked, group):
    assert "total" in see("usage", "--by", group).screen


def test_keys_are_made_listed_and_shown(see):
    name = f"a-rather-long-name-of-a-team-{unique()[-6:]}"
    made = see("keys", "create", name, "--budget", "20", "--period", "month", "--rpm", "60")
    secret = next(line for line in made.lines if line.startswith("sk-spw-"))
    listed = see("keys", "list").screen
    assert secret not in listed
    shown = see("keys", "show", name).screen
    assert "$20 a month" in shown
    (id_,) = re.findall(r"^id +(\S+)", shown, re.MULTILINE)
    assert id_ in listed
    assert "revoked" in see("keys", "revoke", name).screen


def test_settings_are_shown_with_their_sources_and_secrets_are_not(see, tmp_path):
    (tmp_path / "own.toml").write_text("port = 9123\n")
    (tmp_path / ".env").write_text("SPILLWAY_CONFIG=own.toml\nRUNWARE_API_KEY=rw-very-secret\n")
    shown = see("config", SPILLWAY_HOST="127.0.0.1")
    rows = {
        line.split()[0]: line.split()[1:] for line in shown.lines if line.startswith(("SPILLWAY", "RUNWARE", "OTEL"))
    }
    assert rows["SPILLWAY_PORT"] == ["9123", "own.toml"]
    assert rows["SPILLWAY_HOST"] == ["127.0.0.1", "environment"]
    assert rows["RUNWARE_API_KEY"] == ["(set,", "not", "shown)", ".env"]
    assert rows["SPILLWAY_GRACE"][-1] == "default"
    assert set(setting_fields()) <= set(rows)
    assert "very-secret" not in shown.raw
    assert "test-key" not in see("config", key="test-key").raw


def test_the_settings_in_effect_come_with_a_note_where_the_simulator_takes_runwares_place(see):
    note = "`spillway serve` takes the built-in simulator"
    assert note in " ".join(see("config").screen.split())
    assert note not in " ".join(see("config", RUNWARE_API_KEY="a-key").screen.split())
    assert note not in " ".join(see("config", SPILLWAY_UPSTREAM_NAME="simulator").screen.split())


def test_check_online_tries_everything_and_ends_with_the_kind_of_the_first_fault(see, simulator):
    own = {"RUNWARE_API_KEY": f"k{unique()[-8:]}" * 4, "RUNWARE_BASE_URL": f"{simulator.url}/v1", "SPILLWAY_PORT": "1"}
    shown = see("check", "--online", SPILLWAY_PORT="18999", **{k: v for k, v in own.items() if k != "SPILLWAY_PORT"})
    said = " ".join(shown.screen.split())
    for one in ("takes the key; the balance is $", "can be written to", "will be made", "18999 on 127.0.0.1 is free"):
        assert one in said
    refused = see("check", "--online", code=3, RUNWARE_API_KEY="invalid-key", RUNWARE_BASE_URL=f"{simulator.url}/v1")
    assert "FAILED: refuses the key" in refused.screen
    away = see("check", "--online", code=4, RUNWARE_API_KEY="a-key", RUNWARE_BASE_URL="http://127.0.0.1:9/v1")
    assert "FAILED: does not answer" in away.screen


def test_check_and_version_and_ledger_fit(see):
    assert "Settings and catalog are valid" in see("check").screen
    assert re.fullmatch(r"\d+\.\d+\.\d+", see("version").screen)
    assert "Every balance agrees." in see("ledger", "verify").screen
    assert "schema" in see("migrate").screen


def test_an_image_is_shown_where_the_terminal_can_and_never_in_a_pipe(see, shop, tmp_path):
    prompt = unique()
    shown = see("generate", prompt, "--size", "256x256", "-o", "a.png", TERM="xterm-kitty")
    assert "\x1b_Ga=T,f=100," in shown.raw
    assert "\x1bPq" in see("generate", prompt, "--size", "256x256", "-o", "b.png", "--inline", "sixel").raw
    named = {"SPILLWAY_BASE_URL": shop.base_url, "SPILLWAY_API_KEY": "test-key", "TERM": "xterm-kitty"}
    piped = spillway(tmp_path, "generate", prompt, "--size", "256x256", "-o", "c.png", "--inline", "kitty", **named)
    assert (piped.returncode, "\x1b" in piped.stdout + piped.stderr) == (0, False)


def test_images_are_opened_where_that_is_asked_for(see, tmp_path):
    opener = tmp_path / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text(
        f'#!/bin/sh\necho "$1" >> {tmp_path}/opened.part && mv {tmp_path}/opened.part {tmp_path}/opened\n'
    )
    opener.chmod(0o755)
    see("generate", unique(), "--size", "256x256", "-o", "a.png", "--open", PATH=f"{opener.parent}:/usr/bin:/bin")
    assert seen((tmp_path / "opened").exists, bool)
    assert (tmp_path / "opened").read_text().strip() == str(tmp_path / "a.png")


def test_a_long_refusal_is_broken_between_words(see):
    shown = see("generate", "a pear", "--model", "flux.1-shnell-and-more", "--size", "256x256", code=5)
    assert "model_not_found" in shown.screen


def test_what_is_shown_while_an_edit_is_made_comes_from_files_and_addresses(see, tmp_path, shop):
    (tmp_path / "a.png").write_bytes(png(480, 360))
    address = shop.generate(prompt=unique(), response_format="url").json()["data"][0]["url"]
    for sources, output in ((["a.png"], "b.png"), ([address], "c.png"), ([address, "a.png"], "d.png")):
        prompt = unique()
        shown = see("edit", *sources, "--prompt", prompt, "-o", output, "--json")
        told = json.loads(shown.screen[shown.screen.index("{") :])
        assert told["files"] == [output]
        assert open_bytes((tmp_path / output).read_bytes()).format == "PNG"
        assert shop.simulator.made(prompt) == 1

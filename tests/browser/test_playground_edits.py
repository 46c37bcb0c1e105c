"""Edits in the playground: images dropped, pasted and picked, a painted mask, results sent back, and code that runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.playground import enter, hand_over, new_prompt
from tests.support.images import open_bytes, png

CONTRACT = Path(__file__).parents[1] / "contract"
"""Where OpenAI's SDK for Node is."""


def request_of(simulator, prompt: str) -> dict:
    """The one task that was accepted with a prompt."""
    (task,) = simulator.tasks(prompt)
    return task["request"]


def test_a_painted_mask_is_what_the_model_gets(open_gateway, simulator, visit):
    prompt, harbor = new_prompt(), png(640, 480)
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-schnell&size=640x480")
    ground.field("Prompt").fill(prompt)
    ground.add("harbor.png", harbor)
    ground.button("Mask").click()
    expect(ground.field("Mask")).to_be_focused()
    ground.field("Brush width").fill("30")
    # A stripe from top to bottom on the left.
    ground.drag(ground.field("Mask"), (0.25, 0.05), (0.25, 0.95))
    expect(reader.page.get_by_text("of the image will be edited")).to_be_visible()
    expect(ground.price).to_have_text("unknown")
    ground.generate()
    expect(ground.images).to_have_count(1)
    mask = request_of(simulator, prompt)["inputs"]["maskImage"]
    assert (mask["width"], mask["height"]) == (640, 480)
    with reader.page.expect_download() as downloaded:
        reader.page.get_by_role("link", name="Download: image 1").click()
    made, given = open_bytes(downloaded.value.path().read_bytes()).convert("RGB"), open_bytes(harbor).convert("RGB")
    # The simulator changes what the mask opens, and only that.
    changed = [made.getpixel((x, 240)) != given.getpixel((x, 240)) for x in (160, 400, 600)]
    assert (made.size, changed) == ((640, 480), [True, False, False])


def test_an_image_dropped_the_moment_before_is_part_of_the_request(open_gateway, simulator, visit):
    prompt = new_prompt()
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-schnell&size=512x512")
    ground.field("Prompt").fill(prompt)
    # The browser has the file, and has not read it yet.
    reader.page.evaluate(
        """() => document.addEventListener("drop", () => {
            [...document.querySelectorAll("button")].find((one) => one.textContent === "Generate").click();
        })"""
    )
    hand_over(reader.page, "drop", "harbor.png", png(2000, 1500))
    expect(ground.images).to_have_count(1)
    expect(ground.inputs).to_have_count(1)
    link = reader.page.get_by_role("article").get_by_role("link", name="Request").get_attribute("href")
    record = open_gateway.client.get(f"/requests/{link.rpartition('/')[2]}").json()
    assert (record["endpoint"], simulator.asked(prompt)) == ("/v1/images/edits", 1)


def test_a_mask_is_painted_by_keyboard_inverted_erased_and_undone(open_gateway, visit):
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-schnell&prompt=a+boat")
    ground.add("harbor.png", png(640, 480))
    ground.button("Mask").click()
    mask, said = (
        ground.field("Mask"),
        reader.page.get_by_text(re.compile("of the image will be edited|Nothing is painted")),
    )
    expect(said).to_contain_text("Nothing is painted yet")
    ground.field("Brush width").fill("40")
    mask.press("Space")
    expect(said).to_have_text("7 % of the image will be edited.")
    for _ in range(3):
        mask.press("Shift+ArrowDown")
    expect(said).to_have_text("17 % of the image will be edited.")
    ground.button("Invert").click()
    expect(said).to_have_text("83 % of the image will be edited.")
    reader.page.get_by_role("radio", name="Eraser").check(force=True)
    ground.drag(mask, (0.1, 0.1), (0.9, 0.1))
    expect(said).to_contain_text(re.compile(r"^5\d %"))
    for _ in range(6):
        ground.button("Undo").click()
    expect(said).to_contain_text("Nothing is painted yet")
    expect(ground.button("Undo")).to_be_disabled()
    # The focus is not lost with the button.
    expect(mask).to_be_focused()
    ground.button("Enlarge").click()
    expect(mask).to_be_focused()
    mask.press("e")
    expect(reader.page.get_by_role("radio", name="Brush")).to_be_checked()
    mask.press("Space")
    assert reader.findings() == []
    reader.page.keyboard.press("Escape")
    expect(ground.button("Enlarge")).to_be_visible()
    ground.button("Done").click()
    expect(ground.button("Mask")).to_be_focused()
    expect(ground.button("Mask")).to_have_attribute("aria-expanded", "false")
    # Closed, the mask stays.
    expect(ground.code("curl")).to_contain_text('mask=@"mask.png"')


def test_images_come_by_drop_paste_and_picking_and_go_out_in_order(open_gateway, simulator, visit):
    prompt = new_prompt()
    ground, reader = enter(visit, open_gateway.origin, "?model=riverflow-2-max")
    ground.field("Prompt").fill(prompt)
    ground.add("one.png", png(300, 200))
    hand_over(reader.page, "drop", "two.png", png(310, 210))
    expect(ground.inputs).to_have_count(2)
    hand_over(reader.page, "paste", "three.png", png(320, 220))
    expect(ground.inputs).to_have_count(3)
    ground.button("Move three.png earlier").press("Enter")
    # The focus stays with the image that moved.
    expect(ground.button("Move three.png earlier")).to_be_focused()
    ground.button("Move three.png earlier").press("Enter")
    ground.button("Remove one.png").click()
    # By pointer as well, there and back.
    ground.inputs.nth(1).drag_to(ground.inputs.nth(0))
    expect(ground.inputs.nth(0)).to_contain_text("two.png")
    ground.inputs.nth(1).drag_to(ground.inputs.nth(0))
    expect(ground.inputs.nth(0)).to_contain_text("three.png")
    names = [entry.split("\n")[0] for entry in ground.inputs.all_inner_texts()]
    assert names == ["three.png", "two.png"]
    ground.generate()
    expect(ground.images).to_have_count(1)
    sent = request_of(simulator, prompt)["inputs"]["referenceImages"]
    assert [(one["width"], one["height"]) for one in sent] == [(320, 220), (310, 210)]


def test_text_that_brings_an_image_along_is_pasted_as_text(open_gateway, visit):
    ground, reader = enter(visit, open_gateway.origin, "?model=riverflow-2-max")
    ground.field("Prompt").focus()
    hand_over(reader.page, "paste", "cells.png", png(64, 64), text="from a spreadsheet")
    # The next one shows that the first was seen and left alone.
    reader.page.get_by_role("heading", level=1).click()
    hand_over(reader.page, "paste", "photo.png", png(64, 64))
    expect(ground.inputs).to_contain_text(["photo.png"])


def test_an_unreadable_image_is_refused_at_its_place_in_the_list(open_gateway, visit):
    ground, _ = enter(visit, open_gateway.origin, "?model=riverflow-2-max&prompt=a+boat")
    ground.add("good.png", png(300, 200))
    ground.add("bad.png", b"\x89PNG\r\n\x1a\n and nothing more")
    ground.generate()
    expect(ground.button("Move bad.png earlier")).to_be_focused()
    expect(ground.button("Add images")).to_have_accessible_description(re.compile(r"image\[1\]"))


def test_a_result_goes_back_as_input_and_is_seen_large(open_gateway, simulator, visit):
    first, second = new_prompt(), new_prompt("make it night")
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-schnell&size=512x512")
    ground.field("Prompt").fill(first)
    ground.generate()
    expect(ground.images).to_have_count(1)
    with reader.page.expect_download() as downloaded:
        reader.page.get_by_role("link", name="Download: image 1").click()
    assert open_bytes(downloaded.value.path().read_bytes()).size == (512, 512)
    ground.images.click()
    viewer = reader.page.get_by_role("dialog", name="Image")
    expect(viewer).to_contain_text("512 \u00d7 512")
    reader.page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    ground.button("Use as input: image 1").click()
    expect(ground.inputs).to_have_count(1)
    ground.field("Prompt").fill(second)
    ground.generate()
    expect(ground.images).to_have_count(2)
    described = request_of(simulator, second)["inputs"]["seedImage"]
    assert (described["width"], described["height"]) == (512, 512)


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Code as somebody runs it who has copied it."""
    environment = os.environ | {"SPILLWAY_API_KEY": "any"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


AWKWARD = """it's a "quiet" $HOME `harbor` \\ @file
second line; 100% 'x'"""


@pytest.mark.parametrize("kind", ["text", "edit"])
def test_the_code_shown_runs_and_asks_for_the_same(open_gateway, simulator, visit, tmp_path, kind):
    prompt = f"{new_prompt(AWKWARD)}"
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-dev&size=512x512&n=2&seed=3")
    ground.field("Prompt").fill(prompt)
    reader.page.get_by_text("More settings").click()
    ground.field("Scheduler").select_option("Euler")
    if kind == "edit":
        ground.add("my harbor.png", png(320, 200))
        (tmp_path / "my-harbor.png").write_bytes(png(320, 200))
    expect(ground.price).not_to_have_text("…")
    (tmp_path / "node_modules").symlink_to(CONTRACT / "node_modules")
    for language, command in (
        ("curl", ["sh", "-e", "-c"]),
        ("Python", [sys.executable, "-c"]),
        ("Node", ["node", "--input-type=module", "-e"]),
    ):
        before, code = simulator.asked(prompt), ground.code(language)
        # What was set last is in it.
        expect(code).to_contain_text("my-harbor.png" if kind == "edit" else "Euler")
        done = run([*command, code.inner_text()], tmp_path)
        assert (done.returncode, "" if language == "curl" else done.stderr) == (0, "")
        tasks = [one["request"] for one in simulator.tasks(prompt)[before:]]
        assert sum(task["numberResults"] for task in tasks) == 2, done.stdout
        assert {(task["scheduler"], task["seed"]) for task in tasks} <= {("Euler", 3), ("Euler", 4)}
    assert open_bytes((tmp_path / "image-1.png").read_bytes()).size == (512, 512)

"""The playground from prompt to image: prices, streams, sizes, errors and history, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.playground import Playground, enter, new_prompt
from tests.browser.support import PHONE
from tests.support.holding import holding
from tests.support.waiting import seen


def release(simulator, prompt: str, count: int = 1) -> int:
    """Let held tasks of a prompt go on, as soon as there are as many."""
    query, released = {"prompt": prompt, "count": count}, 0

    def go_on() -> int:
        nonlocal released
        answer = simulator.client.post(f"{simulator.url}/_simulator/release", params=query).json()
        released += answer["released"]
        query["count"] = count - released
        return released

    return seen(go_on, lambda done: done == count)


def test_the_price_shown_before_is_the_bill_after(open_gateway, simulator, visit):
    prompt = new_prompt()
    ground, reader = enter(visit, open_gateway.origin)
    ground.choose("riverflow mini", "Riverflow 1.1 Mini")
    assert "model=riverflow-1-mini" in reader.page.url
    ground.field("Prompt").fill(prompt)
    ground.field("Number of images").fill("3")
    # One image is 0.03025.
    expect(ground.price).to_have_text("$0.09075")
    # The second click of a double click buys nothing.
    ground.button("Generate").dblclick()
    expect(ground.images).to_have_count(3)
    run = reader.page.get_by_role("article", name=prompt)
    expect(run.get_by_text(re.compile(r"^3 images · .* · \$0\.09075$"))).to_be_visible()
    assert sum(float(task["billed"]) for task in simulator.tasks(prompt)) == pytest.approx(0.09075)
    # What the gateway recorded is what the page says, and the page leads there.
    link = run.get_by_role("link", name="Request").get_attribute("href")
    path = f"/requests/{link.rpartition('/')[2]}"
    # The last image is there before the end of the request is written down.
    record = seen(lambda: open_gateway.client.get(path).json(), lambda found: found["status"] == "completed")
    assert (record["cost"], record["status"]) == (0.09075, "completed")


def test_a_key_held_down_on_the_button_buys_once(open_gateway, simulator, visit):
    prompt = new_prompt(marks=" [sim:hold]")
    ground, _ = enter(visit, open_gateway.origin, "?model=riverflow-1-mini")
    ground.field("Prompt").fill(prompt)
    ground.button("Generate").focus()
    # Each `down` after the first is a repetition, as of a key that is held.
    for _ in range(5):
        ground.page.keyboard.down("Enter")
    ground.page.keyboard.up("Enter")
    assert release(simulator, prompt) == 1
    expect(ground.images).to_have_count(1)
    expect(ground.page.get_by_role("article")).to_have_count(1)
    expect(ground.button("Generate")).to_be_enabled()
    assert simulator.asked(prompt) == 1


def test_each_image_is_shown_the_moment_it_exists(open_gateway, simulator, visit):
    prompt = new_prompt(marks=" [sim:hold]")
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-schnell&size=512x512&n=4")
    ground.field("Prompt").fill(prompt)
    # What others saw of a price is no promise, and says so.
    expect(ground.price).to_have_text("about $0.0024")
    ground.generate()
    assert seen(lambda: simulator.asked(prompt), lambda count: count == 4) == 4
    expect(ground.images).to_have_count(0)
    assert release(simulator, prompt) == 1
    expect(ground.images).to_have_count(1)
    # The others are still being made: nobody has let them go.
    assert [task["finished"] for task in simulator.tasks(prompt)].count(False) == 3
    tile = reader.page.get_by_role("figure").filter(has=ground.images)
    expect(tile).to_contain_text(re.compile("512 \u00d7 512 · .*s · \\$0\\.0006"))
    assert release(simulator, prompt, 3) == 3
    expect(ground.images).to_have_count(4)
    expect(reader.page.get_by_text(re.compile(r"4 images · .* · \$0\.0024"))).to_be_visible()


def test_who_stops_waiting_collects_what_was_sent_and_pays_once(open_gateway, simulator, visit):
    prompt = new_prompt(marks=" [sim:hold]")
    ground, reader = enter(visit, open_gateway.origin, "?model=riverflow-1-mini")
    ground.field("Prompt").fill(prompt)
    ground.generate()
    assert seen(lambda: simulator.asked(prompt), lambda count: count == 1) == 1
    ground.button("Cancel").click()
    expect(reader.page.get_by_text("You stopped waiting")).to_be_visible()
    ground.button("Continue").click()
    assert release(simulator, prompt) == 1
    expect(ground.images).to_have_count(1)
    assert simulator.asked(prompt) == 1


def test_a_broken_connection_is_taken_up_again_and_paid_once(open_gateway, simulator, visit):
    prompt = new_prompt(marks=" [sim:hold]")
    with holding(open_gateway.origin, "nothing is held") as network:
        ground, reader = enter(visit, network.url, "?model=riverflow-1-mini", lines=("ERR_", "net::"))
        ground.field("Prompt").fill(prompt)
        ground.field("Number of images").fill("2")
        ground.generate()
        assert release(simulator, prompt) == 1
        expect(ground.images).to_have_count(1)
        network.cut()
        expect(reader.page.get_by_text("The connection broke")).to_be_visible()
        ground.button("Continue").click()
        assert release(simulator, prompt) == 1
        expect(ground.images).to_have_count(2)
        assert simulator.asked(prompt) == 2


def test_an_error_stands_at_the_field_it_names_and_takes_the_focus(open_gateway, visit):
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-dev")
    ground.field("Prompt").fill("x")
    # While typing it is shown, and interrupts nobody.
    expect(ground.field("Prompt")).to_have_attribute("aria-invalid", "true")
    ground.field("Prompt").fill("a lighthouse")
    expect(ground.field("Prompt")).not_to_have_attribute("aria-invalid", "true")
    ground.field("Number of images").fill("44")
    ground.generate()
    expect(ground.field("Number of images")).to_be_focused()
    expect(ground.field("Number of images")).to_have_accessible_description(re.compile("from 1 to 10"))
    ground.field("Number of images").fill("1")
    # One that is folded away is unfolded, also where the error names a place inside of it.
    reader.page.get_by_text("More settings").click()
    ground.field("Lora").fill('[{"model": "civitai:1@1", "weight": 99}]')
    reader.page.get_by_text("More settings").click()
    expect(ground.field("Lora")).to_have_count(0)
    ground.generate()
    expect(ground.field("Lora")).to_be_focused()
    expect(ground.field("Lora")).to_have_accessible_description(re.compile(r"lora\[0\]\.weight"))
    expect(ground.images).to_have_count(0)


def test_a_refusal_that_comes_late_is_told_beside_its_run(open_gateway, visit):
    ground, reader = enter(visit, open_gateway.origin, "?model=riverflow-1-mini")
    ground.field("Prompt").fill(new_prompt(marks=" [sim:moderation]"))
    ground.generate()
    # Moderation names no field.
    expect(reader.page.get_by_role("alert").and_(reader.page.locator(":focus"))).to_contain_text("was refused")
    expect(reader.page.get_by_role("article").get_by_role("alert").first).to_contain_text("Request id: req_")


def test_what_failed_of_several_is_told_beside_what_came(open_gateway, visit):
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-schnell&size=512x512&n=3&seed=2")
    ground.field("Prompt").fill(new_prompt(marks=" [sim:fail-odd]"))
    ground.generate()
    run = reader.page.get_by_role("article")
    expect(run.get_by_text(re.compile(r"^2 images · .* · \$0\.0012$"))).to_be_visible()
    expect(run.get_by_text("Failed", exact=True)).to_have_count(1)
    expect(ground.images).to_have_count(2)


def test_a_model_that_only_edits_asks_for_an_image_at_its_place(open_gateway, visit):
    ground, reader = enter(visit, open_gateway.origin, "?model=real-esrgan")
    expect(ground.price).to_have_text("—")
    ground.generate()
    expect(ground.button("Add images")).to_be_focused()
    expect(ground.button("Add images")).to_have_accessible_description("This model works on images: add one.")
    # And a name that nobody knows is told at the model.
    reader.open("/playground?model=no-such-model")
    expect(ground.field("Model")).to_have_accessible_description(re.compile("does not exist"))


def test_only_sizes_that_the_model_makes_are_offered_and_the_nearest_is_told_while_typing(open_gateway, visit):
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-schnell")
    shapes = reader.page.get_by_role("radiogroup", name="Shape")
    expect(shapes.get_by_role("radio")).to_have_count(12)
    shapes.get_by_role("radio", name="16:9").check(force=True)
    expect(ground.field("Size")).to_have_value("1360x768")
    # The shape stays when the scale changes.
    reader.page.get_by_role("radio", name="0.5K").check(force=True)
    expect(ground.field("Size")).to_have_value("688x384")
    expect(reader.page.get_by_text("Images will be 688 \u00d7 384.")).to_be_visible()
    ground.field("Size").fill("1000x700")
    expect(reader.page.get_by_text("Nearest this model makes: 1008 \u00d7 704.")).to_be_visible()
    adjustments = reader.page.get_by_role("region", name="Adjustments")
    expect(adjustments).to_contain_text("size 1000x700 → 1008x704")
    # Another model makes the same shape in its own pixels.
    shapes.get_by_role("radio", name="16:9").check(force=True)
    ground.choose("riverflow mini", "Riverflow 1.1 Mini")
    expect(ground.field("Size")).to_have_value("1280x720")
    expect(adjustments.get_by_text("size", exact=False)).to_have_count(0)


def test_parameters_come_from_the_schema_and_reach_the_task(open_gateway, simulator, visit):
    prompt = new_prompt()
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-dev&size=512x512")
    ground.field("Prompt").fill(prompt)
    reader.page.get_by_text("More settings").click()
    steps = reader.page.get_by_role("slider", name="Steps, slider")
    expect(steps).to_have_attribute("aria-valuetext", "not set")
    steps.fill("12")
    expect(ground.field("Steps")).to_have_value("12")
    ground.field("Scheduler").select_option("Euler")
    ground.field("Negative prompt").fill("fog")
    ground.field("Seed").fill("7")
    expect(reader.page.get_by_text("3 set")).to_be_visible()
    ground.generate()
    expect(ground.images).to_have_count(1)
    (task,) = [one["request"] for one in simulator.tasks(prompt)]
    found = {name: task.get(name) for name in ("steps", "scheduler", "negativePrompt", "seed")}
    assert found == {"steps": 12, "scheduler": "Euler", "negativePrompt": "fog", "seed": 7}


def test_what_was_made_is_in_the_history_of_this_browser_until_it_is_cleared(open_gateway, visit):
    prompt = new_prompt('<img src=x onerror="alert(1)"> & "quotes"')
    ground, reader = enter(visit, open_gateway.origin, "?model=riverflow-1-mini&n=2&seed=5")
    ground.field("Prompt").fill(prompt)
    ground.generate()
    expect(ground.images).to_have_count(2)
    entry = reader.page.get_by_role("region", name="History").get_by_role("listitem")
    expect(entry).to_contain_text("riverflow-1-mini · 2 images · $0.0605")
    reader.open("/playground?model=flux.1-schnell")
    # As text, whatever it looks like.
    expect(entry).to_contain_text(prompt)
    expect(entry.locator("img")).to_have_count(2)
    ground.button(f"Use again: {prompt}").click()
    expect(ground.field("Prompt")).to_have_value(prompt)
    expect(ground.field("Number of images")).to_have_value("2")
    expect(reader.page.get_by_role("combobox", name="Model")).to_have_value("Riverflow 1.1 Mini")
    ground.button("Clear history").click()
    ground.button("Clear").click()
    expect(reader.page.get_by_role("region", name="History")).to_be_hidden()
    reader.open("/playground")
    expect(ground.price).not_to_have_text("…")
    expect(entry).to_have_count(0)


def test_a_key_is_asked_for_once_and_is_in_no_code(start_shared_gateway, visit):
    gateway = start_shared_gateway()
    reader = visit(gateway.origin, expected=("status of 401",))
    reader.page.goto(f"{gateway.origin}/playground?model=riverflow-1-mini&prompt=a+boat")
    reader.page.get_by_label("API key").fill("test-key")
    reader.page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    ground = Playground(reader.page)
    expect(ground.price).to_have_text("$0.03025")
    for language in ("curl", "Python", "Node"):
        expect(ground.code(language)).to_contain_text("SPILLWAY_API_KEY")
        expect(ground.code(language)).not_to_contain_text("test-key")
    ground.generate()
    expect(ground.images).to_have_count(1)
    assert "test-key" not in reader.page.content()
    # Whoever signs out leaves nothing of it to whoever signs in next.
    history = reader.page.get_by_role("region", name="History")
    expect(history.get_by_role("listitem")).to_have_count(1)
    ground.button("Sign out").click()
    reader.page.get_by_label("API key").fill("test-key")
    reader.page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    expect(ground.price).not_to_have_text("…")
    expect(history).to_be_hidden()
    expect(ground.field("Prompt")).to_have_value("")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_and_so_does_a_screen_reader(open_gateway, visit, scheme):
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-schnell", viewport=PHONE, color_scheme=scheme)
    assert (reader.sideways(), reader.findings()) == (0, [])
    reader.page.get_by_role("combobox", name="Model").click()
    assert (reader.sideways(), reader.findings()) == (0, [])
    reader.page.keyboard.press("Escape")
    ground.field("Prompt").fill(new_prompt())
    ground.field("Size").fill("1000x700")
    ground.field("Number of images").fill("2")
    reader.page.get_by_text("More settings").click()
    ground.generate()
    expect(ground.images).to_have_count(2)
    for button in reader.page.get_by_role("button", name="Compare").all():
        button.click()
    assert (reader.sideways(), reader.findings()) == (0, [])
    reader.page.get_by_role("status").get_by_role("button", name="Compare").click()
    expect(reader.page.get_by_role("dialog", name="Comparison")).to_be_visible()
    ground.button("One over the other").click()
    assert (reader.sideways(), reader.findings()) == (0, [])

"""The list of requests and the page of one, in a real browser."""

import re
from datetime import datetime

import pytest
from playwright.sync_api import Page, expect

from tests.support.processes import unique
from tests.support.waiting import seen

MARKUP = "<img src=x onerror=window.ran=1><script>window.ran=1</script>"


@pytest.fixture(scope="module")
def shop(start_shared_gateway):
    """Asks nobody for a key, knows a model by a name that is markup, and stores prompts."""
    return start_shared_gateway(
        SPILLWAY_API_KEYS="", SPILLWAY_STORE_PROMPTS="true", SPILLWAY_MODEL_ALIASES="<b>bold</b>=flux.1-schnell"
    )


def record(gateway, id_: str) -> dict:
    return gateway.client.get(f"/requests/{id_}").json()


def release(simulator, prompt: str) -> None:
    """Let the tasks with this prompt go on."""
    simulator.client.post(
        f"{simulator.url}/_simulator/release", params={"prompt": prompt, "count": 10}
    ).raise_for_status()


def rows(page: Page):
    return page.get_by_role("main").get_by_role("listitem")


def test_a_request_is_followed_looked_at_collected_and_forgotten(shop, simulator, visit):
    prompt = f"{unique()} [sim:hold]"
    page = visit(shop.origin, images=simulator.url, expected=("404",)).open("/requests")
    body = {"prompt": prompt, "size": "1920x1080", "model": "riverflow-1", "n": 2, "quality": "hd", "user": "ann"}
    headers = {"Prefer": "respond-async", "Idempotency-Key": unique()}
    id_ = shop.client.post("/images/generations", json=body, headers=headers).json()["id"]
    # The list follows by itself.
    row = rows(page).filter(has_text=id_)
    expect(row).to_contain_text("processing")
    row.get_by_role("link").click()
    expect(page.get_by_text("running for")).to_be_visible()
    seen(lambda: release(simulator, prompt), lambda _: record(shop, id_)["status"] == "completed")
    expect(page.get_by_text("completed", exact=True)).to_be_visible()
    told = seen(lambda: record(shop, id_), lambda one: one["status"] == "completed")
    asked_for = page.get_by_role("region", name="What was asked")
    for text in ("/v1/images/generations", "riverflow-1", prompt, "ann"):
        expect(asked_for.get_by_text(text, exact=True)).to_be_visible()
    adjusted = page.get_by_role("region", name="What was adjusted")
    for one in told["adjustments"]:
        expect(adjusted.get_by_text(one["reason"])).to_be_visible()
    for task in told["task_uuids"]:
        expect(page.get_by_role("region", name="The plan").get_by_text(task)).to_be_visible()
        expect(page.get_by_role("region", name="Attempts").get_by_text(task).first).to_be_visible()
    expect(page.get_by_text(f"${told['cost']:.9f}".rstrip("0"), exact=True).first).to_be_visible()
    images = page.get_by_role("region", name="Images").get_by_role("img")
    expect(images).to_have_count(2)
    page.wait_for_function(
        "() => [...document.querySelectorAll('figure img')].every((image) => image.naturalWidth > 0)"
    )
    # To look is not to collect: the caller may still come for it.
    assert record(shop, id_)["delivered"] is False
    page.get_by_role("button", name="Collect").click()
    expect(page.get_by_role("region", name="Delivery").get_by_text(re.compile("^yes, "))).to_be_visible()
    assert seen(lambda: record(shop, id_), lambda one: one["delivered"])["delivered"] is True
    page.get_by_role("button", name="Forget").click()
    dialog = page.get_by_role("dialog", name="Forget this request?")
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()
    assert record(shop, id_)["images_kept"] is True
    page.get_by_role("button", name="Forget").click()
    dialog.get_by_role("button", name="Forget").click()
    expect(asked_for.get_by_text("not stored here")).to_be_visible()
    gone = record(shop, id_)
    assert (gone["prompt"], gone["images_kept"]) == (None, False)
    again = page.get_by_role("link", name="Ask again").get_attribute("href")
    assert "model=riverflow-1&n=2" in again


def test_to_ask_again_takes_along_even_a_long_prompt_and_leaves_it_in_no_address(shop, simulator, visit):
    prompt = f"{unique()} " + "harbor " * 250
    body = {"prompt": prompt, "model": "flux.1-schnell", "n": 2, "size": "512x512", "output_format": "webp"}
    id_ = shop.client.post("/images/generations", json=body).json()["id"]
    page = visit(shop.origin, images=simulator.url).open(f"/requests/{id_}")
    expect(page.get_by_text("Input images, a mask and other settings are not taken along.")).to_be_visible()
    link = page.get_by_role("link", name="Ask again")
    assert "harbor" not in link.get_attribute("href")
    link.click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value(prompt)
    expect(page.get_by_label("Number of images", exact=True)).to_have_value("2")
    expect(page.get_by_label("Size", exact=True)).to_have_value("512x512")
    expect(page.get_by_label("Format", exact=True).locator("option:checked")).to_have_text("webp")
    assert "harbor" not in page.url


def test_what_fits_no_filter_any_more_leaves_the_list(shop, simulator, visit):
    prompt = f"{unique()} [sim:hold]"
    headers = {"Prefer": "respond-async", "Idempotency-Key": unique()}
    body = {"prompt": prompt, "size": "256x256"}
    id_ = shop.client.post("/images/generations", json=body, headers=headers).json()["id"]
    page = visit(shop.origin, images=simulator.url).open("/requests?status=processing")
    expect(rows(page).filter(has_text=id_)).to_have_count(1)
    rows(page).filter(has_text=id_).get_by_role("link").focus()
    seen(lambda: release(simulator, prompt), lambda _: record(shop, id_)["status"] == "completed")
    expect(rows(page).filter(has_text=id_)).to_have_count(0)


def test_a_request_that_failed_says_why_and_one_of_which_a_part_came_says_which(shop, simulator, visit):
    page = visit(shop.origin, images=simulator.url).page
    failed = shop.generate(prompt=f"{unique()} [sim:moderation]")
    page.goto(f"{shop.origin}/requests/{failed.headers['x-request-id']}")
    expect(page.get_by_role("alert")).to_contain_text(failed.json()["error"]["message"])
    partial = shop.generate(prompt=f"{unique()} [sim:partial=1]", n=2, model="flux.1-schnell").json()
    page.goto(f"{shop.origin}/requests/{partial['id']}")
    expect(page.get_by_text("1 of 2", exact=True)).to_be_visible()
    expect(page.get_by_role("region", name="Images that did not come")).to_contain_text("Image 2")
    retried = shop.generate(prompt=f"{unique()} [sim:rate-limit=1]").json()
    page.goto(f"{shop.origin}/requests/{retried['id']}")
    expect(page.get_by_role("region", name="Attempts").get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_role("region", name="Attempts").get_by_text("rate_limit (429)")).to_be_visible()


def test_each_filter_leaves_the_requests_that_fit(shop, simulator, visit):
    failed = shop.generate(prompt=f"{unique()} [sim:moderation]").headers["x-request-id"]
    made = shop.generate(prompt=unique(), model="riverflow-1-mini").json()["id"]
    page = visit(shop.origin, images=simulator.url).open("/requests")
    filters = page.get_by_role("search")
    filters.get_by_label("Id").fill(failed[8:20])
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text(failed)
    filters.get_by_label("Id").fill("")
    filters.get_by_label("Status").select_option("failed")
    expect(rows(page).filter(has_text=made)).to_have_count(0)
    expect(rows(page).filter(has_text=failed)).to_have_count(1)
    filters.get_by_label("Status").select_option("")
    filters.get_by_label("Model").fill("riverflow-1-mini")
    expect(rows(page).filter(has_text=failed)).to_have_count(0)
    expect(rows(page).filter(has_text=made)).to_have_count(1)
    filters.get_by_label("Day").fill("2020-01-01")
    expect(page.get_by_text("No request fits")).to_be_visible()
    today = page.evaluate("() => { const d = new Date(); return [d.getFullYear(), d.getMonth() + 1, d.getDate()]; }")
    filters.get_by_label("Day").fill(datetime(*today).strftime("%Y-%m-%d"))  # noqa: DTZ001 - the browser's own day
    expect(rows(page).filter(has_text=made)).to_have_count(1)
    # The address is the list.
    page.reload()
    expect(rows(page).filter(has_text=made)).to_have_count(1)


def test_nothing_from_a_caller_reaches_a_page_as_markup(shop, simulator, visit):
    reader = visit(shop.origin, images=simulator.url, expected=("404", "400"))
    page = reader.page
    body = {"prompt": MARKUP, "size": "256x256", "model": "<b>bold</b>", "user": MARKUP}
    id_ = shop.client.post("/images/generations", json=body, headers={"x-client-request-id": MARKUP}).json()["id"]
    for path in ("/requests", f"/requests/{id_}", "/usage"):
        reader.open(path)
        expect(page.get_by_text(MARKUP).first).to_be_visible()
    reader.open(f"/requests/{id_}")
    expect(page.get_by_role("link", name="<b>bold</b>")).to_be_visible()
    for path in (f"/models?q={MARKUP}", f"/requests?model={MARKUP}", f"/requests?status={MARKUP}", f"/models/{MARKUP}"):
        page.goto(f"{shop.origin}{path}")
        page.wait_for_function("() => document.querySelector('h1') && !document.querySelector('[aria-busy=true]')")
    assert page.evaluate("() => window.ran") is None
    assert page.locator("img[src=x], main b, main script").count() == 0

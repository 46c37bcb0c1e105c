"""The API's page in a real browser: signed in for as long as it is open, and an example makes an image."""

import json

import pytest

from tests.support.images import png

KEPT = "() => [Object.keys(localStorage), Object.keys(sessionStorage), document.cookie]"


def test_examples_make_images_once_a_key_is_given(gateway, visit):
    """Every test here asserts that nothing stands in the console and nobody else is asked."""
    reader = visit(gateway.origin, images=gateway.simulator.url, expected=("JsonSchema_string_binary",))
    page = reader.page
    page.goto(f"{gateway.origin}/docs")
    page.get_by_role("button", name="Authorize", exact=True).click()
    page.get_by_label("auth-bearer-value").fill("test-key")
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()
    page.get_by_text("Create images").click()
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table .response-col_status", has_text="200").wait_for()
    answer = json.loads(page.locator(".live-responses-table .microlight").first.inner_text())
    assert (answer["size"], len(answer["data"])) == ("1024x768", 1)
    assert page.evaluate(KEPT) == [[], [], ""]

    page.get_by_text("Create images").click()
    page.get_by_text("Edit images", exact=True).click()
    page.get_by_label("Request content type").select_option("multipart/form-data")
    page.locator("input[type=file]").first.set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": png(320, 320)}
    )
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table .response-col_status", has_text="200").wait_for()
    assert '"riverflow-1-mini"' in page.locator(".live-responses-table .microlight").first.inner_text()

    page.reload()
    page.get_by_text("Create images").wait_for()
    page.get_by_role("button", name="Authorize", exact=True).click()
    assert page.get_by_label("auth-bearer-value").input_value() == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read_by_everybody(gateway, visit, scheme):
    reader = visit(gateway.origin, images=gateway.simulator.url, expected=("JsonSchema_string_binary",))
    page = reader.page
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{gateway.origin}/docs")
    page.get_by_text("Create images").click()
    page.get_by_text("List models", exact=True).click()
    page.get_by_role("button", name="Execute").first.wait_for()
    assert reader.findings() == []
    background = page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 20, 20)"}[scheme]

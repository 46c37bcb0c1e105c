"""The life of a key in a real browser: made, used, limited, rotated, revoked."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.callers import Caller

ADMIN = "an-administrators-key"


@pytest.fixture(scope="module")
def shop(start_shared_gateway):
    return start_shared_gateway(SPILLWAY_API_KEYS="key-of-ann", SPILLWAY_ADMIN_KEYS=ADMIN)


def works(shop, key: str) -> int:
    return Caller(shop.origin, key).get("/models").status_code


def make_key(shop, page: Page) -> str:
    """A key made in the dialog, after an error at a field of it; the dialog that shows its secret is closed again."""
    page.get_by_role("button", name="Create a key").click()
    dialog = page.get_by_role("dialog", name="Create a key")
    dialog.get_by_label("Name").fill("<i>Ann's app")
    dialog.get_by_label("Budget ($)").fill("0.05")
    dialog.get_by_label("Period").select_option("month")
    dialog.get_by_label("Models").fill("flux*, riverflow-1-mini")
    dialog.get_by_label("Ends").fill("some day")
    dialog.get_by_role("button", name="Create").click()
    # The error stands at the field that it names.
    expect(dialog.get_by_label("Ends")).to_be_focused()
    expect(dialog.get_by_label("Ends")).to_have_attribute("aria-invalid", "true")
    expect(dialog.locator("[data-problem=expires_at]")).to_contain_text("a duration like 90d")
    dialog.get_by_label("Ends").fill("90d")
    dialog.get_by_role("button", name="Create").click()
    shown = page.get_by_role("dialog", name="The key of <i>Ann's app")
    first = shown.get_by_role("region", name="key").inner_text()
    assert works(shop, first) == 200
    # To copy it is not to close the only place where it is shown.
    shown.get_by_role("button", name="Copy key").click()
    expect(shown.get_by_role("button", name="Copy key")).to_have_text(re.compile("Copied|Select and copy"))
    for _ in range(3):  # browsers let no page keep a dialog open against a second one, unless it says so
        page.keyboard.press("Escape")
    expect(shown).to_be_visible()
    shown.get_by_role("button", name="I have it").click()
    # Out of the page, and not only out of sight.
    expect(page.locator("dialog")).to_have_count(0)
    return first


def test_a_key_is_made_used_limited_rotated_and_revoked(shop, visit):
    page = visit(shop.origin, key=ADMIN, expected=("400",)).open("/keys")
    first = make_key(shop, page)
    # This once: neither the page nor the browser has it any more.
    assert first not in page.content()
    assert first not in page.evaluate("() => JSON.stringify([localStorage, sessionStorage])")
    key = page.get_by_role("listitem").filter(has_text="<i>Ann's app")
    expect(key).to_contain_text("$0.00 of $0.05 each month")

    app = Caller(shop.origin, first)
    made = app.generate(model="riverflow-1-mini")
    assert made.status_code == 200, made.text
    assert app.generate(model="riverflow-1-mini").json()["error"]["code"] == "budget_exceeded"
    page.reload()
    expect(key).to_contain_text(f"${made.json()['metadata']['cost']} of $0.05 each month")
    key.get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog", name="Change <i>Ann's app")
    expect(dialog.get_by_label("Models")).to_have_value("flux*, riverflow-1-mini")
    dialog.get_by_label("Requests a minute").fill("7")
    dialog.get_by_label("Links live").fill("2h")
    dialog.get_by_label("Images stay").fill("90000")
    dialog.get_by_role("button", name="Save").click()
    for fact in ("7 requests a minute", "links live 7200 s", "images stay 90000 s"):
        expect(key).to_contain_text(fact)
    expect(key).to_contain_text("ends ")

    key.get_by_role("button", name="Rotate").click()
    dialog = page.get_by_role("dialog", name="Rotate <i>Ann's app?")
    dialog.get_by_label("The old one ends after").fill("0s")
    dialog.get_by_role("button", name="Rotate").click()
    second = page.get_by_role("region", name="key").inner_text()
    page.get_by_role("button", name="I have it").click()
    assert (works(shop, first), works(shop, second)) == (401, 200)

    key.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog", name="Revoke <i>Ann's app?").get_by_role("button", name="Revoke").click()
    expect(key).to_have_count(0)
    assert works(shop, second) == 401
    page.get_by_label("Show").select_option("revoked")
    expect(key).to_contain_text("revoked")
    expect(key.get_by_role("button")).to_have_count(0)


def test_a_double_click_makes_one_key_and_rotates_it_once(shop, visit):
    page = visit(shop.origin, key=ADMIN).open("/keys")
    posted: list[str] = []
    page.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    page.get_by_role("button", name="Create a key").click()
    dialog = page.get_by_role("dialog", name="Create a key")
    dialog.get_by_label("Name").fill("Twice")
    dialog.get_by_label("Requests a minute").press_sequentially("1e")
    dialog.get_by_role("button", name="Create").click()
    # What is no number would be no limit.
    expect(dialog.get_by_label("Requests a minute")).to_be_focused()
    expect(dialog.locator("[data-problem=rpm]")).to_have_text("This is no number.")
    dialog.get_by_label("Requests a minute").fill("7")
    dialog.get_by_label("Links live").fill("2h")
    dialog.get_by_label("Images stay").fill("90000")
    dialog.get_by_role("button", name="Create").evaluate("(button) => { button.click(); button.click(); }")
    page.get_by_role("button", name="I have it").click()
    key = page.get_by_role("listitem").filter(has_text="Twice")
    expect(key).to_have_count(1)
    key.get_by_role("button", name="Rotate").click()
    dialog = page.get_by_role("dialog", name="Rotate Twice?")
    dialog.get_by_role("button", name="Rotate").evaluate("(button) => { button.click(); button.click(); }")
    page.get_by_role("button", name="I have it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert [url.rpartition("/")[2] for url in posted] == ["keys", "rotate"]


def test_a_dialog_is_accessible(shop, visit):
    reader = visit(shop.origin, key=ADMIN)
    page = reader.open("/keys")
    page.get_by_role("button", name="Create a key").click()
    assert reader.findings() == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Create a key")).to_be_focused()


def test_others_are_told_who_may_see_keys(shop, open_gateway, visit):
    page = visit(shop.origin, key="key-of-ann").open("/keys")
    expect(page.get_by_text("Only administrators see keys")).to_be_visible()
    page = visit(open_gateway.origin).open("/keys")
    expect(page.get_by_text("Nobody needs a key here yet")).to_be_visible()

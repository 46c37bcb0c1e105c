"""The page of usage in a real browser: its numbers are those of the ledger, to the last digit."""

import csv
import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from tests.support.callers import Caller
from tests.support.processes import unique

ADMIN = "an-administrators-key"


@pytest.fixture(scope="module")
def shop(start_shared_gateway):
    return start_shared_gateway(SPILLWAY_API_KEYS="ann=key-of-ann,ben=key-of-ben", SPILLWAY_ADMIN_KEYS=ADMIN)


@pytest.fixture(scope="module")
def spent(shop) -> dict[str, Decimal]:
    """What each model cost, as Runware said it."""
    ann, ben, spent = Caller(shop.origin, "key-of-ann"), Caller(shop.origin, "key-of-ben"), {}
    admin = Caller(shop.origin, ADMIN)
    limited = admin.post("/keys", json={"name": "shop", "budget": 0.01, "period": "month"}).json()["key"]
    asked = [
        (ann, "flux.1-schnell", 3), (ben, "riverflow-1-mini", 2), (ann, "google-imagen-4-fast", 1),
        (Caller(shop.origin, limited), "flux.1-schnell", 2),
    ]  # fmt: skip
    for caller, model, n in asked:
        answer = caller.generate(model=model, n=n)
        assert answer.status_code == 200, answer.text
        spent[model] = spent.get(model, Decimal(0)) + Decimal(str(answer.json()["metadata"]["cost"]))
    assert ann.generate(prompt=f"{unique()} [sim:moderation]").status_code == 400
    return spent


def dollars(amount: Decimal) -> str:
    """As the pages show it: all digits that count, at least two."""
    whole, _, fraction = f"{amount:f}".partition(".")
    return f"${whole}.{fraction.rstrip('0').ljust(2, '0')}"


def test_the_numbers_are_those_of_the_ledger(shop, spent, visit, tmp_path):
    page = visit(shop.origin, key=ADMIN).open("/usage")
    total = sum(spent.values())
    assert Caller(shop.origin, ADMIN).get("/ledger/verify").json()["exact"] is True
    figures = {one.split("\n")[0]: one.split("\n")[1] for one in page.locator(".figure").all_inner_texts()}
    assert figures["Cost"] == dollars(total)
    assert (figures["Images"], figures["Requests"], figures["Failures"]) == ("8", "5", "1 (20.0 %)")
    by_model = page.get_by_role("region", name="By model").last
    for model, cost in spent.items():
        expect(by_model.get_by_role("row").filter(has_text=model)).to_contain_text(dollars(cost))
    by_key = page.get_by_role("region", name="By key").last
    expect(by_key.get_by_role("row").filter(has_text="ben")).to_contain_text(dollars(spent["riverflow-1-mini"]))
    for name in ("Images", "Cost", "Failures", "Latency"):
        expect(page.get_by_role("img", name=f"{name}.")).to_be_visible()
    expect(page.get_by_role("img", name="Cost.")).to_have_accessible_name(re.compile(re.escape(dollars(total))))
    for group in ("day", "model", "key"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download CSV by {group}").click()
        saved = tmp_path / f"{group}.csv"
        download.value.save_as(saved)
        rows = list(csv.DictReader(saved.read_text(encoding="utf-8").splitlines()))
        assert sum(Decimal(row["cost"]) for row in rows) == total
        assert download.value.suggested_filename == f"usage-by-{group}.csv"


def test_a_budget_is_a_bar_and_others_see_only_their_own(shop, spent, visit):
    page = visit(shop.origin, key=ADMIN).open("/usage")
    expect(page.get_by_role("meter", name="shop: $0.0012 of $0.01 spent")).to_have_attribute("aria-valuenow", "12")
    page.get_by_role("textbox", name="Key").fill("ben")
    page.get_by_role("textbox", name="Key").press("Enter")
    expect(page.locator(".figure").filter(has_text="Cost")).to_contain_text(dollars(spent["riverflow-1-mini"]))
    own = visit(shop.origin, key="key-of-ben").open("/usage")
    expect(own.locator(".figure").filter(has_text="Cost")).to_contain_text(dollars(spent["riverflow-1-mini"]))
    expect(own.get_by_role("region", name="By key")).to_have_count(0)


def test_a_time_without_requests_has_nothing_and_says_so(shop, spent, visit):
    page = visit(shop.origin, key=ADMIN).open("/usage?from=2020-01-01&to=2020-01-31")
    expect(page.locator(".figure").filter(has_text="Cost")).to_contain_text("$0.00")
    expect(page.get_by_text("Nothing was asked for in this time.").first).to_be_visible()
    page.get_by_role("button", name="7 days").click()
    expect(page.locator(".figure").filter(has_text="Cost")).to_contain_text(dollars(sum(spent.values())))

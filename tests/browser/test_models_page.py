"""The list of models and the page of one, in a real browser: what the catalog knows, and only that."""

import json
import re

import pytest
from playwright.sync_api import Page, expect


@pytest.fixture(scope="module")
def models(open_gateway) -> list[dict]:
    return open_gateway.client.get("/models").json()["data"]


def shown(page: Page) -> set[str]:
    """The names of the models in the list, once the number above it is that of the cards below it."""
    page.wait_for_function(
        "() => document.querySelectorAll('article').length === Number(document.querySelector('main [role=status]').textContent.match(/\\d+/)[0])"
    )
    return set(page.locator("article h2").all_inner_texts())


def names(models: list[dict], fits) -> set[str]:
    return {model["name"] for model in models if fits(model)}


def test_each_filter_leaves_the_models_that_fit(open_gateway, visit, models):
    page = visit(open_gateway.origin).open("/models")
    assert shown(page) == names(models, lambda _: True)
    filters = page.get_by_role("search")
    filters.get_by_label("What it does").select_option("upscaling")
    assert shown(page) == names(models, lambda one: "upscaling" in one["capabilities"])
    filters.get_by_label("What it does").select_option("")
    filters.get_by_label("Creator").select_option("Sourceful")
    assert shown(page) == names(models, lambda one: one["creator"] == "Sourceful")
    filters.get_by_label("Makes exactly").fill("1512x648")
    listed = lambda one: [size for tier in one["sizes"].get("tiers", {}).values() for size in tier]  # noqa: E731
    assert shown(page) == names(models, lambda one: one["creator"] == "Sourceful" and "1512x648" in listed(one))
    filters.get_by_label("Makes exactly").fill("")
    filters.get_by_label("Highest price").fill("0.021")
    cheap = names(
        models,
        lambda one: (
            one["creator"] == "Sourceful"
            and one["pricing"]["confidence"] != "unknown"
            and float(re.search(r"[\d.]+", one["pricing"]["summary"])[0]) <= 0.021
        ),
    )
    assert shown(page) == cheap != set()
    filters.get_by_label("Highest price").fill("")
    filters.get_by_label("Creator").select_option("")
    filters.get_by_label("Takes a mask").check()
    assert shown(page) == names(models, lambda one: "inpainting" in one["capabilities"])
    # The address is the list: it can be sent to somebody.
    page.reload()
    assert shown(page) == names(models, lambda one: "inpainting" in one["capabilities"])
    filters.get_by_label("Takes a mask").uncheck()
    filters.get_by_label("Search").fill("no such model at all")
    expect(page.get_by_text("No model fits all of this")).to_be_visible()
    filters.get_by_label("Search").fill("riverflow pro")
    filters.get_by_label("Show as a table").check()
    rows = page.get_by_role("region", name="Models").get_by_role("row")
    expect(rows).to_have_count(
        1 + len([one for one in models if "riverflow" in one["name"].lower() and "pro" in one["name"].lower()])
    )


def test_the_page_of_a_model_shows_its_names_sizes_price_fields_and_code_that_works(open_gateway, visit):
    model = open_gateway.client.get("/models/riverflow-1").json()
    schema = open_gateway.client.get("/models/riverflow-1?schema=true").json()
    page = visit(open_gateway.origin).open("/models/sourceful:1@1")
    expect(page.get_by_role("heading", level=1)).to_have_text("Riverflow 1.1")
    about = page.get_by_role("region", name="About")
    for name in model["aliases"]:
        expect(about.get_by_text(name, exact=True)).to_be_visible()
    expect(about.get_by_text("$0.039", exact=True)).to_be_visible()
    sizes = page.get_by_role("region", name="Sizes")
    expect(sizes.get_by_role("listitem")).to_have_count(sum(len(tier) for tier in model["sizes"]["tiers"].values()))
    fields = page.get_by_role("region", name="Fields").first
    size = fields.get_by_role("row").filter(has=page.get_by_role("rowheader", name="size", exact=True))
    expect(size).to_contain_text("honored")
    fields.get_by_text("fields that this model has no use for").click()
    told = set(fields.locator("th[scope=row] code").all_inner_texts())
    assert told == {name for name, field in schema["properties"].items() if "x-same-as" not in field}
    code = page.get_by_role("region", name="curl").inner_text()
    body = json.loads(re.search(r"-d '(.*)'", code)[1])
    assert f"{open_gateway.origin}/v1/images/generations" in code
    answer = open_gateway.client.post("/images/generations", json=body)
    assert (answer.status_code, answer.json()["metadata"]["model"]) == (200, "riverflow-1")


@pytest.mark.parametrize("name", ["real-esrgan", "flux.1-kontext-pro"])
def test_the_code_for_a_model_names_a_prompt_where_it_has_one(open_gateway, visit, name):
    schema = open_gateway.client.get(f"/models/{name}?schema=true").json()
    has_prompt = schema["properties"]["prompt"]["x-spillway-mode"] not in {"dropped", "refused"}
    page = visit(open_gateway.origin).open(f"/models/{name}")
    shown = page.get_by_role("region", name="curl").inner_text()
    assert ("prompt" in shown) is has_prompt


@pytest.mark.parametrize("kind", ["model", "request"])
def test_an_address_that_is_escaped_wrongly_names_nothing(open_gateway, visit, kind):
    page = visit(open_gateway.origin, expected=("404",)).page
    page.goto(f"{open_gateway.origin}/{kind}s/%E0%A4%A")
    expect(page.get_by_role("alert")).to_contain_text(re.compile(f"{kind}", re.IGNORECASE))


def test_a_model_that_is_not_there_is_said_not_to_be(open_gateway, visit):
    page = visit(open_gateway.origin, expected=("404",)).page
    page.goto(f"{open_gateway.origin}/models/no-such-model")
    expect(page.get_by_role("alert")).to_contain_text("no-such-model does not exist")

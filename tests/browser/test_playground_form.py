"""What stands in the form of the playground is what is bought: the model that is typed, and numbers that are some."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.playground import enter, new_prompt


def test_what_is_typed_as_the_model_is_what_is_bought_from(open_gateway, simulator, visit):
    prompt = new_prompt()
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-schnell&size=512x512")
    ground.field("Prompt").fill(prompt)
    model = reader.page.get_by_role("combobox", name="Model")
    model.fill("riverflow")
    model.press("Control+Enter")
    # A search names no model: nothing is bought from the one that was chosen before.
    expect(model).to_have_accessible_description(re.compile("No model is called “riverflow”"))
    expect(reader.page.get_by_role("article")).to_have_count(0)
    model.fill("riverflow-1-mini")
    model.press("Control+Enter")
    expect(ground.images).to_have_count(1)
    link = reader.page.get_by_role("article").get_by_role("link", name="Request").get_attribute("href")
    record = open_gateway.client.get(f"/requests/{link.rpartition('/')[2]}").json()
    assert (record["model"], simulator.asked(prompt)) == ("riverflow-1-mini", 1)
    # An AIR id that the list does not know stays when the field is left.
    model.fill("civitai:133005@782002")
    model.press("Tab")
    expect(model).to_have_value("civitai:133005@782002")
    expect(reader.page).to_have_url(re.compile("civitai"))


def test_a_price_that_is_known_for_one_size_says_for_which(open_gateway, visit):
    models = open_gateway.client.get("/models").json()["data"]
    model = next(one for one in models if len(one["pricing"].get("per_size", {})) == 1)
    (size,) = model["pricing"]["per_size"]
    _, reader = enter(visit, open_gateway.origin, f"?model={model['id']}")
    expect(reader.page.get_by_text(f"{model['pricing']['summary']} an image at {size}", exact=True)).to_be_visible()


@pytest.mark.parametrize("name", ["Number of images", "Seed"])
def test_what_is_no_number_is_refused_at_its_field(open_gateway, visit, name):
    ground, reader = enter(visit, open_gateway.origin, "?model=flux.1-schnell&size=512x512")
    ground.field("Prompt").fill(new_prompt())
    ground.field(name).clear()
    ground.field(name).press_sequentially("4e")
    ground.generate()
    expect(ground.field(name)).to_be_focused()
    expect(ground.field(name)).to_have_accessible_description(re.compile("This is no number"))
    expect(reader.page.get_by_role("article")).to_have_count(0)

"""Every field on every model, through the gateway to the simulator: what the published mode says is what is sent."""

import json
import uuid
from collections.abc import Iterator

import httpx2
import pytest

from app.catalog.loader import load_catalog
from app.catalog.model import CatalogModel, FixedSizes, GridSizes
from app.catalog.modes import Mode
from app.openai_api.model_schema import describe_model
from app.settings.load import Settings
from tests.support.images import data_uri, encode, photo

pytestmark = pytest.mark.slow
MODELS = load_catalog(Settings().models.catalog_dir).models
IMAGE = data_uri(encode(photo(320, 320)))
MASK = data_uri(encode(photo(320, 320).convert("L")))
PROMPT = "[sim:plain][sim:slow=0] a harbor"
PLATFORM = {"uploadEndpoint": "http://127.0.0.1:9/a", "safety": {"checkContent": True, "mode": "fast"}}
PROTECTED = {
    "taskType": "caption", "taskUUID": str(uuid.uuid4()), "includeCost": False,
}  # fmt: skip
RUNWARES = {
    "positivePrompt": "[sim:plain][sim:slow=0] another harbor", "negativePrompt": "fog and rain", "numberResults": 2, "outputType": "URL",
    "outputFormat": "WEBP", "outputQuality": 60, "webhookURL": "http://127.0.0.1:9/nobody-listens",
}  # fmt: skip
"""A value of each word of Runware's that is another name of one here; the same value means the same under both."""
SAME = {**RUNWARES, "outputType": "url", "outputFormat": "webp"}
VALUES = {
    "prompt": "[sim:plain][sim:slow=0] another harbor", "response_format": "url", "output_format": "webp", "output_compression": 60, "stream": False,
    "background": "transparent", "style": "vivid", "quality": "high", "moderation": "low", "input_fidelity": "high", "complexity": "low",
    "frame_count": 2, "frame_duration_ms": 50, "partial_images": 1, "svg": {"a": 1}, "user": "u", "safety_identifier": "s", "seed": 7,
    "negative_prompt": "fog and rain", "guidance_scale": 4, "num_inference_steps": 20, "scale_factor": 2, "n": 2, "aspect_ratio": "3:2",
    "resolution": "1K", "mask": MASK, "markup": IMAGE, "image": IMAGE, "image_url": IMAGE, "images": [IMAGE], "reference_images": [IMAGE],
    "webhook_url": "http://127.0.0.1:9/nobody-listens", "ttl": 120,
}  # fmt: skip


def base_request(model: CatalogModel) -> dict:
    """The least a model needs."""
    body: dict = {"model": model.id, "prompt": PROMPT}
    if model.modes[0] is Mode.EDIT:
        body["image_url"] = IMAGE
    if model.images is not None and model.images.mask_required:
        body["mask"] = MASK
    if "outpaint" in model.required:
        body["outpaint"] = {"left": 64}
    if model.prompt.use == "none":
        del body["prompt"]
    return body


def own_size(model: CatalogModel) -> str:
    """A size the model makes, other than its usual one."""
    if isinstance(model.sizes, FixedSizes):
        width, height = [size for sizes in model.sizes.tiers.values() for size in sizes][-1]
        return f"{width}x{height}"
    if isinstance(model.sizes, GridSizes) and model.sizes.max_pixels:
        return "2048x2048"
    return "768x1024"


def sample(model: CatalogModel, name: str, schema: dict) -> object:
    """A legal value for a field."""
    if name in PROTECTED and schema["x-spillway-mode"] == "protected":
        return PROTECTED[name]
    if name in {"size", "fit"}:
        return own_size(model)
    if name == "inputs":
        return {"someMember": 1}
    if (
        name in {"quality", "style"}
        and schema.get("x-native")
        and VALUES[name] not in {*schema["x-native"], *schema["x-nearest"]}
    ):
        return schema["x-native"][0]
    if name in VALUES or name in PLATFORM:
        return {**VALUES, **PLATFORM}[name]
    return from_schema(schema)


def from_schema(schema: dict) -> object:
    """A value that a field of the schema takes."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema["type"][0] if isinstance(schema["type"], list) else schema["type"]
    if kind == "object":
        known = schema.get("properties", {})
        names = schema.get("required") or [name for name in known if "Step" not in name][:1]
        return {name: from_schema(known[name]) for name in names} or {"someMember": 1}
    if kind == "array":
        return [from_schema(schema.get("items", {"type": "object"})) for _ in range(schema.get("minItems", 1) or 1)]
    number = schema.get("minimum", schema.get("maximum", 3))
    return {"integer": number, "number": number, "boolean": True, "string": "some text"}[kind]


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every value of a task with its path."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, json.dumps(value)


def without_id(task: dict) -> dict:
    """A task as it may be compared with another."""
    return {name: value for name, value in task.items() if name != "taskUUID"}


def difference(before: dict, after: dict) -> set[str]:
    """The paths at which two tasks differ, their ids aside."""
    changed = dict(leaves(before)).items() ^ dict(leaves(after)).items()
    return {path for path, _ in changed} - {"taskUUID"}


class Cells:
    """Sends requests for one model and looks at what came of them."""

    def __init__(self, gateway, model: CatalogModel) -> None:
        self.gateway, self.model = gateway, model
        self.path = "/images/generations" if model.modes[0] is Mode.GENERATE else "/images/edits"
        self.properties = describe_model(model)["properties"]
        self.base = self.send({})[1][0]

    def send(self, extra: dict, without: str = "") -> tuple[httpx2.Response, list[dict]]:
        """The answer, and the tasks as the simulator took them."""
        base = base_request(self.model)
        base.pop(without, None)
        if extra.keys() & {"image", "images", "reference_images"}:
            base.pop("image_url", None)
        body = base | extra
        response = self.gateway.client.post(self.path, json=body)
        return response, self.gateway.sent(response) if response.status_code == 200 else []

    def check_synonym(self, name: str, own: str) -> None:
        """Runware's word makes the very task that the word it stands for makes."""
        if name in {"width", "height"}:
            width, height = own_size(self.model).split("x")
            native, ours = {"width": int(width), "height": int(height)}, {own: own_size(self.model)}
        else:
            native, ours = {name: RUNWARES[name]}, {own: SAME[name]}
        if own == "output_compression":
            native["outputFormat"], ours["output_format"] = "WEBP", "webp"
        (theirs, made), (response, tasks) = self.send(native, without=own), self.send(ours)
        assert theirs.status_code == response.status_code, theirs.text
        assert [without_id(task) for task in made] == [without_id(task) for task in tasks]

    def check(self, name: str) -> None:
        """One cell: the field is sent, and what happens is what its mode says."""
        schema = self.properties[name]
        if "x-same-as" in schema:
            self.check_synonym(name, schema["x-same-as"])
            return
        if name == "deliveryMethod":
            assert difference(self.base, self.send({name: "sync"})[1][0]) == set()
            return
        mode, value = schema["x-spillway-mode"], sample(self.model, name, schema)
        response, tasks = self.send(self.extra(name, value))
        if mode == "refused":
            assert response.status_code == 400, response.text
            return
        assert response.status_code == 200, response.text
        fates = {one["param"]: one["mode"] for one in response.json()["metadata"]["adjustments"]}
        changed = difference(self.base, tasks[0])
        if mode in {"dropped", "protected"}:
            assert (fates.get(name), changed - self.side_effects(name)) == ("dropped", set())
        elif mode == "recorded":
            assert (name in fates, changed) == (False, set())
        elif mode == "passed":
            assert changed, "it did not arrive"
            assert all(path.split(".")[0] == name for path in changed), changed
            assert set(leaves({name: value})) <= set(leaves(tasks[0]))
        else:
            self.check_kept(name, value, mode, response, tasks, fates)

    def check_kept(self, name, value, mode, response, tasks, fates) -> None:
        """A field that has its effect: in the task, in the answer, or by our own hand."""
        schema, changed = self.properties[name], difference(self.base, tasks[0])
        assert fates.get(name) != "dropped"
        if "x-runware-field" in schema:
            field = schema["x-runware-field"]
            assert changed <= {field} | self.side_effects(name), changed
            assert field in dict(leaves(tasks[0])) or changed == set()
        if name == "n":
            images = sum(task.get("numberResults", 1) for task in tasks)
            assert (len(response.json()["data"]), images >= 2) == (2, True)
        if name == "size":
            assert f"{tasks[0]['width']}x{tasks[0]['height']}" == value or fates
        if mode == "emulated" and name in {"mask", "markup"}:
            assert fates[name] == "emulated"
        if name == "output_format":
            assert response.json()["output_format"] == ("svg" if "SVG" in self.model.formats else value)
        if name == "fit":
            assert "size" in response.json()
        if name == "ttl":
            # Of Runware's own link it is Runware's to know; of ours the answer says when it ends.
            assert {"ttl": json.dumps(value)}.items() <= dict(leaves(tasks[0])).items() or changed == set()
            assert all(
                0 < image["expires_at"] - response.json()["created"] <= value + 60 for image in response.json()["data"]
            )
        if name == "webhook_url":
            record = self.gateway.client.get(f"/requests/{response.json()['id']}").json()
            assert record["webhook"]["url"] == value

    def extra(self, name: str, value: object) -> dict:
        """The field and what it cannot be without."""
        extra = {name: value}
        if name == "fit":
            extra = {"fit": "cover", "size": "333x222"}
        if name == "output_compression":
            extra["output_format"] = "webp"
        scales = name == "scale_factor" and self.properties[name]["x-spillway-mode"] == "emulated"
        if (scales or name in {"mask", "markup"}) and self.model.images is not None:
            extra["image_url"] = IMAGE
        return extra

    def side_effects(self, name: str) -> set[str]:
        """Paths that may differ for another reason than the field itself."""
        if name == "output_compression":
            return {"outputFormat"}
        return {"outputFormat"} if name == "background" else set()


@pytest.fixture(scope="module")
def calling(start_shared_gateway):
    """A gateway that takes webhooks of this machine."""
    return start_shared_gateway(SPILLWAY_ALLOW_PRIVATE_WEBHOOKS="true")


@pytest.mark.parametrize("model", MODELS, ids=[model.air for model in MODELS])
def test_every_field_on_this_model_is_decided_and_sent_as_published(calling, model):
    cells = Cells(calling, model)
    faults = []
    for name in cells.properties.keys() - {"model"}:  # which every request of this test names
        try:
            cells.check(name)
        except (AssertionError, KeyError) as error:
            faults.append(f"{model.id} x {name}: {error}")
    assert not faults, "\n".join(faults)

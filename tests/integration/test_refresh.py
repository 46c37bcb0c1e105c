"""`spillway models refresh` against a local server that speaks Runware's schema services."""

import asyncio
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.catalog.loader import load_catalog
from app.catalog.modes import Mode
from app.catalog.published import RefreshError, Sources
from app.catalog.update import refresh as update
from app.cli.refresh import price_example
from app.settings.load import Settings

CATALOG = """\
# A comment that stays.
creator: Acme
models:
  - id: acme-one
    air: acme:1@1
    name: Acme One
    aliases: [one, my-own-name]  # made by hand
    modes: [generate]
    sizes: {kind: range, min_side: 128, max_side: 1024, step: 64}
    words: {seed: seed}
    required: [positivePrompt, width, height]
    optional: [seed, steps, special]
    limits: {steps: {minimum: 1, maximum: 30}, special: {type: string}}

  - id: acme-gone
    air: acme:2@1
    name: Acme Gone
    modes: [generate]
    sizes: {kind: unpublished}
    required: [positivePrompt]
    optional: []
"""


def inference(**properties: object) -> dict:
    """A request schema as the service resolves it."""
    common = {
        "taskType": {"const": "imageInference"},
        "taskUUID": {"type": "string"},
        "model": {"type": "string"},
        "positivePrompt": {"type": "string", "minLength": 2, "maxLength": 900},
        "outputFormat": {"type": "string", "enum": ["JPG", "PNG", "WEBP"]},
        "numberResults": {"type": "integer", "minimum": 1, "maximum": 4},
    }
    return {
        "type": "object",
        "properties": common | properties,
        "required": ["taskType", "taskUUID", "model", "positivePrompt"],
    }


ONE = inference(
    width={"type": "integer", "minimum": 256, "maximum": 2048, "multipleOf": 16},
    height={"type": "integer", "minimum": 256, "maximum": 2048, "multipleOf": 16},
    seed={"type": "integer", "minimum": 0, "maximum": 100},
    steps={"type": "integer", "minimum": 1, "maximum": 50},
    scheduler={"type": "string", "enum": ["A", "B"]},
    hiresFix={"oneOf": [{"const": True}, {"type": "object", "properties": {"steps": {"type": "integer"}}, "required": ["steps"]}]},
)  # fmt: skip
PAIRS = [
    {"properties": {"width": {"const": w}, "height": {"const": h}}}
    for w, h in [(1024, 1024), (1280, 720), (2048, 2048)]
]
NEW = inference(
    width={"type": "integer"}, height={"type": "integer"},
    inputs={"type": "object", "properties": {"referenceImages": {"type": "array", "minItems": 0, "maxItems": 3}}},
) | {"oneOf": PAIRS}  # fmt: skip
TOOL = {
    "type": "object",
    "properties": {
        "taskType": {"const": "upscale"},
        "outputFormat": {"enum": ["JPG", "PNG", "WEBP"]},
        "upscaleFactor": {"enum": [2, 4]},
        "inputs": {"type": "object", "properties": {"image": {"type": "string"}}},
    },
    "required": ["inputs"],
}
VIDEO = inference(outputFormat={"enum": ["MP4"]})


LIST = "/content/models?category=image&limit=100&offset={}&paginate=true"
LISTED = [
    {"model": "acme-one-docs", "air": "acme:1@1", "name": "Acme One.5", "headline": "One of a kind.", "releasedAt": "2026-01-02T00:00:00Z", "status": "live"},
    {"model": "acme-old", "air": "acme:2@1", "name": "Acme Gone", "status": "deprecated", "replacedBy": "acme-one-docs"},
    {"model": "acme-three", "air": "acme:3@1", "name": "Acme Three", "status": "api_only", "replacedBy": {"air": "acme:1@1"}},
]  # fmt: skip
CONTENT = {
    LIST.format(0): {"data": LISTED, "total": 3},
    "/content/models/acme:1@1/pricing": {
        "pricingOverview": "Billed by megapixel.",
        "pricingRates": [
            {"amount": 0.07, "unit": "outputMegapixel", "label": "First megapixel out"},
            {"amount": 0.03, "unit": "outputMegapixel", "label": "Megapixel out", "after": 1},
        ],
        "pricingExamples": [
            {"configuration": "1024x1024", "price": 0.07},
            {"configuration": "1536x1024", "price": 0.1, "latencyMs": 900},
            {"configuration": "1920\u00d71080", "price": "0.13"},
            {"configuration": "a surprise", "price": None},
        ],
    },
    "/content/models/acme:3@1/pricing": {
        "pricingRates": [{"amount": 0.02, "unit": "output", "label": "1K"}, {"amount": 0.04, "unit": "output", "label": "2K"}],
        "pricingExamples": [{"configuration": "2048x2048", "price": 0.04}, {"configuration": "1280x720 · 2 references", "price": 0.02}],
    },
}  # fmt: skip


class Services:
    """The schema services, on loopback; `pages` may be changed between calls."""

    def __init__(self) -> None:
        registry = {
            "version": "20261101000000",
            "models": {
                "acme:1@1": {"taskType": "imageInference", "id": "acme-one-docs"},
                "acme:3@1": {"taskType": "imageInference", "id": "acme-three"},
                "acme:up@1": {"taskType": "upscale", "id": "acme-up"},
                "acme:film@1": {"taskType": "upscale", "id": "acme-film"},
                "acme:talk@1": {"taskType": "textInference", "id": "acme-talk"},
                "acme:lost@1": {"taskType": "imageInference", "id": "acme-lost"},
            },
        }
        info = {"x-status": "live", "x-creator": "Bolt & Co", "x-capabilities": ["text-to-image", "image-to-image"]}
        info |= {
            "title": "Acme Three",
            "x-released-at": "2026-10-30T00:00:00Z",
            "x-pricing": {"overview": "$0.02 per image"},
        }
        self.pages: dict[str, object] = {
            "/registry.json": registry,
            "/resolve/acme:1@1": {"requestSchema": ONE},
            "/resolve/acme:3@1": {"requestSchema": {"type": "array", "items": NEW}},
            "/resolve/acme:up@1": {"requestSchema": TOOL},
            "/resolve/acme:film@1": {"requestSchema": VIDEO},
            "/docs/models/acme-three/schema.json": {"openapi": "3.1.0", "info": info},
            **CONTENT,
        }
        self.asked: list[str] = []
        services = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                services.asked.append(self.path)
                etag = '"v1"'
                page = services.pages.get(self.path)
                status = 404 if page is None else 200
                if self.path == "/registry.json" and self.headers.get("If-None-Match") == etag and status == 200:
                    status = 304
                if isinstance(page, int):
                    status, page = page, None
                body = page if isinstance(page, bytes) else json.dumps(page).encode()
                self.send_response(status)
                self.send_header("ETag", etag)
                self.send_header("Content-Length", str(0 if status == 304 else len(body)))
                self.end_headers()
                if status != 304:
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def services():
    running = Services()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "models"
    made.mkdir()
    (made / "acme.yaml").write_text(CATALOG)
    (made / "_fields.yaml").write_text((Settings().models.catalog_dir / "_fields.yaml").read_text())
    return made


def refresh(services: Services, folder: Path, *more: str) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "app",
        "models",
        "refresh",
        "--catalog",
        str(folder),
        "--schemas-url",
        services.url,
    ]
    return subprocess.run(
        [*command, "--docs-url", f"{services.url}/docs", "--content-url", f"{services.url}/content", *more], capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


def bring_up(services: Services, folder: Path) -> str:
    """A refresh without a process of its own; its notes."""
    sources = Sources(services.url, f"{services.url}/docs", f"{services.url}/content")
    return "\n".join(asyncio.run(update(folder, sources, price_example, write=True)).notes)


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_a_refresh_brings_in_what_is_published_and_shows_the_difference(services, folder):
    done = refresh(services, folder)
    assert done.returncode == 0, done.stderr
    assert "+    limits: {steps: {minimum: 1, maximum: 50}, special: {type: string}" in done.stdout
    assert "acme:lost@1 is registered but has no schema" in done.stderr
    registry = load_catalog(folder)
    one = registry.find_model("my-own-name")
    assert (one.id, one.aliases, one.max_results) == ("acme-one", ("one", "my-own-name"), 4)
    assert (one.sizes.min_side, one.sizes.max_side, one.sizes.step) == (256, 2048, 16)
    assert (one.prompt.min_chars, one.prompt.max_chars) == (2, 900)
    assert set(one.optional) == {"width", "height", "seed", "steps", "scheduler", "hiresFix", "special"}
    members = one.fields.members
    assert (members["steps"].maximum, members["seed"].maximum) == (50, 100)
    assert members["scheduler"].values == ("A", "B")
    assert (members["hiresFix"].type, members["hiresFix"].required) == ("true_or_object", ("steps",))
    assert registry.find_model("acme-gone").id == "acme-gone"
    assert "# A comment that stays." in (folder / "acme.yaml").read_text()
    assert "# made by hand" in (folder / "acme.yaml").read_text()


def test_a_new_model_gets_an_entry_of_its_own(services, folder):
    bring_up(services, folder)
    registry = load_catalog(folder)
    three = registry.find_model("acme-three")
    assert (three.name, three.creator, three.released) == ("Acme Three", "Bolt & Co", "2026-10-30")
    assert three.sizes.tiers == {"1K": ((1280, 720), (1024, 1024)), "2K": ((2048, 2048),)}
    assert (three.modes, three.images.maximum) == ((Mode.GENERATE, Mode.EDIT), 3)
    assert {tier: str(amount) for tier, amount in three.pricing.per_tier.items()} == {"1K": "0.02", "2K": "0.04"}
    tool = registry.find_model("acme:up@1")
    assert (tool.task, tool.prompt.use, tool.images.slot, tool.parameters.scale_factor) == (
        "upscale",
        "none",
        "image",
        "upscaleFactor",
    )
    assert [model.air for model in registry.models if "film" in model.air or "talk" in model.air] == []


def test_names_dates_status_and_successors_are_those_of_the_list(services, folder):
    bring_up(services, folder)
    registry = load_catalog(folder)
    one, gone, three = (registry.find_model(name) for name in ("acme-one", "acme-gone", "acme-three"))
    assert (one.name, one.released, one.description) == ("Acme One.5", "2026-01-02", "One of a kind.")
    assert (one.status, one.replaced_by, one.unlisted) == ("live", None, False)
    assert (gone.status, gone.replaced_by, gone.unlisted) == ("deprecated", "acme:1@1", False)
    assert (three.status, three.replaced_by) == ("api-only", "acme:1@1")
    assert not gone.recommendable


def test_a_model_that_no_list_names_is_marked_and_one_that_is_back_is_not(services, folder):
    services.pages[LIST.format(0)] = {"data": LISTED[:1]}
    bring_up(services, folder)
    assert (
        load_catalog(folder).find_model("acme-gone").unlisted,
        load_catalog(folder).find_model("acme-one").unlisted,
    ) == (
        True,
        False,
    )
    services.pages["/registry.json"]["models"]["acme:2@1"] = {"taskType": "imageInference", "id": "acme-old"}
    (folder / ".refresh.json").unlink()
    bring_up(services, folder)
    assert not load_catalog(folder).find_model("acme-gone").unlisted


def test_the_list_is_read_page_by_page_in_any_wrapping(services, folder):
    many = [{"air": f"bulk:{number}@1", "name": f"Bulk {number}"} for number in range(100)]
    services.pages[LIST.format(0)] = many
    services.pages[LIST.format(100)] = {"items": LISTED}
    bring_up(services, folder)
    assert load_catalog(folder).find_model("acme-one").name == "Acme One.5"


def test_published_rates_become_prices_when_they_make_the_examples_of_the_page(services, folder):
    notes = bring_up(services, folder)
    pricing = load_catalog(folder).find_model("acme-one").pricing
    assert (str(pricing.first_megapixel), str(pricing.further_megapixel)) == ("0.07", "0.03")
    assert pricing.note == "Billed by megapixel."
    assert "examples" not in notes


def test_rates_that_do_not_make_their_own_examples_are_told_and_not_taken(services, folder):
    page = services.pages["/content/models/acme:1@1/pricing"]
    services.pages["/content/models/acme:1@1/pricing"] = page | {
        "pricingExamples": [{"configuration": "1536x1024", "price": 0.14}]
    }
    notes = bring_up(services, folder)
    assert (
        "acme:1@1: its published rates do not make its own examples: 1536x1024 costs 0.14, and would be 0.1." in notes
    )
    assert load_catalog(folder).find_model("acme-one").pricing is None


def test_rates_that_fit_no_kind_of_price_are_told_and_not_guessed(services, folder):
    services.pages["/content/models/acme:1@1/pricing"] = {
        "pricingRates": [{"amount": 1, "unit": "moonPhase", "label": "full"}, {"amount": 0.02, "unit": "output"}]
    }
    notes = bring_up(services, folder)
    assert "acme:1@1: the rates 1 per moonPhase (full) fit no kind of price" in notes
    assert load_catalog(folder).find_model("acme-one").pricing is None


def test_a_published_price_replaces_what_others_saw(services, folder):
    text = CATALOG.replace(
        "    words: {seed: seed}\n",
        "    words: {seed: seed}\n"
        '    pricing: {per_image: "0.2", per_reference_megapixel: "0.01", third_party: [per_image, per_reference_megapixel], seen: "2026"}\n',
    )
    (folder / "acme.yaml").write_text(text)
    bring_up(services, folder)
    pricing = load_catalog(folder).find_model("acme-one").pricing
    assert (pricing.per_image, str(pricing.first_megapixel)) == (None, "0.07")
    assert (pricing.third_party, str(pricing.per_reference_megapixel)) == (("per_reference_megapixel",), "0.01")


def test_a_second_refresh_asks_for_no_schema_and_changes_nothing(services, folder):
    bring_up(services, folder)
    before, services.asked = contents(folder), []
    done = refresh(services, folder)
    assert (done.returncode, "The catalog is current." in done.stdout) == (0, True)
    assert {path for path in services.asked if not path.startswith("/content/")} == {"/registry.json"}
    assert contents(folder) == before


def test_the_same_schemas_again_change_nothing(services, folder):
    bring_up(services, folder)
    (folder / ".refresh.json").unlink()
    before = contents(folder)
    done = refresh(services, folder)
    assert "The catalog is current." in done.stdout, done.stdout
    assert {name: text for name, text in contents(folder).items() if name != ".refresh.json"} == before


def test_a_dry_run_shows_the_difference_and_writes_nothing(services, folder):
    before = contents(folder)
    done = refresh(services, folder, "--dry-run")
    assert "+  - id: acme-three" in done.stdout
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/registry.json", 503), ("/registry.json", b"<html>"), ("/registry.json", {"models": {}}), ("/resolve/acme:3@1", 500),
        ("/resolve/acme:1@1", b"[]"), ("/docs/models/acme-three/schema.json", 502), (LIST.format(0), 500), (LIST.format(0), b"<html>"),
        ("/content/models/acme:1@1/pricing", 503),
    ],
    ids=str,
)  # fmt: skip
def test_a_failing_service_is_told_and_leaves_the_catalog_as_it_was(services, folder, path, page):
    services.pages[path] = page
    before = contents(folder)
    with pytest.raises(RefreshError, match="unchanged"):
        bring_up(services, folder)
    assert contents(folder) == before


def test_the_command_tells_a_fault_in_one_sentence_and_with_exit_code_1(services, folder):
    services.pages["/registry.json"] = 503
    done = refresh(services, folder)
    assert (done.returncode, "unchanged" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_a_service_that_cannot_be_reached_is_told(services, folder):
    before = contents(folder)
    services.server.shutdown()
    services.server.server_close()
    with pytest.raises(RefreshError, match="cannot be reached"):
        bring_up(services, folder)
    assert contents(folder) == before


def test_what_would_make_an_invalid_catalog_is_not_written(services, folder):
    services.pages["/resolve/acme:1@1"] = {
        "requestSchema": inference(width={"type": "integer", "minimum": 900, "maximum": 100})
    }
    before = contents(folder)
    with pytest.raises(RefreshError, match="nothing was changed"):
        bring_up(services, folder)
    assert contents(folder) == before

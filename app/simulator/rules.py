"""What the simulated service knows of each model: its own data, apart from the gateway's catalog."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("models.json")
JSONObject = dict[str, Any]  # wire JSON, validated field by field


@dataclass(frozen=True, slots=True)
class ModelRules:
    """The rules of one model. `fields` is None where no list was ever published: then any field passes."""

    air: str
    task: str
    fields: Mapping[str, object] | None
    required: tuple[str, ...]
    dimensions: JSONObject
    prompt: tuple[int | None, int | None]
    images: JSONObject
    limits: JSONObject
    max_results: int
    results_multiple: int
    formats: tuple[str, ...]
    ranges: JSONObject
    seed_range: tuple[int, int]
    returns_seed: bool
    price: JSONObject


@cache
def load_rules() -> Mapping[str, ModelRules]:
    """All models and tools by AIR id."""
    document = json.loads(_FILE.read_text(encoding="utf-8"), parse_float=Decimal)
    return {air: _to_rules(air, entry, document["enums"]) for air, entry in document["models"].items()}


@cache
def all_fields() -> frozenset[str]:
    """Every field that some model takes."""
    return frozenset(name for rules in load_rules().values() for name in rules.fields or ())


def rules_for(air: str) -> ModelRules | None:
    """The rules of a model; community models share one set; None for an id nobody has."""
    listed = load_rules().get(air)
    if listed is not None or not air.startswith("civitai:"):
        return listed
    # Community models have no page of their own; one set of rules stands for all.
    return _to_rules(air, {"dimensions": {"kind": "range", "min": 128, "max": 2048, "step": 64}}, {})


def _to_rules(air: str, entry: JSONObject, enums: JSONObject) -> ModelRules:
    fields = entry.get("fields")
    if fields is not None:
        fields = {
            name: enums[kind[1:]] if isinstance(kind, str) and kind.startswith("$") else kind
            for name, kind in fields.items()
        }
    seed = entry.get("seed", {})
    low, high = seed.get("range") or (0, 2**63 - 1)
    results = entry.get("results", {})
    return ModelRules(
        air=air,
        task=entry.get("task", "imageInference"),
        fields=fields,
        required=tuple(entry.get("required", ("positivePrompt",))),
        dimensions=entry["dimensions"],
        prompt=tuple(entry.get("prompt", (None, None))),
        images=entry.get("images", {}),
        limits=entry.get("limits", {}),
        max_results=results.get("max", 20),
        results_multiple=results.get("multiple_of", 1),
        formats=tuple(entry.get("formats") or ("JPG", "PNG", "WEBP")),
        ranges=entry.get("ranges", {}),
        seed_range=(int(low), int(high)),
        # Some models never say which seed they took.
        returns_seed=seed.get("returned") is not False and air != "openai:gpt-image@2",
        price=entry.get("price") or {},
    )

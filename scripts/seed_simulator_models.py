"""Writes app/simulator/models.json, the simulator's own rules, from two fact files.

Usage: python scripts/seed_simulator_models.py MODELS.json TYPED_FIELDS.json

The first lists image models with their limits, the second each model's exact field names and types as published in
Runware's generated client. Deliberately apart from the catalog: a wrong field name must not cancel itself out.
"""

import ast
import json
import re
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "app" / "simulator" / "models.json"
SRPO = "runware:111@1"
SRPO_DOCUMENTED = {
    "acePlusPlus": "object",
    "layerDiffuse": "boolean",
    "puLID": "object",
    "promptWeighting": ["compel", "sdEmbeds"],
}
"""Fields of the printed documentation that the typed list lacks."""
SHARED_ENUM = 20
TOOLS = ("upscale", "removeBackground", "vectorize")


def to_type(text: str) -> str | list[object]:
    """A field's type: `integer`, `number`, `string`, `boolean`, `object`, `array`, `any`, or its allowed values."""
    inner = re.sub(r"^NotRequired\[(.*)\]$", r"\1", text)
    if inner.startswith("Literal[") and "|" not in inner:
        return list(ast.literal_eval(inner.removeprefix("Literal")))
    plain = {"int": "integer", "float": "number", "str": "string", "bool": "boolean"}
    if inner in plain:
        return plain[inner]
    if inner.startswith("dict"):
        return "object" if "|" not in inner else "any"
    return "array" if inner.startswith("list") and "|" not in inner else "any"


def to_rules(facts: dict, typed: dict | None, enums: dict[str, list]) -> dict:
    """The rules of one model."""
    fields = {name: to_type(text) for name, text in ((typed or {}).get("fields") or {}).items()}
    if facts["air"] == SRPO:
        fields |= SRPO_DOCUMENTED
    if fields and facts["provider_settings"]:
        fields["providerSettings"] = "object"  # on Riverflow 2.0's page, though not in the typed list
    for name, kind in fields.items():
        if isinstance(kind, list) and len(kind) > SHARED_ENUM:
            enums[name] = kind
            fields[name] = f"${name}"
    dimensions = dict(facts["dimensions"])
    if facts["air"] == "google:4@3":
        dimensions["tiers"] = json.loads(json.dumps(dimensions["tiers"]).replace("[792, 168]", "[792, 336]"))
    if facts["air"] == "bfl:2@1":
        dimensions["step"] = 32
    prompt, images = facts["prompt"], facts["input_images"] or {}
    rules = {
        "task": facts["taskType"],
        "name": facts["name"],
        "fields": fields,
        "required": [name for name in facts["required_fields"] or [] if name not in {"taskType", "taskUUID", "model"}],
        "dimensions": dimensions,
        "prompt": [prompt["min_chars"], prompt["max_chars"]],
        "images": {key: value for key, value in images.items() if value is not None},
        "limits": facts["image_limits"],
        "results": {
            "max": 1 if facts["air"] == "bfl:5@1" else (facts["number_results"] or {}).get("max") or 20,
            "multiple_of": (facts["number_results"] or {}).get("multiple_of") or 1,
        },
        "formats": facts["output_formats"],
        "ranges": facts["other_ranges"],
        "seed": {"range": facts["seed"]["range"], "returned": facts["seed"]["returned"]},
        "price": facts["price"],
    }
    return {key: value for key, value in rules.items() if value not in (None, {}, [None, None])}


def to_tool_rules(typed: dict) -> dict:
    """The rules of an upscaler, background remover or vectorizer."""
    fields = {name: to_type(text) for name, text in typed["fields"].items()}
    required = [name for name, text in typed["fields"].items() if not text.startswith("NotRequired")]
    formats = fields["outputFormat"]
    return {
        "task": typed["taskType"],
        "fields": fields,
        "required": [name for name in required if name not in {"taskType", "taskUUID", "model"}],
        "dimensions": {"kind": "unknown"},
        "images": {"field": "inputs.image", "min": 1, "max": 1} if "positivePrompt" not in fields else {},
        "results": {"max": 1},
        "formats": formats,
    }


def main() -> None:
    """Write the file."""
    models = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    typed = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    enums: dict[str, list] = {}
    by_air = {facts["air"]: to_rules(facts, typed.get(facts["air"]), enums) for facts in models}
    for air, entry in typed.items():
        formats = entry["fields"].get("outputFormat", "")
        if entry["taskType"] in TOOLS and ("PNG" in formats or "SVG" in formats):
            by_air[air] = to_tool_rules(entry)
    lines = [f"  {json.dumps(air)}: {json.dumps(rules, ensure_ascii=False)}" for air, rules in sorted(by_air.items())]
    text = '{\n "enums": ' + json.dumps(enums) + ',\n "models": {\n' + ",\n".join(lines) + "\n }\n}\n"
    TARGET.write_text(text, encoding="utf-8")
    print(f"{len(by_air)} models, {len(text) // 1024} KiB")


if __name__ == "__main__":
    main()

"""Writes catalog entries for models that have none yet, from two fact files.

Usage: python -m scripts.seed_catalog MODELS.json TYPED_FIELDS.json

Only what the facts state becomes an entry; an unknown limit stays absent. Entries that exist are never touched: once
written, the YAML is the truth and is edited by hand.
"""

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

import yaml

from app.catalog.loader import FIELDS_FILE, load_catalog
from scripts.field_facts import to_fields
from scripts.tool_facts import creator_of, find_tools, to_tool_entry

FOLDER = Path(__file__).resolve().parent.parent / "config" / "models"
ALIASES = {
    "openai:gpt-image@2": ["gpt-image-2"],
    "openai:gpt-image@2.5-flare": ["gpt-image-2.5-flare"],
    "openai:gpt-image@2.5-sunburst": ["gpt-image-2.5-sunburst"],
    "openai:1@1": ["gpt-image-1"],
    "openai:1@2": ["gpt-image-1-mini"],
    "openai:4@1": ["gpt-image-1.5"],
    "openai:2@2": ["dall-e-2"],
    "openai:2@3": ["dall-e-3"],
}
"""The names applications know them by."""
SLUGS = {
    "sourceful:2@1": ("riverflow-2-standard-preview", ["riverflow-2-standard"]),
    "sourceful:2@2": ("riverflow-2-fast-preview", ["riverflow-2-fast"]),
    "sourceful:2@3": ("riverflow-2-max-preview", ["riverflow-2-max"]),
}
"""Lumenfall's slugs, where it has one."""
CREATOR_PREFIXES = {"Black Forest Labs": "bfl", "Pruna AI": "prunaai", "HiDream.ai": "hidream", "Exactly.ai": "exactly"}
STEPS = {"bfl:2@1": 32}
"""Where no step is published and a safe one was decided."""
WORDS = {
    "seed": "seed",
    "negative_prompt": "negativePrompt",
    "guidance_scale": "CFGScale",
    "num_inference_steps": "steps",
}
MISPRINTS = {"google:4@3": ("792x168", "792x336")}


def to_entry(facts: dict, typed: dict | None, taken: set[str], common: dict) -> dict:
    """The entry of one model, in the order a reader wants it."""
    air = facts["air"]
    fields = (typed or {}).get("fields") or {}
    slug, more = SLUGS.get(air, (facts["slug"] or air, []))
    names = [*more, *ALIASES.get(air, []), *([facts["slug"]] if facts["slug"] else []), *_without_creator(facts)]
    aliases = [name for name in dict.fromkeys(names) if name != slug and name.lower() not in taken]
    taken |= {name.lower() for name in (slug, air, *aliases)}
    entry: dict = {"id": slug, "air": air, "name": facts["name"]}
    if aliases:
        entry["aliases"] = aliases
    if "newest" not in facts["status"] and facts["status"] != "live":
        entry["status"] = "preview" if facts["status"] == "api-only" else "unlisted"
    if facts["released"]:
        entry["released"] = facts["released"]
    entry["modes"] = _modes(facts)
    prompt = _prompt(facts["prompt"])
    if prompt:
        entry["prompt"] = prompt
    entry |= _sizes(facts)
    images = _images(facts)
    if images:
        entry["images"] = images
    results = facts["number_results"] or {}
    entry["max_results"] = results.get("max") or 20
    if (results.get("multiple_of") or 1) > 1:
        entry["results_multiple"] = results["multiple_of"]
    if facts["output_formats"] != ["JPG", "PNG", "WEBP"]:
        entry["formats"] = facts["output_formats"]
    words = {word: field for word, field in WORDS.items() if field in fields}
    if words:
        entry["words"] = words
    pricing = _pricing(facts["price"] or {})
    if pricing:
        entry["pricing"] = pricing
    return entry | to_fields(facts, typed, common)


def _without_creator(facts: dict) -> list[str]:
    slug, creator = facts["slug"], facts["creator"]
    if not slug or not creator:
        return []
    prefix = CREATOR_PREFIXES.get(creator, re.sub(r"[^a-z0-9]+", "-", creator.lower()).strip("-"))
    return [slug.removeprefix(f"{prefix}-")] if slug.startswith(f"{prefix}-") else []


def _modes(facts: dict) -> list[str]:
    capabilities = set(facts["capabilities"] or [])
    images = facts["input_images"] or {}
    modes = ["generate"] if "text-to-image" in capabilities and not images.get("min") else []
    if images or capabilities & {"image-to-image", "edit", "inpainting", "outpainting"}:
        modes.append("edit")
    return modes or ["generate"]


def _prompt(prompt: dict) -> dict:
    limits = {name: prompt[name] for name in ("min_chars", "max_chars") if prompt.get(name)}
    if not prompt["accepted"]:
        return {"use": "none"}
    return limits if prompt["required"] else {"use": "optional", **limits}


def _sizes(facts: dict) -> dict:
    dimensions, use = facts["dimensions"], facts["width_height"] or ""
    kind = dimensions["kind"]
    sizes: dict
    if kind == "fixed" and dimensions["tiers"]:
        tiers = {tier: [f"{w}x{h}" for w, h in listed] for tier, listed in dimensions["tiers"].items()}
        wrong, right = MISPRINTS.get(facts["air"], ("", ""))
        tiers = {tier: [right if size == wrong else size for size in listed] for tier, listed in tiers.items()}
        sizes = {"kind": "fixed", "tiers": tiers}
    elif kind == "range":
        step = dimensions.get("step") or STEPS.get(facts["air"], 1)
        sizes = {"kind": "range", "min_side": dimensions["min"], "max_side": dimensions["max"], "step": step}
    elif kind == "pixel_budget":
        low, high = dimensions["aspect"]
        sizes = {"kind": "budget", "min_pixels": dimensions["min_pixels"], "max_pixels": dimensions["max_pixels"]}
        sizes |= {"min_aspect": low, "max_aspect": high, "max_side": round((dimensions["max_pixels"] * high) ** 0.5)}
    else:
        sizes = {"kind": "automatic" if kind == "auto" else "unpublished"}  # also tables nobody captured
    entry: dict = {"sizes": sizes}
    if kind != "auto" and not use.startswith("required"):
        exclusive = "either referenceImages" in use or "one of referenceImages" in use
        entry["size_use"] = "without_images" if exclusive else "optional"
    if facts["resolution_tiers"]:
        entry["resolutions"] = facts["resolution_tiers"]
    return entry


def _images(facts: dict) -> dict:
    images = facts["input_images"]
    if not images and "edit" not in _modes(facts):
        return {}
    images = images or {}
    slot = str(images.get("field", "")).removeprefix("inputs.")
    if slot not in {"referenceImages", "seedImage"}:
        by_creator = facts["air"].split(":")[0] in {"runware", "civitai"}
        slot = "seedImage" if by_creator else "referenceImages"
    rules: dict = {"slot": slot, "minimum": images.get("min") or 0}
    maximum = 1 if slot == "seedImage" else images.get("max")
    if maximum:
        rules["maximum"] = maximum
    limits = facts["image_limits"] or {}
    rules |= {name: limits[name] for name in ("min_side", "max_side", "max_bytes") if isinstance(limits.get(name), int)}
    if images.get("mask_field"):
        rules["mask"] = True
    if images.get("mask_required"):
        rules["mask_required"] = True
    return rules


def _pricing(price: dict) -> dict:
    pricing: dict = {}
    for source, target in (
        ("per_image", "per_image"),
        ("edit", "per_edit"),
        ("first_mp", "first_megapixel"),
        ("extra_mp", "further_megapixel"),
        ("per_reference_mp", "per_reference_megapixel"),
        ("per_extra_reference", "per_extra_reference"),
    ):
        if source in price:
            pricing[target] = f"{price[source]:.6f}".rstrip("0")
    for source, target in (("tiers", "per_tier"), ("quality", "per_quality"), ("speed", "per_quality")):
        if source in price:
            pricing[target] = {name: f"{value:.6f}".rstrip("0") for name, value in price[source].items()}
    if "text" in price:
        pricing["note"] = price["text"]
    return pricing


def render(creator: str, entries: list[dict]) -> str:
    """The YAML of one creator's models."""
    lines = [f"creator: {_scalar(creator)}", "models:"]
    for entry in entries:
        for index, (name, value) in enumerate(entry.items()):
            lead = "  - " if index == 0 else "    "
            if name == "sizes" and "tiers" in value:
                lines += [f"{lead}sizes:", "      kind: fixed", "      tiers:"]
                lines += [f"        {_scalar(tier)}: [{', '.join(sizes)}]" for tier, sizes in value["tiers"].items()]
            else:
                lines.append(f"{lead}{name}: {_flow(value)}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(name)}: {_flow(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(inner) for inner in value) + "]"
    return _scalar(value)


def _scalar(value: object) -> str:
    if isinstance(value, bool | int | float):
        return str(value).lower()
    text = str(value)
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9 ._/()-]*[A-Za-z0-9)]|[A-Za-z]|\d[\d.]*[KM]P?|\d+x\d+", text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def main() -> None:
    """Write what is missing."""
    models = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    typed = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    present = load_catalog(FOLDER)
    known = {model.air for model in present.models}
    taken = {name.lower() for model in present.models for name in model.names}
    taken |= {facts["slug"] for facts in models if facts["slug"]}
    common = yaml.safe_load((FOLDER / FIELDS_FILE).read_text(encoding="utf-8"))
    by_creator: dict[str, list[dict]] = defaultdict(list)
    for facts in sorted(models, key=lambda facts: facts["air"]):
        if facts["air"] not in known:
            own = taken - {facts["slug"]}
            by_creator[facts["creator"] or "Community"].append(to_entry(facts, typed.get(facts["air"]), own, common))
            taken |= own
    newest = max(entry["seen"][-1] for entry in typed.values())
    for tool in find_tools(typed):
        if tool["air"] not in known:
            by_creator[creator_of(tool)].append(to_tool_entry(tool, common, newest))
    for creator, entries in by_creator.items():
        name = re.sub(r"[^a-z0-9]+", "-", creator.lower()).strip("-")
        path = FOLDER / f"{name}.yaml"
        text = render(creator, entries)
        if path.exists():
            text = path.read_text(encoding="utf-8").rstrip() + "\n\n" + text.split("models:\n", 1)[1]
        path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {len(entries)}")


if __name__ == "__main__":
    main()

"""What Runware's published schemas change in the catalog: entries made anew, and entries updated. Pure.

What a schema states wins over the entry; what it does not state stays, and so do ids, aliases and everything made by
hand. Shapes follow Runware's services: `registry.json`, `resolve/<AIR>` and a model's `schema.json` (OpenAPI 3.1).
"""

import re
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from typing import get_args

from app.catalog.field_rules import FieldRule
from app.catalog.loader import SharedFields
from app.catalog.model import USUAL_FIELDS, OutputFormat, Slot, TaskType
from app.catalog.placing import place
from app.catalog.prices import AMOUNTS
from app.catalog.schema_rules import Facts, mapping, objects, texts, to_rule, values_of

Entry = MutableMapping[str, object]

TASKS = frozenset(get_args(TaskType))
_FORMATS = frozenset(get_args(OutputFormat))
# In this order: references guide any edit, the others take one image only.
_SLOTS = get_args(Slot)
# Fields whose limits have a place of their own in an entry.
_OWN_SECTIONS = frozenset({"positivePrompt", "width", "height", "numberResults"})
_MODES = {
    "generate": {"text-to-image", "text-to-vector"},
    "edit": {"image-to-image", "edit", "image-editing", "inpainting", "outpainting", "upscale", "background-removal"},
}


def request_properties(schema: Facts) -> tuple[Facts, frozenset[str]]:
    """The fields of one task in a request schema and which are required, whatever the schema is wrapped in."""
    if schema.get("type") == "array" or "items" in schema:
        items = schema.get("items")
        return request_properties(items) if isinstance(items, Mapping) else ({}, frozenset())
    properties: dict[str, object] = dict(mapping(schema.get("properties")))
    required = set(texts(schema.get("required")))
    for part in objects(schema.get("allOf")):
        inner, needed = request_properties(part)
        properties = {**inner, **properties}
        required |= needed
    return properties, frozenset(required)


def makes_images(properties: Facts) -> bool:
    """Whether the task's results are images, not videos."""
    return bool(_FORMATS & set(map(str, values_of(mapping(properties.get("outputFormat"))))))


def update_entry(entry: Entry, schema: Facts, info: Facts, task: str, shared: SharedFields) -> None:
    """Write what the schema and the `info` of the model's page state into the entry."""
    properties, required = request_properties(schema)
    on_every_task = set(shared.every_task.get(task, ()))
    own = [name for name in properties if name not in on_every_task]
    described = set(mapping(entry.get("limits"))) & set(texts(entry.get("optional")))
    _set(entry, "required", [name for name in own if name in required])
    optional = [name for name in own if name not in required]
    # Fields that were added by hand, with limits, survive a schema that does not name them.
    kept = [name for name in texts(entry.get("optional")) if name in described and name not in own]
    _set(entry, "optional", [*optional, *kept])
    _update_limits(entry, properties, shared)
    _update_prompt(entry, mapping(properties.get("positivePrompt")))
    _update_sizes(entry, schema, properties)
    _update_images(entry, mapping(mapping(properties.get("inputs")).get("properties")))
    maximum = mapping(properties.get("numberResults")).get("maximum")
    if isinstance(maximum, int):
        _set(entry, "max_results", maximum)
    status = str(info.get("x-status") or "")
    # What is usual is not written down, so that the files stay short.
    if status == "live":
        entry.pop("status", None)
    elif status:
        _set(entry, "status", status)
    if isinstance(info.get("x-released-at"), str):
        _set(entry, "released", str(info["x-released-at"])[:10])
    _update_price_note(entry, mapping(info.get("x-pricing")).get("overview"))


def new_entry(air: str, slug: str, schema: Facts, info: Facts, task: str, shared: SharedFields) -> Entry:
    """The entry of a model the catalog has not."""
    properties, required = request_properties(schema)
    entry: Entry = {"id": slug or air, "air": air, "name": str(info.get("title") or _to_name(slug or air, air))}
    if task != "imageInference":
        entry["task"] = task
    inputs = mapping(mapping(properties.get("inputs")).get("properties"))
    takes_images = "inputs" in properties
    entry["modes"] = _modes_of(info, needs_images="inputs" in required) if takes_images else ["generate"]
    if "positivePrompt" not in properties:
        entry["prompt"] = {"use": "none"}
    elif "positivePrompt" not in required:
        entry["prompt"] = {"use": "optional"}
    # A schema's bounds alone say little: what is not known is not guessed, and Runware judges.
    entry["sizes"] = {"kind": "unpublished" if "width" in properties else "automatic"}
    if "width" not in required:
        entry["size_use"] = "optional"
    if takes_images:
        slot = next((name for name in _SLOTS if name in inputs), "referenceImages")
        entry["images"] = {"slot": slot, "minimum": int("inputs" in required)}
    formats = [one for one in values_of(mapping(properties.get("outputFormat"))) if one in _FORMATS]
    if sorted(map(str, formats)) != ["JPG", "PNG", "WEBP"]:
        entry["formats"] = formats
    parameters = {name: field for name, field in USUAL_FIELDS.items() if field in properties}
    if parameters:
        entry["words"] = parameters
    update_entry(entry, schema, info, task, shared)
    return entry


def _modes_of(info: Facts, *, needs_images: bool) -> list[str]:
    """What a model that takes images can be asked for, as its page says or as its schema lets one guess."""
    capabilities = set(texts(info.get("x-capabilities")))
    stated = [mode for mode, tags in _MODES.items() if capabilities & tags]
    # A model that needs an image cannot start from text, whatever else it may do.
    return stated or (["edit"] if needs_images else ["generate", "edit"])


def mark_unlisted(entry: Entry, listed: Collection[str]) -> None:
    """Mark a model that no list names any longer, and one that is back."""
    if entry.get("air") in listed:
        entry.pop("unlisted", None)
    elif not entry.get("unlisted"):
        place(entry, "unlisted", value=True)


def _update_limits(entry: Entry, properties: Facts, shared: SharedFields) -> None:
    known = entry.get("limits")
    limits: MutableMapping[str, object] = known if isinstance(known, MutableMapping) else {}
    for name, schema in properties.items():
        if name in _OWN_SECTIONS or name in {"taskType", "taskUUID", "model", "inputs"}:
            continue
        stated = to_rule(mapping(schema))
        common = shared.fields.get(name)
        beyond = {word: value for word, value in stated.items() if common is None or not _says(common, word, value)}
        before = dict(mapping(limits.get(name)))
        # Only what differs from the shared rules, so that the files stay readable.
        if beyond and {**before, **beyond} != before:
            limits[name] = _merge(before, beyond)
    if limits and limits is not known:
        place(entry, "limits", limits)


def _merge(before: Facts, stated: Facts) -> dict[str, object]:
    """What is stated over what was known, member by member."""
    merged = dict(before)
    for name, value in stated.items():
        known = merged.get(name)
        merged[name] = _merge(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return merged


def _says(common: FieldRule, word: str, value: object) -> bool:
    """Whether the common rule states a fact already, down to what lies inside."""
    known = getattr(common, word)
    if isinstance(known, FieldRule) and isinstance(value, Mapping):
        return all(_says(known, inner, one) for inner, one in value.items())
    if isinstance(known, dict) and isinstance(value, Mapping):
        return all(
            name in known and all(_says(known[name], inner, one) for inner, one in mapping(rule).items())
            for name, rule in value.items()
        )
    return bool((list(known) if isinstance(known, tuple) else known) == value)


def _update_prompt(entry: Entry, schema: Facts) -> None:
    stated = {
        ours: schema[name] for name, ours in (("minLength", "min_chars"), ("maxLength", "max_chars")) if name in schema
    }
    if stated:
        _set(entry, "prompt", {**mapping(entry.get("prompt")), **stated})


def _update_price_note(entry: Entry, overview: object) -> None:
    pricing = mapping(entry.get("pricing"))
    # Text never replaces an amount.
    if isinstance(overview, str) and overview.strip() and not set(pricing) & {*AMOUNTS}:
        _set(entry, "pricing", {**pricing, "note": overview.strip()})


def _update_sizes(entry: Entry, schema: Facts, properties: Facts) -> None:
    pairs = sorted(set(_pairs(schema)), key=lambda size: (size[0] * size[1], size))
    sizes, width = mapping(entry.get("sizes")), mapping(properties.get("width"))
    if pairs:
        listed = {size for tier in mapping(sizes.get("tiers")).values() for size in texts(tier)}
        if {f"{w}x{h}" for w, h in pairs} != listed:
            tiers: dict[str, list[str]] = {}
            for pair in pairs:
                tiers.setdefault(_tier_of(pair), []).append(f"{pair[0]}x{pair[1]}")
            _set(entry, "sizes", {"kind": "fixed", "tiers": tiers})
    # Only over facts as plain as these: budgets and aspects made by hand say more than a range.
    elif sizes.get("kind") in {"unpublished", "range"} and isinstance(width.get("maximum"), int):
        bounds = {"min_side": width.get("minimum", 1), "max_side": width["maximum"], "step": width.get("multipleOf", 1)}
        _set(entry, "sizes", {"kind": "range", **bounds})


def _update_images(entry: Entry, inputs: Facts) -> None:
    images = dict(mapping(entry.get("images")))
    schema = mapping(inputs.get(str(images.get("slot"))))
    stated = {ours: schema[name] for name, ours in (("minItems", "minimum"), ("maxItems", "maximum")) if name in schema}
    if stated and images:
        _set(entry, "images", {**images, **stated})


def _pairs(schema: Facts) -> Iterator[tuple[int, int]]:
    """Width and height that a schema only allows together."""
    if schema.get("type") == "array":
        schema = mapping(schema.get("items"))
    for word in ("oneOf", "anyOf", "allOf"):
        for part in objects(schema.get(word)):
            inner = mapping(part.get("properties"))
            width, height = (mapping(inner.get(name)).get("const") for name in ("width", "height"))
            if isinstance(width, int) and isinstance(height, int):
                yield width, height
            else:
                yield from _pairs(part)


def _tier_of(size: tuple[int, int]) -> str:
    side = (size[0] * size[1]) ** 0.5 / 1024
    return min(("0.5K", "1K", "2K", "3K", "4K"), key=lambda tier: abs(float(tier[:-1]) / side - 1))


def _set(entry: Entry, name: str, value: object) -> None:
    """Set a member only where it says something new, so that what is untouched keeps its form."""
    # An empty list is a statement for `optional` only: no further fields.
    if entry.get(name) != value and (value or name in entry or name == "optional"):
        place(entry, name, value)


def _to_name(slug: str, air: str) -> str:
    """A slug as a name, with the dots that only the AIR id still has: `…-2-1-pro` of `…@2.1-pro` is `… 2.1 Pro`."""
    for version in re.findall(r"\d+(?:\.\d+)+", air):
        slug = slug.replace(version.replace(".", "-"), version)
    return " ".join(word[:1].upper() + word[1:] for word in re.split(r"[-:@]", slug) if word)

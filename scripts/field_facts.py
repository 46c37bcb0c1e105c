"""From the fact files to the fields of a catalog entry: names, and limits beyond those of `_fields.yaml`.

Used by seed_catalog only. Text like `int 0..6 = 2` in the facts becomes a rule; what cannot be read stays absent.
"""

import ast
import re

Facts = dict  # JSON as it is read
TYPES = {"int": "integer", "float": "number", "str": "string", "bool": "boolean"}
EXCLUSIVE = {
    "alibaba:qwen-image@2.0": [["negativePrompt", "inputs.referenceImages"]],
    "alibaba:qwen-image@2.0-pro": [["negativePrompt", "inputs.referenceImages"]],
    "ideogram:4@0": [["positivePrompt", "settings.structuredPrompt"]],
}
"""What the facts' notes say of fields that exclude each other."""


def to_fields(facts: Facts, typed: Facts | None, common: Facts) -> Facts:
    """The members `required`, `optional`, `limits` and `exclusive` of an entry; `common` is `_fields.yaml`."""
    entry: Facts = {}
    fields = (typed or {}).get("fields") or {}
    shared = set(common["every_task"][(typed or facts)["taskType"]])
    own = {name: text for name, text in fields.items() if name not in shared}
    if typed is not None:
        entry["required"] = [name for name, text in own.items() if not text.startswith("NotRequired")]
        entry["optional"] = [name for name, text in own.items() if text.startswith("NotRequired")]
    limits = {name: rule for name, text in fields.items() if (rule := _typed_limit(name, text, common))}
    for name, rule in _stated_limits(facts, entry).items():
        limits[name] = limits.get(name, {}) | rule
    if limits:
        entry["limits"] = limits
    if facts["air"] in EXCLUSIVE:
        entry["exclusive"] = EXCLUSIVE[facts["air"]]
    return {name: value for name, value in entry.items() if value or name == "optional"}


def _typed_limit(name: str, text: str, common: Facts) -> Facts:
    """The values of a published Literal, where they are not those of every model."""
    inner = re.sub(r"^NotRequired\[(.*)\]$", r"\1", text)
    if inner in TYPES:
        return {} if common["fields"][name]["type"] == TYPES[inner] else {"type": TYPES[inner]}
    if not inner.startswith("Literal[") or "|" in inner or name in {"model", "taskType"}:
        return {}
    values = list(ast.literal_eval(inner.removeprefix("Literal")))
    return {} if common["fields"][name].get("values") == values else {"values": values}


def _stated_limits(facts: Facts, entry: Facts) -> Facts:
    limits: Facts = {}
    for name, bounds in (facts.get("other_ranges") or {}).items():
        low, high, *default = bounds
        rule = {"minimum": low, "maximum": high} | ({"default": default[0]} if default else {})
        if name == "outpaint.*":
            sides = {side: {"type": "integer", **rule} for side in ("top", "right", "bottom", "left")}
            limits["outpaint"] = {"members": sides}
        elif name in [*entry.get("required", []), *entry.get("optional", [])]:
            limits[name] = rule
    highest = ((facts.get("seed") or {}).get("range") or [0, None])[1]
    if highest not in {None, 2**63 - 1, 9223372036854776000} and "seed" in entry.get("optional", []):
        limits["seed"] = {"maximum": highest}
    negative = facts.get("negative_prompt") or {}
    bounds = {name: negative[name] for name in ("min_chars", "max_chars") if negative.get(name)}
    if bounds and "negativePrompt" in entry.get("optional", []):
        limits["negativePrompt"] = bounds
    for name, rule in (facts.get("extra_inputs") or {}).items():
        member = name.removeprefix("inputs.")
        limits["inputs"] = {"members": {member: {"type": "array", "max_items": rule["max"]}}}
    for name in ("settings", "provider_settings"):
        members = _members(facts.get(name) or {}, facts["air"])
        if members:
            field = "providerSettings" if name == "provider_settings" else name
            missing = entry.get("optional") is None or field not in entry["optional"]
            limits[field] = ({"type": "object"} if missing else {}) | members
    return limits


def _members(described: Facts, air: str) -> Facts:
    members: Facts = {}
    for name, text in described.items():
        if isinstance(text, dict):
            inner = _members(text, air)
            rule = {"type": "object", **inner} if inner else {}
        else:
            rule = _read(str(text), air)
        if rule:
            members[name] = rule
    rule = {"members": members} if members else {}
    if "backgroundColor" in members:
        rule["iff"] = [["backgroundColor", "backgroundMode", "solid"]]
    return rule


def _read(text: str, air: str) -> Facts:
    """A rule out of the facts' shorthand; empty where it says nothing exact."""
    if "not 4@1" in text and air == "ideogram:4@1":
        return {}
    if text.startswith("#RRGGBB"):
        return {"type": "string", "pattern": "#[0-9A-Fa-f]{6}"}
    if text.startswith("8 hex"):
        return {"type": "string", "pattern": "[0-9A-Fa-f]{8}"}
    if text.startswith("bool"):
        default = re.match(r"bool=(true|false)", text)
        return {"type": "boolean"} | ({"default": default[1] == "true"} if default else {})
    numbers = re.match(r"(?:int )?(\d+)\.\.(\d+)(?:\s*=\s*(\d+))?", text)
    if numbers:
        rule: Facts = {"type": "integer", "minimum": int(numbers[1]), "maximum": int(numbers[2])}
        return rule | ({"default": int(numbers[3])} if numbers[3] else {})
    most = re.match(r"(?:array ?)?(?:<=(\d+)|1\.\.(\d+) of)", text)
    if most:
        return {"type": "array", "max_items": int(most[1] or most[2])}
    if "|" in text:
        return {"values": _choices(text, air)}
    return {"type": TYPES.get(text, text)} if text in {"float", "string", "object"} else {}


def _choices(text: str, air: str) -> list:
    plain = text.split(" (", maxsplit=1)[0].split("|")
    if "xhigh Pro only" in text and air.endswith("@pro"):
        plain.append("xhigh")
    return [float(one) if re.fullmatch(r"\d+\.\d+", one) else int(one) if one.isdecimal() else one for one in plain]

"""Catalog entries of tools: upscalers, background removers and vectorizers, from the published typed field lists.

Used by seed_catalog only. Common names are those of Runware's documentation, where the facts give them.
"""

import ast
import re
from collections.abc import Iterator

from scripts.field_facts import Facts, to_fields

TASKS = ("upscale", "removeBackground", "vectorize")
NAMES = {
    "runware:500@1": "Clarity",
    "runware:501@1": "CCSR",
    "runware:503@1": "SwinIR",
    "runware:504@1": "Real-ESRGAN",
    "runware:109@1": "RemBG 1.4",
    "runware:110@1": "Bria RMBG 2.0 (open)",
    "bria:2@1": "Bria RMBG 2.0",
}
ALIASES = {"runware:500@1": ["clarity-upscaler"]}
"""Lumenfall's name of the same upscaler."""
CREATORS = {
    "bria": "Bria",
    "ideogram": "Ideogram",
    "picsart": "Picsart",
    "prunaai": "Pruna AI",
    "recraft": "Recraft",
    "runware": "Runware",
    "topazlabs": "Topaz Labs",
}
REMBG_SETTINGS = {
    "rgba": {"type": "array", "min_items": 4, "max_items": 4},
    "postProcessMask": {"type": "boolean"},
    "returnOnlyMask": {"type": "boolean"},
    "alphaMatting": {"type": "boolean"},
    "alphaMattingForegroundThreshold": {"type": "integer", "minimum": 1, "maximum": 255, "default": 240},
    "alphaMattingBackgroundThreshold": {"type": "integer", "default": 10},
    "alphaMattingErodeSize": {"type": "integer", "default": 10},
}


def find_tools(typed: Facts) -> Iterator[Facts]:
    """The typed entries of tools that make images, not videos."""
    for air, entry in sorted(typed.items()):
        formats = entry["fields"].get("outputFormat", "")
        if entry["taskType"] in TASKS and ("PNG" in formats or "SVG" in formats):
            yield {"air": air, **entry}


def creator_of(tool: Facts) -> str:
    """Who made it, by its AIR id."""
    return CREATORS[tool["air"].split(":")[0]]


def to_tool_entry(tool: Facts, common: Facts, newest: str) -> Facts:
    """The entry of one tool."""
    air, fields = tool["air"], tool["fields"]
    entry: Facts = {"id": tool["slug"], "air": air, "name": NAMES.get(air) or _to_name(tool["slug"])}
    aliases = [*ALIASES.get(air, []), *_without_creator(tool)]
    if aliases:
        entry["aliases"] = aliases
    entry["task"] = tool["taskType"]
    if tool["seen"][-1] != newest:
        entry["status"] = "unlisted"
    prompted, takes_images = "positivePrompt" in fields, "inputs" in fields
    entry["modes"] = ["edit"] if takes_images else ["generate"]
    if not prompted:
        entry["prompt"] = {"use": "none"}
    entry["sizes"] = {"kind": "unpublished" if "width" in fields else "automatic"}
    entry["size_use"] = "optional"
    if takes_images:
        slot = {"slot": "referenceImages"} if prompted else {"slot": "image", "maximum": 1}
        entry["images"] = {"minimum": 1, **slot}
    formats = re.sub(r"^NotRequired\[Literal(.*)\]$", r"\1", fields["outputFormat"])
    if ast.literal_eval(formats) != ["JPG", "PNG", "WEBP"]:
        entry["formats"] = list(ast.literal_eval(formats))
    if "upscaleFactor" in fields:
        entry["words"] = {"scale_factor": "upscaleFactor"}
    entry |= to_fields(tool, tool, common)
    if air == "runware:109@1":
        entry["limits"] = {"settings": {"members": REMBG_SETTINGS}}
    return entry


def _without_creator(tool: Facts) -> list[str]:
    prefix = f"{tool['air'].split(':')[0]}-"
    return [tool["slug"].removeprefix(prefix)] if tool["slug"].startswith(prefix) else []


def _to_name(slug: str) -> str:
    return " ".join(word.capitalize() for word in slug.split("-"))

"""Judges what lies inside lists and objects of a task: adapters, guides and ACE++. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.simulator.faults import Fault, invalid, missing

_VALUES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "lora": {"transformer": ("high", "low", "both")},
    "controlNet": {"controlMode": ("balanced", "prompt", "controlnet")},
    "ipAdapters": {
        "combineMethod": ("concat", "add", "subtract", "average", "norm_average"),
        "embedScaling": ("only_v", "kv", "kv_penalty_c", "k_mean_v_penalty_c"),
        "weightType": (
            *("normal", "ease_in", "ease_out", "ease_in_out", "weak_input", "weak_output", "weak_middle"),
            *("strong_middle", "style_transfer", "composition", "strong_style_transfer"),
            *("style_and_composition", "strong_style_and_composition"),
        ),
    },
}
_ACE_TYPES = ("portrait", "subject", "local_editing")


def check_nested(task: Mapping[str, Any]) -> list[Fault]:
    """The faults inside a task's own fields."""
    return [*_check_lists(task), *_check_ace(task.get("acePlusPlus"))]


def _check_lists(task: Mapping[str, Any]) -> Iterator[Fault]:
    for field, members in _VALUES.items():
        listed = task.get(field)
        for index, entry in enumerate(listed if isinstance(listed, list) else ()):
            if not isinstance(entry, dict):
                yield invalid(f"{field}[{index}]", "It must be an object.", type="object")
                continue
            if "model" not in entry:
                yield missing(f"{field}[{index}].model")
            for member, values in members.items():
                if entry.get(member, values[0]) not in values:
                    yield invalid(f"{field}[{index}].{member}", "It is no known value.", allowedValues=list(values))


def _check_ace(ace: object) -> Iterator[Fault]:
    if not isinstance(ace, dict):
        return
    kind, scale = ace.get("type", "portrait"), ace.get("repaintingScale", 0)
    if kind not in _ACE_TYPES:
        yield invalid("acePlusPlus.type", "It is no known value.", allowedValues=list(_ACE_TYPES))
    if not isinstance(ace.get("images"), list) or len(ace["images"]) != 1:
        yield invalid("acePlusPlus.images", "It must hold one image.", min=1, max=1)
    # Refused both ways: a mask that is ignored silently would look like a working edit.
    if (kind == "local_editing") != ("masks" in ace):
        yield invalid("acePlusPlus.masks", "Masks belong to local_editing, and only there.")
    elif "masks" in ace and (not isinstance(ace["masks"], list) or len(ace["masks"]) != 1):
        yield invalid("acePlusPlus.masks", "It must hold one mask.", min=1, max=1)
    if isinstance(scale, bool) or not 0 <= scale <= 1:
        yield invalid("acePlusPlus.repaintingScale", "It must be from 0 to 1.", min=0, max=1)

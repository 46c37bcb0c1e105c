"""Judges a task as strictly as the real service is documented to. Pure; images are judged apart."""

import re
from decimal import Decimal
from typing import Any

from app.simulator.faults import Fault, invalid, missing
from app.simulator.nested import check_nested
from app.simulator.rules import JSONObject, ModelRules, all_fields, rules_for

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
_LEGACY_INPUTS = frozenset({"referenceImages", "seedImage", "maskImage"})
_SLOTS = frozenset({*_LEGACY_INPUTS, "image"})
_ENVELOPE = frozenset(
    {"taskType", "taskUUID", "model", "outputType", "outputFormat", "outputQuality", "numberResults", "includeCost"}
    | {"deliveryMethod", "webhookURL", "uploadEndpoint", "ttl", "safety", "checkNSFW"}
)
_INFERENCE_ONLY = frozenset({"numberResults", "safety", "checkNSFW"})
TASK_TYPES = frozenset({"imageInference", "upscale", "removeBackground", "vectorize"})
_OUTPUT_TYPES = ("URL", "base64Data", "dataURI")
_MIN_QUALITY, _MAX_QUALITY, _MIN_TTL = 20, 99, 60
_CHECKS: dict[str, type | tuple[type, ...]] = {
    "integer": int,
    "number": (int, float, Decimal),
    "string": str,
    "boolean": bool,
    "object": dict,
    "array": list,
}


def validate(task: JSONObject) -> list[Fault]:
    """Every fault of a task, in the order the service would name them."""
    air = task.get("model")
    if not isinstance(air, str) or not air:
        return [missing("model")]
    rules = rules_for(air)
    if rules is None:
        return [
            Fault(
                "invalidModel",
                f"Invalid value for 'model' parameter. The model '{air}' does not exist.",
                parameter="model",
            )
        ]
    # One fault alone here: what a field means depends on the model and the kind of task.
    if task.get("taskType") != rules.task:
        return [invalid("taskType", f"The model '{air}' takes {rules.task} tasks.", allowedValues=[rules.task])]
    uuid = task.get("taskUUID")
    if not isinstance(uuid, str) or not UUID.fullmatch(uuid):
        return [invalid("taskUUID", "It must be a UUID v4.", type="string")]
    return [
        *_check_fields(task, rules),
        *_check_prompt(task, rules),
        *_check_delivery(task, rules),
        *_check_dimensions(task, rules),
        *_check_ranges(task, rules),
        *_check_inputs(task, rules),
        *check_nested(task),
    ]


def listed_inputs(task: JSONObject) -> JSONObject:
    """The inputs of a task, also from where they stood before there was an `inputs` object."""
    inputs = task.get("inputs")
    legacy = {name: task[name] for name in _LEGACY_INPUTS if name in task}
    return {**legacy, **(inputs if isinstance(inputs, dict) else {})}


def _check_fields(task: JSONObject, rules: ModelRules) -> list[Fault]:
    if rules.fields is None:
        return []
    faults = []
    for name, value in task.items():
        # Fields of every task are judged elsewhere, by their values.
        if (name in _ENVELOPE and not (rules.task != "imageInference" and name in _INFERENCE_ONLY)) or (
            name in _LEGACY_INPUTS and "inputs" in rules.fields
        ):
            continue
        kind = rules.fields.get(name)
        if kind is None:
            # Two codes, as the real service has them: whether it is a typo, or a field of other models.
            known = name in all_fields()
            code = "unsupportedParameter" if known else "unknownParameter"
            reason = f"is not supported by the model '{rules.air}'" if known else "is not recognized"
            faults.append(Fault(code, f"The parameter '{name}' {reason}.", parameter=name))
        elif not _has_type(value, kind):
            extra = {"allowedValues": kind} if isinstance(kind, list) else {"type": kind}
            faults.append(invalid(name, "It has the wrong type or value.", **extra))
    return faults


def _has_type(value: object, kind: object) -> bool:
    if isinstance(kind, list):
        return value in kind
    if kind == "any":
        return True
    # Before numbers: a boolean is an integer to Python, and is none to the service.
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _CHECKS[str(kind)])


def _check_prompt(task: JSONObject, rules: ModelRules) -> list[Fault]:
    prompt = task.get("positivePrompt")
    if prompt is None:
        return [missing("positivePrompt")] if "positivePrompt" in rules.required else []
    if not isinstance(prompt, str):
        return [invalid("positivePrompt", "It must be a string.", type="string")]
    low, high = rules.prompt[0] or 1, rules.prompt[1]
    if len(prompt) < low or (high is not None and len(prompt) > high):
        message = f"Invalid length of 'positivePrompt': {len(prompt)} characters; allowed are {low} to {high}."
        return [
            Fault("invalidPositivePromptLength", message, parameter="positivePrompt", extra={"min": low, "max": high})
        ]
    return []


def _check_delivery(task: JSONObject, rules: ModelRules) -> list[Fault]:
    faults = []
    count = task.get("numberResults", 1)
    # Some models make images in multiples only.
    if not _is_integer(count) or not 1 <= count <= rules.max_results or count % rules.results_multiple:
        extra = {"min": 1, "max": rules.max_results, "multiplier": rules.results_multiple}
        faults.append(invalid("numberResults", f"It must be an integer from 1 to {rules.max_results}.", **extra))
    if output_types(task) is None:
        faults.append(invalid("outputType", "It is not a known output type.", allowedValues=list(_OUTPUT_TYPES)))
    # `JPEG` is taken for `JPG`.
    name = str(task.get("outputFormat", rules.formats[0])).upper().replace("JPEG", "JPG")
    if name not in rules.formats:
        faults.append(invalid("outputFormat", "It is not a format of this model.", allowedValues=list(rules.formats)))
    quality = task.get("outputQuality", _MAX_QUALITY)
    if not _is_integer(quality) or not _MIN_QUALITY <= quality <= _MAX_QUALITY:
        faults.append(
            invalid("outputQuality", "It must be an integer from 20 to 99.", min=_MIN_QUALITY, max=_MAX_QUALITY)
        )
    if task.get("deliveryMethod", "sync") not in {"sync", "async"}:
        faults.append(invalid("deliveryMethod", "It must be sync or async.", allowedValues=["sync", "async"]))
    ttl = task.get("ttl", _MIN_TTL)
    if not _is_integer(ttl) or ttl < _MIN_TTL:
        faults.append(invalid("ttl", f"It must be an integer of at least {_MIN_TTL}.", min=_MIN_TTL))
    return faults


def output_types(task: JSONObject) -> list[str] | None:
    """The forms asked for, also as the older array; None when one is unknown."""
    asked = task.get("outputType", "URL")
    listed = asked if isinstance(asked, list) else [asked]
    return listed if listed and all(one in _OUTPUT_TYPES for one in listed) else None


def _check_dimensions(task: JSONObject, rules: ModelRules) -> list[Fault]:
    width, height = task.get("width"), task.get("height")
    if width is None and height is None:
        return [_missing_size("Missing 'width' and 'height' parameters.")] if "width" in rules.required else []
    if width is None or height is None:
        return [_missing_size("'width' and 'height' must be used together.")]
    for name, value in (("width", width), ("height", height)):
        if not _is_integer(value) or value < 1:
            return [invalid(name, "It must be a positive integer.", type="integer")]
    # Both at once are refused: the gateway must have decided for one of them.
    if "resolution" in task:
        message = "'resolution' cannot be combined with 'width' and 'height'."
        return [Fault("incompatibleParameters", message, parameter="resolution")]
    return _judge_size(width, height, rules)


def _missing_size(message: str) -> Fault:
    names = ["width", "height"]
    return Fault("missingDimensionParameters", message, parameter=names, extra={"type": "integer"})


def _judge_size(width: int, height: int, rules: ModelRules) -> list[Fault]:
    limits, kind = rules.dimensions, rules.dimensions.get("kind")
    if kind == "fixed" and limits.get("tiers"):
        allowed = [tuple(size) for sizes in limits["tiers"].values() for size in sizes]
        if (width, height) not in allowed:
            shown = [f"{w}x{h}" for w, h in allowed]
            return [invalid("width", f"{width}x{height} is not a supported combination.", allowedValues=shown)]
    elif kind == "range":
        low, high, step = (
            int(limits.get(name) or default) for name, default in (("min", 128), ("max", 2048), ("step", 1))
        )
        for name, value in (("width", width), ("height", height)):
            if not low <= value <= high or value % step:
                reason = f"It must be an integer from {low} to {high} in multiples of {step}."
                return [invalid(name, reason, type="integer", min=low, max=high, multiplier=step)]
    elif kind == "pixel_budget":
        low, high = int(limits["min_pixels"]), int(limits["max_pixels"])
        if not low <= width * height <= high:
            return [invalid("width", f"The pixels must be {low} to {high}.", min=low, max=high)]
        narrow, wide = limits.get("aspect") or (0, 10**6)
        if not narrow <= Decimal(width) / height <= wide:
            return [invalid("width", "The aspect ratio is out of range.")]
    return []


def _check_ranges(task: JSONObject, rules: ModelRules) -> list[Fault]:
    faults = []
    for name, bounds in rules.ranges.items():
        value = task.get(name)
        if (
            isinstance(bounds, list)
            and isinstance(value, int | float | Decimal)
            and not bounds[0] <= value <= bounds[1]
        ):
            faults.append(invalid(name, f"It must be from {bounds[0]} to {bounds[1]}.", min=bounds[0], max=bounds[1]))
    seed, (low, high) = task.get("seed"), rules.seed_range
    if seed is not None and (not _is_integer(seed) or not low <= seed <= high):
        faults.append(invalid("seed", f"It must be an integer from {low} to {high}.", min=low, max=high))
    return faults


def _check_inputs(task: JSONObject, rules: ModelRules) -> list[Fault]:
    inputs = listed_inputs(task)
    field = str(rules.images.get("field", ""))
    slot = field.removeprefix("inputs.")
    faults = _check_slots(inputs, slot, rules) if slot in _SLOTS else []
    references = inputs.get("referenceImages")
    if references is not None and not isinstance(references, list):
        return [*faults, invalid("inputs.referenceImages", "It must be an array.", type="array")]
    count = len(references or []) if slot == "referenceImages" else int(slot in inputs)
    low, high = rules.images.get("min") or 0, rules.images.get("max")
    if slot in _SLOTS and (count < low or (high is not None and count > high)):
        message = f"Invalid value for '{field}' parameter. It must hold {low} to {high} images; got {count}."
        extra = {"min": low, "max": high}
        faults.append(Fault("invalidReferenceImages", message, parameter=field, extra=extra))
    if "maskImage" in inputs and "seedImage" not in inputs and slot == "seedImage":
        faults.append(missing("seedImage"))
    return faults


def _check_slots(inputs: JSONObject, slot: str, rules: ModelRules) -> list[Fault]:
    """Images in places that the model does not have."""
    allowed = {slot, "maskImage"} if rules.images.get("mask_field") else {slot}
    names = [f"inputs.{name}" for name in inputs if name in _SLOTS - allowed]
    return [
        Fault("unsupportedParameter", f"The parameter '{name}' is not supported.", parameter=name) for name in names
    ]


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

"""What a task asks for, read from its fields: prompt, transparency and size. Pure."""

from PIL import Image

from app.simulator.rules import JSONObject


def prompt_of(wire: JSONObject) -> str:
    """The prompt, empty for a task without one."""
    return str(wire.get("positivePrompt", ""))


def is_transparent(wire: JSONObject) -> bool:
    """Whether a transparent image was asked for, in any of the ways that models know."""
    listed = [wire.get("settings"), *(wire.get("providerSettings") or {}).values()]
    settings = [one for one in listed if isinstance(one, dict)]
    asked = any(
        one.get("background") == "transparent" or one.get("backgroundMode") == "transparent" or one.get("transparency")
        for one in settings
    )
    return bool(asked or (wire.get("advancedFeatures") or {}).get("layerDiffuse") or wire.get("layerDiffuse"))


def size_of(wire: JSONObject, kind: str, references: list[Image.Image]) -> tuple[int, int]:
    """What its image measures: as asked, else as its first reference leads to."""
    if "width" in wire and "height" in wire:
        return int(wire["width"]), int(wire["height"])
    if kind == "upscale":
        factor = float(wire.get("upscaleFactor", 2))
        return round(references[0].width * factor), round(references[0].height * factor)
    if not references:
        return 1024, 1024
    width, height = references[0].size
    added = {side: int(pixels) for side, pixels in (wire.get("outpaint") or {}).items()}
    return (
        width + added.get("left", 0) + added.get("right", 0),
        height + added.get("top", 0) + added.get("bottom", 0),
    )

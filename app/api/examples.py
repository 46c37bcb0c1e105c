"""Bodies to try out in /docs. A test sends each of them to a gateway, so that they work as they stand."""

from collections.abc import Mapping
from typing import Any

Documented = dict[str, Any]
Examples = Mapping[str, Documented]
_HOUSE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAUAAAAFAAQAAAADl65gHAAAB1ElEQVR42u2aQY7CMAxFP74IRy1H6xE4Qpcsu2BRoSiZBUyJE9vJ"
    "djSfBZT0Kc5/tSVGmkvB3EtAkCBBggQJEiRIkKAN3ibBsk6CeZsEn49JcE+T4JYnwdX8JV36F7AYi/1SAq79qlE6AfvUGQ/gmAJ3"
    "IE2BG5CnUgNW7H7HAgDrROn8KT8E0yfQEDzOtwF4B4DXBLieiQZ63svLUE+p9g1L5/PxDMDn++MxBPfKZghu6gQBuKpMgZ7f9WUw"
    "M+fZrgOPqQnlnvHoLhxw77Z2wK15Qm7q740lDFM6oU7pbBzCBJMRywQP89IA79/LVwiuZi5DT31nCfQUZ/eudDYfkgE+6y+PANwd"
    "px24uedowNVN1ujRtxZ3ZppmvboeE/xo4rRE91XcLZoC4j+Lxo8fWscWX5zWKm6p5iji29HhxLejF8QemH5sxG3pNl1gR/mRwI6q"
    "IYEd5UecgenGRtyWaMyK2xLNaSSwo/NFdmo/8AamHRvxW0IHFL8l9KJEduoyEtlRfsLQVWwJWkLJlaAl1IEktFNFlNBOtSzuwDRj"
    "I0FL6Iyxna+f6e7h34UECRIkSJAgwT8DllLKjXoIEiRIkCBBgv8WvPAfJQkSJEiQIEGCBAkCPxBxQEU0mE87AAAAAElFTkSuQmCC"
)
"""A small image in two colors: a house."""
_ABOVE_THE_HOUSE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAUAAAAFAAQAAAADl65gHAAAAN0lEQVR42u3KsQ0AIAwEsReTs3loIypaIru9S5q67NZWHhmNRqPR"
    "aDQaJ48AAAAAAAAAAAAAvzkwaBDvlcXtCQAAAABJRU5ErkJggg=="
)
"""A mask of the same size: white where to edit."""


def _example(summary: str, **value: object) -> Documented:
    return {"summary": summary, "value": value}


GENERATIONS: Examples = {
    "simple": _example(
        "An image of a given size",
        model="flux.1-schnell",
        prompt="A lighthouse in a storm, oil painting",
        size="1024x768",
    ),
    "several": _example(
        "Two wide images, repeatable, in base64",
        model="flux.1-schnell",
        prompt="A lighthouse in a storm, oil painting",
        n=2,
        aspect_ratio="16:9",
        seed=7,
        output_format="webp",
        response_format="b64_json",
    ),
    "stream": _example(
        "Each image as soon as it exists",
        model="flux.1-schnell",
        prompt="A lighthouse in a storm, oil painting",
        n=2,
        size="512x512",
        stream=True,
    ),
    "runware": _example(
        "A task in Runware's own words",
        model="runware:100@1",
        positivePrompt="A lighthouse in a storm, oil painting",
        width=1024,
        height=768,
        steps=4,
    ),
}
EDITS: Examples = {
    "simple": _example(
        "An image changed as the prompt says",
        model="riverflow-1-mini",
        prompt="Paint the house red",
        image=_HOUSE,
    ),
    "mask": _example(
        "Only where the mask is white",
        model="riverflow-1-mini",
        prompt="Let smoke rise from the chimney",
        image=_HOUSE,
        mask=_ABOVE_THE_HOUSE,
    ),
    "guided": _example(
        "Two images that guide a new one",
        model="flux.2-pro",
        prompt="The house by night, in the style of a woodcut",
        images=[{"image_url": _HOUSE}, {"image_url": _HOUSE}],
        size="768x768",
        output_format="jpeg",
    ),
}
FORMS: Examples = {
    "simple": _example(
        "An image changed as the prompt says: choose its file",
        model="riverflow-1-mini",
        prompt="Give it a red hat",
    ),
    "converted": _example(
        "The result as a small AVIF: choose the image's file",
        model="riverflow-1-mini",
        prompt="Give it a red hat",
        output_format="avif",
        output_compression=50,
    ),
}
"""Of forms. A file cannot stand in an example."""
KEYS: Examples = {
    "budget": _example(
        "A key with a budget and limits",
        name="design",
        budget=20,
        period="month",
        rpm=60,
        models=["riverflow-*", "flux.1-schnell"],
    ),
    "defaults": _example(
        "A key that ends, with defaults of its own",
        name="batch",
        expires_at="90d",
        concurrency=8,
        defaults={"model": "flux.1-schnell", "response_format": "b64_json"},
    ),
    "administrator": _example("A key for another administrator", name="second administrator", admin=True),
}
CHANGES: Examples = {
    "budget": _example("A larger budget", budget=50),
    "limits": _example("No more limit of requests, but one of images", rpm=None, images_per_minute=120),
    "models": _example("Every model of a family", models=["flux.2-*"]),
}
ROTATIONS: Examples = {
    "usual": _example("The old secret opens for another 24 hours"),
    "at_once": _example("The old secret opens nothing any more", grace="0s"),
}

"""A model of the catalog as GET /v1/models shows it. Pure."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache

from app.catalog.model import CatalogModel
from app.catalog.modes import Mode
from app.catalog.prices import confidence_of, price_in_short, price_in_words
from app.catalog.registry import Registry
from app.domain.words import JSONValue
from app.openai_api.model_schema import capabilities_of
from app.openai_api.vocabulary import MAX_IMAGES
from app.planning.capabilities import emulated_modes, supported_modes

_MODES = {Mode.GENERATE: "text-to-image", Mode.EDIT: "image-edit"}
_STATUS_NOTES = {
    "api-only": "Runware serves it by API and does not show it in its playground.",
    "coming-soon": "Runware has announced it; it may not answer yet.",
    "deprecated": "Runware will take it away.",
    "retired": "Runware has taken it away.",
}
_UNLISTED = "Runware's newest list of models does not name it, though it may still answer."
CURRENCY = "USD"


@lru_cache(maxsize=2)
def render_list(registry: Registry) -> bytes:
    """All models, in the order of the catalog. Made once: a catalog never changes while it is served."""
    return render_models(registry, registry.models)


def render_models(registry: Registry, models: Iterable[CatalogModel]) -> bytes:
    """Some models as a list."""
    return json.dumps({"object": "list", "data": [render_model(registry, model) for model in models]}).encode()


def render_model(registry: Registry, model: CatalogModel) -> dict[str, JSONValue]:
    """OpenAI's keys first, then what a client needs to choose. What is not known is absent."""
    # Absent where it is not known: clients sort by it (0033).
    created = _to_seconds(model.released)
    shown: dict[str, JSONValue] = {
        "id": model.id,
        "object": "model",
        "created": created,
        "owned_by": model.creator,
        "name": model.name,
        "description": model.description,
        "creator": model.creator,
        "air": model.air,
        "aliases": [*registry.names_for(model)],
        "status": model.status,
        "status_note": status_note(model),
        "unlisted": model.unlisted or None,
        "replaced_by": model.replaced_by,
        "released": model.released,
        "capabilities": [*capabilities_of(model)],
        "modes": [_MODES[mode] for mode in supported_modes(model)],
        "emulated_modes": [_MODES[mode] for mode in emulated_modes(model)],
        "input_modalities": [*_input_modalities(model)],
        "output_modalities": ["image"],
        "max_input_images": _max_images(model),
        "sizes": model.sizes.model_dump(mode="json", exclude_none=True),
        "pricing": _pricing(model),
    }
    # Null would be a statement; absent says that nobody knows.
    return {name: value for name, value in shown.items() if value is not None}


def status_note(model: CatalogModel) -> str | None:
    """What a status other than `live` means for a caller."""
    notes = [_STATUS_NOTES.get(model.status), _UNLISTED if model.unlisted else None]
    return " ".join(note for note in notes if note) or None


def _input_modalities(model: CatalogModel) -> Iterator[str]:
    if model.prompt.use != "none":
        yield "text"
    if model.images is not None:
        yield "image"


def _pricing(model: CatalogModel) -> dict[str, JSONValue]:
    """The price in words and in figures, always with whether Runware publishes it."""
    pricing = model.pricing
    return {
        "confidence": confidence_of(pricing),
        "currency": CURRENCY,
        "summary": price_in_short(pricing),
        "text": price_in_words(pricing),
        **(pricing.model_dump(mode="json", exclude_defaults=True) if pricing else {}),
    }


def _max_images(model: CatalogModel) -> int:
    """The model's own limit or, where none is published, that of a request."""
    # A request takes no more than its own limit, whatever the model could.
    return (model.images.maximum or MAX_IMAGES) if model.images else 0


def _to_seconds(released: str | None) -> int | None:
    return int(datetime.fromisoformat(released).replace(tzinfo=UTC).timestamp()) if released else None

"""A model of the catalog as GET /v1/models shows it. Pure."""

from datetime import UTC, datetime

from app.catalog.model import CatalogModel, Mode
from app.catalog.registry import Registry
from app.domain.request import JSONValue
from app.openai_api.input_images import MAX_IMAGES
from app.openai_api.model_schema import capabilities_of

_MODES = {Mode.GENERATE: "text-to-image", Mode.EDIT: "image-edit"}


def render_model(registry: Registry, model: CatalogModel) -> dict[str, JSONValue]:
    """OpenAI's keys first, then what a client needs to choose."""
    return {
        "id": model.id,
        "object": "model",
        "created": _to_seconds(model.released),
        "owned_by": model.creator,
        "name": model.name,
        "creator": model.creator,
        "air": model.air,
        "aliases": [*registry.names_for(model)],
        "status": model.status,
        "capabilities": [*capabilities_of(model)],
        "modes": [_MODES[mode] for mode in model.modes],
        "max_input_images": _max_images(model),
        "sizes": model.sizes.model_dump(mode="json", exclude_none=True),
        "pricing": model.pricing.model_dump(mode="json", exclude_none=True) if model.pricing else None,
    }


def _max_images(model: CatalogModel) -> int:
    """The model's own limit or, where none is published, that of a request."""
    return (model.images.maximum or MAX_IMAGES) if model.images else 0


def _to_seconds(released: str | None) -> int:
    return int(datetime.fromisoformat(released).replace(tzinfo=UTC).timestamp()) if released else 0

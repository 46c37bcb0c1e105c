"""What tests of planning share: the catalog's models, images by name, and adjustments in short."""

from collections.abc import Iterable

from app.catalog.loader import load_catalog
from app.catalog.model import CatalogModel
from app.domain.answer import Adjustment
from app.domain.request import LinkedImage
from app.settings.load import Settings

_REGISTRY = load_catalog(Settings().models.catalog_dir)
IMAGE = LinkedImage("image", "https://images.example/a.png")
MASK = LinkedImage("mask", "https://images.example/m.png")
MARKUP = LinkedImage("markup", "https://images.example/o.png")


def model_of(name: str) -> CatalogModel:
    """The catalog's model of that name."""
    return _REGISTRY.find_model(name)


def in_short(adjustments: Iterable[Adjustment]) -> list[str]:
    """Field, mode and what it became of each, in order."""
    return [f"{one.param} {one.mode} {one.applied}" for one in adjustments]

"""By which word a model is counted: its id, or one for all that the catalog does not list.

Callers may name any AIR id, and labels of metrics must stay few.
"""

from collections.abc import Mapping

from app.catalog.modes import Mode
from app.catalog.registry import Registry
from app.observability.metrics import OTHER


class ModelLabels:
    """Labels of the models of a catalog; `defaults` are asked for by requests that name none."""

    def __init__(self, registry: Registry, defaults: Mapping[Mode, str]) -> None:
        self._registry = registry
        self._defaults = defaults

    def label_of(self, name: str | None, mode: Mode) -> str:
        """The label of the model that a request names."""
        model = self._registry.seek_model(name or self._defaults[mode])
        return model.id if model is not None and model.listed else OTHER

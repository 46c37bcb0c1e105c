"""Which models a key may use: globs over their ids and AIRs, in any case. Pure.

Whatever alias a caller names a model by, it is judged by what it is.
"""

from fnmatch import fnmatchcase

from app.catalog.model import CatalogModel
from app.domain.caller import ApiKey
from app.errors import ForbiddenError

_SHOWN = 10
"""Globs in a message."""


def is_allowed(key: ApiKey | None, model: CatalogModel) -> bool:
    """Whether the key may use the model; a caller without such a key may use all."""
    if key is None or not key.limits.models:
        return True
    names = (model.id.lower(), model.air.lower())
    return any(fnmatchcase(name, pattern.lower()) for pattern in key.limits.models for name in names)


def check_model(key: ApiKey | None, model: CatalogModel) -> None:
    """Raise ForbiddenError where the key may not use the model."""
    if key is None or is_allowed(key, model):
        return
    patterns = [f"`{pattern[:100]}`" for pattern in key.limits.models]
    shown = ", ".join(patterns[:_SHOWN]) + (f" and {len(patterns) - _SHOWN} more" if len(patterns) > _SHOWN else "")
    message = f"This API key may not use `{model.id[:100]}`; it may use {shown}. GET /v1/models lists what it may use."
    raise ForbiddenError(message, param="model", code="model_not_allowed", should_retry=False)

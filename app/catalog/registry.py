"""Finds a model by any of its names. Pure: built once from typed entries, never changes.

A name is a slug, an alias, an AIR id, or any of them behind `runware/`; case never matters. Operators' aliases
win over the catalog. A well-formed AIR id that is not listed is a model too: Runware judges it.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from app.catalog.model import AIR_PATTERN, CatalogModel, ImageRules, Mode, UnpublishedSizes, Words

_PREFIX = "runware/"
_SEED_IMAGE_CREATORS = frozenset({"civitai", "runware"})


class UnknownModelError(Exception):
    """No model has this name; `nearest` holds up to three that are close."""

    def __init__(self, name: str, nearest: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.nearest = nearest


class Registry:
    """All models, by every name."""

    def __init__(self, models: Iterable[CatalogModel], operator_aliases: Mapping[str, str] | None = None) -> None:
        self.models: tuple[CatalogModel, ...] = tuple(models)
        self._by_name = {name.lower(): model for model in self.models for name in model.names}
        self._aliases = {name.lower(): target for name, target in (operator_aliases or {}).items()}

    def find(self, name: str) -> CatalogModel:
        """The model called `name`, raising UnknownModelError."""
        asked = name.strip()
        asked = self._aliases.get(asked.lower(), asked)
        if asked.lower().startswith(_PREFIX):
            asked = asked[len(_PREFIX) :]
        model = self._by_name.get(asked.lower())
        if model is not None:
            return model
        if AIR_PATTERN.fullmatch(asked):
            return unlisted_model(asked)
        raise UnknownModelError(name, self._nearest(asked.lower()))

    def names_for(self, model: CatalogModel) -> tuple[str, ...]:
        """The other names of a model, operators' own among them."""
        own = tuple(alias for alias, target in self._aliases.items() if self._by_name.get(target.lower()) is model)
        return (*model.names[1:], *own)

    def alias_faults(self) -> list[str]:
        """Operators' aliases that lead nowhere, one line each."""
        faults = []
        for alias in self._aliases:
            try:
                self.find(alias)
            except UnknownModelError as error:
                hint = f"; did you mean {error.nearest[0]}?" if error.nearest else ""
                faults.append(f"{alias} points to {self._aliases[alias]}, which is no model{hint}")
        return faults

    def _nearest(self, key: str) -> tuple[str, ...]:
        close = get_close_matches(key, [*self._aliases, *self._by_name], n=6, cutoff=0.5)
        ids = [self._by_name[name].id if name in self._by_name else name for name in close]
        return tuple(dict.fromkeys(ids))[:3]


def unlisted_model(air: str) -> CatalogModel:
    """The entry of an AIR id that the catalog does not list: one image a task, any size on a grid of 64."""
    seed_image = air.split(":", 1)[0].lower() in _SEED_IMAGE_CREATORS
    return CatalogModel(
        id=air,
        air=air,
        name=air,
        creator=air.split(":", 1)[0],
        modes=(Mode.GENERATE, Mode.EDIT),
        sizes=UnpublishedSizes(kind="unpublished"),
        images=ImageRules(
            slot="seedImage" if seed_image else "referenceImages", maximum=1 if seed_image else None, mask=seed_image
        ),
        words=Words(
            seed="seed", negative_prompt="negativePrompt", guidance_scale="CFGScale", num_inference_steps="steps"
        ),
        listed=False,
    )

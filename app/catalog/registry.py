"""Finds a model by any of its names. Pure: built once from typed entries, never changes.

A name is a slug, an alias or an AIR id, also behind `runware/` or another vendor's name, and without regard to case,
dots, dashes and underscores where that leaves one model. Operators' aliases win over the catalog. A well-formed AIR id
that is not listed is a model too: Runware judges it.
"""

from collections.abc import Iterable, Mapping

from app.catalog.model import AIR_PATTERN, USUAL_FIELDS, CatalogModel, ImageRules, ParameterMap, UnpublishedSizes
from app.catalog.modes import Mode
from app.catalog.names import find_nearest, loosen, without_vendors

_SUGGESTIONS = 3
_MAX_NAME_CHARS = 200
_SEED_IMAGE_CREATORS = frozenset({"civitai", "runware"})


class UnknownModelError(Exception):
    """No model has this name; `nearest` holds up to three that are close."""

    def __init__(self, name: str, nearest: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.nearest = nearest

    @property
    def hint(self) -> str:
        """A sentence with what was perhaps meant, empty where nothing is near."""
        return f" Did you mean {', '.join(self.nearest)}?" if self.nearest else ""


class Registry:
    """All models, by every name. `defaults` names models to suggest before others."""

    def __init__(
        self,
        models: Iterable[CatalogModel],
        operator_aliases: Mapping[str, str] | None = None,
        defaults: Iterable[str] = (),
    ) -> None:
        self.models: tuple[CatalogModel, ...] = tuple(models)
        self._by_name = {name.lower(): model for model in self.models for name in model.names}
        self._aliases = {name.lower(): target for name, target in (operator_aliases or {}).items()}
        self._loose_aliases = {loosen(name): target for name, target in self._aliases.items()}
        # Several models may share a loose name; then none of them is meant (0017).
        self._by_loose_name: dict[str, list[CatalogModel]] = {}
        for name, model in self._by_name.items():
            same = self._by_loose_name.setdefault(loosen(name), [])
            if model not in same:
                same.append(model)
        self._defaults = tuple(defaults)
        # Resolved once: nearly every request names its model by one of these.
        self._exact = self._resolve_names()
        self._fields_by_maker = self._collect_fields()
        self._all_fields = frozenset[str]().union(*self._fields_by_maker.values())

    def find_model(self, name: str) -> CatalogModel:
        """The model called `name`, raising UnknownModelError."""
        model = self.seek_model(name)
        if model is None:
            raise self.refusal_of(name)
        return model

    def refusal_of(self, name: str) -> UnknownModelError:
        """What is to be said of a name that no model has."""
        return UnknownModelError(name, self._nearest(name))

    def seek_model(self, name: str) -> CatalogModel | None:
        """The model called `name`, if there is one; nothing near it is looked for."""
        # Cut off before any matching: names come from callers and may be as long as a body.
        if len(name) > _MAX_NAME_CHARS:
            return None
        exact = self._exact.get(name.lower())
        if exact is not None:
            return exact
        spellings = without_vendors(name.strip())
        for asked in spellings:
            # The operator's own names come first, so that a catalog update cannot redirect them.
            alias = self._aliases.get(asked.lower())
            model = self._find_listed(asked) if alias is None else self._find_target(alias)
            if model is not None:
                return model
        for asked in spellings:
            # New models work before the catalog knows them; Runware judges (0031).
            if AIR_PATTERN.fullmatch(asked):
                return unlisted_model(asked)
            alias = self._loose_aliases.get(loosen(asked))
            model = self._find_loosely(asked) if alias is None else self._find_target(alias)
            if model is not None:
                return model
        return None

    def _find_listed(self, name: str) -> CatalogModel | None:
        return self._by_name.get(name.lower())

    def _find_loosely(self, name: str) -> CatalogModel | None:
        """The one model whose name differs in dots, dashes and underscores at most."""
        same = self._by_loose_name.get(loosen(name), [])
        # Two candidates are no match: the wrong model would be paid for.
        return same[0] if len(same) == 1 else None

    def _find_target(self, name: str) -> CatalogModel | None:
        """What an operator's alias points to, which is never another alias."""
        for target in without_vendors(name):
            model = self._find_listed(target) or self._find_loosely(target)
            if model is not None:
                return model
            if AIR_PATTERN.fullmatch(target):
                return unlisted_model(target)
        return None

    def names_for(self, model: CatalogModel) -> tuple[str, ...]:
        """The other names of a model, operators' own among them."""
        own = tuple(alias for alias, target in self._aliases.items() if self._by_name.get(target.lower()) is model)
        return (*model.names[1:], *own)

    @property
    def defaults(self) -> tuple[CatalogModel, ...]:
        """The models to suggest before others."""
        targets = [self._aliases.get(name.lower(), name) for name in self._defaults]
        return tuple(model for name in targets if (model := self._find_target(name)) is not None)

    def alias_faults(self) -> list[str]:
        """Operators' aliases that lead nowhere, one line each."""
        faults = []
        for alias in self._aliases:
            try:
                self.find_model(alias)
            except UnknownModelError as error:
                hint = f"; did you mean {error.nearest[0]}?" if error.nearest else ""
                faults.append(f"{alias} points to {self._aliases[alias]}, which is no model{hint}")
        return faults

    def fields_of_family(self, model: CatalogModel) -> frozenset[str]:
        """The provider's fields that any model of the same maker is known to take; all that are known for a new one."""
        own = [fields for maker in _makers(model) if (fields := self._fields_by_maker.get(maker)) is not None]
        return frozenset[str]().union(*own) if own else self._all_fields

    def _resolve_names(self) -> dict[str, CatalogModel]:
        """Each name that leads to one model as it is written, but for case; the operator's aliases come first."""
        targets = {alias: self._find_target(target) for alias, target in self._aliases.items()}
        names: dict[str, CatalogModel | None] = {**self._by_name, **targets}
        return {name: model for name, model in names.items() if model is not None}

    def _collect_fields(self) -> dict[str, frozenset[str]]:
        """The fields of each maker's models, by the maker's name and by the vendor of its AIR ids."""
        found: dict[str, set[str]] = {}
        for model in self.models:
            for maker in _makers(model):
                found.setdefault(maker, set()).update(model.fields.members or ())
        return {maker: frozenset(fields) for maker, fields in found.items()}

    def _nearest(self, asked: str) -> tuple[str, ...]:
        names = {name: model.id for model in self.models for name in model.names if name != model.air}
        names |= {alias: target for alias, target in self._aliases.items() if self._find_target(target) is not None}
        return find_nearest(asked, names, [model.id for model in self.defaults], _SUGGESTIONS)


def _makers(model: CatalogModel) -> tuple[str, str]:
    """What models of one maker have in common: its name, or the first part of their AIR ids."""
    return model.creator, f"{model.air.partition(':')[0].lower()}:"


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
        # No scale factor: of a model nobody knows it is met by a size.
        words=ParameterMap.model_validate({**USUAL_FIELDS, "scale_factor": None}),
        listed=False,
    )

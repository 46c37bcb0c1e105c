"""Where a new member stands in an entry: in the order of the catalog, not at the end behind its comments. Pure."""

from collections.abc import Callable, MutableMapping
from typing import cast

from app.catalog.model import CatalogModel

Entry = MutableMapping[str, object]
# By the names in the files, which may be others than in the code.
_ORDER = {field.alias or name: place for place, (name, field) in enumerate(CatalogModel.model_fields.items())}


def place(entry: Entry, name: str, value: object) -> None:
    """Set a member; a new one stands before the first that comes after it, where the entry keeps an order by place."""
    insert = getattr(entry, "insert", None)
    if name in entry or insert is None:
        entry[name] = value
        return
    # Comments belong to the member before them: a new one at the end would stand behind a comment of another.
    names = [*entry]
    later = [index for index, other in enumerate(names) if _ORDER.get(other, 0) > _ORDER.get(name, 0)]
    cast("Callable[[int, str, object], None]", insert)(min(later, default=len(names)), name, value)

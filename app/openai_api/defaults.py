"""The defaults of a key: fields that a body gets which says nothing of them. Pure.

Never against what the caller says under another name: a default size gives way to a width.
"""

from collections.abc import Mapping, Sequence

from app.domain.words import JSONValue
from app.openai_api.input_images import FilePart
from app.openai_api.vocabulary import natives_of

_SHAPE = frozenset({"size", "aspect_ratio", "resolution"})
"""Together they are one wish: a part of it by the caller is all of it."""


def with_defaults(
    fields: Mapping[str, JSONValue], files: Sequence[FilePart], defaults: Mapping[str, JSONValue]
) -> Mapping[str, JSONValue]:
    """A body with the defaults where it is silent."""
    if not defaults:
        return fields
    said = {name for name, value in fields.items() if value is not None and value != ""}
    said.update(part.name for part in files)
    asks_shape = any(said & {one, *natives_of(one)} for one in _SHAPE)
    missing = {
        name: value
        for name, value in defaults.items()
        if not (said & {name, *natives_of(name)} or (name in _SHAPE and asks_shape))
    }
    return {**fields, **missing}

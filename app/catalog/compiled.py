"""A catalog's YAML as JSON in one file, keyed by what the YAML says, since parsing YAML is most of reading a catalog.

Holds values as they were written, before any check: they are checked at each start as YAML's are, so that a copy makes
nothing valid that is not. Leaves what the values mean to `loader`.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

COMPILED_NAME = "catalog.json"
"""Of the copy in the data folder."""
Documents = Mapping[str, object]
"""The value of each file, by the file's name."""


class _Copy(msgspec.Struct):
    of: str
    documents: dict[str, object]


_decoder = msgspec.json.Decoder(_Copy)


class CompiledCatalog:
    """The copy of a catalog at `place`, which need not exist. What cannot be read or written there is done without."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def find(self, key: str | None) -> Documents | None:
        """What files with this `key` say, None where this is no copy of exactly them."""
        try:
            copy = _decoder.decode(self._place.read_bytes())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return copy.documents if copy.of == key else None

    def keep(self, key: str, documents: Documents) -> None:
        """Take the place of the copy before. Values that JSON cannot hold exactly are not kept."""
        copy = _Copy(key, dict(documents))
        with contextlib.suppress(OSError, TypeError, ValueError, RecursionError, msgspec.MsgspecError):
            data = msgspec.json.encode(copy)
            # A date or a number as a key is something else in JSON.
            if _decoder.decode(data) == copy:
                _replace(self._place, data)


def key_of(files: Sequence[Path]) -> str | None:
    """A digest of names and contents, None where a file cannot be read."""
    digest = hashlib.sha256()
    for file in files:
        try:
            parts = (file.name.encode(), file.read_bytes())
        except OSError:
            return None
        for part in parts:
            digest.update(len(part).to_bytes(8))
            digest.update(part)
    return digest.hexdigest()


def _replace(place: Path, data: bytes) -> None:
    """Write a file that is whole at any moment; only this user may read it."""
    number, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        Path(name).replace(place)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise

"""What goes wrong with a database, in one word for both kinds."""

from collections.abc import Sequence


class DatabaseUnavailableError(Exception):
    """The database did not take what was to be written, or cannot be opened."""


class UnusableJournalError(Exception):
    """This version must not use these tables, and starting again does not help."""


class ImageHashError(UnusableJournalError):
    """The tables do not say one hash that this version knows."""

    def __init__(self, found: Sequence[str]) -> None:
        names = ", ".join(repr(name[:40]) for name in found[:4]) or "nothing"
        super().__init__(
            "The journal's table journal_settings must have one row that names its hash of images, sha256 or blake3; "
            f"it has {names}. Rows that were copied from another journal need that one's: see docs/operations.md."
        )


class NewerSchemaError(UnusableJournalError):
    """The tables belong to a newer version of Spillway, which this one could only damage."""

    def __init__(self, found: str, newest: str) -> None:
        super().__init__(
            f"The journal has schema {found}, and this version of Spillway knows schemas up to {newest}: it was "
            "migrated by a newer version. Nothing was changed. Start that version, or restore a backup from before."
        )
        self.found = found
        self.newest = newest

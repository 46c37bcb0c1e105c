"""What goes wrong with a database, in one word for both kinds."""


class DatabaseUnavailableError(Exception):
    """The database did not take what was to be written, or cannot be opened."""


class NewerSchemaError(Exception):
    """The tables belong to a newer version of Spillway, which this one could only damage."""

    def __init__(self, found: str, newest: str) -> None:
        super().__init__(
            f"The journal has schema {found}, and this version of Spillway knows schemas up to {newest}: it was "
            "migrated by a newer version. Nothing was changed. Start that version, or restore a backup from before."
        )
        self.found = found
        self.newest = newest

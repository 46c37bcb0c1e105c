"""What goes wrong with a database, in one word for both kinds."""


class DatabaseUnavailableError(Exception):
    """The database did not take what was to be written, or cannot be opened."""

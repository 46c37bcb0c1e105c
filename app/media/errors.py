"""What can go wrong with a store, whatever it is. None of them shows a path or what a library said."""


class MediaNotFoundError(Exception):
    """No such image."""


class MediaUnavailableError(Exception):
    """The store cannot be written or read now: the disk is full, or nobody answers."""


class InvalidStorageError(Exception):
    """The store that the settings name cannot be used at all; the message is a sentence for the operator."""


class LinkForgedError(Exception):
    """A link that this gateway did not sign, or that was changed since."""


class LinkEndedError(Exception):
    """A link of this gateway whose time is over."""

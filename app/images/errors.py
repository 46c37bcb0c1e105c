"""What can be wrong with an image, and with the work on it. Wording for callers is `generation.image_work`'s."""


class ImageError(Exception):
    """Something about an image; `details` are numbers that explain it."""

    def __init__(self, *details: int) -> None:
        super().__init__(*details)
        self.details = details


class UnreadableImageError(ImageError):
    """The bytes are not a whole image in a format we read."""


class TooManyPixelsError(ImageError):
    """The image has more pixels than allowed."""


class MaskShapeError(ImageError):
    """The mask has another shape than the image; the details are its width and height."""


class MaskWithoutAreaError(ImageError):
    """The mask is opaque and colored: nothing says what to edit."""


class MaskTooSmallError(ImageError):
    """The mask opens next to nothing."""


# By name, since errors cross from a worker as text: nothing a worker sends is ever unpickled.
IMAGE_ERRORS: dict[str, type[ImageError]] = {
    error.__name__: error
    for error in (UnreadableImageError, TooManyPixelsError, MaskShapeError, MaskWithoutAreaError, MaskTooSmallError)
}
"""All that may come out of a worker, by name."""


class WorkerError(Exception):
    """The work on an image was not finished."""


class BoundCrossedError(WorkerError):
    """The work went beyond its bounds of time, memory or size; the text says which."""


class WorkerDiedError(WorkerError):
    """The process ended, though nobody ended it."""


class WorkFailedError(WorkerError):
    """The work raised what it must not; the text is the end of its traceback."""


class WorkerUnavailableError(WorkerError):
    """No process can be started."""

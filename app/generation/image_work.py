"""Runs work on a caller's images in worker processes.

Also what can be wrong with an image, in the caller's words: names the field, says what came and what to send.
"""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from app.errors import InvalidRequestError, TooLargeError, UnavailableError
from app.images.errors import (
    BoundCrossedError,
    TooManyPixelsError,
    UnreadableImageError,
    WorkerDiedError,
    WorkerUnavailableError,
    WorkFailedError,
)
from app.images.types import Header
from app.images.workers.bounds import Job
from app.images.workers.pool import Workers
from app.observability.logs import get_logger

_logger = get_logger("images")
_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")
_TAKEN = "PNG, JPEG, WebP, GIF, AVIF, HEIC, BMP or TIFF"
_BOUNDS = {"time": "time", "memory": "memory", "size": "room"}


class ImageWork:
    """Work on input images. `max_pixels` is the most one of them may have."""

    def __init__(self, workers: Workers, max_pixels: int) -> None:
        self._workers = workers
        self.max_pixels = max_pixels

    async def run_on_image(
        self,
        owner: str,
        param: str,
        header: Header,
        made: int,
        work: Callable[[*_Arguments], _T],
        *arguments: *_Arguments,
    ) -> _T:
        """`work(*arguments)` on the image in the field `param`, which makes up to `made` pixels for `owner`, a caller.

        Raises InvalidRequestError for whatever is wrong with the image, and UnavailableError without a process.
        """
        # Where only a decoder knows the size, the most is reserved: too little would end the worker (0025).
        job = Job(owner, header.width * header.height or self.max_pixels, made, header.format)
        try:
            return await self._workers.run_in_worker(job, work, *arguments)
        except UnreadableImageError:
            raise bad_image(param, "is damaged or cut off") from None
        except TooManyPixelsError:
            raise too_many_pixels(param, self.max_pixels, header) from None
        except BoundCrossedError as error:
            _warn(header, work, f"too much {error}")
            raise bad_image(param, f"takes more {_BOUNDS[str(error)]} than an image of its size may") from None
        except (WorkerDiedError, WorkFailedError) as error:  # whatever it was, it was this image that did it
            _warn(header, work, str(error))
            raise bad_image(param, "cannot be decoded") from None
        except WorkerUnavailableError as error:
            _warn(header, work, str(error))
            message = "This gateway cannot work on images at the moment. Nothing was sent; try again shortly."
            raise UnavailableError(message, code="overloaded", retry_after=2, should_retry=True) from None


def _warn(header: Header, work: Callable[..., object], reason: str) -> None:
    """Say in the log what a worker was given: the fault may be ours."""
    _logger.warning(
        "an image could not be worked on",
        stage=work.__name__,
        reason=reason,
        format=header.format,
        size=f"{header.width}x{header.height}",
    )


def bad_image(param: str, what: str) -> InvalidRequestError:
    """An image that cannot be used; `what` is the end of the sentence that the field's name begins."""
    message = f"`{param}` {what}. Send a {_TAKEN} image."
    return InvalidRequestError(message, param=param, code="invalid_image")


def too_many_pixels(param: str, limit: int, header: Header) -> InvalidRequestError:
    """An image of more pixels than `limit`."""
    size = f" ({header.width}x{header.height})" if header.width else ""
    message = f"`{param}`{size} has more than the {limit} pixels this gateway takes: scale it down."
    return InvalidRequestError(message, param=param, code="image_too_large")


def too_large(param: str, max_bytes: int) -> TooLargeError:
    """The refusal of an image with more bytes than are taken."""
    message = f"`{param}` is larger than the {max_bytes // 1024} KiB this gateway takes."
    return TooLargeError(message, param=param, code="image_too_large")

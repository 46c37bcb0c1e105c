"""What can be wrong with a caller's image, in the caller's words: names the field, says what came and what to send."""

from app.errors import InvalidRequestError
from app.images.types import Header

_TAKEN = "PNG, JPEG, WebP, GIF, AVIF, HEIC, BMP or TIFF"


def bad_image(param: str, what: str) -> InvalidRequestError:
    """An image that cannot be used; `what` is the end of the sentence that the field's name begins."""
    message = f"`{param}` {what}. Send a {_TAKEN} image."
    return InvalidRequestError(message, param=param, code="invalid_image")


def too_many_pixels(param: str, limit: int, header: Header | None) -> InvalidRequestError:
    """An image of more pixels than `limit`."""
    size = f" ({header.width}x{header.height})" if header and header.width else ""
    message = f"`{param}`{size} has more than the {limit} pixels this gateway takes: scale it down."
    return InvalidRequestError(message, param=param, code="image_too_large")

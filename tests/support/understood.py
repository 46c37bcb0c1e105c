"""A parsed request as a short dict: only what differs from the defaults, images by name and size or address."""

from app.domain.request import ImageRequest, SizeRequest, UploadedImage

_DEFAULTS = ImageRequest(mode=None, prompt=None)


def summarize(request: ImageRequest) -> dict:
    """The request in a form that a table of expectations can hold."""
    summary = {"mode": request.mode.value}
    for name in request.__struct_fields__:
        value = getattr(request, name)
        if (
            name in {"mode", "given"}
            or value == getattr(_DEFAULTS, name)
            or (name == "size" and value == SizeRequest())
        ):
            continue
        if name == "images":
            value = {image.param: _of(image) for image in value}
        elif name in {"mask", "markup"}:
            value = _of(value)
        elif name == "size":
            value = {"text": value.text, "exact": value.exact, "ignored": [name for name, _ in value.ignored]}
        elif name == "parameters":
            value = dict(value)
        elif name in {"delivery", "format"}:
            value = value.value
        summary[name] = value
    return summary


def _of(image: object) -> object:
    return len(image.data) if isinstance(image, UploadedImage) else image.url

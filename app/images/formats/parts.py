"""What a reader of a container found worth keeping, and the image made of just that."""

from dataclasses import dataclass

from app.images.formats.limits import Buffer


@dataclass(frozen=True, slots=True)
class Part:
    """A span of the image's own bytes, or `data` that stands instead of some."""

    start: int = 0
    end: int = 0
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Structure:
    """The parts that decoding needs, in order.

    `is_sound` says that they are complete, well formed and end as the format demands, so that no decoder need look.
    """

    parts: tuple[Part, ...]
    is_sound: bool


def join_parts(data: Buffer, parts: tuple[Part, ...]) -> Buffer:
    """The image of `parts` alone; the very same object when that is all there is."""
    view = memoryview(data)
    spans: list[Part] = []
    position = 0
    for part in parts:
        span = part if part.data is None else _as_span(view, part.data, position)
        # Neighbors grow together: of a clean image one span is left, and no copy is made.
        if spans and span.data is None and spans[-1].data is None and span.start == spans[-1].end:
            spans[-1] = Part(spans[-1].start, span.end)
        else:
            spans.append(span)
        position = span.end if span.data is None else position + len(span.data)
    # The same object, so that megabytes that are clean already are neither copied nor sent on as changed.
    if spans == [Part(0, len(view))]:
        return data
    return b"".join(view[span.start : span.end] if span.data is None else span.data for span in spans)


def _as_span(view: memoryview, replacement: bytes, position: int) -> Part:
    """A replacement that is what stands there already is no replacement."""
    end = position + len(replacement)
    return Part(position, end) if view[position:end] == replacement else Part(data=replacement)

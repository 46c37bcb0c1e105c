"""A push parser of multipart forms: bytes in, parts out.

Holds each part once, hashes images and enforces limits while the bytes arrive. What a part is, `form_parts` tells; how
names nest, `form_fields`; what fields mean, `parse`. No input or output.
"""

from dataclasses import dataclass, replace

from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.domain.words import JSONValue
from app.errors import InvalidRequestError, TooLargeError
from app.images.hashing import ImageHash
from app.openai_api.form_fields import rebuild_fields
from app.openai_api.form_parts import ENCODED, PartHead, TextPart, read_head, read_part
from app.openai_api.input_images import FilePart
from app.openai_api.json_body import StructureGuard
from app.openai_api.pieces import Pieces

_MAX_PARTS = 512
_MAX_CHARSET_NAME = 40


@dataclass(frozen=True, slots=True)
class Form:
    """A parsed form. `files` are the parts of image fields, those included that name an image in text."""

    fields: dict[str, JSONValue]
    files: tuple[FilePart, ...]


class FormParser:
    """Feed it the body as it arrives, then call `finish`.

    Both raise InvalidRequestError for a malformed form and TooLargeError for a file beyond `max_file_bytes`. Images are
    hashed with `image_hash`.
    """

    def __init__(self, content_type: str, max_file_bytes: int, image_hash: ImageHash) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise InvalidRequestError(
                "The multipart body has no boundary: let your HTTP client set Content-Type itself.", param="body"
            )
        self._max_file_bytes, self._image_hash = max_file_bytes, image_hash
        self._texts: list[tuple[str, str]] = []
        self._files: list[FilePart] = []
        self._header_name, self._header_value = bytearray(), bytearray()
        self._lines: list[tuple[bytes, bytes]] = []
        self._head: PartHead | None = None
        self._content = Pieces()
        self._counts = False
        self._parts = 0
        self._charset: str | None = None
        self._guard = StructureGuard()
        self._ended = False
        self._parser = self._read_with(boundary)

    @property
    def unread_bytes(self) -> int:
        """How much the form holds so far that is still to be read: texts, and images that are not hashed."""
        images = sum(len(part.content) for part in self._files if not part.digest)
        return images + sum(len(text) for _, text in self._texts)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise InvalidRequestError("The multipart body is malformed.", param="body") from None

    def finish(self) -> Form:
        """The form, once all bytes were fed."""
        if not self._ended:
            raise InvalidRequestError(
                "The multipart body ends before its closing boundary: it was cut off or is malformed.", param="body"
            )
        return Form(rebuild_fields(self._texts), tuple(self._files))

    def close(self) -> None:
        """Let go of everything at once: parser and callbacks know each other, and the collector rarely runs."""
        self._parser.callbacks = {}
        self._content, self._files, self._texts = Pieces(), [], []

    def _read_with(self, boundary: bytes) -> MultipartParser:
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._add_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError:
            message = "The boundary of the multipart body is too long: let your HTTP client set Content-Type itself."
            raise InvalidRequestError(message, param="body") from None

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise InvalidRequestError(f"The form has more than {_MAX_PARTS} parts.", param="body")
        self._head, self._lines = None, []

    def _end_header(self) -> None:
        self._lines.append((bytes(self._header_name), bytes(self._header_value)))
        self._header_name.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        head = self._head = read_head(tuple(self._lines))
        self._counts = head.image is None and not head.has_file_name
        # Of every part in such a field: that it is a file shows by its bytes alone, where a client names none.
        # What is decoded behind its end is another image than its bytes.
        is_hashed = head.image is not None and head.transfer not in ENCODED
        self._content = Pieces(self._image_hash if is_hashed else None)

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        head, content, size = self._head, self._content, end - start
        if head is None:
            return
        # Text parts may hold JSON, so they are bounded like a JSON body (0016).
        if self._counts:
            self._guard.feed(data[start:end], head.name)
        # While it arrives: a file that is too large is never held whole.
        if content.size + size > self._max_file_bytes:
            limit = f"{self._max_file_bytes // 1024} KiB"
            message = f"`{head.name}` is larger than the {limit} this gateway takes."
            raise TooLargeError(message, param=head.name, code="image_too_large" if head.image else None)
        content.add(data if size == len(data) else memoryview(data)[start:end])

    def _end_part(self) -> None:
        data = self._content.join()
        part = None if self._head is None else read_part(self._head, data, self._charset)
        if isinstance(part, FilePart):
            if isinstance(part.content, str):  # it may hold JSON
                self._guard.feed(part.content.encode("utf-8", "surrogatepass"), part.name)
            # What was decoded on the way in is not what was hashed.
            elif part.content is data:
                part = replace(part, digest=self._content.digest)
            self._files.append(part)
        elif part is not None and part.name == "_charset_":  # how HTML lets a form say it for all of its texts
            self._charset = part.text.strip().lower()[:_MAX_CHARSET_NAME] or None
        elif part is not None:
            self._add_text(part)

    def _add_text(self, part: TextPart) -> None:
        if not self._counts:  # a file that turned out to be text
            self._guard.feed(part.text.encode("utf-8", "surrogatepass"), part.name)
        self._texts.append((part.name, part.text))

    def _end(self) -> None:
        self._ended = True

"""Tells what one part of a form is: an image's bytes, text, or nothing. Pure.

Stacks disagree on how a file is marked: by `filename`, by `filename*`, by its type alone, or not at all. So the field
and the bytes have a say, and what a client claims of an image's name and type is not trusted.
"""

import binascii
import re
from dataclasses import dataclass

import pybase64
from python_multipart.multipart import parse_options_header

from app.errors import InvalidRequestError
from app.images.formats.signatures import sniff
from app.openai_api.input_images import IMAGE_FILES, FilePart

_MAX_NAME = 200
# Runware's own nesting, `inputs[seedImage]`, counts like the name inside.
_IMAGE_FIELD = re.compile(rf"(?:inputs\[)?({'|'.join(sorted(IMAGE_FILES))})\]?(?:\[(\d{{0,3}})\])?")
_EXTENDED_NAME = re.compile(rb";\s*filename\*\d*\*?\s*=", re.IGNORECASE)
_BINARY_TYPES = (b"image/", b"application/octet-stream", b"binary/")
_CHARSETS = re.compile(
    r"utf-?8|utf-16(le|be)?|us-ascii|ascii|latin-?1|iso-8859-\d{1,2}|iso-2022-jp|windows-(125\d|874)|cp125\d|koi8-[ru]"
    r"|macintosh|gbk|gb2312|gb18030|big5|euc-(jp|kr)|shift[_-]jis|x-sjis|tis-620"
)
"""Encodings of the web. Python knows others under whose names small texts take minutes."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """A field with its text; the name has its brackets."""

    name: str
    text: str


class PartHead:
    """The headers of a part, put together while they arrive."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._disposition: dict[bytes, bytes] | None = None

    def add(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._values[name.strip().lower()] = value.strip()

    def value_of(self, name: bytes) -> bytes:
        """A header by its name in lower case, empty where there is none."""
        return self._values.get(name, b"")

    @property
    def disposition(self) -> dict[bytes, bytes]:
        """What `Content-Disposition` says; read once, when all headers are there."""
        if self._disposition is None:
            _, self._disposition = parse_options_header(self.value_of(b"content-disposition"))
        return self._disposition

    @property
    def has_file_name(self) -> bool:
        """Whether the client named a file."""
        named = bool(self.disposition.get(b"filename"))
        return named or _EXTENDED_NAME.search(self.value_of(b"content-disposition")) is not None

    @property
    def name(self) -> str:
        """The name of the field, raising InvalidRequestError where there is none."""
        name = self.disposition.get(b"name", b"").decode("utf-8", "replace")
        # Names come back in errors, and so are bounded.
        if not name or len(name) > _MAX_NAME:
            raise InvalidRequestError("A part of the form has no name, or one that is too long.", param="body")
        return name


def takes_image(name: str) -> bool:
    """Whether a field of this name holds images."""
    return _IMAGE_FIELD.fullmatch(name) is not None


def read_part(head: PartHead, data: bytes, charset: str | None = None) -> FilePart | TextPart | None:
    """What the part is, None for an empty choice of a file; `charset` is the form's own.

    Raises InvalidRequestError for bytes where text belongs, and for text that its charset does not allow.
    """
    name = head.name
    # Browsers send an empty part for a choice of files that nobody made.
    if head.disposition.get(b"filename") == b"" and not data:
        return None
    data = _decode_transfer(head, name, data)
    kind, parameters = parse_options_header(head.value_of(b"content-type"))
    image = _IMAGE_FIELD.fullmatch(name)
    if image is None:
        return _read_text(name, data, parameters.get(b"charset"), charset, is_file=head.has_file_name)
    # The bytes have the last word: clients mark files in four ways, and some in none.
    is_file = head.has_file_name or kind.startswith(_BINARY_TYPES) or sniff(data) is not None or not _is_text(data)
    index = int(image[2]) if image[2] else None
    content = data if is_file else _decode_text(name, data, parameters.get(b"charset"), charset)
    return FilePart(image[1], content, index)


def _decode_transfer(head: PartHead, name: str, data: bytes) -> bytes:
    """The part's bytes as they were before its own encoding for transfer, which older stacks still use."""
    encoding = head.value_of(b"content-transfer-encoding").lower()
    try:
        if encoding == b"base64":
            return pybase64.b64decode(data.translate(None, b" \t\r\n"), validate=True)
        return binascii.a2b_qp(data) if encoding == b"quoted-printable" else data
    except ValueError:
        message = f"`{name}` is not the base64 that its Content-Transfer-Encoding says."
        raise InvalidRequestError(message, param=name) from None


def _read_text(name: str, data: bytes, own: bytes | None, charset: str | None, *, is_file: bool) -> TextPart:
    kind = sniff(data)
    if kind is not None or (is_file and not _is_text(data)):
        what = f"an image ({kind.upper()})" if kind else "a file"
        message = f"`{name}` takes text, and {what} was sent in it. Files go in image, image[] or mask."
        raise InvalidRequestError(message, param=name)
    return TextPart(name, _decode_text(name, data, own, charset))


def _is_text(data: bytes) -> bool:
    """Whether the bytes can be text at all."""
    try:
        return b"\x00" not in data and bool(data.decode() or True)
    except UnicodeDecodeError:
        return False


def _decode_text(name: str, data: bytes, own: bytes | None, charset: str | None) -> str:
    """The text, by the part's own charset, the form's, or UTF-8."""
    named = own.decode("latin-1").strip().lower() if own else charset or "utf-8"
    # A list, since Python knows codecs that take minutes for a small text.
    if _CHARSETS.fullmatch(named) is None:
        message = f"`{name}` is in the charset {named[:40]!r}, which is not known here: send UTF-8."
        raise InvalidRequestError(message, param=name)
    try:
        # The names that pages use for encodings which Python calls otherwise.
        return data.decode({"x-sjis": "shift_jis", "macintosh": "mac_roman", "tis-620": "tis_620"}.get(named, named))
    except (UnicodeDecodeError, LookupError):
        message = f"`{name}` is not valid {named.upper()} text."
        raise InvalidRequestError(message, param=name) from None

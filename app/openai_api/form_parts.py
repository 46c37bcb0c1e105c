"""Tells what one part of a form is: an image's bytes, text, or nothing. Pure.

Stacks disagree on how a file is marked: by `filename`, by `filename*`, by its type alone, or not at all. So the field
and the bytes have a say, and what a client claims of an image's name and type is not trusted.
"""

import binascii
import re
from dataclasses import dataclass
from functools import lru_cache

import pybase64
from python_multipart.multipart import parse_options_header

from app.errors import InvalidRequestError
from app.images.formats.signatures import sniff
from app.openai_api.input_images import IMAGE_FILES, FilePart

Lines = tuple[tuple[bytes, bytes], ...]
"""The headers of a part."""

_BASE64, _QUOTED_PRINTABLE = b"base64", b"quoted-printable"
ENCODED = frozenset({_BASE64, _QUOTED_PRINTABLE})
"""Encodings for transfer under which a part's bytes are others than those it brings."""
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


@dataclass(frozen=True, slots=True)
class PartHead:
    """What the headers of a part say.

    `image` is the field of images that it stands in, `index` what stood in its brackets. `empty_choice` says that it
    names a file without a name, `transfer` how its bytes were encoded on the way, in lower case.
    """

    name: str
    has_file_name: bool
    empty_choice: bool
    kind: bytes
    charset: bytes | None
    transfer: bytes
    image: str | None
    index: int | None


# Remembered: clients write the same few again and again, and reading one takes longer than its text.
@lru_cache(maxsize=64)
def read_head(lines: Lines) -> PartHead:
    """What headers say, raising InvalidRequestError where they name no field."""
    values = {name.strip().lower(): value.strip() for name, value in lines}
    given = values.get(b"content-disposition", b"")
    _, disposition = parse_options_header(given)
    name = disposition.get(b"name", b"").decode("utf-8", "replace")
    # Names come back in errors, and so are bounded.
    if not name or len(name) > _MAX_NAME:
        raise InvalidRequestError("A part of the form has no name, or one that is too long.", param="body")
    kind, parameters = parse_options_header(values.get(b"content-type", b""))
    image = _IMAGE_FIELD.fullmatch(name)
    return PartHead(
        name,
        has_file_name=bool(disposition.get(b"filename")) or _EXTENDED_NAME.search(given) is not None,
        empty_choice=disposition.get(b"filename") == b"",
        kind=kind,
        charset=parameters.get(b"charset"),
        transfer=values.get(b"content-transfer-encoding", b"").lower(),
        image=image[1] if image else None,
        index=int(image[2]) if image and image[2] else None,
    )


def read_part(head: PartHead, data: bytes, charset: str | None = None) -> FilePart | TextPart | None:
    """What the part is, None for an empty choice of a file; `charset` is the form's own.

    Raises InvalidRequestError for bytes where text belongs, and for text that its charset does not allow.
    """
    # Browsers send an empty part for a choice of files that nobody made.
    if head.empty_choice and not data:
        return None
    data = _decode_transfer(head, data)
    if head.image is None:
        return _read_text(head, data, charset)
    # The bytes have the last word: clients mark files in four ways, and some in none.
    is_file = head.has_file_name or head.kind.startswith(_BINARY_TYPES) or sniff(data) is not None or not _is_text(data)
    return FilePart(head.image, data if is_file else _decode_text(head, data, charset), head.index)


def _decode_transfer(head: PartHead, data: bytes) -> bytes:
    """The part's bytes as they were before its own encoding for transfer, which older stacks still use."""
    try:
        if head.transfer == _BASE64:
            return pybase64.b64decode(data.translate(None, b" \t\r\n"), validate=True)
        return binascii.a2b_qp(data) if head.transfer == _QUOTED_PRINTABLE else data
    except ValueError:
        message = f"`{head.name}` is not the base64 that its Content-Transfer-Encoding says."
        raise InvalidRequestError(message, param=head.name) from None


def _read_text(head: PartHead, data: bytes, charset: str | None) -> TextPart:
    kind = sniff(data)
    if kind is not None or (head.has_file_name and not _is_text(data)):
        what = f"an image ({kind.upper()})" if kind else "a file"
        message = f"`{head.name}` takes text, and {what} was sent in it. Files go in image, image[] or mask."
        raise InvalidRequestError(message, param=head.name)
    return TextPart(head.name, _decode_text(head, data, charset))


def _is_text(data: bytes) -> bool:
    """Whether the bytes can be text at all."""
    try:
        return b"\x00" not in data and bool(data.decode() or True)
    except UnicodeDecodeError:
        return False


def _decode_text(head: PartHead, data: bytes, charset: str | None) -> str:
    """The text, by the part's own charset, the form's, or UTF-8."""
    name = head.name
    named = head.charset.decode("latin-1").strip().lower() if head.charset else charset or "utf-8"
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

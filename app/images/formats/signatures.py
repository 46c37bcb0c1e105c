"""Names files by their first bytes: the formats we take, and what people send instead of an image."""

import re

from app.images.formats import boxes, tiff
from app.images.formats.limits import Buffer

_HEAD = 4096
_FOREIGN = (
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"%!PS"), "a PostScript file"),
    (re.compile(rb"8BPS"), "a Photoshop file"),
    (re.compile(rb"\x00\x00\x00\x0cJXL |\xff\x0a"), "a JPEG XL image"),
    (re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"), "a JPEG 2000 image"),
    (re.compile(rb"....ftypcrx ", re.DOTALL), "a camera's raw file"),
    (re.compile(rb"FUJIFILMCCD-RAW|IIRO|IIU\x00|MMOR|IIRS"), "a camera's raw file"),
    (re.compile(rb"....ftypqt  ", re.DOTALL), "a QuickTime video"),
    (re.compile(rb"....ftypM4A ", re.DOTALL), "an audio file"),
    (re.compile(rb"....(?:ftyp|moov|mdat)", re.DOTALL), "an MP4 video"),
    (re.compile(rb"\x1aE\xdf\xa3"), "a WebM or Matroska video"),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), "an AVI video"),
    (re.compile(rb"RIFF....WAVE|ID3|OggS|fLaC", re.DOTALL), "an audio file"),
    (re.compile(rb"\x00\x00\x01\x00|\x00\x00\x02\x00"), "an icon"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive or an Office document"),
    (re.compile(rb"\x1f\x8b"), "compressed with gzip"),
    (re.compile(rb"v/1\x01"), "an OpenEXR image"),
    (re.compile(rb"#\?RADIANCE|#\?RGBE"), "a Radiance image"),
    (re.compile(rb"DDS "), "a DirectDraw texture"),
    (re.compile(rb"\xabKTX"), "a texture"),
    (re.compile(rb"P[1-7][\s#]"), "a Netpbm image"),
)
_PAGE = re.compile(rb"<(?:!doctype\s+html|html|head|body)", re.IGNORECASE)
_DRAWING = re.compile(rb"<svg[\s/>]", re.IGNORECASE)
_MARKUP = re.compile(rb"<[?!a-z]", re.IGNORECASE)
_SVG = "an SVG drawing"
_BLANK = b" \t\r\n\x00"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def sniff(data: Buffer) -> str | None:
    """The format by its first bytes: png, jpeg, webp, gif, avif, heic, bmp, tiff, svg; None for anything else."""
    head = bytes(data[:_HEAD])
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    # Films, audio and images share these boxes; the brands tell them apart.
    if head[4:8] == b"ftyp":
        return boxes.brand_of(head)
    if head.startswith(b"BM"):
        return "bmp"
    if head.startswith(tiff.SIGNATURES):
        return "tiff"
    # Last, and as a drawing only: markup is text, and any of the formats above could hold such text.
    return "svg" if _name_markup(head) == _SVG else None


def name_foreign(data: Buffer) -> str | None:
    """What `data` is instead of an image we take, as the end of a sentence; None when it is one."""
    head = bytes(data[:_HEAD])
    format_ = sniff(head)
    if format_ == "tiff":
        return tiff.name_raw(data)
    if format_ is not None and format_ != "svg":
        return None
    # Named, so that the caller learns what was sent by mistake, instead of that "it cannot be read".
    named = next((name for pattern, name in _FOREIGN if pattern.match(head)), None)
    return (
        named or _name_markup(head) or _name_text(head) or f"not an image: it begins with the bytes {head[:8].hex(' ')}"
    )


def _name_markup(head: bytes) -> str | None:
    text = head.removeprefix(_BYTE_ORDER_MARK).lstrip(_BLANK)
    if _PAGE.match(text):
        return "an HTML page"
    if not _MARKUP.match(text):
        return None
    return _SVG if _DRAWING.search(text) else "an XML document"


def _name_text(head: bytes) -> str | None:
    text = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if text[:1] in {b"{", b"["}:
        return "a JSON document"
    return "text" if text and all(byte >= 0x20 or byte in b"\t\r\n\f" for byte in text) else None  # noqa: PLR2004 - space

"""Takes the base64 of images out of an answer before anything decodes it, and puts it back behind. Pure.

An answer is some hundred bytes of JSON around megabytes of base64. Decoders walk through those byte by byte, and more
than once; finding their end and checking them takes a tenth of that. What is taken out stays a slice of the answer.
"""

import re
from collections.abc import Mapping
from typing import TypeAlias

import msgspec
import pybase64
from msgspec import Struct

LONG = 64 * 1024
"""Shorter answers and texts are decoded as fast as they are searched."""
_MAX_TEXTS = 64
_MAX_HEAD = 128
"""Of a data URI, before its base64."""
_MAX_BEHIND = 2 * 1024
"""What stands behind the base64 of an answer with one image is mostly shorter."""
_NAMES = ("imageBase64Data", "imageDataURI")
# A name that a text merely quotes has a backslash before its quotation marks, and another before a colon could follow.
_MEMBER = re.compile(rb'(?<!\\)"(?:%b)"[ \t\r\n]{0,8}:[ \t\r\n]{0,8}"' % b"|".join(name.encode() for name in _NAMES))
_BACKSLASH = 0x5C
_QUOTE = 0x22
MARKS = b"\\u0000"
"""No JSON of Runware's has it, and none that has it is cut."""
_MARK = b'"\\u0000%d"'


AnswerBytes: TypeAlias = bytes | bytearray
"""Nobody changes them; large ones are received where they stay."""


class CutAnswer(Struct, frozen=True):
    """An answer with marks in place of its long base64, and these texts by their marks, quotation marks included."""

    rest: AnswerBytes
    texts: Mapping[bytes, memoryview]

    def restored(self, members: Mapping[str, msgspec.Raw]) -> Mapping[str, msgspec.Raw]:
        """The members of an entry, with the texts that were taken out of them."""
        if not self.texts:
            return members
        restored = {}
        for name, raw in members.items():
            written = bytes(raw)
            text = self.texts.get(written) if name in _NAMES else None
            if text is not None:
                restored[name] = msgspec.Raw(text)
            # Left out where a text stood deeper inside: it is too long for what is handed on as it is.
            elif MARKS not in written:
                restored[name] = raw
        return restored

    def text_of(self, raw: msgspec.Raw) -> memoryview | None:
        """A text as it is written, put back where it was taken out; None where a mark stands in it, and is none."""
        if not self.texts:
            return memoryview(raw)
        written = bytes(raw)
        text = self.texts.get(written)
        return memoryview(raw) if text is None and MARKS not in written else text


def cut_answer(body: AnswerBytes) -> CutAnswer:
    """`body` without the long base64 of its images; unchanged where there is none."""
    if len(body) < LONG:
        return CutAnswer(body, {})
    pieces: list[AnswerBytes] = []
    texts: dict[bytes, memoryview] = {}
    view, kept, position = memoryview(body).toreadonly(), 0, 0
    tail = len(body) - _MAX_BEHIND
    for _ in range(_MAX_TEXTS):
        member = _MEMBER.search(body, position) if len(body) - position >= LONG else None
        if member is None:
            break
        start = member.end()
        end, is_base64 = _find_end(body, view, start, tail)
        if end < 0:
            break
        if end < tail:
            tail = 0  # more than one text, or much behind it: the other ends are searched for from where they begin
        position = end
        if not is_base64:
            continue  # whatever it is, the decoder judges it
        mark = _MARK % len(texts)
        texts[mark] = view[start - 1 : end + 1]
        pieces += (body[kept : start - 1], mark)
        kept = position = end + 1
    if not texts:
        return CutAnswer(body, {})
    pieces.append(body[kept:])
    if any(MARKS in piece for piece in pieces[::2]):
        return CutAnswer(body, {})
    return CutAnswer(b"".join(pieces), texts)


def _find_end(body: AnswerBytes, view: memoryview, start: int, tail: int) -> tuple[int, bool]:
    """Where the text that begins at `start` ends, -1 where it does not; and whether it is base64.

    Its end is looked for from `tail` on first, if that is behind `start`.
    """
    # Base64 has no quotation mark: what is base64 up to one ends there, wherever that one was found. Most answers have
    # one image, whose megabytes need not be searched; those with several pay one check of an image more.
    late = body.find(b'"', tail) if start < tail else -1
    if late >= 0 and _is_base64(view[start:late]):
        return late, True
    end = body.find(b'"', start)
    return end, end not in (-1, late) and _is_base64(view[start:end])


def _is_base64(text: memoryview) -> bool:
    """Whether a text is base64 to its end, alone or in a data URI: then it needs no decoding to be valid JSON."""
    if len(text) < LONG:
        return False
    head, comma, _ = bytes(text[:_MAX_HEAD]).partition(b",")
    if comma and (not head.isascii() or not head.decode().isprintable() or _BACKSLASH in head or _QUOTE in head):
        return False
    try:
        # The result is let go: nothing else tells as fast that there is no wrong character anywhere.
        pybase64.b64decode(text[len(head) + 1 :] if comma else text, validate=True)
    except ValueError:
        return False
    return True

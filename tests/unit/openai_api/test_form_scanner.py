"""Where the parts of a form begin and end, judged beside the parser that most servers use."""

import itertools
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from app.errors import InvalidRequestError
from app.openai_api.form_scanner import FormScanner, Lines, Piece

HEAD = b'Content-Disposition: form-data; name="a"\r\n\r\n'


@dataclass
class Read:
    """What was found in a form: its parts with their headers, whether it ended, and whether it is wrong."""

    parts: list[tuple[list[tuple[bytes, bytes]], bytes]] = field(default_factory=list)
    open: tuple[list[tuple[bytes, bytes]], bytes] | None = None
    ended: bool = False
    malformed: bool = False

    def begin_part(self, lines: Lines) -> None:
        self.open = ([(name, value.lstrip(b" ")) for name, value in lines], b"")

    def add_content(self, piece: Piece) -> None:
        assert self.open is not None
        assert piece
        self.open = (self.open[0], self.open[1] + bytes(piece))

    def end_part(self, *, is_last: bool) -> None:
        assert self.open is not None
        self.parts.append(self.open)
        self.open = None

    def end(self) -> None:
        self.ended = True


def scanned(chunks, boundary=b"b") -> Read:
    read, scanner = Read(), FormScanner(boundary)
    try:
        for chunk in chunks:
            scanner.feed(chunk, read)
    except InvalidRequestError:
        read.malformed = True
    return read


def parsed(chunks, boundary=b"b") -> Read:
    """The same by python-multipart."""
    read, lines, name, value = Read(), [], bytearray(), bytearray()

    def end_header():
        lines.append((bytes(name), bytes(value)))
        name.clear()
        value.clear()

    def end_headers():
        read.begin_part(tuple(lines))
        lines.clear()

    callbacks = {
        "on_header_field": lambda data, start, end: name.extend(data[start:end]),
        "on_header_value": lambda data, start, end: value.extend(data[start:end]),
        "on_header_end": end_header,
        "on_headers_finished": end_headers,
        "on_part_data": lambda data, start, end: read.add_content(data[start:end]),
        "on_part_end": lambda: read.end_part(is_last=False),
        "on_end": read.end,
    }
    parser = MultipartParser(boundary, callbacks)
    try:
        for chunk in chunks:
            parser.write(chunk)
    except MultipartParseError:
        read.malformed = True
    return read


def cut(body: bytes, places) -> list[bytes]:
    marks = [0, *sorted({place % (len(body) + 1) for place in places}), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(marks) if end > start]


# Pieces that forms are made of, whole and broken, so that chance meets every turn of the grammar.
WORDS = [
    b"--b", b"\r\n--b", b"\r\n", b"\r", b"\n", b"-", b"--", b" ", b"\t", b":", b"a", b"\r\n--b\r\n", b"\r\n--b--", b"--b\r\n", HEAD,
    b"X: y\r\n", b"X:  \r\n", b"x", b"\xff\x00", b"\r\n--", b"\r\n--b\r", b"\r\n--b-", b"\r\n--b \t\r\n", b"\r\n\r\n",
    b"content", b"N: v\nw\r\n", b"A: b\r\n" * 8, b"A: b\r\n" * 9, b"y" * 300, b"Z: " + b"z" * 4221 + b"\r\n", b"Z: " + b"z" * 4222 + b"\r\n",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(WORDS), max_size=14),
    st.booleans(),
    st.lists(st.integers(min_value=0, max_value=20_000), max_size=6),
)
def test_it_finds_what_the_usual_parser_finds_however_the_bytes_are_cut(words, begun, places):
    body = (b"--b\r\n" if begun else b"") + b"".join(words)
    chunks = cut(body, places)
    assert scanned(chunks) == parsed(chunks)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 5000, 100_000], ids=str)
def test_a_large_file_comes_out_as_it_is_whatever_the_size_of_the_chunks(size):
    content = random.Random(5).randbytes(20_000) + b"\r\n--bad\r\n--b\r" + b"\r\n-" * 500 + b"x" * 9000
    body = b"--b\r\n" + HEAD + content + b"\r\n--b\r\n" + HEAD + b"short\r\n--b--\r\nepilogue"
    read = scanned([body[start : start + size] for start in range(0, len(body), size)])
    assert ([part for _, part in read.parts], read.ended) == ([content, b"short"], True)


def test_a_chunk_within_a_file_is_handed_on_without_a_copy():
    scanner, read = FormScanner(b"b"), []

    class Pieces(Read):
        def add_content(self, piece):
            read.append(piece)

    scanner.feed(b"--b\r\n" + HEAD, Pieces())
    chunk = b"c" * 50_000
    scanner.feed(chunk, Pieces())
    assert read[0] is chunk


@pytest.mark.parametrize("length", [256, 257], ids=["as long as may be", "longer"])
def test_a_boundary_has_a_length(length):
    if length > 256:
        with pytest.raises(InvalidRequestError):
            FormScanner(b"b" * length)
    else:
        body = b"--" + b"b" * length + b"\r\n" + HEAD + b"text\r\n--" + b"b" * length + b"--"
        assert scanned([body], b"b" * length) == parsed([body], b"b" * length)


def test_heads_that_are_long_or_cut_are_read_as_short_ones():
    long = b'Content-Disposition: form-data; name="a"; filename="' + b"f" * 3000 + b'"\r\nX: y\r\n\r\n'
    body = b"--b\r\n" + long + b"text\r\n--b--"
    for chunks in ([body], cut(body, range(0, len(body), 11))):
        assert scanned(chunks) == parsed(chunks)

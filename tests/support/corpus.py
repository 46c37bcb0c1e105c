"""Seeded damage: images of every format, broken, stretched and stuffed in every way that decoders dislike.

The same index always gives the same bytes. Whole images are among them, so that what is right stays right.
"""

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pillow_heif
from PIL import Image

from tests.support.containers import jpeg_segment, jpeg_with, png_chunk, png_with, sides, webp_chunk, webp_with
from tests.support.images import encode, photo
from tests.support.orientation import exif_block

_SIDE = 96
_SHORTEST = 64
"""What is shorter is damaged enough."""
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


@dataclass(frozen=True)
class Case:
    """One file, with a name that says how it came about."""

    name: str
    data: bytes


def cases(count: int, *, seed: int = 0) -> Iterator[Case]:
    """The first `count` cases: one in ten is a bomb or an oddity made by hand, the others are mutations."""
    whole, odd = _whole_images(), _ODDITIES
    for index in range(count):
        chance = random.Random(f"{seed} {index}")
        if index % 10 == 9:
            make = odd[index // 10 % len(odd)]
            yield Case(f"{index} {make.__name__}", make(chance))
        else:
            name, data = whole[index % len(whole)]
            damage = chance.choice(_DAMAGES)
            for _ in range(chance.choice((1, 1, 1, 2, 4))):
                data = damage(data, chance) if len(data) >= _SHORTEST else data
            yield Case(f"{index} {name} {damage.__name__}", data)


def _whole_images() -> list[tuple[str, bytes]]:
    """An image of every format and of most of its kinds."""
    pillow_heif.register_heif_opener()
    image = photo(_SIDE, _SIDE)
    animated = {"save_all": True, "append_images": [Image.new("RGB", image.size, "red")]}
    made: list[tuple[str, str, str, dict]] = [
        ("png", "PNG", "RGB", {}),
        ("png alpha", "PNG", "RGBA", {"exif": exif_block(6)}),
        ("png palette", "PNG", "P", {"optimize": True}),
        ("png gray", "PNG", "LA", {}),
        ("png animated", "PNG", "RGB", animated),
        ("jpeg", "JPEG", "RGB", {"exif": exif_block(6)}),
        ("jpeg progressive", "JPEG", "RGB", {"progressive": True}),
        ("jpeg restarts", "JPEG", "L", {"restart_marker_blocks": 1}),
        ("jpeg cmyk", "JPEG", "CMYK", {}),
        ("webp", "WEBP", "RGB", {"exif": exif_block(8)}),
        ("webp lossless", "WEBP", "RGBA", {"lossless": True}),
        ("webp animated", "WEBP", "RGB", animated),
        ("gif", "GIF", "RGB", {}),
        ("gif animated", "GIF", "RGB", animated),
        ("avif", "AVIF", "RGB", {"exif": exif_block(6)}),
        ("avif alpha", "AVIF", "RGBA", {}),
        ("heic", "HEIF", "RGB", {"exif": exif_block(6)}),
        ("bmp", "BMP", "RGB", {}),
        ("bmp palette", "BMP", "P", {}),
        ("tiff", "TIFF", "RGB", {"exif": exif_block(6)}),
        ("tiff lzw", "TIFF", "RGBA", {"compression": "tiff_lzw"}),
        ("tiff jpeg", "TIFF", "RGB", {"compression": "jpeg"}),
        ("tiff deflate", "TIFF", "CMYK", {"compression": "tiff_adobe_deflate"}),
        ("tiff fax", "TIFF", "1", {"compression": "group4"}),
    ]
    sixteen = encode(photo(_SIDE, _SIDE, "L").convert("I;16"))
    floats = encode(photo(_SIDE, _SIDE, "L").convert("F"), "TIFF")
    listed = [(name, encode(image.convert(mode), format_, **options)) for name, format_, mode, options in made]
    return [*listed, ("png 16 bits", sixteen), ("tiff float", floats)]


def leave(data: bytes, _: random.Random) -> bytes:
    return data


def flip_bytes(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 20)):
        changed[chance.randrange(len(changed))] ^= chance.randint(1, 255)
    return bytes(changed)


def flip_in_the_head(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        changed[chance.randrange(8, min(400, len(changed)))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(16, len(data))]


def remove(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(12, len(data))
    return data[:start] + data[start + chance.randint(1, 64) :]


def insert(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(12, len(data))
    return data[:start] + chance.randbytes(chance.randint(1, 64)) + data[start:]


def repeat(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(12, len(data))
    piece = data[start : start + chance.randint(4, 200)]
    return data[:start] + piece * chance.randint(2, 50) + data[start:]


def blank(data: bytes, chance: random.Random) -> bytes:
    start, length = chance.randrange(12, len(data)), chance.randint(4, 200)
    return data[:start] + chance.choice((b"\0", b"\xff")) * length + data[start + length :]


def odd_number(data: bytes, chance: random.Random) -> bytes:
    """A length, an offset or a size becomes one at the edge of what it can hold."""
    changed = bytearray(data)
    start = chance.randrange(4, min(600, len(data) - 4))
    form = chance.choice((">I", "<I", ">H", "<H", "B"))
    struct.pack_into(form, changed, start, chance.choice(_NUMBERS) & (1 << 8 * struct.calcsize(form)) - 1)
    return bytes(changed)


_DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [
    leave, flip_bytes, flip_in_the_head, cut, remove, insert, repeat, blank, odd_number, odd_number,
]  # fmt: skip


def png_of_any_size(chance: random.Random) -> bytes:
    width, height = chance.choice(
        [(60_000, 60_000), (64_000_000, 1), (1, 64_000_000), (2**31 - 1, 1), (0, 5), (8000, 8000)]
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return encode(photo(8, 8))[:8] + png_chunk(b"IHDR", header) + encode(photo(8, 8))[33:]


def png_with_too_many_pixels_inside(chance: random.Random) -> bytes:
    packed = zlib.compress(b"\0" * chance.choice((5_000_000, 30_000_000)))
    return encode(photo(8, 8))[:33] + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


def png_with_packed_texts(chance: random.Random) -> bytes:
    bomb = zlib.compress(b"\0" * 20_000_000, 9)
    texts = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}
    return png_with(*(png_chunk(name, texts[name] + bomb) for name in chance.choices(list(texts), k=3)))


def png_of_tiny_chunks(chance: random.Random) -> bytes:
    return png_with(png_chunk(chance.choice((b"tEXt", b"abCd", b"IDAT")), b"") * chance.choice((1000, 100_000)))


def jpeg_of_fill_bytes(chance: random.Random) -> bytes:
    return b"\xff\xd8" + b"\xff" * chance.choice((1000, 3_000_000)) + encode(photo(_SIDE, _SIDE), "JPEG")[2:]


def jpeg_of_empty_segments(chance: random.Random) -> bytes:
    return jpeg_with(jpeg_segment(chance.choice((0xE1, 0xFE, 0xE2)), b"") * chance.choice((1000, 500_000)))


def jpeg_of_many_scans(chance: random.Random) -> bytes:
    data = encode(photo(_SIDE, _SIDE), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * chance.choice((10, 2000)) + data[-2:]


def jpeg_of_any_size(chance: random.Random) -> bytes:
    data = bytearray(encode(photo(_SIDE, _SIDE), "JPEG"))
    struct.pack_into(
        ">HH", data, data.index(b"\xff\xc0") + 5, *chance.choice([(65_500, 65_500), (0, 96), (8000, 8000), (1, 65_535)])
    )
    return bytes(data)


def jpeg_with_odd_exif(chance: random.Random) -> bytes:
    return encode(photo(_SIDE, _SIDE), "JPEG", exif=b"Exif\0\0" + odd_tags(chance))


def png_with_odd_exif(chance: random.Random) -> bytes:
    return png_with(png_chunk(b"eXIf", odd_tags(chance)))


def webp_with_odd_exif(chance: random.Random) -> bytes:
    return webp_with(webp_chunk(b"EXIF", odd_tags(chance)), flags=8)


def avif_with_odd_exif(chance: random.Random) -> bytes:
    block = odd_tags(chance)
    room = b"II*\0\x08\0\0\0\0\0" + b"\0" * (len(block) - 10)
    return encode(photo(_SIDE, _SIDE), "AVIF", exif=b"Exif\0\0" + room).replace(room, block)


def tiff_with_odd_tags(chance: random.Random) -> bytes:
    data = encode(photo(_SIDE, _SIDE), "TIFF")
    (page,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, page)
    own = data[page + 2 : page + 2 + 12 * count]
    more, extra = _entries(chance)
    directory = struct.pack("<H", count + more) + own + extra + struct.pack("<I", chance.choice((0, page, len(data))))
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + directory


def odd_tags(chance: random.Random) -> bytes:
    """EXIF with tags of impossible types, counts and places, and an orientation among them."""
    count, entries = _entries(chance)
    return (
        b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + struct.pack("<I", chance.choice((0, 8, 0xFFFFFFFF)))
    )


def _entries(chance: random.Random) -> tuple[int, bytes]:
    tags = [struct.pack("<HHIHH", 0x0112, 3, 1, chance.choice((0, 1, 6, 8, 9, 77)), 0)]
    for _ in range(chance.randint(1, 8)):
        tag = chance.choice((0x010F, 0x011A, 0x0131, 0x8769, 0x8825, 0x9003, 0x927C, chance.randrange(0x10000)))
        kind, number = chance.choice((1, 2, 3, 4, 5, 7, 10, 12, 13, 0, 99)), chance.choice((0, 1, 4, 900, 0xFFFFFFFF))
        tags.append(struct.pack("<HHII", tag, kind, number, chance.choice((*_NUMBERS, chance.randrange(400)))))
    return len(tags), b"".join(sorted(tags, key=lambda entry: struct.unpack_from("<H", entry)[0]))


def tiff_of_any_size(chance: random.Random) -> bytes:
    data = bytearray(encode(photo(_SIDE, _SIDE), "TIFF", compression=chance.choice((None, "tiff_lzw", "packbits"))))
    (page,) = struct.unpack_from("<I", data, 4)
    for entry in range(page + 2, page + 2 + 12 * struct.unpack_from("<H", data, page)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] in {256, 257, 278, 279}:
            struct.pack_into("<I", data, entry + 8, chance.choice((1, 8000, 70_000, 0xFFFFFFFF)))
    return bytes(data)


def gif_of_any_size(chance: random.Random) -> bytes:
    data = bytearray(encode(photo(_SIDE, _SIDE), "GIF"))
    struct.pack_into("<HH", data, 6, *chance.choice([(65_535, 65_535), (0, 0), (8000, 8000), (1, 1)]))
    return bytes(data)


def webp_of_any_size(chance: random.Random) -> bytes:
    width, height = chance.choice([(16_384, 16_384), (1 << 24, 1), (1, 1), (61, 41)])
    return webp_with().replace(sides(60, 40), sides(width, height))


def bmp_of_any_size(chance: random.Random) -> bytes:
    data = bytearray(encode(photo(_SIDE, _SIDE), "BMP"))
    struct.pack_into(
        "<ii", data, 18, *chance.choice([(96, -96), (-96, 96), (2**31 - 1, 1), (-(2**31), 5), (8000, 8000)])
    )
    return bytes(data)


def boxes_of_any_size(chance: random.Random) -> bytes:
    format_ = chance.choice(("AVIF", "HEIF"))
    data = bytearray(encode(photo(_SIDE, _SIDE), format_))
    at = data.index(b"ispe")
    struct.pack_into(
        ">II", data, at + 8, *chance.choice([(8000, 8000), (65_535, 65_535), (1, 1), (0, 0), (2**32 - 1, 2**32 - 1)])
    )
    return bytes(data)


def boxes_in_boxes(chance: random.Random) -> bytes:
    data = encode(photo(_SIDE, _SIDE), chance.choice(("AVIF", "HEIF")))
    inner = struct.pack(">I4s", 8, b"free") * chance.choice((100, 100_000))
    start = int.from_bytes(data[:4], "big")
    return data[:start] + inner + data[start:]


def another_file(chance: random.Random) -> bytes:
    heads = [
        b"%PDF-1.7\n",
        b"\0\0\0\x18ftypmp42\0\0\0\0",
        b"<svg xmlns='http://www.w3.org/2000/svg'>",
        b"PK\x03\x04",
        b'{"a": 1}',
        b"\x1f\x8b\x08",
    ]
    return chance.choice(heads) + chance.randbytes(300)


def one_format_in_another(chance: random.Random) -> bytes:
    first, second = (
        encode(photo(_SIDE, _SIDE), chance.choice(("PNG", "JPEG", "WEBP", "GIF", "TIFF"))) for _ in range(2)
    )
    return first[: chance.randrange(16, 200)] + second


def nothing_but_noise(chance: random.Random) -> bytes:
    heads = (
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\xff\xff\0\0WEBP",
        b"GIF89a",
        b"\0\0\0\x1cftypavif",
        b"\0\0\0\x1cftypheic",
        b"BM",
        b"II*\0",
        b"",
    )
    return chance.choice(heads) + chance.randbytes(chance.choice((1, 40, 3000)))


_ODDITIES: list[Callable[[random.Random], bytes]] = [
    png_of_any_size, png_with_too_many_pixels_inside, png_with_packed_texts, png_of_tiny_chunks, png_with_odd_exif,
    jpeg_of_fill_bytes, jpeg_of_empty_segments, jpeg_of_many_scans, jpeg_of_any_size, jpeg_with_odd_exif,
    webp_of_any_size, webp_with_odd_exif, gif_of_any_size, bmp_of_any_size, tiff_of_any_size, tiff_with_odd_tags,
    boxes_of_any_size, boxes_in_boxes, avif_with_odd_exif, another_file, one_format_in_another, nothing_but_noise,
]  # fmt: skip

"""Color profiles, made on the spot: small, and plain enough to compute what must come out."""

import struct

from PIL import ImageCms

_D50 = (0.9642, 1.0, 0.8249)


def srgb() -> bytes:
    """The profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def gray(gamma: float) -> bytes:
    """Gray with one gamma."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": curve})


def wide_rgb() -> bytes:
    """RGB with sRGB's tones whose red and green are swapped: what is computed through shows at once."""
    columns = {b"rXYZ": (0.3851, 0.7169, 0.0971), b"gXYZ": (0.4361, 0.2225, 0.0139), b"bXYZ": (0.1431, 0.0606, 0.7141)}
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    return _profile(
        b"RGB ",
        b"XYZ ",
        b"mntr",
        {name: _xyz(value) for name, value in columns.items()} | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    )


def cmyk() -> bytes:
    """CMYK of a press whose black ink alone prints, and prints Lab lightness 100 - K."""
    entries = b"".join(
        bytes([255 if not key else 0, 128, 128]) for _ in range(2) for _ in range(2) for _ in range(2) for key in (0, 1)
    )
    identity = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + identity * 4 + entries + identity * 3
    return _profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": table})


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _profile(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2 with these tags."""
    text = b"test\0"
    described = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)
    every = {b"desc": described, b"cprt": b"text" + bytes(4) + text, b"wtpt": _xyz(_D50)} | tags
    directory, bodies, offset = b"", b"", 128 + 4 + 12 * len(every)
    for name, body in every.items():
        padded = body + bytes(-len(body) % 4)
        directory += name + struct.pack(">II", offset + len(bodies), len(body))
        bodies += padded
    rest = struct.pack(">I", len(every)) + directory + bodies
    header = struct.pack(">I", 128 + len(rest)) + bytes(4) + struct.pack(">I", 0x02400000) + kind + space + connection
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(_D50)[8:] + bytes(48)
    return header + rest

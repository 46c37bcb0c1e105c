"""What a job on images may take: time, memory and bytes, all by the pixels it honestly needs. Pure."""

from dataclasses import dataclass

_MEGAPIXEL = 1_000_000
_MIB = 1024 * 1024
_BASE_SECONDS = 1.0
_DECODING = {"jpeg": 0.06, "bmp": 0.06, "gif": 0.1, "webp": 0.12, "avif": 0.15, "tiff": 0.15, "png": 0.15, "heic": 0.25}
# Seconds a megapixel, as decoding above; AVIF is the slowest by far.
_ENCODING = {"jpeg": 0.1, "gif": 0.2, "webp": 0.3, "png": 0.4, "avif": 1.2}
# Seconds a megapixel: four times what noise, the worst of honest images, took on a slow core.
_SCALING = 0.1
_WALL_SECONDS, _WALL_FACTOR = 10.0, 4.0
# Four copies with alpha, and what decoders and encoders take beside them.
_MEMORY, _MEMORY_PER_PIXEL = 256 * _MIB, 24
# Measured: 32 to 42 bytes a pixel.
_MEMORY_OF_ENCODING = {"avif": 60}
_REPLY, _REPLY_PER_PIXEL = 1 * _MIB, 8
_LONG_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a job must not go beyond.

    `cpu_seconds` are its own; `wall_seconds` also pass while the machine is busy, and only end what hangs.
    `memory_bytes` come on top of what the process has already.
    """

    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
    reply_bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """What must be known of a job before it gets its turn.

    `decoded` and `made` are pixels, `decoder` and `encoder` their formats; the slowest counts where there are several
    or it is not known. `urgent` is what has been paid for.
    """

    owner: str
    decoded: int = 0
    made: int = 0
    decoder: str | None = None
    encoder: str = "png"
    urgent: bool = False

    @property
    def is_long(self) -> bool:
        """Whether it may keep a process for more than a few seconds."""
        return self.bounds.cpu_seconds > _LONG_SECONDS

    @property
    def bounds(self) -> Bounds:
        """The bounds of this job."""
        decoding = _DECODING.get(self.decoder or "", max(_DECODING.values())) + _SCALING
        encoding = _ENCODING.get(self.encoder, max(_ENCODING.values())) + _SCALING
        seconds = _BASE_SECONDS + (self.decoded * decoding + self.made * encoding) / _MEGAPIXEL
        copies = _MEMORY_OF_ENCODING.get(self.encoder, _MEMORY_PER_PIXEL)
        # Time and memory follow the pixels of the header, so a bomb gets only what an honest image of its size needs.
        return Bounds(
            seconds,
            _WALL_SECONDS + _WALL_FACTOR * seconds,
            _MEMORY + self.decoded * _MEMORY_PER_PIXEL + self.made * copies,
            _REPLY + self.made * _REPLY_PER_PIXEL,
        )

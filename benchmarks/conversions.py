"""What the encoders' settings cost and give, and what a conversion costs beside its encoder.

`python -m benchmarks.conversions` prints size, quality (PSNR over all channels) and CPU of each setting, on images made
here: a scene with texture at every scale as photographs have it, one with grain over it, and a flat drawing. Then it
converts through worker processes as the gateway does, beside Pillow's own decoding and encoding in as many processes,
and watches the event loop.
The settings in use are marked.
"""

import asyncio
import io
import math
import multiprocessing
import os
import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, field

import psutil
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat

from app.images.convert import DEFAULT_QUALITY, convert, options_of
from app.images.workers.bounds import Job
from app.images.workers.pool import Workers
from app.server.free_memory import FreeMemory
from benchmarks.programs import ALLOCATOR
from benchmarks.tree import cpu_seconds

_SIDE, _ROUNDS, _MAX_PIXELS = 1024, 3, 64_000_000
_CONVERSIONS, _AT_ONCE, _WORKERS, _TICK = 24, 4, 2, 0.002
_FORMATS = ("jpeg", "webp", "avif", "gif", "png")


@dataclass(frozen=True)
class Setting:
    """One way to encode."""

    format: str
    name: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """What one image took."""

    size: int
    psnr: float
    seconds: float


@dataclass(frozen=True)
class Conversion:
    """CPU seconds of one conversion: Pillow's own parts of it, and all of it by a worker; the loop's lag meanwhile."""

    decoding: float
    encoding: float
    taken: float
    lag: float


def _settings() -> Iterator[Setting]:
    quality: Mapping[str, object] = {"quality": DEFAULT_QUALITY}
    yield Setting("jpeg", "plain", quality)
    yield Setting("jpeg", "optimize", {**quality, "optimize": True})
    yield from (Setting("webp", f"method {method}", {**quality, "method": method}) for method in range(7))
    yield from (Setting("avif", f"speed {speed}", {**quality, "speed": speed}) for speed in range(6, 11))
    yield from (Setting("png", f"level {level}", {"compress_level": level}) for level in (1, 2, 3, 6))


def scenes() -> dict[str, Image.Image]:
    """The images, by name; the same on every machine."""
    photo = _scene(random.Random(17))
    noise = Image.frombytes("RGB", photo.size, random.Random(18).randbytes(3 * _SIDE * _SIDE))
    return {"photo": photo, "grain": Image.blend(photo, noise, 0.06), "drawing": _drawing(random.Random(19))}


def _scene(chance: random.Random) -> Image.Image:
    made = Image.new("RGB", (_SIDE, _SIDE), (128, 128, 128))
    for octave in range(2, 10):
        side = 2**octave
        layer = Image.frombytes("RGB", (side, side), chance.randbytes(3 * side * side))
        weight = 0.5 if octave < 4 else 0.25 / (octave - 2)
        made = Image.blend(made, layer.resize(made.size, Image.Resampling.BICUBIC), weight)
    return _with_shapes(made, chance).filter(ImageFilter.GaussianBlur(0.7))


def _drawing(chance: random.Random) -> Image.Image:
    return _with_shapes(Image.new("RGB", (_SIDE, _SIDE), "white"), chance)


def _with_shapes(image: Image.Image, chance: random.Random) -> Image.Image:
    draw = ImageDraw.Draw(image)
    for _ in range(24):
        left, top, side = chance.randrange(_SIDE), chance.randrange(_SIDE), chance.randrange(_SIDE // 20, _SIDE // 5)
        red, green, blue = chance.randbytes(3)
        draw.ellipse((left, top, left + side, top + side), fill=(red, green, blue))
    draw.text((_SIDE // 10, _SIDE // 10), "A lighthouse at dusk", fill="black", font_size=_SIDE // 14)
    return image


def _encode(image: Image.Image, setting: Setting) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, setting.format.upper(), **setting.options)
    return buffer.getvalue()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _least(work: Callable[[], object]) -> float:
    """The CPU seconds of the cheapest of some rounds: whatever else the machine does only adds."""
    taken = []
    for _ in range(_ROUNDS):
        began = _cpu()
        work()
        taken.append(_cpu() - began)
    return min(taken)


def _psnr(image: Image.Image, data: bytes) -> float:
    difference = ImageStat.Stat(ImageChops.difference(image, Image.open(io.BytesIO(data)).convert("RGB")))
    error = sum(difference.sum2) / (3 * image.width * image.height)
    return 10 * math.log10(255**2 / error) if error else math.inf


def measure(image: Image.Image, setting: Setting) -> Cost:
    """What a setting costs and gives on an image."""
    data = _encode(image, setting)
    return Cost(len(data), _psnr(image, data), _least(lambda: _encode(image, setting)))


def _print_settings() -> None:
    images = scenes()
    print("quality 85, 1024 x 1024:" + "".join(f"{name:>28}" for name in images))
    print(" " * 24 + f"{'kB':>10}{'dB':>9}{'CPU ms':>9}" * len(images))
    for setting in _settings():
        used = setting.options == options_of(setting.format, DEFAULT_QUALITY)
        cells = []
        for image in images.values():
            cost = measure(image, setting)
            shown = "exact" if math.isinf(cost.psnr) else f"{cost.psnr:.2f}"
            cells.append(f"{cost.size / 1000:10.0f}{shown:>9}{cost.seconds * 1000:9.0f}")
        print(f"{setting.format:6}{setting.name:13}{'in use' if used else '':5}" + "".join(cells), flush=True)


def pillow_alone(data: bytes, format_: str, count: int) -> tuple[float, float]:
    """CPU seconds of decoding and of encoding one of so many images in a process that does nothing else."""
    setting = Setting(format_, "in use", options_of(format_, DEFAULT_QUALITY))
    decoding = encoding = 0.0
    for number in range(count + 1):
        began = _cpu()
        image = Image.open(io.BytesIO(data))
        image.load()
        decoded = _cpu()
        # Left to itself the encoder takes another, slower method.
        _encode(image.quantize(256, method=Image.Quantize.FASTOCTREE) if format_ == "gif" else image, setting)
        if number:  # the first one loads the codecs
            decoding += decoded - began
            encoding += _cpu() - decoded
    return decoding / count, encoding / count


async def _convert_all(workers: Workers, data: bytes, format_: str) -> float:
    """CPU seconds of a conversion in all processes."""
    job = Job("benchmark", _SIDE * _SIDE, _SIDE * _SIDE, "png", encoder=format_)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one() -> None:
        async with turns:
            await workers.run_in_worker(job, convert, data, format_, None, _MAX_PIXELS)

    began = cpu_seconds(psutil.Process())
    await asyncio.gather(*(one() for _ in range(_CONVERSIONS)))
    return (cpu_seconds(psutil.Process()) - began) / _CONVERSIONS


async def _lag_meanwhile(workers: Workers, data: bytes, format_: str) -> float:
    """The 99th percentile of the loop's lag during the same: in a run of its own, since watching costs CPU too."""
    lags: list[float] = []
    watch = asyncio.create_task(_watch_loop(lags))
    await _convert_all(workers, data, format_)
    watch.cancel()
    return statistics.quantiles(lags, n=100)[-1]


async def _watch_loop(lags: list[float]) -> None:
    """Note how late the loop is, until canceled."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(_TICK)
        lags.append(time.perf_counter() - began - _TICK)


async def _print_workers() -> None:
    data = _encode(scenes()["photo"], Setting("png", "", {"compress_level": 1}))
    FreeMemory(lambda: False)  # this process keeps it, as a gateway does
    os.environ.update(ALLOCATOR)  # and so do those of Pillow alone, as workers do by themselves
    workers = Workers(_WORKERS)
    workers.start()
    try:
        await workers.warm()
        print(f"\n{'PNG to':8}{'decode ms':>10}{'encode ms':>11}{'by worker ms':>14}{'ratio':>7}", end="")
        print(f"{'beyond decoding, x encode':>27}{'loop lag p99 ms':>17}")
        for format_ in _FORMATS:
            await _convert_all(workers, data, format_)
            rounds = [await _round(workers, data, format_) for _ in range(_ROUNDS)]
            whole = statistics.median(one.taken / (one.decoding + one.encoding) for one in rounds)
            beyond = statistics.median((one.taken - one.decoding) / one.encoding for one in rounds)
            decoding, encoding, taken, lag = (
                statistics.median(column) * 1e3 for column in zip(*map(astuple, rounds), strict=True)
            )
            print(f"{format_:8}{decoding:10.1f}{encoding:11.1f}{taken:14.1f}{whole:7.2f}", end="")
            print(f"{beyond:27.2f}{lag:17.1f}", flush=True)
    finally:
        await workers.close()


async def _round(workers: Workers, data: bytes, format_: str) -> Conversion:
    """The same conversions here and there, one after the other."""
    loop = asyncio.get_running_loop()
    # In as many processes at once: beside another one, each takes longer, because they share caches and memory.
    with ProcessPoolExecutor(_WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        count = _CONVERSIONS // _WORKERS
        works = [loop.run_in_executor(pool, pillow_alone, data, format_, count) for _ in range(_WORKERS)]
        decoding, encoding = map(statistics.mean, zip(*await asyncio.gather(*works), strict=True))
    taken = await _convert_all(workers, data, format_)
    return Conversion(decoding, encoding, taken, await _lag_meanwhile(workers, data, format_))


def main() -> None:
    """Both tables."""
    _print_settings()
    asyncio.run(_print_workers())


if __name__ == "__main__":
    main()

"""Draws a soak: memory, latency and throughput over time, with its faults, as one SVG file."""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from tests.support.soak.load import Asked
from tests.support.soak.watch import MIB, Sample

_WIDTH, _HEIGHT, _LEFT, _TOP = 1100, 190, 80, 30
_BUCKET_SECONDS = 2.0
Points = list[tuple[float, float]]


def draw(path: Path, samples: Sequence[Sample], marks: Sequence[tuple[float, str]], asked: Sequence[Asked]) -> None:
    """Write it to a file."""
    began, ended = samples[0].at, samples[-1].at
    buckets: dict[int, list[float]] = {}
    for one in asked:
        if one.images and began <= one.ended <= ended:
            buckets.setdefault(int((one.ended - began) / _BUCKET_SECONDS), []).append(one.seconds)
    times = range(int((ended - began) / _BUCKET_SECONDS))
    charts = [
        ("Resident MiB: all processes, and the one that lives longest", [
            [(sample.at - began, sample.tree_bytes / MIB) for sample in samples],
            [(sample.at - began, sample.own_bytes / MIB) for sample in samples],
        ]),
        ("Open files of the process that lives longest", [[(sample.at - began, sample.descriptors) for sample in samples]]),
        ("Seconds until the images are there: median and 95 of 100", [
            [(at * _BUCKET_SECONDS, _share(buckets[at], share)) for at in times if at in buckets] for share in (0.5, 0.95)
        ]),
        ("Answers with images a second", [[(at * _BUCKET_SECONDS, len(buckets.get(at, ())) / _BUCKET_SECONDS) for at in times]]),
    ]  # fmt: skip
    named = [(at - began, name) for at, name in marks]
    drawn = [_chart(title, lines, named, ended - began, number) for number, (title, lines) in enumerate(charts)]
    height = len(charts) * (_HEIGHT + 60) + 20
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH + 120}" height="{height}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="white"/>{"".join(drawn)}</svg>\n',
        encoding="utf-8",
    )


def _share(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _chart(title: str, lines: Sequence[Points], marks: Sequence[tuple[float, str]], seconds: float, number: int) -> str:
    top = _TOP + number * (_HEIGHT + 60)
    most = max((value for line in lines for _, value in line), default=1.0) or 1.0
    most = math.ceil(most * 1.05 * 10) / 10

    def across(at: float) -> float:
        return round(_LEFT + at / max(seconds, 1e-9) * _WIDTH, 1)

    def down(value: float) -> float:
        return round(top + _HEIGHT * (1 - value / most), 1)

    parts = [
        f'<text x="{_LEFT}" y="{top - 8}" font-size="13">{escape(title)}</text>',
        f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#999"/>',
        f'<text x="{_LEFT - 6}" y="{top + 8}" text-anchor="end">{most:g}</text>',
        f'<text x="{_LEFT - 6}" y="{top + _HEIGHT}" text-anchor="end">0</text>',
        f'<text x="{_LEFT + _WIDTH}" y="{top + _HEIGHT + 14}" text-anchor="end">{seconds:.0f} s</text>',
    ]
    for place, (at, name) in enumerate(marks):
        x = across(at)
        parts.append(f'<line x1="{x}" x2="{x}" y1="{top}" y2="{top + _HEIGHT}" stroke="#d99" stroke-dasharray="3"/>')
        if number == 0:
            parts.append(
                f'<text x="{x + 2}" y="{top + 12 + place % 6 * 12}" fill="#a33" font-size="9">{escape(name)}</text>'
            )
    for line, color in zip(lines, ("#1565c0", "#ef6c00"), strict=False):
        points = " ".join(f"{across(at)},{down(value)}" for at, value in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}"/>')
    return "".join(parts)

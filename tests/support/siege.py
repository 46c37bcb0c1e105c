"""Sends a corpus to a gateway process over HTTP and watches what the process and everybody else feel of it.

Watched are the answers, the longest stall of the event loop, the memory of the process tree, the processes left
behind, and how long an innocent caller beside waits.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx2
import psutil

from tests.support import loopback
from tests.support.corpus import Case
from tests.support.images import png
from tests.support.waiting import seen

MAX_PROCESSES = max(2, psutil.cpu_count() or 1)
"""How many processes a gateway has for images when it is at rest."""
_PAUSE = 0.01
_HEADERS = {"Authorization": "Bearer test-key"}


@dataclass
class Watch:
    """What was seen, in seconds and bytes."""

    longest_stall: float = 0.0
    longest_wait: float = 0.0
    innocent_statuses: Counter[int] = field(default_factory=Counter)
    peak: int = 0
    peak_of_main: int = 0


@dataclass
class Report:
    """What came of a siege; `odd` are the answers that are neither 200 nor 400, with the names of their cases.

    `elsewhere` is what an innocent caller of another gateway on the same machine waited at the same time.
    """

    statuses: Counter[int]
    odd: list[tuple[str, int, str]]
    watch: Watch
    elsewhere: float
    grown_peak: int
    grown_main: int
    grown_after: int
    processes: int


def lay_siege(
    origin: str,
    process: psutil.Process,
    corpus: Iterable[Case],
    *,
    control: tuple[str, psutil.Process],
    callers: int = 4,
) -> Report:
    """Send every case as an input image, each fifth as a mask, and report.

    `control` is another gateway, left in peace: what its callers wait is the machine's doing, and the simulator's.
    """
    with loopback.client(base_url=f"{origin}/v1", headers=_HEADERS, timeout=120) as client:
        for index in range(8):
            _send(client, index, Case("whole", png(96, 96)))  # what starts once has started
        before, main = resident(process), process.memory_info().rss
        statuses: Counter[int] = Counter()
        odd: list[tuple[str, int, str]] = []

        def one(numbered: tuple[int, Case]) -> None:
            index, case = numbered
            response = _send(client, index, case)
            statuses[response.status_code] += 1
            if response.status_code not in {200, 400}:
                odd.append((case.name, response.status_code, response.text[:200]))

        def all_of_them() -> None:
            with ThreadPoolExecutor(callers) as pool:
                list(pool.map(one, enumerate(corpus)))

        watches: list[Watch] = []
        calm = watch_during(*control, lambda: watches.append(watch_during(origin, process, all_of_them)))
        (watch,) = watches
        time.sleep(1)
        # A worn process is there beside its successor until that has started.
        left = seen(lambda: len(process.children(recursive=True)), lambda count: count <= MAX_PROCESSES)
        after = resident(process)
        grown = watch.peak - before, watch.peak_of_main - main, after - before
        return Report(statuses, odd, watch, calm.longest_wait, *grown, left)


def send_edit(port: int, data: bytes) -> httpx2.Response:
    """One edit of an image by a model that takes images from 300 to 2048 pixels a side."""
    form = {"prompt": "make it night", "model": "riverflow-1", "size": "1024x1024", "response_format": "url"}
    url = f"http://127.0.0.1:{port}/v1/images/edits"
    return loopback.post(url, headers=_HEADERS, data=form, files=[("image", ("a", data))], timeout=120)


def _send(client: httpx2.Client, index: int, case: Case) -> httpx2.Response:
    """One edit: through a model with a slot for masks, or through one that needs the result pasted."""
    model = ("flux.1-dev", "flux.2-pro")[index % 2]
    form = {"prompt": f"make it night {index}", "model": model, "size": "256x256"}
    as_mask = index % 5 == 4
    image = png(96, 96) if as_mask else case.data
    files = [("image", ("a", image)), *([("mask", ("m", case.data))] if as_mask else [])]
    return client.post("/images/edits", data=form, files=files)


def watch_during(origin: str, process: psutil.Process, work: Callable[[], None]) -> Watch:
    """What is seen of a gateway while `work` goes on."""
    watch, done = Watch(), threading.Event()
    watchers = [
        threading.Thread(target=target, args=(origin, process, watch, done)) for target in (_ping, _call, _weigh)
    ]
    for watcher in watchers:
        watcher.start()
    try:
        work()
    finally:
        done.set()
        for watcher in watchers:
            watcher.join()
    return watch


def _ping(origin: str, process: psutil.Process, watch: Watch, done: threading.Event) -> None:
    """Ask for the health; a stall is the part of the wait in which the process itself was busy, not the machine.

    All its threads count, since one that keeps the interpreter stops the loop too.
    """
    with loopback.client(base_url=origin, timeout=60) as client:
        while not done.is_set():
            busy, started = _cpu(process), time.perf_counter()
            client.get("/healthz")
            waited, worked = time.perf_counter() - started, _cpu(process) - busy
            watch.longest_stall = max(watch.longest_stall, min(waited, worked))
            time.sleep(_PAUSE)


def _call(origin: str, _: psutil.Process, watch: Watch, done: threading.Event) -> None:
    """The innocent caller: an edit with a whole image, again and again."""
    image, number = png(96, 96), 0
    with loopback.client(base_url=f"{origin}/v1", headers=_HEADERS, timeout=120) as client:
        while not done.is_set():
            number += 1
            form = {"prompt": f"an innocent request {number} {id(done)}", "model": "flux.1-dev", "size": "256x256"}
            started = time.perf_counter()
            response = client.post("/images/edits", data=form, files=[("image", ("a.gif", image))])
            watch.longest_wait = max(watch.longest_wait, time.perf_counter() - started)
            watch.innocent_statuses[response.status_code] += 1
            time.sleep(_PAUSE)


def _weigh(_: str, process: psutil.Process, watch: Watch, done: threading.Event) -> None:
    while not done.is_set():
        watch.peak = max(watch.peak, resident(process))
        watch.peak_of_main = max(watch.peak_of_main, process.memory_info().rss)
        time.sleep(0.05)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def resident(process: psutil.Process) -> int:
    """Bytes of memory of the process and of all it started."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total

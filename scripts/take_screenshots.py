"""Takes the screenshots of docs/images, small, from a gateway of its own over the simulator.

Usage: python -m scripts.take_screenshots [NAME …]. It needs what the tests in a browser need.
"""

import contextlib
import io
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser.support import running_browser
from tests.support import loopback
from tests.support.processes import free_port, process

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
_LARGEST_BYTES = 80_000
_SIZE = {"width": 1280, "height": 860}
_KEY = "screenshots-administrator-key"
_DAYS, _DAY_SECONDS = 28, 86_400
_PROMPT = "a small sailboat in a quiet harbor at dawn, soft light"
_ASKED = [
    ("flux.1-schnell", 4, "1024x1024"),
    ("riverflow-1-mini", 2, "1280x720"),
    ("sourceful-riverflow-2-0-fast", 1, "2K"),
    ("google-imagen-4-fast", 1, "1024x1024"),
    ("xai-grok-imagine-image", 1, "1024x1024"),
]

_RECENT: list[tuple[str, dict[str, object]]] = [
    ("flux.1-schnell", {"size": "1344x768"}),
    ("flux.1-schnell", {"prompt": f"{_PROMPT} [sim:moderation]"}),
    ("google-imagen-4-fast", {"size": "1024x1024", "quality": "high"}),
    ("sourceful-riverflow-2-0-fast", {"prompt": "a lighthouse in a storm", "size": "3:2", "user": "ann"}),
    ("xai-grok-imagine-image", {"prompt": "a red bicycle", "n": 1, "size": "1920x1080"}),
]


class _Simulator:
    """What `process` needs to know of one."""

    def __init__(self, url: str) -> None:
        self.url = url


@contextlib.contextmanager
def _simulator() -> Iterator[_Simulator]:
    command = [sys.executable, "-m", "app", "simulate", "--port", "0", "--latency", "0.4", "--exit-with-stdin"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as running:  # noqa: S603 - our own program
        said = running.stdout.readline() if running.stdout else ""
        yield _Simulator(json.loads(said)["simulator"].removesuffix("/v1"))
        running.terminate()


def _ask(origin: str, chance: random.Random) -> None:
    """Some weeks of requests, asked at once."""
    headers = {"Authorization": f"Bearer {_KEY}"}
    with loopback.client(base_url=f"{origin}/v1", headers=headers, timeout=60) as client:
        for _ in range(70):
            model, most, size = chance.choices(_ASKED, weights=[8, 4, 2, 2, 1])[0]
            fault = " [sim:moderation]" if chance.random() < 0.06 else ""  # noqa: PLR2004 - a few fail
            body = {"model": model, "n": chance.randint(1, most), "size": size, "prompt": f"{_PROMPT}{fault}"}
            client.post("/images/generations", json=body)
        for name, budget in (("shop", 5), ("newsletter", 1.5)):
            client.post("/keys", json={"name": name, "budget": budget, "period": "month"}).raise_for_status()


def _spread(database: Path, chance: random.Random) -> None:
    """Spread these requests over days, with the times that real models take."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for (id_,) in connection.execute("SELECT id FROM requests").fetchall():
            past = round(chance.triangular(0, _DAYS, 6)) * _DAY_SECONDS + chance.randrange(20_000)
            seconds = chance.lognormvariate(1.4, 0.5)
            statement = (
                "UPDATE requests SET created_at = created_at - ?, completed_at = created_at - ? + ? WHERE id = ?"
            )
            connection.execute(statement, (past, past, seconds, id_))


def _open(browser: Browser, origin: str, path: str, scheme: str) -> Page:
    context = browser.new_context(viewport=_SIZE, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    context.add_init_script(f"sessionStorage.setItem('spillway.key', {json.dumps(_KEY)})")
    page = context.new_page()
    page.goto(f"{origin}{path}")
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")
    return page


def _playground(browser: Browser, origin: str) -> Page:
    page = _open(browser, origin, "/playground?model=sourceful-riverflow-2-0-fast&n=2&size=1280x720", "light")
    page.get_by_label("Prompt", exact=True).fill(_PROMPT)
    page.get_by_role("button", name="Generate", exact=True).click()
    page.wait_for_function("() => document.querySelectorAll('figure img').length >= 2", timeout=60_000)
    page.mouse.move(0, 0)
    return page


def _usage(browser: Browser, origin: str) -> Page:
    return _open(browser, origin, "/usage", "light")


def _requests(browser: Browser, origin: str) -> Page:
    page = _open(browser, origin, "/requests", "dark")
    page.wait_for_timeout(1000)
    return page


_SHOTS = {"playground": _playground, "usage": _usage, "requests": _requests}


def _save(name: str, page: Page) -> None:
    """As WebP, of the best quality that is small enough."""
    taken = Image.open(io.BytesIO(page.screenshot()))
    for quality in (90, 82, 74, 60):
        file = io.BytesIO()
        taken.save(file, "WEBP", quality=quality, method=6)
        if file.tell() <= _LARGEST_BYTES:
            break
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.webp").write_bytes(file.getvalue())
    print(f"docs/images/{name}.webp {file.tell()} bytes")


def main(names: list[str]) -> None:
    """Take these, or all."""
    chance, port = random.Random(7), free_port()  # noqa: S311 - the same requests each time
    origin = f"http://127.0.0.1:{port}"
    settings = {"SPILLWAY_ADMIN_KEYS": f"operator={_KEY}", "SPILLWAY_API_KEYS": "", "SPILLWAY_UPSTREAM_NAME": "runware"}
    with tempfile.TemporaryDirectory() as folder, _simulator() as simulator:
        with process(simulator, Path(folder), port, **settings):
            _ask(origin, chance)
        _spread(Path(folder) / "spillway.db", chance)
        with process(simulator, Path(folder), port, **settings), running_browser() as browser:
            with contextlib.suppress(httpx2.HTTPError):
                _ask_recently(origin)
            for name in names or _SHOTS:
                page = _SHOTS[name](browser, origin)
                _save(name, page)
                page.context.close()


def _ask_recently(origin: str) -> None:
    """What the budgets and the newest rows show."""
    with loopback.client(base_url=f"{origin}/v1", headers={"Authorization": f"Bearer {_KEY}"}, timeout=60) as client:
        for key in client.get("/keys").json()["data"]:
            secret = client.post(f"/keys/{key['id']}/rotate").json()["key"]
            for _ in range(3):
                body = {"model": "sourceful-riverflow-2-0-fast", "prompt": _PROMPT, "size": "2K"}
                client.post("/images/generations", json=body, headers={"Authorization": f"Bearer {secret}"})
        for model, fields in _RECENT:
            client.post("/images/generations", json={"model": model, "prompt": _PROMPT, "n": 2, **fields})


if __name__ == "__main__":
    main(sys.argv[1:])

"""What the tests in a browser are driven with: Chromium, pages that are watched, and axe-core."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.support.turns import in_turn

HERE = Path(__file__).parent
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
_FROM_NPM = "import c from '@sparticuz/chromium'; console.log(await c.executablePath())"
_SERIOUS = {"serious", "critical"}
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def find_chromium() -> str:
    """The machine's own Chromium, else the one that npm installed; neither is a failure and no reason to skip."""
    for name in _NAMES:
        found = shutil.which(name)
        if found:
            return found
    node = shutil.which("node")
    if node and (HERE / "node_modules" / "@sparticuz").is_dir():
        command = [node, "--input-type=module", "-e", _FROM_NPM]
        with in_turn("chromium"):  # it is unpacked to one place for all, and found there before it is whole
            made = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True, timeout=120)
        # Not with the flags of that package: they turn off what pages of other origins may not do, and put all
        # windows into one process, which ends at the second one.
        return made.stdout.strip()
    raise AssertionError(
        "There is no browser: install Chromium, or Node 20.11 and then run `make tests/browser/node_modules/.installed`."
    )


@contextmanager
def running_browser() -> Iterator[Browser]:
    """One Chromium without a window."""
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a page did that no page of ours may do.

    `images` are origins that only images may come from: what Runware is in production, the simulator is here.
    """

    origin: str
    images: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    """Origins that a page may ask for everything: of a page that is not ours."""
    expected: set[str] = field(default_factory=set)
    """Parts of lines of the console that a test means to see, like that of a refused key."""
    seen: list[str] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        """An error or a warning is worth a look."""
        if message.type in {"error", "warning"} and not any(part in message.text for part in self.expected):
            self.seen.append(f"console {message.type}: {message.text}")

    def on_fault(self, fault: object) -> None:
        """A script that ended in an error."""
        self.seen.append(f"uncaught: {fault}")

    def on_request(self, request: Request) -> None:
        """A request to another origin."""
        parts = urlsplit(request.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        is_image = request.resource_type == "image" and origin in self.images
        is_known = origin == self.origin or origin in self.others or is_image
        if parts.scheme not in {"data", "blob", "about"} and not is_known:
            self.seen.append(f"request: {request.method} {request.url}")


@dataclass
class Visit:
    """A browser of one person at one gateway."""

    context: BrowserContext
    page: Page
    watch: Watch

    def open(self, path: str) -> Page:
        """Open a page of the gateway, and wait until it has drawn itself and shows what it asked for."""
        self.page.goto(f"{self.watch.origin}{path}")
        self.page.get_by_role("heading", level=1).wait_for()
        self.page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")
        return self.page

    def sideways(self) -> int:
        """By how many pixels the page is wider than its window."""
        return self.page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def findings(self) -> list[str]:
        """What axe-core calls serious or worse."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate((HERE / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
        found = self.page.evaluate("async () => (await axe.run()).violations")
        return [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found
            if one["impact"] in _SERIOUS
            for node in one["nodes"]
        ]


Visitor = Callable[..., Visit]


@contextmanager
def visiting(browser: Browser) -> Iterator[Visitor]:
    """A way to open fresh browsers, each with nothing stored; at the end nothing bad may have been seen in any."""
    visits: list[Visit] = []

    def visit(
        origin: str,
        *,
        images: str | None = None,
        others: tuple[str, ...] = (),
        key: str | None = None,
        expected: tuple[str, ...] = (),
        **options: object,
    ) -> Visit:
        context = browser.new_context(**({"viewport": WIDE, "reduced_motion": "reduce"} | options))
        watch = Watch(origin, frozenset({images} if images else ()), frozenset(others), set(expected))
        if key is not None:
            context.add_init_script(f"sessionStorage.setItem('spillway.key', {json.dumps(key)})")
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("console", watch.on_console)
        page.on("pageerror", watch.on_fault)
        context.on("request", watch.on_request)
        visits.append(Visit(context, page, watch))
        return visits[-1]

    yield visit
    seen = [line for one in visits for line in one.watch.seen]
    for one in visits:
        one.context.close()
    assert not seen, "\n".join(seen)

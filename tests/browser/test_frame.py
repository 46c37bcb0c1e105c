"""What all pages have in common, in a real browser: they fit, are accessible, and let nobody in who has no key."""

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.browser.support import PHONE, WIDE
from tests.conftest import serving
from tests.support.processes import unique

PAGES = ["/", "/playground", "/models", "/models/riverflow-1", "/requests", "/usage", "/keys"]
REFUSED = ("status of 401",)
"""What Chromium itself writes into the console about a key that was refused."""


@pytest.fixture(scope="module")
def asked(open_gateway) -> str:
    """A request with whatever a page shows of one."""
    body = {"prompt": unique(), "size": "1920x1080", "model": "riverflow-1-mini", "quality": "high", "n": 2}
    answer = open_gateway.client.post("/images/generations", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


@pytest.mark.parametrize(
    ("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide and light", "phone and dark"]
)
def test_every_page_fits_its_window_and_is_accessible(open_gateway, asked, simulator, visit, scheme, size):
    """Without an error in the console and without a request to anybody else, which every test here asserts."""
    reader = visit(open_gateway.origin, images=simulator.url, color_scheme=scheme, viewport=size)
    for path in [*PAGES, f"/requests/{asked}"]:
        page = reader.open(path)
        assert (path, reader.sideways()) == (path, 0)
        assert (path, reader.findings()) == (path, [])
        # The scheme of the system, where nobody chose another.
        shades = page.evaluate("() => getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
        assert (sum(shades) < 150) == (scheme == "dark")


def test_a_color_scheme_that_was_chosen_stays(open_gateway, visit):
    page = visit(open_gateway.origin, color_scheme="light").open("/")
    switch = page.get_by_role("button", name="Color scheme")
    for chosen in ("light", "dark"):
        switch.click()
        expect(switch).to_have_accessible_name(f"Color scheme: {chosen}")
    page.reload()
    expect(page.get_by_role("button", name="Color scheme: dark")).to_be_visible()
    assert page.evaluate("() => getComputedStyle(document.documentElement).colorScheme") == "dark"
    page.get_by_role("button", name="Color scheme: dark").click()
    expect(page.get_by_role("button", name="Color scheme: automatic")).to_be_visible()


def test_the_first_page_says_how_to_call_with_the_address_it_was_opened_under(open_gateway, simulator, visit):
    # The list of requests shows what other tests have made.
    page = visit(open_gateway.origin, images=simulator.url).open("/")
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    expect(page.get_by_text("Nothing was bought to find out.")).to_be_visible()
    base = f"{open_gateway.origin}/v1"
    for name in ("curl", "Python", "Node"):
        page.get_by_role("tab", name=name).click()
        expect(page.get_by_role("region", name=name)).to_contain_text(base)
    for place in ("Playground", "Models", "Requests", "Usage"):
        page.get_by_role("navigation", name="What is here").get_by_role("link", name=place).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(place)
        page.go_back()


def test_everything_is_reached_by_keyboard(open_gateway, visit):
    page = visit(open_gateway.origin).open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("tab", name="curl")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Python")).to_be_focused()
    expect(page.get_by_role("region", name="Python")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Node")).to_be_focused()
    page.get_by_role("link", name="Models").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")
    page.get_by_label("Search").focus()
    page.keyboard.type("riverflow 1.1 pro")
    page.get_by_role("link", name="Riverflow 1.1 Pro", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Riverflow 1.1 Pro")


def test_a_key_is_asked_for_once_and_kept_by_the_browser_alone(gateway, visit):
    reader = visit(gateway.origin, expected=REFUSED)
    page = reader.page
    page.goto(f"{gateway.origin}/models")
    dialog = page.get_by_role("dialog", name="Sign in")
    dialog.get_by_label("API key").fill("of somebody else")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog.get_by_role("alert")).to_contain_text("not a key")
    dialog.get_by_label("API key").fill("of-somebody-else")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("not valid here")
    dialog.get_by_label("API key").fill("test-key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Riverflow 1.1", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="Riverflow 1.1", exact=True)).to_be_visible()
    # Another tab is another session, until it is to be remembered.
    other = reader.context.new_page()
    other.goto(f"{gateway.origin}/models")
    dialog = other.get_by_role("dialog", name="Sign in")
    dialog.get_by_label("API key").fill("test-key")
    dialog.get_by_label("Remember on this device").check()
    dialog.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("link", name="Riverflow 1.1", exact=True)).to_be_visible()
    third = reader.context.new_page()
    third.goto(f"{gateway.origin}/models")
    expect(third.get_by_role("link", name="Riverflow 1.1", exact=True)).to_be_visible()
    assert reader.context.cookies() == []
    third.get_by_role("button", name="Sign out").click()
    expect(third.get_by_role("dialog", name="Sign in")).to_be_visible()
    assert third.evaluate("() => [localStorage['spillway.key'], sessionStorage['spillway.key']]") == [None, None]


def test_who_gives_no_key_reads_why_nothing_is_shown(gateway, visit):
    page = visit(gateway.origin, expected=REFUSED).page
    page.goto(f"{gateway.origin}/usage")
    page.get_by_role("dialog", name="Sign in").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("No API key was given")


def test_without_pages_a_browser_sees_json(start_gateway, visit):
    gateway = start_gateway(SPILLWAY_WEB="false", SPILLWAY_API_KEYS="")
    page = visit(gateway.origin, expected=("404",)).page
    for path in ("/", "/models"):
        assert page.goto(f"{gateway.origin}{path}").headers["content-type"] == "application/json"
    assert page.goto(f"{gateway.origin}/playground").status == 404


@contextmanager
def behind_a_path(target: str, path: str) -> Iterator[str]:
    """The origin of a proxy that serves a gateway under a path, and says so to nobody."""

    async def forward(request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name in {"accept", "content-type"}}
        url = f"{target}/{request.path_params['rest']}?{request.url.query}"
        async with httpx2.AsyncClient(verify=False) as client:
            told = await client.request(request.method, url, headers=headers, content=await request.body())
        kept = {
            name: told.headers[name] for name in ("content-type", "content-security-policy") if name in told.headers
        }
        return Response(told.content, told.status_code, kept)

    with serving(
        Starlette(routes=[Route(path + "/{rest:path}", forward, methods=["GET", "POST", "DELETE"])])
    ) as origin:
        yield origin


def test_pages_work_under_the_path_of_a_proxy(open_gateway, asked, simulator, visit):
    with behind_a_path(open_gateway.origin, "/gw") as origin:
        reader = visit(origin, images=simulator.url, others=(open_gateway.origin,))
        page = reader.page
        page.goto(f"{origin}/gw/")
        for place in ("Models", "Usage", "Requests"):
            page.get_by_role("navigation", name="Pages").get_by_role("link", name=place).click()
            expect(page.get_by_role("heading", level=1)).to_have_text(place)
        page.get_by_role("listitem").filter(has_text=asked).get_by_role("link").click()
        expect(page.get_by_text(asked, exact=True)).to_be_visible()
        expect(page.get_by_text("completed", exact=True)).to_be_visible()
        assert page.url == f"{origin}/gw/requests/{asked}"


_FOREIGN = """<!doctype html><title>x</title><p role=status>waiting</p><script>
fetch(new URLSearchParams(location.search).get("ask") + "/v1/images/generations?dryRun=true", {
  method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({prompt: "a hat"}),
}).then((answer) => answer.json().then((body) => [answer.headers.get("x-request-id"), body.estimated]))
  .then((told) => { document.querySelector("p").textContent = `told ${told[1]} as ${told[0]}`; })
  .catch((error) => { document.querySelector("p").textContent = `refused: ${error.name}`; });
</script>"""


class _Foreign(http.server.BaseHTTPRequestHandler):
    """A page of somebody else that calls a gateway."""

    def do_GET(self) -> None:
        body = _FOREIGN.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: nobody reads it."""


@contextmanager
def foreign_page() -> Iterator[str]:
    """The origin of a page that is not ours."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Foreign) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_page_of_another_origin_may_call_where_the_operator_names_it(open_gateway, start_gateway, visit):
    with foreign_page() as origin:
        named = start_gateway(SPILLWAY_API_KEYS="", SPILLWAY_CORS_ORIGINS=origin)
        reader = visit(
            origin, others=(named.origin, open_gateway.origin), expected=("CORS", "net::ERR_FAILED", "favicon", "404")
        )
        page = reader.page
        page.goto(f"{origin}/?ask={named.origin}")
        expect(page.get_by_role("status")).to_have_text(re.compile("told true as req_"))
        page.goto(f"{origin}/?ask={open_gateway.origin}")
        expect(page.get_by_role("status")).to_have_text("refused: TypeError")

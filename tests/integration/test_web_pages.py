"""Which addresses show a page to whom, and what a page may do; what is in them, the tests in a browser say."""

import re

import pytest

from app import __version__
from tests.support import loopback

PAGES = ["/", "/playground", "/models", "/models/riverflow-1", "/models/sourceful:1@1", "/requests", "/requests/req_1", "/usage", "/keys"]  # fmt: skip
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
BROWSERS = [
    pytest.param(CHROME, id="chrome"),
    pytest.param("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", id="firefox and safari"),
    pytest.param("text/html", id="html alone"),
    pytest.param("text/html, application/json;q=0.9", id="html rather than JSON"),
]
PROGRAMS = [
    pytest.param("*/*", id="curl"),
    pytest.param("", id="empty"),
    pytest.param("application/json", id="SDKs"),
    pytest.param("application/json, text/plain, */*", id="axios"),
    pytest.param("text/html, application/json", id="both alike"),
    pytest.param("text/html;q=0.1, application/json", id="JSON rather than html"),
    pytest.param("text/html;q=0, */*", id="no html"),
    pytest.param("text/html;q=nonsense", id="a weight that is none"),
]


@pytest.fixture(scope="module")
def open_gateway(start_shared_gateway):
    """One that asks nobody for a key."""
    return start_shared_gateway(SPILLWAY_API_KEYS="")


def ask(gateway, path: str, accept: str, **headers: str):
    return loopback.get(f"{gateway.origin}{path}", headers={"Accept": accept, **headers})


@pytest.mark.parametrize("accept", BROWSERS)
@pytest.mark.parametrize("path", PAGES)
def test_a_browser_is_shown_a_page_and_asked_for_no_key_for_it(gateway, path, accept):
    answer = ask(gateway, path, accept)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize("accept", PROGRAMS)
@pytest.mark.parametrize("path", PAGES)
def test_everything_else_gets_the_json_of_the_same_address(gateway, path, accept):
    answer = ask(gateway, path, accept, Authorization="Bearer test-key")
    assert answer.headers["content-type"] == "application/json"
    assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize("path", ["/v1/models", "/openai/v1/models", "/openai/requests", "/v1/usage", "/v1/keys", "/v1/requests/req_1"])  # fmt: skip
def test_what_stands_under_a_prefix_is_json_whatever_is_accepted(gateway, path):
    answer = ask(gateway, path, CHROME, Authorization="Bearer test-key")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_may_run_nothing_but_the_files_of_the_gateway_and_stand_in_no_frame(gateway, path):
    answer = ask(gateway, path, CHROME)
    policy = dict(one.strip().partition(" ")[::2] for one in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_images_may_come_from_a_simulator_without_tls_where_there_is_one(gateway, simulator):
    images = re.search(r"img-src ([^;]+)", ask(gateway, "/", CHROME).headers["content-security-policy"])[1]
    assert images == f"'self' https: data: blob: {simulator.url}"


@pytest.mark.parametrize("path", [*PAGES, "/models/", "/models/black-forest-labs%2Fflux"])
def test_what_a_page_is_made_of_is_found_from_its_own_address(gateway, path):
    page = ask(gateway, path, CHROME)
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(named) == 5
    for address in named:
        part = loopback.get(str(page.url.join(address)))
        assert part.status_code == 200, address
        assert part.headers["x-content-type-options"] == "nosniff"


def test_a_file_that_has_not_changed_is_not_sent_again(gateway):
    for address, accept in (("/web/shell.css", "*/*"), ("/usage", CHROME)):
        first = ask(gateway, address, accept)
        assert first.headers["cache-control"] == "no-cache"
        again = ask(gateway, address, accept, **{"If-None-Match": f'"other", W/{first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert ask(gateway, address, accept, **{"If-None-Match": '"other"'}).status_code == 200


def test_a_browser_finds_the_icon_where_it_looks_for_it(gateway):
    found, icon = (loopback.get(f"{gateway.origin}{path}") for path in ("/favicon.ico", "/web/icon.svg"))
    assert (found.status_code, found.headers["content-type"], found.content) == (200, "image/svg+xml", icon.content)


@pytest.mark.parametrize("name", ["nothing.js", "home.html", "..%2Fweb%2Fshell.js", "shell.css%00", "%2e%2e"])
def test_nothing_but_the_parts_of_the_pages_is_served_beside_them(gateway, name):
    assert loopback.get(f"{gateway.origin}/web/{name}").status_code == 404


def test_the_root_tells_programs_what_this_is_and_where_the_rest_is(open_gateway):
    answer = loopback.get(open_gateway.origin)
    body = answer.json()
    assert (answer.status_code, body["object"], body["version"], body["upstream"]) == (
        200,
        "gateway",
        __version__,
        "runware",
    )
    assert body["links"]["playground"] == f"{open_gateway.origin}/playground"
    for name, url in body["links"].items():
        method = "post" if name in {"generations", "edits"} else "get"
        assert loopback.request(method, url).status_code not in {404, 405, 500}, url


def test_the_root_says_nothing_that_a_caller_made_up(gateway):
    answer = loopback.get(gateway.origin, headers={"Host": "evil.example.com"})
    assert "evil" not in answer.text


@pytest.mark.parametrize(("path", "named"), [("/llms.txt", "/v1/images/generations"), ("/robots.txt", "Disallow: /")])
def test_texts_for_crawlers_and_language_models(gateway, path, named):
    answer = ask(gateway, path, CHROME)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert named in answer.text


def test_without_pages_every_address_is_json_to_a_browser_too(start_gateway):
    gateway = start_gateway(SPILLWAY_WEB="false", SPILLWAY_API_KEYS="")
    statuses = {path: ask(gateway, path, CHROME).status_code for path in [*PAGES, "/web/shell.js"]}
    gone = {path for path, status in statuses.items() if status == 404}
    assert gone == {"/playground", "/requests/req_1", "/web/shell.js"}
    for path in PAGES:
        assert ask(gateway, path, CHROME).headers["content-type"] == "application/json"
    assert "playground" not in loopback.get(gateway.origin).json()["links"]


def test_a_link_on_another_site_opens_a_page_and_nothing_else(open_gateway):
    opened = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert {ask(open_gateway, path, CHROME, **opened).status_code for path in PAGES} == {200}
    framed = opened | {"Sec-Fetch-Dest": "iframe"}
    assert {ask(open_gateway, path, CHROME, **framed).status_code for path in PAGES} == {403}
    assert ask(open_gateway, "/requests/req_1/result", CHROME, **opened).status_code == 403

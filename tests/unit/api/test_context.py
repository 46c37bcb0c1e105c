"""What the headers of a request ask for, and the address its links have."""

import pytest
from starlette.requests import Request

from app.api.context import ContextReader, LinkOrigins, prefers_background, wants_dry_run
from app.domain.caller import Caller
from app.domain.words import Delivery
from app.errors import InvalidRequestError
from app.server.delivery import state_of
from app.settings.groups import ModelSettings
from app.settings.server import ServerSettings


def request_with(query: str = "", server: tuple = ("10.0.0.5", 8000), scheme: str = "http", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "headers": raw, "query_string": query.encode(), "server": server, "scheme": scheme}
    state_of(scope).request_id = "req_1"
    return Request(scope)


def context_of(**headers: str):
    return ContextReader(ServerSettings(), ModelSettings()).read_context(request_with(**headers), Caller("somebody"))


def test_a_request_without_headers_has_the_defaults_of_the_settings():
    context = context_of()
    assert (context.request_id, context.tenant, context.default_delivery) == ("req_1", "somebody", Delivery.LINK)
    assert (context.strict, context.idempotency_key, context.wait, context.retries) == (False, None, None, False)
    embeds = ContextReader(ServerSettings(), ModelSettings(default_response_format="b64_json"))
    assert embeds.read_context(request_with(), Caller("a")).default_delivery is Delivery.EMBEDDED


def test_a_client_that_reads_base64_only_is_given_it():
    assert context_of(user_agent="ai-sdk/openai-compatible/3.0").default_delivery is Delivery.EMBEDDED


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"x_spillway_timeout": "100"}, 95.0),
        ({"x_spillway_timeout": "20"}, 18.0),
        ({"x_spillway_timeout": "2"}, 1.5),
        ({"x_spillway_timeout": "0.6"}, 0.3),
        ({"x_stainless_read_timeout": "600", "x_stainless_timeout": "5"}, 595.0),
        ({"x_stainless_timeout": "5"}, 4.5),
        ({"x_spillway_timeout": "soon", "x_stainless_timeout": "5"}, 4.5),
        ({"x_spillway_timeout": "0"}, None),
        ({"x_spillway_timeout": "-1"}, None),
        ({"x_spillway_timeout": "nan"}, None),
        ({"x_spillway_timeout": "inf"}, None),
    ],
    ids=str,
)
def test_a_caller_is_answered_shortly_before_it_gives_up(headers, wait):
    assert context_of(**headers).wait == (None if wait is None else pytest.approx(wait))


@pytest.mark.parametrize(
    ("sent", "retries"),
    [("0", False), ("", False), ("1", True), ("2", True)],
    ids=["first", "empty", "second", "third"],
)
def test_a_repetition_of_an_sdk_is_known_by_its_count(sent, retries):
    assert context_of(x_stainless_retry_count=sent).retries is retries


def test_a_key_is_kept_whole_or_refused():
    assert context_of(idempotency_key=" a ").idempotency_key == "a"
    assert context_of(idempotency_key="k" * 255).idempotency_key == "k" * 255
    with pytest.raises(InvalidRequestError, match="256 characters") as caught:
        context_of(idempotency_key="k" * 256)
    assert caught.value.param == "Idempotency-Key"


@pytest.mark.parametrize(("sent", "strict"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_strictness_is_read_where_it_is_sent(sent, strict):
    assert context_of(x_spillway_strict=sent).strict is strict


def test_strictness_that_cannot_be_meant_is_refused():
    with pytest.raises(InvalidRequestError, match="X-Spillway-Strict"):
        context_of(x_spillway_strict="perhaps")


@pytest.mark.parametrize(
    ("query", "wanted"), [("", False), ("dryRun=true", True), ("dryRun=false", False), ("a=1&dryRun=1", True)], ids=str
)
def test_an_estimate_is_asked_for_in_the_query(query, wanted):
    assert wants_dry_run(request_with(query)) is wanted


@pytest.mark.parametrize(
    ("prefer", "wanted"),
    [
        ("respond-async", True),
        ("Respond-Async; wait=10", True),
        ("return=minimal, respond-async", True),
        ("return=minimal", False),
        ("respond-async-later", False),
    ],
)
def test_a_preference_for_later_is_read_among_others(prefer, wanted):
    assert prefers_background(request_with(prefer=prefer).headers) is wanted


@pytest.mark.parametrize(
    ("request_", "origin"),
    [
        (request_with(host="localhost:8000"), "http://localhost:8000"),
        (request_with(host="10.0.0.5:8000"), "http://10.0.0.5:8000"),
        (request_with(host="images.example.com", scheme="https"), "https://images.example.com"),
        (request_with(host="evil.example"), "http://10.0.0.5:8000"),
        (request_with(), "http://10.0.0.5:8000"),
        (request_with(host="evil.example", server=("::1", 8000)), "http://[::1]:8000"),
        (request_with(host="evil.example", server=("/run/socket", None)), "http:///run/socket"),
    ],
    ids=["name", "address", "allowed", "stranger", "none", "IPv6", "no port"],
)
def test_links_lead_to_a_name_of_the_gateway_only_and_the_same_is_said_twice(request_, origin):
    origins = LinkOrigins(ServerSettings(allowed_hosts=("images.example.com",)))
    assert [origins.origin_for(request_) for _ in range(2)] == [origin] * 2


def test_two_hosts_are_not_mixed_up_by_what_is_remembered():
    origins = LinkOrigins(ServerSettings(allowed_hosts=("a.example", "b.example")))
    asked = ["a.example", "b.example", "evil.example", "a.example"]
    said = [origins.origin_for(request_with(host=host)) for host in asked]
    assert said == ["http://a.example", "http://b.example", "http://10.0.0.5:8000", "http://a.example"]


def test_the_public_address_wins():
    origins = LinkOrigins(ServerSettings(public_url="https://images.example.com"))
    assert origins.origin_for(request_with(host="localhost")) == "https://images.example.com"

"""Every route with every kind of caller, on both ways to authenticate. A route without a row fails the first test."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

import httpx2
import pytest

from app.access.key_format import SECRET_BYTES, make_key
from tests.support import loopback
from tests.support.callers import PASSTHROUGH, Caller, new_key
from tests.support.databases import open_migrated
from tests.support.keys import numbered_key, put_key
from tests.support.processes import unique
from tests.support.routes import served_routes

_NOBODYS = 7
"""The key that administrators change here, rotate and revoke."""
_LONG_AGO, _FAR_AWAY = 1_000.0, 4_000_000_000.0


class Rule(Enum):
    """To whom a route gives what."""

    PUBLIC = "anybody"
    LINK = "anybody who has the signed link"
    KEY = "anybody with a key, the same to all or each its own"
    IMAGES = "anybody whose key can pay"
    READ = "whose request it is, and administrators; to all others there is none"
    OWN = "whose request it is; to all others there is none"
    ADMIN = "administrators"


ROUTES: dict[tuple[str, str], Rule] = {
    ("POST", "/images/generations"): Rule.IMAGES,
    ("POST", "/images/edits"): Rule.IMAGES,
    ("POST", "/deployments/{deployment:path}/images/generations"): Rule.IMAGES,
    ("POST", "/deployments/{deployment:path}/images/edits"): Rule.IMAGES,
    ("POST", "/images/variations"): Rule.PUBLIC,
    ("GET", "/models"): Rule.KEY,
    ("GET", "/models/{model_id:path}"): Rule.KEY,
    ("GET", "/requests"): Rule.KEY,
    ("GET", "/requests/{request_id}"): Rule.READ,
    ("GET", "/requests/{request_id}/result"): Rule.READ,
    ("DELETE", "/requests/{request_id}/payloads"): Rule.OWN,
    ("GET", "/webhooks/secret"): Rule.KEY,
    ("GET", "/usage"): Rule.KEY,
    ("GET", "/key"): Rule.KEY,
    ("GET", "/balance"): Rule.ADMIN,
    ("GET", "/ledger/verify"): Rule.ADMIN,
    ("POST", "/keys"): Rule.ADMIN,
    ("GET", "/keys"): Rule.ADMIN,
    ("GET", "/keys/{key_id}"): Rule.ADMIN,
    ("PATCH", "/keys/{key_id}"): Rule.ADMIN,
    ("DELETE", "/keys/{key_id}"): Rule.ADMIN,
    ("POST", "/keys/{key_id}/rotate"): Rule.ADMIN,
    ("GET", "/audit"): Rule.ADMIN,
    ("GET", "/metrics"): Rule.ADMIN,
    ("GET", "/media/{name}"): Rule.LINK,
    ("GET", "/healthz"): Rule.PUBLIC,
    ("GET", "/readyz"): Rule.PUBLIC,
    ("GET", "/"): Rule.PUBLIC,
    ("GET", "/llms.txt"): Rule.PUBLIC,
    ("GET", "/robots.txt"): Rule.PUBLIC,
    ("GET", "/playground"): Rule.PUBLIC,
    ("GET", "/web/{name:path}"): Rule.PUBLIC,
    ("GET", "/favicon.ico"): Rule.PUBLIC,
    ("GET", "/docs"): Rule.PUBLIC,
    ("GET", "/redoc"): Rule.PUBLIC,
    ("GET", "/docs/{name}"): Rule.PUBLIC,
    ("GET", "/openapi.json"): Rule.PUBLIC,
}


FILES = {"/docs/{name}": "/docs/swagger-ui.css", "/web/{name:path}": "/web/shell.js"}
"""What pages are made of has names of its own."""


class Kind(Enum):
    """What a caller is to the gateway, and to the one whose request is asked for."""

    STRANGER = "stranger"
    OTHER = "another tenant"
    TENANT = "the tenant"
    ADMIN = "administrator"
    ADMIN_WHO_CANNOT_PAY = "administrator where callers pay"


REFUSED, UNKNOWN, FORBIDDEN = (401, "invalid_api_key"), (404, "request_not_found"), (403, "admin_required")
CANNOT_PAY, INCOMPLETE, FINE = (403, "forbidden"), (400, "missing_required_parameter"), None
"""None is any answer that refuses nobody."""
_ADMINS = {Kind.ADMIN, Kind.ADMIN_WHO_CANNOT_PAY}
Expected = tuple[int, str] | None


def expected(rule: Rule, kind: Kind) -> Expected:
    """What a route with this rule says to such a caller."""
    if rule in {Rule.PUBLIC, Rule.LINK}:
        return FINE
    if kind is Kind.STRANGER:
        return REFUSED
    match rule:
        case Rule.IMAGES:
            return CANNOT_PAY if kind is Kind.ADMIN_WHO_CANNOT_PAY else INCOMPLETE
        case Rule.READ:
            return FINE if kind is Kind.TENANT or kind in _ADMINS else UNKNOWN
        case Rule.OWN:
            return FINE if kind is Kind.TENANT else UNKNOWN
        case Rule.ADMIN:
            return FINE if kind in _ADMINS else FORBIDDEN
        case _:
            return FINE


@dataclass
class House:
    """A gateway, the caller whose requests are asked for, and all kinds of callers by name."""

    origin: str
    tenant: Caller
    callers: dict[str, tuple[dict[str, str], Kind]]

    def make(self) -> dict[str, str]:
        """A request of the tenant, whose image is hosted here: what stands in paths for it."""
        answer = self.tenant.generate({"Idempotency-Key": unique()}, output_format="gif")
        assert answer.status_code == 200, answer.text
        link = answer.json()["data"][0]["url"].partition("/media/")[2]
        named = {"deployment:path": "flux.1-schnell", "model_id:path": "flux.1-schnell", "name": link}
        return named | {"request_id": answer.json()["id"], "key_id": numbered_key(_NOBODYS)[0]}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


KEYS_CALLERS: dict[str, Kind] = {
    "none": Kind.STRANGER,
    "wrong": Kind.STRANGER,
    "malformed": Kind.STRANGER,
    "unknown": Kind.STRANGER,
    "expired": Kind.STRANGER,
    "revoked": Kind.STRANGER,
    "rotated after grace": Kind.STRANGER,
    "rotated within grace": Kind.TENANT,
    "other tenant": Kind.OTHER,
    "key of the settings": Kind.OTHER,
    "tenant": Kind.TENANT,
    "tenant by api-key": Kind.TENANT,
    "tenant by x-api-key": Kind.TENANT,
    "admin": Kind.ADMIN,
    "admin of the database": Kind.ADMIN,
}
PASSTHROUGH_CALLERS: dict[str, Kind] = {
    "none": Kind.STRANGER,
    "malformed": Kind.STRANGER,
    "key of a gateway": Kind.STRANGER,
    "other tenant": Kind.OTHER,
    "tenant": Kind.TENANT,
    "tenant by api-key": Kind.TENANT,
    "tenant by x-api-key": Kind.TENANT,
    "admin": Kind.ADMIN_WHO_CANNOT_PAY,
}


@pytest.fixture(scope="module")
def keys_house(start_shared_gateway, tmp_path_factory) -> House:
    url = f"sqlite:///{tmp_path_factory.mktemp('keys') / 'spillway.db'}"
    engine = open_migrated(url)
    before, older = (make_key(numbered_key(number)[0], b"b" * SECRET_BYTES) for number in (1, 6))
    tenant = put_key(engine, 1, (before, _FAR_AWAY))
    given = {
        "none": {},
        "wrong": bearer("of-somebody-else"),
        "malformed": bearer(f"{tenant[:-1]}{'0' if tenant[-1] != '0' else '1'}"),
        "unknown": bearer(numbered_key(99)[1]),
        "expired": bearer(put_key(engine, 2, expires_at=_LONG_AGO)),
        "revoked": bearer(put_key(engine, 3, revoked_at=_LONG_AGO)),
        "rotated within grace": bearer(before),
        "other tenant": bearer(put_key(engine, 4)),
        "key of the settings": bearer("test-key"),
        "tenant": bearer(tenant),
        "tenant by api-key": {"api-key": tenant},
        "tenant by x-api-key": {"x-api-key": tenant},
        "admin": bearer("an-administrators-key"),
        "admin of the database": bearer(put_key(engine, 5, is_admin=True)),
    }
    put_key(engine, 6, (older, _LONG_AGO))
    put_key(engine, _NOBODYS)
    given["rotated after grace"] = bearer(older)
    engine.dispose()
    settings = {"SPILLWAY_DATABASE_URL": url, "SPILLWAY_ADMIN_KEYS": "an-administrators-key"}
    origin = start_shared_gateway(**settings).origin
    return House(origin, Caller(origin, tenant), {name: (given[name], kind) for name, kind in KEYS_CALLERS.items()})


@pytest.fixture(scope="module")
def passthrough_house(start_shared_gateway, tmp_path_factory) -> House:
    url = f"sqlite:///{tmp_path_factory.mktemp('passthrough') / 'spillway.db'}"
    engine = open_migrated(url)
    put_key(engine, _NOBODYS)
    engine.dispose()
    settings = {"SPILLWAY_DATABASE_URL": url, "SPILLWAY_ADMIN_KEYS": "an-administrators-key"}
    origin = start_shared_gateway(**PASSTHROUGH, **settings).origin
    tenant = new_key()
    given = {
        "none": {},
        "malformed": bearer("short"),
        "key of a gateway": bearer(numbered_key(1)[1]),
        "other tenant": bearer(new_key()),
        "tenant": bearer(tenant),
        "tenant by api-key": {"api-key": tenant},
        "tenant by x-api-key": {"x-api-key": tenant},
        "admin": bearer("an-administrators-key"),
    }
    callers = {name: (given[name], kind) for name, kind in PASSTHROUGH_CALLERS.items()}
    return House(origin, Caller(origin, tenant), callers)


def test_every_route_that_is_served_has_a_row_here(tmp_path):
    assert sorted(served_routes(SPILLWAY_DATA_DIR=str(tmp_path))) == sorted(ROUTES)


def filled(path: str, made: dict[str, str]) -> str:
    """A path with what stands for its parts."""
    for name, value in made.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def ask(house: House, headers: dict[str, str], method: str, path: str) -> httpx2.Response:
    body = {"json": {}} if method in {"POST", "PATCH"} else {}
    if path == "/":
        # What stands at the root stands under no prefix.
        return loopback.request(method, house.origin, headers=headers, timeout=60)
    return Caller(house.origin, headers=headers).request(method, path, **body)


def verdict(answer: httpx2.Response, wanted: Expected) -> bool:
    """Whether the answer is what was expected."""
    if wanted is None:
        return answer.status_code not in {401, 403, 404, 405, 500}
    return (answer.status_code, answer.json()["error"]["code"]) == wanted


def differences(house: House, name: str) -> Iterator[str]:
    """Where the gateway says something else than the table to this caller."""
    headers, kind = house.callers[name]
    made = house.make()
    # What deletes comes last.
    for (method, path), rule in sorted(ROUTES.items(), key=lambda row: row[0][0] == "DELETE"):
        where = FILES.get(path) or filled(path, made)
        answer = ask(house, headers, method, where)
        wanted = expected(rule, kind)
        if not verdict(answer, wanted) and (method, path) != ("POST", "/images/variations"):
            yield f"{method} {path}: {answer.status_code} {answer.text[:150]}, not {wanted}"


@pytest.mark.parametrize("name", KEYS_CALLERS)
def test_with_keys_of_the_gateway_each_route_gives_each_caller_what_is_its_own(keys_house, name):
    assert list(differences(keys_house, name)) == []


@pytest.mark.parametrize("name", PASSTHROUGH_CALLERS)
def test_with_keys_of_runware_each_route_gives_each_caller_what_is_its_own(passthrough_house, name):
    assert list(differences(passthrough_house, name)) == []


Look = Callable[[Caller], object]
LOOKS: dict[str, Look] = {
    "requests": lambda caller: {record["id"] for record in caller.get("/requests?limit=100").json()["data"]},
    "summary": lambda caller: caller.get("/requests?summary=true").json()["summary"],
    "usage": lambda caller: caller.get("/usage?group_by=model").json()["data"],
    "usage by key": lambda caller: caller.get("/usage?group_by=key").json()["data"],
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("house", ["keys_house", "passthrough_house"])
def test_what_one_tenant_does_changes_nothing_that_another_sees(request, house, look):
    house = request.getfixturevalue(house)
    other = Caller(house.origin, headers=house.callers["other tenant"][0])
    before, own = LOOKS[look](other), LOOKS[look](house.tenant)
    house.make()
    assert LOOKS[look](other) == before
    assert LOOKS[look](house.tenant) != own


@pytest.mark.parametrize("house", ["keys_house", "passthrough_house"])
def test_a_hosted_image_is_given_to_whoever_has_its_link_and_to_nobody_with_another(request, house):
    house = request.getfixturevalue(house)
    name, _, query = house.make()["name"].partition("?")
    signature = query.partition("signature=")[2]
    other = house.make()["name"].partition("?")[0]
    for headers in ({}, house.callers["tenant"][0]):
        assert ask(house, headers, "GET", f"/media/{name}?{query}").status_code == 200
        for link in (name, f"{name}?expires=9999999999&signature={signature}", f"{other}?{query}"):
            answer = ask(house, headers, "GET", f"/media/{link}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "link_forged")

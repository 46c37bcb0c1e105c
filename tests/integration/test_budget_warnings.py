"""Warnings about budgets reach their owners: signed, once for each threshold, again where they were refused."""

import json
from decimal import Decimal

import pytest

from app.domain.caller import Limits
from tests.support import loopback
from tests.support.databases import open_migrated
from tests.support.keys import put_paying_key
from tests.support.processes import unique
from tests.support.receivers import QUICK, receiving, signature

PRICE = Decimal("0.0006")
"""Of an image of flux.1-schnell at 512x512."""
ADMIN = {"Authorization": "Bearer the-key-of-an-administrator"}


@pytest.fixture
def engine(database):
    made = open_migrated(database.fresh())
    yield made
    made.dispose()


def start(start_gateway, engine, **variables: str):
    shared = {
        "SPILLWAY_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "SPILLWAY_ALLOW_PRIVATE_WEBHOOKS": "true",
        "SPILLWAY_ADMIN_KEYS": "the-key-of-an-administrator",
    }
    return start_gateway(parts={"webhooks": QUICK}, **(shared | variables))


def spend(gateway, key: str, times: int) -> list[int]:
    """Buy so many images one after the other; the statuses."""
    body = {"model": "flux.1-schnell", "size": "512x512"}
    headers = {"Authorization": f"Bearer {key}"}
    with loopback.client(base_url=gateway.base_url, headers=headers, timeout=60) as client:
        return [client.post("/images/generations", json=body | {"prompt": unique()}).status_code for _ in range(times)]


def secret_of(gateway, **asked) -> str:
    return loopback.get(f"{gateway.base_url}/webhooks/secret", timeout=60, **asked).json()["secret"]


def test_the_owner_is_warned_at_eighty_and_at_a_hundred_percent_signed_with_its_own_secret(start_gateway, engine):
    with receiving(500, 200) as owner, receiving(200) as operator:
        key = put_paying_key(engine, limits=Limits(budget=10 * PRICE), webhook_url=owner.url)
        gateway = start(start_gateway, engine, SPILLWAY_OPERATOR_WEBHOOK_URL=operator.url)
        assert spend(gateway, key, 7) == [200] * 7
        assert spend(gateway, key, 2) == [200] * 2
        owner.wait_for(2)
        assert spend(gateway, key, 2) == [200, 402]
        calls = owner.wait_for(3)
        secret = secret_of(gateway, headers={"Authorization": f"Bearer {key}"})
    bodies = [json.loads(body) for _, body in calls]
    assert [body["data"]["threshold"] for body in bodies] == [80, 80, 100], "the first was refused with 500"
    assert {body["type"] for body in bodies} == {"key.budget_warning"}
    assert bodies[0]["data"]["budget"]["limit"] == 0.006
    assert all(headers["webhook-signature"] == signature(secret, headers, body) for headers, body in calls)
    assert operator.calls == [], "the owner has an address of its own"


def test_the_operator_is_warned_of_keys_without_an_address_under_a_secret_of_its_own(start_gateway, engine):
    with receiving(200) as operator:
        key = put_paying_key(engine, limits=Limits(budget=PRICE))
        gateway = start(start_gateway, engine, SPILLWAY_OPERATOR_WEBHOOK_URL=operator.url)
        assert spend(gateway, key, 2) == [200, 402]
        ((headers, body),) = operator.wait_for(1)
        secret = secret_of(gateway, headers=ADMIN, params={"of": "operator"})
    assert json.loads(body)["data"]["threshold"] == 100
    assert headers["webhook-signature"] == signature(secret, headers, body)

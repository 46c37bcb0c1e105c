"""Calls whose metrics are then read, by an administrator of a gateway with `scraping.ADMIN_KEY`."""

import httpx2

from tests.support import loopback
from tests.support.raw import RawConnection
from tests.support.scraping import ADMIN_KEY, scrape
from tests.support.waiting import seen

ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}


def generate(gateway, headers: dict | None = None, **fields: object) -> httpx2.Response:
    body = {"prompt": "a counted harbor", "size": "256x256"} | fields
    return loopback.post(f"{gateway.base_url}/images/generations", json=body, headers=headers or ADMIN, timeout=60)


def leave(gateway, prompt: str) -> None:
    """Ask without a key of idempotency, and go before the answer."""
    body = b'{"prompt":"%s","size":"256x256"}' % prompt.encode()
    with RawConnection(gateway.origin) as connection:
        connection.send(
            b"POST /v1/images/generations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer test-key\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        assert seen(lambda: gateway.simulator.asked(prompt), bool)


def value(gateway, name: str, **labels: str) -> float:
    return scrape(gateway.origin).value(name, **labels)

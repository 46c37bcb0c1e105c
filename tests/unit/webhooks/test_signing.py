"""Signatures of webhooks, as Standard Webhooks describes them."""

import base64
import hashlib
import hmac

from app.webhooks.signing import WebhookSecrets, signed_headers


def derive(purpose: str) -> list[bytes]:
    return [hashlib.sha256(purpose.encode()).digest()]


def derive_rotated(purpose: str) -> list[bytes]:
    return [b"the new secret", *derive(purpose)]


def test_a_receiver_verifies_with_the_secret_it_was_shown():
    secrets = WebhookSecrets(derive)
    shown = secrets.shown("a tenant")
    headers = signed_headers(secrets.of("a tenant"), "msg_1", 1_700_000_000, b'{"type": "image.completed"}')
    key = base64.b64decode(shown.removeprefix("whsec_"))
    signed = b'msg_1.1700000000.{"type": "image.completed"}'
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": f"v1,{expected}",
    }


def test_each_api_key_has_a_secret_of_its_own():
    secrets = WebhookSecrets(derive)
    assert secrets.of("a") != secrets.of("b")
    assert secrets.of("a") == WebhookSecrets(derive).of("a")


def test_receivers_trust_a_webhook_by_the_old_secret_as_by_the_new_one():
    before, after = WebhookSecrets(derive), WebhookSecrets(derive_rotated)
    told = signed_headers(before.of("a"), "msg_1", 1_700_000_000, b"{}")["webhook-signature"]
    signatures = signed_headers(after.of("a"), "msg_1", 1_700_000_000, b"{}")["webhook-signature"].split(" ")
    assert (len(signatures), signatures[1]) == (2, told)
    assert base64.b64decode(after.shown("a").removeprefix("whsec_")) == b"the new secret"

"""Links of Google Cloud Storage are signed here, with the key of the service account, as Google checks them."""

import asyncio
import hashlib
import json
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from app.media.backend import open_store
from app.media.object_store import ObjectStore
from app.observability.metrics import Metrics
from tests.support import loopback
from tests.support.object_stores import BUCKET, ObjectServer

ACCOUNT = "gateway@project.iam.gserviceaccount.com"
GOOGLE = "storage.googleapis.com"
"""For which the library signs, wherever its server is."""
PLACE = f"gs://{BUCKET}/images"


@pytest.fixture
def server():
    running = ObjectServer()
    yield running
    running.close()


def checked(url: str, key: rsa.RSAPublicKey) -> None:
    """Check a signature as it is documented (V4, GOOG4-RSA-SHA256), raising InvalidSignature."""
    parts = urlsplit(url)
    fields = dict(parse_qsl(parts.query))
    signature = bytes.fromhex(fields.pop("X-Goog-Signature"))
    query = urlencode(sorted(fields.items()), quote_via=quote, safe="-_.~")
    asked = "\n".join(["GET", parts.path, query, f"host:{GOOGLE}", "", "host", "UNSIGNED-PAYLOAD"])
    scope = fields["X-Goog-Credential"].partition("/")[2]
    digest = hashlib.sha256(asked.encode()).hexdigest()
    text = "\n".join(["GOOG4-RSA-SHA256", fields["X-Goog-Date"], scope, digest])
    key.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert (fields["X-Goog-Expires"], fields["X-Goog-Credential"].partition("/")[0]) == ("60", ACCOUNT)


def test_a_link_of_google_cloud_storage_is_signed_with_the_key_of_the_account(server, monkeypatch, tmp_path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()

    def opened(**account: object) -> ObjectStore:
        text = json.dumps({"gcs_base_url": server.url, **account})
        monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", text)
        return open_store(PLACE, tmp_path, Metrics.off())

    for name, value in server.variables().items():
        monkeypatch.setenv(name, value)
    # Google's tokens are not to be had here, so what is stored comes from an account that asks for none.
    writing = opened(disable_oauth=True, client_email="", private_key="", private_key_id="")
    signing = opened(client_email=ACCOUNT, private_key=pem, private_key_id="one")

    async def course() -> str:
        await writing.put("media/a.png", b"an image")
        return await signing.sign("media/a.png", 60)

    url = asyncio.run(course())
    assert url.startswith(f"{server.url}/{BUCKET}/images/media/a.png?")
    assert loopback.get(url).content == b"an image"
    checked(url, key.public_key())

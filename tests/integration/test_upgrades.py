"""An edit has the fingerprint that the release before gave it, in every journal which that one may have made."""

import pybase64
import pytest
from sqlalchemy import text

from app.database.engine import open_engine
from tests.support.images import data_uri
from tests.support.old_journals import upgrade_to

PNG = pybase64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAQAAAAEAQAAAACBiqPTAAAAC0lEQVR4nGNggAAAAAgAAbdYc5UAAAAASUVORK5CYII=")
ASKED = {"model": "flux.1-kontext-pro", "prompt": "a hat", "size": "1024x1024"}
SHA256_FINGERPRINT = "02b470510d8ba3e86137927aaf325f9f87817bc6bd170c0f6b57012a051f1977"
"""What the release before 0009 wrote down for this edit."""
BLAKE3_FINGERPRINT = "1ea7d52805bfc92d648b42ba7a128bea4809ea5f760b0e5d1411ad274ff9cb44"


def fingerprints(url: str) -> list[str]:
    engine = open_engine(url)
    with engine.begin() as connection:
        found = list(connection.execute(text("SELECT fingerprint FROM requests ORDER BY created_at")).scalars())
    engine.dispose()
    return found


@pytest.mark.parametrize(
    ("made_at", "expected"),
    [("0001", SHA256_FINGERPRINT), ("0008", SHA256_FINGERPRINT), (None, BLAKE3_FINGERPRINT)],
    ids=["0001", "0008", "new"],
)
def test_an_edit_is_fingerprinted_with_the_hash_of_its_journal(start_gateway, database, made_at, expected):
    url = database.fresh()
    if made_at is not None:
        engine = open_engine(url)
        upgrade_to(engine, made_at)
        engine.dispose()
    gateway = start_gateway(SPILLWAY_DATABASE_URL=url)
    by_form = gateway.client.post("/images/edits", data=ASKED, files={"image": ("a.png", PNG, "image/png")})
    by_json = gateway.client.post("/images/edits", json=ASKED | {"image": data_uri(PNG)})
    assert (by_form.status_code, by_json.status_code) == (200, 200), (by_form.text, by_json.text)
    assert fingerprints(url) == [expected] * 2

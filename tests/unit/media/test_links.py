"""Links to hosted images are signed."""

from app.media.links import derive_secret, sign, verify


def test_links_are_signed_for_one_name_and_one_end():
    secret = derive_secret("media links", "operator secret")
    signature = sign(secret, "a.png", 100)
    assert verify(secret, "a.png", 100, signature, 99.9)
    for name, expires, given, now in (
        ("b.png", 100, signature, 50), ("a.png", 101, signature, 50), ("a.png", 100, signature, 100), ("a.png", 100, "ä", 50), ("a.png", 100, "", 50),
    ):  # fmt: skip
        assert not verify(secret, name, expires, given, now)
    assert not verify(derive_secret("media links", "other"), "a.png", 100, signature, 50)

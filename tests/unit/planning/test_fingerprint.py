"""What makes two requests the same, and that fingerprints already in journals keep matching."""

import pytest

from app.catalog.modes import Mode
from app.domain.context import RequestContext
from app.domain.request import IgnoredField, ImageRequest, LinkedImage, SizeRequest, UploadedImage
from app.domain.values import replace
from app.domain.words import Delivery, ImageFormat
from app.images.hashing import ImageHash
from app.images.types import ImageBytes
from app.planning.fingerprint import fingerprint


def uploaded(param, data, image_hash=ImageHash.SHA256):
    return UploadedImage(param, ImageBytes(data), image_hash.digest_bytes(data))


CONTEXT = RequestContext("id", "http://here", Delivery.LINK)
PLAIN = ImageRequest(Mode.GENERATE, "hat")
FULL = ImageRequest(
    mode=Mode.EDIT,
    prompt="a hat",
    model="m",
    count=2,
    size=SizeRequest(exact=(10, 20), text="10x20"),
    format=ImageFormat.WEBP,
    compression=50,
    background="opaque",
    fit="cover",
    images=(uploaded("image[0]", b"abc"), LinkedImage("image[1]", "https://a/b")),
    mask=LinkedImage("mask", "https://a/m"),
    mask_is_native=True,
    markup=uploaded("markup", b"x"),
    seed=7,
    parameters=(("quality", "high"), ("negative_prompt", "fog")),
    passthrough={"steps": 9, "taskUUID": "t", "a": {"z": 1, "b": [1]}},
    user="u",
    stream=True,
    webhook_url="https://w",
    in_background=True,
    names={"n": "count"},
    ignored=(IgnoredField("a", 1, "because"),),
    given=frozenset({"a"}),
)
OTHER = {
    "mode": Mode.GENERATE,
    "prompt": "a cap",
    "model": "n",
    "count": 3,
    "size": SizeRequest(exact=(20, 10), text="20x10"),
    "delivery": Delivery.EMBEDDED,
    "format": None,
    "compression": 51,
    "background": "white",
    "fit": "contain",
    "images": (uploaded("image[0]", b"abd"), LinkedImage("image[1]", "https://a/b")),
    "mask": LinkedImage("mask", "https://a/n"),
    "mask_is_native": False,
    "markup": None,
    "seed": 8,
    "parameters": {"quality": "low", "negative_prompt": "fog"},
    "passthrough": {"steps": 8},
    "stream": False,
    "webhook_url": None,
    "in_background": False,
    "ttl": 60,
    "names": {},
    "ignored": (),
}
SAME = {
    "user": "another",
    "given": frozenset(),
    "delivery": Delivery.LINK,
    "passthrough": {"a": {"b": [1], "z": 1}, "steps": 9, "taskUUID": "another attempt"},
}


@pytest.mark.parametrize(
    ("request_", "strict", "kept"),
    [
        (PLAIN, False, "3f52229636858d22b69501c1159de60f0f62782c20d12251aeec8f3097644916"),
        (PLAIN, True, "6e5ed8ae7f2d85af49161340df4bec8f50edd61723d3284f9df446318b3cd9bd"),
        (FULL, False, "6e95d8686abce917ed724c57ad198f773c00b41db8df0a6df8d2ddbd54cc03fa"),
        (FULL, True, "d5d9c8b9914f36f3f95a0b72a0b1d0f9f0d199fcbdd12ac3a4cbfa87350c8757"),
    ],
    ids=["plain", "plain, strict", "every field", "every field, strict"],
)
def test_fingerprints_that_journals_keep_stay_what_they_are(request_, strict, kept):
    assert fingerprint(request_, replace(CONTEXT, strict=strict)) == kept


def test_images_count_by_the_digest_they_came_with():
    images = uploaded("image[0]", b"abc", ImageHash.BLAKE3), FULL.images[1]
    markup = uploaded("markup", b"x", ImageHash.BLAKE3)
    kept = "46b2f3a71c1a3ffc50055abcf6dfe1b55a1b4674549dd107898dbf3de6c7c0d1"
    assert fingerprint(replace(FULL, images=images, markup=markup), CONTEXT) == kept


def test_an_image_without_a_digest_is_never_counted_by_another_hash_than_its_journals():
    with pytest.raises(RuntimeError, match="no digest"):
        fingerprint(replace(FULL, markup=UploadedImage("markup", ImageBytes(b"x"))), CONTEXT)


def test_how_long_images_stay_counts_as_it_did_when_it_was_runwares_own_field():
    own, theirs = (replace(PLAIN, **extra) for extra in ({"ttl": 60}, {"passthrough": {"ttl": 60}}))
    assert fingerprint(own, CONTEXT) == fingerprint(theirs, CONTEXT)


@pytest.mark.parametrize("name", OTHER)
def test_another_value_makes_another_request(name):
    assert fingerprint(replace(FULL, **{name: OTHER[name]}), CONTEXT) != fingerprint(FULL, CONTEXT)


@pytest.mark.parametrize("name", SAME)
def test_what_shapes_no_image_makes_no_other_request(name):
    assert fingerprint(replace(FULL, **{name: SAME[name]}), CONTEXT) == fingerprint(FULL, CONTEXT)


def test_every_field_of_a_request_counts_or_is_left_out_on_purpose():
    assert set(ImageRequest.__struct_fields__) == OTHER.keys() | SAME.keys()

"""What is asked for, before anything is sent."""

import json

import pytest

from app.cli.exits import CommandError, ExitCode
from app.cli.options import BuyOptions
from app.cli.order import edit_order, generate_order, read_set, read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("28", 28),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ('"28"', "28"),
        ('[{"model": "a:1@1"}]', [{"model": "a:1@1"}]),
        ("a pear", "a pear"),
        ("16:9", "16:9"),
        ("", ""),
        ("NaN", "NaN"),
        ("[" * 100_000, "[" * 100_000),
    ],
    ids=["number", "fraction", "truth", "nothing", "quoted", "list", "text", "ratio", "empty", "no-number", "deep"],
)
def test_a_value_is_json_where_it_reads_as_json_else_text(text, value):
    assert read_value(text) == value


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        pytest.param(["steps"], "expected NAME=VALUE", id="no value"),
        pytest.param(["=3"], "expected NAME=VALUE", id="no name"),
        pytest.param(["prompt=x"], "the prompt of the command", id="the prompt"),
        pytest.param(["stream=true"], "use --stream", id="a stream"),
        pytest.param(["response_format=url"], "always written to files", id="no files"),
        pytest.param(["steps=1", "steps=2"], "given twice", id="twice"),
        pytest.param(["size=1K"], "given twice", id="an option, too"),
    ],
)
def test_what_cannot_be_set_is_wrong_use(texts, said):
    with pytest.raises(CommandError, match=said) as caught:
        read_set(texts, {"size": "2K"})
    assert caught.value.code == ExitCode.WRONG_USE


def test_a_generation_is_json_with_the_images_in_the_answer():
    options = BuyOptions({"n": 2}, set_=["steps=28"], strict=True, idempotency_key="mine")
    purchase = generate_order("a pear", options).asking("webp").to_purchase()
    body = {"n": 2, "steps": 28, "prompt": "a pear", "output_format": "webp", "response_format": "b64_json"}
    assert (purchase.path, purchase.json_body, purchase.form) == ("/images/generations", body, None)
    assert purchase.all_headers == {
        "X-Spillway-Strict": "true",
        "Idempotency-Key": "mine",
        "X-Client-Request-Id": "mine",
    }


def test_an_edit_keeps_the_order_of_files_and_addresses_and_sends_nested_values_as_json(tmp_path):
    (tmp_path / "a.png").write_bytes(b"first")
    (tmp_path / "mask.webp").write_bytes(b"mask")
    options = BuyOptions({"n": 1}, set_=['lora=[{"model":"a:1@1"}]', "safe=true", "nothing=null"], stream=True)
    images = [str(tmp_path / "a.png"), "https://x.example/b.png"]
    purchase = edit_order(images, "at night", str(tmp_path / "mask.webp"), options).to_purchase()
    assert purchase.json_body is None
    assert {**purchase.form, "lora": json.loads(purchase.form["lora"])} == {
        "n": "1",
        "lora": [{"model": "a:1@1"}],
        "safe": "true",
        "prompt": "at night",
        "stream": "true",
        "image[1]": "https://x.example/b.png",
    }
    assert purchase.files == (
        ("image[0]", ("a.png", b"first", "image/png")),
        ("mask", ("mask.webp", b"mask", "image/webp")),
    )


@pytest.mark.parametrize("mask", [None, "https://x.example/mask.png"], ids=["no mask", "a mask"])
def test_an_edit_of_addresses_alone_is_json_since_there_is_no_file_for_a_form(mask):
    images = ["https://x.example/a.png", "https://x.example/b.png"]
    purchase = edit_order(images, "at night", mask, BuyOptions({"n": 2})).to_purchase()
    body = {"n": 2, "prompt": "at night", "response_format": "b64_json", "image": images}
    assert purchase.json_body == (body if mask is None else body | {"mask": mask})
    assert (purchase.form, purchase.files) == (None, ())


def test_a_mask_that_is_a_file_makes_a_form_of_addresses(tmp_path):
    (tmp_path / "mask.png").write_bytes(b"mask")
    purchase = edit_order(
        ["https://x.example/a.png"], "at night", str(tmp_path / "mask.png"), BuyOptions({})
    ).to_purchase()
    assert (purchase.json_body, purchase.form["image[0]"]) == (None, "https://x.example/a.png")
    assert purchase.files == (("mask", ("mask.png", b"mask", "image/png")),)


@pytest.mark.parametrize(
    ("fields", "count"), [({}, 1), ({"n": 3}, 3), ({"numberResults": 2}, 2), ({"n": "many"}, 1), ({"n": -1}, 1)]
)
def test_how_many_images_are_expected(fields, count):
    order = generate_order("a pear", BuyOptions({}, set_=[f"{name}={value}" for name, value in fields.items()]))
    assert order.count == count


def test_every_purchase_has_a_key_of_its_own():
    first, second = (generate_order("a pear", BuyOptions({})).key for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("images", "mask", "said"),
    [
        pytest.param(["none.png"], None, "there is no such file", id="no file"),
        pytest.param(["."], None, "cannot be read", id="a folder"),
        pytest.param(["empty"], None, "it is empty", id="an empty file"),
        pytest.param(["-", "-"], None, "name - once", id="standard input twice"),
        pytest.param(["-"], "-", "name - once", id="as image and mask"),
        pytest.param(["\0"], None, "cannot be read", id="no name"),
    ],
)
def test_an_image_that_cannot_be_read_is_wrong_use(tmp_path, monkeypatch, images, mask, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(CommandError, match=said) as caught:
        edit_order(images, "at night", mask, BuyOptions({}))
    assert caught.value.code == ExitCode.WRONG_USE


def test_what_is_read_of_a_device_without_end_is_bounded():
    with pytest.raises(CommandError, match="larger than any gateway takes"):
        edit_order(["/dev/zero"], "at night", None, BuyOptions({}))


@pytest.mark.parametrize(
    "options", [{"fields": {"negative_prompt": "\udcff"}}, {"fields": {}, "idempotency_key": "a b"}]
)
def test_text_that_is_none_is_wrong_use(options):
    with pytest.raises(CommandError, match=r"no text|no spaces"):
        generate_order("a pear", BuyOptions(**options))

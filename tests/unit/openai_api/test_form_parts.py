"""Forms as the world's HTTP stacks write them: what is a file, what is text, which comes first."""

import base64
import binascii

import pytest

from app.catalog.modes import Mode
from app.domain.request import LinkedImage
from app.errors import InvalidRequestError
from app.images.hashing import ImageHash
from app.openai_api.multipart import Form, FormParser
from app.openai_api.parse import parse_request
from tests.support.images import encode, photo

PNG = encode(photo(16, 16))
GIF = encode(photo(16, 16), "GIF")
TEXT = base64.b64encode(PNG).decode()
ADDRESS = "https://example.com/a.png"
UUID = "c64351d5-4c59-42f7-95e1-eace013eddab"


def form_of(*parts: tuple[str, bytes]) -> Form:
    """A form of these parts; each has its headers and its bytes."""
    body = b"".join(b"--xyz\r\n%b\r\n\r\n%b\r\n" % (head.encode("latin-1"), data) for head, data in parts)
    parser = FormParser("multipart/form-data; boundary=xyz", 100_000, ImageHash.SHA256)
    parser.feed(body + b"--xyz--\r\n")
    return parser.finish()


def read(*parts: tuple[str, bytes], mode: Mode = Mode.EDIT):
    """The request that a form of these parts makes."""
    form = form_of(*parts)
    return parse_request(mode, form.fields, form.files)


def part(name: str, data: bytes | str = PNG, *, rest: str = "", headers: str = "") -> tuple[str, bytes]:
    """A part with whatever else stands in its disposition and beneath it."""
    data = data.encode() if isinstance(data, str) else data
    return f'Content-Disposition: form-data; name="{name}"{rest}{headers}', data


PROMPT = part("prompt", "a hat")


def understood(request) -> list[tuple[str, object]]:
    """The images by name, and what they are."""
    return [(one.param, one.url if isinstance(one, LinkedImage) else one.data) for one in request.images]


TYPED = "\r\nContent-Type: {}".format


@pytest.mark.parametrize(
    "file",
    [
        part("image", rest='; filename="a.png"', headers=TYPED("image/png")),
        part("image", rest="; filename=a.png"),
        part("image", rest="; filename*=UTF-8''h%C3%BCte.png"),
        part("image", rest="; filename*=UTF-8''a.png", headers=TYPED("image/png")),
        part("image", headers=TYPED("image/png")),
        part("image", headers=TYPED("application/octet-stream")),
        part("image", headers="\r\ncontent-type: IMAGE/PNG; name=x"),
        part("image"),
        part("image", rest='; filename=""'),
        part("image", TEXT, rest='; filename="a.png"', headers=TYPED("image/png") + "\r\nContent-Transfer-Encoding: base64"),
        ("Content-Type: image/png\r\nContent-Length: 99\r\ncontent-disposition: form-data; name=image", PNG),
    ],
    ids=["as browsers do", "unquoted", "extended name only", "extended name and type", "type only", "bytes by type", "odd case",
         "its field says so", "an empty name with bytes", "encoded for transfer", "other order of headers"],
)  # fmt: skip
def test_a_file_is_one_however_it_is_marked(file):
    assert understood(read(PROMPT, file)) == [("image", PNG)]


@pytest.mark.parametrize(
    "file",
    [
        part("image", rest='; filename="a.png"', headers=TYPED("image/png")),
        part("image", headers=TYPED("image/png")),
        part("image"),
    ],
    ids=["with a name", "type only", "its field says so"],
)
def test_a_file_is_hashed_while_it_arrives_however_it_is_marked(file):
    assert [one.digest for one in form_of(PROMPT, file).files] == [ImageHash.SHA256.digest_bytes(PNG)]


@pytest.mark.parametrize("transfer", ["base64", "quoted-printable"])
def test_what_is_decoded_behind_its_end_is_not_hashed_while_it_arrives(transfer):
    encoded = TEXT if transfer == "base64" else binascii.b2a_qp(PNG, istext=False)
    headers = TYPED("image/png") + f"\r\nContent-Transfer-Encoding: {transfer}"
    (file,) = form_of(PROMPT, part("image", encoded, rest='; filename="a.png"', headers=headers)).files
    assert (file.content, file.digest) == (PNG, "")


@pytest.mark.parametrize("name", ["image", "image[]", "images[]", "mask", "markup", "reference_images"])
def test_an_empty_choice_of_a_file_is_absence(name):
    nothing = part(name, b"", rest='; filename=""', headers=TYPED("application/octet-stream"))
    request = read(PROMPT, nothing, mode=Mode.GENERATE)
    assert (request.images, request.mask, request.markup) == ((), None, None)
    assert understood(read(PROMPT, nothing, part("image", rest='; filename="a"'))) == [("image", PNG)]


@pytest.mark.parametrize(
    ("charset", "form"),
    [("iso-8859-1", ""), ("windows-1252", ""), ("utf-16", ""), ("utf-16le", ""), ("shift_jis", ""), ("GB18030", ""), ("", "iso-8859-15"), ("utf-8", "utf-16")],
    ids=str,
)  # fmt: skip
def test_a_parts_own_charset_counts_then_the_forms_then_utf_8(charset, form):
    text = "ハット" if charset in {"shift_jis", "GB18030"} else "ein Hütchen"
    data = text.encode(charset or form)
    headers = TYPED(f'text/plain; charset="{charset}"') if charset else ""
    first = [part("_charset_", form)] if form else []
    request = read(*first, part("prompt", data, headers=headers), mode=Mode.GENERATE)
    assert (request.prompt, dict(request.passthrough)) == (text, {})


@pytest.mark.parametrize("charset", ["klingon", "punycode", "idna", "unicode_escape", "zlib", "utf-7"])
def test_a_charset_of_no_web_page_is_refused_by_field(charset):
    with pytest.raises(InvalidRequestError) as caught:
        read(part("prompt", "a hat", headers=TYPED(f"text/plain; charset={charset}")))
    assert (caught.value.param, charset in caught.value.message) == ("prompt", True)


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        ([("image[1]", GIF), ("image[0]", PNG)], [("image[0]", PNG), ("image[1]", GIF)]),
        ([("image[7]", GIF), ("image[3]", PNG)], [("image[3]", PNG), ("image[7]", GIF)]),
        ([("image[10]", GIF), ("image[9]", PNG)], [("image[9]", PNG), ("image[10]", GIF)]),
        ([("images[1]", ADDRESS), ("images[0]", PNG)], [("images[0]", PNG), ("images[1]", ADDRESS)]),
        ([("image[1]", ADDRESS), ("image[0]", UUID)], [("image[0]", UUID), ("image[1]", ADDRESS)]),
        ([("image", PNG), ("image[]", GIF)], [("image[0]", PNG), ("image[1]", GIF)]),
        ([("image", PNG), ("image", "<UploadFile object>")], [("image", PNG)]),
        ([("inputs[referenceImages][]", PNG), ("inputs[referenceImages][]", GIF)],
         [("referenceImages[0]", PNG), ("referenceImages[1]", GIF)]),
    ],
    ids=["swapped", "with gaps", "numbers, not texts", "file and address", "texts", "not numbered", "repeated by a proxy", "Runware's"],
)  # fmt: skip
def test_indexed_parts_stand_in_the_order_of_their_index_under_their_own_names(parts, names):
    request = read(PROMPT, *(part(name, data) for name, data in parts))
    assert understood(request) == names


@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ([part("image[4]", "no image at all"), part("image[2]", ADDRESS)], "image[4]"),
        ([part("image[1]", "https:/oops"), part("image[0]", UUID)], "image[1]"),
        ([part("mask", PNG), part("mask", PNG), part("image", PNG)], "mask"),
        ([part("image", "{}")], "image"),
        (
            [part("image", "not base64!", rest='; filename="a"', headers="\r\nContent-Transfer-Encoding: base64")],
            "image",
        ),
    ],
    ids=["words", "half an address", "two masks", "empty object", "no base64"],
)
def test_what_is_wrong_with_a_part_is_told_by_its_name(parts, param):
    with pytest.raises(InvalidRequestError) as caught:
        read(PROMPT, *parts)
    assert caught.value.param == param


@pytest.mark.parametrize("name", ["prompt", "size", "model", "my_field"])
@pytest.mark.parametrize("rest", ["", '; filename="a.png"'], ids=["no name", "file"])
def test_an_image_where_text_belongs_is_told_so(name, rest):
    with pytest.raises(InvalidRequestError) as caught:
        read(part("image", PNG), part(name, GIF, rest=rest))
    assert (caught.value.param, "an image (GIF)" in caught.value.message) == (name, True)


def test_text_in_a_file_is_text_where_text_belongs():
    file = part("prompt", "a hat", rest='; filename="prompt.txt"', headers=TYPED("text/plain"))
    options = part("settings", '{"a": [1]}', rest='; filename="blob"', headers=TYPED("application/json"))
    request = read(file, options, mode=Mode.GENERATE)
    assert (request.prompt, request.passthrough) == ("a hat", {"settings": {"a": [1]}})


def test_bytes_that_are_no_text_are_refused_where_text_belongs():
    with pytest.raises(InvalidRequestError) as caught:
        read(part("prompt", b"\x00\x01\xff", rest='; filename="a.bin"'))
    assert (caught.value.param, "a file" in caught.value.message) == ("prompt", True)


WRAPPED = "\r\n".join(TEXT[start : start + 76] for start in range(0, len(TEXT), 76))
LATE = TEXT[:700] + "\n" + TEXT[700:]


@pytest.mark.parametrize(
    "value",
    [TEXT, WRAPPED, LATE, TEXT.rstrip("="), f"  {TEXT}\n", TEXT.replace("+", "-").replace("/", "_"),
     f"data:image/png;base64,{TEXT}", f"data:image/png;base64, {TEXT}", f"data: image/png; base64 ,{TEXT}", f"DATA:image/png;BASE64,{WRAPPED}",
     f"data:image/png;base64;charset=utf-8,{TEXT}", f"data:image/png;charset=utf-8;base64,{TEXT}", f"data:;base64,{TEXT}", f"data:image/png,{TEXT}",
     "data:image/png;base64," + TEXT.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
     "data:image/png," + "".join(f"%{byte:02x}" for byte in PNG),
     {"b64_json": TEXT}, {"base64": TEXT}, {"data": TEXT, "media_type": "image/png"}, {"url": f"data:image/png;base64,{TEXT}"},
     {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{TEXT}"}}],
    ids=["plain", "lines", "one late break", "no padding", "spaces around", "URL alphabet", "data URI", "space before", "spaces between", "capitals and lines",
         "base64 not last", "another parameter", "no type", "base64 unsaid", "percent-encoded base64", "percent-encoded bytes", "b64_json", "base64", "data", "url", "nested"],
)  # fmt: skip
def test_an_image_in_text_is_read_in_every_spelling(value):
    (image,) = parse_request(Mode.EDIT, {"prompt": "a hat", "image": value}).images
    assert image.data == PNG


@pytest.mark.parametrize(
    ("value", "param", "said"),
    [
        ("hello world", "image", "'hello world'"),
        ({"foo": 1, "bar": 2}, "image", "an object with `foo`, `bar`"),
        ({}, "image", "an empty object"),
        (17, "image", "17"),
        ([ADDRESS, True], "image[1]", "True"),
        ([ADDRESS, {"url": "nowhere"}], "image[1].url", "'nowhere'"),
        ({"b64_json": "###"}, "image.b64_json", "'###'"),
        ("data:image/png;base64", "image", "'data:image/png;base64'"),
        ("C:\\pictures\\hat.png", "image", "hat.png"),
        ("data:image/png," + "%41" * 100_000, "image", "%41%41"),
        ({"file_id": "file-1"}, "image.file_id", "stores no files"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_message_about_an_unreadable_image_says_what_was_sent(value, param, said):
    with pytest.raises(InvalidRequestError) as caught:
        parse_request(Mode.EDIT, {"prompt": "a hat", "image": value})
    assert (caught.value.param, said in caught.value.message) == (param, True), caught.value.message

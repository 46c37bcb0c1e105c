"""Images in an object store: streamed there, given out behind links of both kinds, and never lost when it is away."""

import contextlib
import os
import time
from collections.abc import Iterator
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

import pybase64
import pytest

from tests.support import loopback
from tests.support.images import open_base64, png, png_of
from tests.support.object_stores import BUCKET, ObjectServer
from tests.support.odd_runware import OddRunware, envelope, item, odd_runware
from tests.support.processes import unique
from tests.support.waiting import seen

PREFIX = "spillway/images"
LARGE = 20 * 1024 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    running = ObjectServer()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in running.variables().items():
            environment.setenv(name, value)
        yield running
    running.close()


@pytest.fixture(scope="module")
def runware() -> Iterator[OddRunware]:
    with odd_runware() as running:
        running.images |= {
            "good.png": png(64, 64),
            "large.png": png_of(LARGE),
            "half.png": png_of(LARGE)[:-100],
            "no.png": b"no image",
        }
        yield running


def on_store(start_shared_gateway, runware, **variables: str):
    where = {
        "SPILLWAY_STORAGE_URL": f"s3://{BUCKET}/{PREFIX}",
        "SPILLWAY_HOST_ALL_PICTURES": "true",
        "SPILLWAY_ALLOW_PRIVATE_INPUT_URLS": "false",
    }
    return start_shared_gateway(upstream=runware.url, **(where | variables))


@pytest.fixture(scope="module")
def gateway(server, runware, start_shared_gateway):
    return on_store(start_shared_gateway, runware)


@pytest.fixture(scope="module")
def presigning(server, runware, start_shared_gateway):
    return on_store(start_shared_gateway, runware, SPILLWAY_MEDIA_LINKS="presigned")


def giving(runware: OddRunware, name: str) -> None:
    """Answers with an image behind an address, as it is asked for, or else in the answer itself."""

    def answer(task: dict) -> bytes:
        data = runware.images[name]
        embedded = {"imageURL": None, "imageBase64Data": pybase64.b64encode(data).decode()}
        form = {"imageURL": f"{runware.origin}/image/{name}"} if task["outputType"] == "URL" else embedded
        return envelope(item(task, 0, cost=0.01, **form))

    runware.scripts["imageInference"] = answer


def undone(body: dict) -> set[tuple]:
    return {(one["param"], str(one["applied"]), one["mode"]) for one in body["metadata"]["adjustments"]}


def link_of(gateway, runware, name: str = "good.png", **fields) -> str:
    giving(runware, name)
    answer = gateway.generate(prompt=unique(), **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"][0]["url"]


def is_hosting(gateway, runware) -> bool:
    """Whether an image that is asked for gets a link."""
    giving(runware, "good.png")
    answer = gateway.generate(prompt=unique())
    return answer.status_code == 200 and answer.json()["data"][0]["url"].startswith("http")


# Into the store.


@pytest.mark.parametrize("name", ["good.png", "large.png"])
def test_an_image_of_runwares_goes_into_the_store_as_it_comes(server, runware, gateway, name):
    url = link_of(gateway, runware, name)
    assert url.startswith(f"{gateway.origin}/v1/media/")
    assert runware.sent("imageInference")[-1]["outputType"] == "URL", "so that nothing has to be unpacked"
    answer = loopback.get(url)
    assert (answer.content == runware.images[name], answer.headers["content-type"]) == (True, "image/png")
    assert f"{PREFIX}/media/{urlsplit(url).path.rpartition('/')[2]}" in server.names()
    parts = [path for method, path in server.asked if method == "PUT" and path.endswith(url.partition("?")[0][-20:])]
    assert len(parts) == (1 if name == "good.png" else LARGE // (8 * 1024 * 1024) + 1)


def test_its_label_and_size_are_those_of_the_bytes(runware, gateway):
    giving(runware, "good.png")
    body = gateway.generate(prompt=unique(), size="256x256").json()
    assert (body["size"], body["output_format"]) == ("64x64", "png")


@pytest.mark.parametrize("format_", ["gif", "jpeg"])
def test_an_image_of_another_format_than_was_asked_for_is_converted_and_stored(runware, gateway, format_):
    url = link_of(gateway, runware, output_format=format_)
    assert loopback.get(url).headers["content-type"] == f"image/{format_}"


@pytest.mark.parametrize("name", ["half.png", "no.png"])
def test_what_is_no_whole_image_is_a_failure_and_not_stored(server, runware, gateway, name):
    before = (server.names(), server.unfinished())
    giving(runware, name)
    answer = gateway.generate(prompt=unique())
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["cost"]) == (502, "broken_image", 0.01)
    assert (server.names(), server.unfinished()) == before


@pytest.mark.parametrize("status", [503, 403])
@pytest.mark.parametrize("name", ["good.png", "large.png"])
def test_an_image_that_cannot_be_stored_once_it_is_made_is_given_in_the_answer(server, runware, gateway, status, name):
    # Known to be well before it is bought: else nothing would be.
    assert seen(lambda: is_hosting(gateway, runware), bool)
    giving(runware, name)
    answer_it = runware.scripts["imageInference"]
    with contextlib.ExitStack() as away:

        def make(task: dict) -> bytes:
            away.enter_context(server.answering(status))
            return answer_it(task)

        runware.scripts["imageInference"] = make
        answer = gateway.generate(prompt=unique())
    body = answer.json()
    assert (answer.status_code, body["metadata"]["cost"]) == (200, 0.01)
    assert ("response_format", "data URI", "changed") in undone(body)
    assert pybase64.b64decode(body["data"][0]["url"].partition(",")[2]) == runware.images[name]
    # The next image must not send the store away anew.
    giving(runware, name)
    # The failure has closed the store (0167): the next that needs it, here those of other tests, opens it again.
    assert seen(lambda: gateway.generate(prompt=unique()).status_code, lambda status: status == 200) == 200


def test_the_store_takes_images_again_when_it_is_back(runware, gateway):
    assert seen(lambda: is_hosting(gateway, runware), bool)


def test_an_answer_that_was_embedded_is_kept_in_the_store_and_given_again(server, runware, gateway):
    giving(runware, "good.png")
    headers = {"Idempotency-Key": unique()}
    body = {"prompt": unique(), "size": "256x256", "response_format": "b64_json"}
    first = gateway.client.post("/images/generations", json=body, headers=headers).json()
    assert any(name.startswith(f"{PREFIX}/results/") for name in server.names())
    again = gateway.client.post("/images/generations", json=body, headers=headers)
    assert (again.headers["idempotent-replayed"], again.json()["data"]) == ("true", first["data"])
    assert open_base64(first["data"][0]["b64_json"]).size == (64, 64)


def test_what_is_deleted_is_gone_from_the_store(server, runware, gateway):
    giving(runware, "good.png")
    body = {"prompt": unique(), "size": "256x256"}
    made = gateway.client.post("/images/generations", json=body, headers={"Idempotency-Key": unique()}).json()
    name = urlsplit(made["data"][0]["url"]).path.rpartition("/")[2]
    assert f"{PREFIX}/media/{name}" in server.names()
    assert gateway.client.delete(f"/requests/{made['id']}/payloads").status_code == 204
    assert f"{PREFIX}/media/{name}" not in server.names()
    gone = loopback.get(made["data"][0]["url"])
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "media_not_found")


# Links of ours.


@pytest.fixture(scope="module", params=["folder", "store"])
def link(request, server, runware, start_shared_gateway) -> str:
    """To an image in a folder, and to one in the store: they answer alike."""
    own = {} if request.param == "store" else {"SPILLWAY_STORAGE_URL": ""}
    return link_of(on_store(start_shared_gateway, runware, **own), runware)


def test_a_link_says_what_it_leads_to_and_how_long_it_may_be_kept(link, runware):
    answer = loopback.get(link)
    name = urlsplit(link).path.rpartition("/")[2]
    left = int(parse_qs(urlsplit(link).query)["expires"][0]) - time.time()
    cached = answer.headers["cache-control"].split(", ")
    assert (cached[0], cached[2]) == ("private", "immutable")
    assert left - 5 <= int(cached[1].removeprefix("max-age=")) <= left + 5
    assert answer.headers["content-length"] == str(len(runware.images["good.png"]))
    assert answer.headers["etag"] == f'"{name.removesuffix(".png")}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == f'inline; filename="image-{name[-12:]}"'


def test_head_says_the_same_without_the_image(link):
    head, whole = loopback.request("HEAD", link), loopback.get(link)
    told = {"content-length", "content-type", "etag", "last-modified", "accept-ranges", "content-disposition"}
    assert (head.status_code, head.content) == (200, b"")
    assert {name: head.headers[name] for name in told} == {name: whole.headers[name] for name in told}


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=10-", 10, None), ("bytes=-5", -5, None)]
    + [("bytes=10-99999999", 10, None), ("bytes=-99999999", 0, None), ("BYTES=0-9", 0, 10)],
)
def test_a_range_is_answered_with_its_bytes(link, runware, asked, start, end):
    data = runware.images["good.png"]
    answer = loopback.get(link, headers={"Range": asked})
    first = start % len(data)
    assert (answer.status_code, answer.content) == (206, data[start:end])
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(data)}"
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_range_without_a_byte_is_refused_with_how_many_there_are(link, runware, asked):
    answer = loopback.get(link, headers={"Range": asked})
    assert (answer.status_code, answer.json()["error"]["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(runware.images['good.png'])}"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=5-1", "bytes=-", "bytes=a-b", "items=0-1", ""])
def test_what_is_no_single_range_gets_all_of_it(link, runware, asked):
    answer = loopback.get(link, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, runware.images["good.png"])


def test_a_part_is_only_given_of_the_bytes_that_the_reader_has(link):
    whole = loopback.get(link)
    old = formatdate(time.time() - 86_400, usegmt=True)
    for known, status in (
        (whole.headers["etag"], 206),
        (whole.headers["last-modified"], 206),
        ('"another"', 200),
        (f"W/{whole.headers['etag']}", 200),
        (old, 200),
    ):
        answer = loopback.get(link, headers={"Range": "bytes=0-9", "If-Range": known})
        assert answer.status_code == status, known


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_reader_that_has_it_is_told_so(link, method):
    tag = loopback.get(link).headers["etag"]
    for known in (tag, f'"another", {tag}', f"W/{tag}", "*"):
        answer = loopback.request(method, link, headers={"If-None-Match": known, "Range": "bytes=0-9"})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert loopback.request(method, link, headers={"If-None-Match": '"another"'}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [500, 403])
def test_a_store_that_fails_is_told_as_such(server, runware, gateway, method, status):
    url = link_of(gateway, runware)
    with server.answering(status):
        answer = loopback.request(method, url)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert method == "HEAD" or answer.json()["error"]["code"] == "storage_unavailable"
    assert seen(lambda: is_hosting(gateway, runware), bool), "the next image opens it again"


# Links of the store.


def test_a_presigned_link_leads_to_the_store_itself_and_ends(runware, presigning):
    giving(runware, "good.png")
    item_ = presigning.generate(prompt=unique()).json()["data"][0]
    parts = urlsplit(item_["url"])
    assert f"{parts.scheme}://{parts.netloc}" == os.environ["AWS_ENDPOINT_URL"]
    assert parts.path.startswith(f"/{BUCKET}/{PREFIX}/media/")
    assert parse_qs(parts.query)["X-Amz-Expires"] == ["3600"]
    assert 3500 < item_["expires_at"] - time.time() <= 3600
    answer = loopback.get(item_["url"])
    assert (answer.content, answer.headers["content-type"]) == (runware.images["good.png"], "image/png")


def test_links_of_both_kinds_are_good_as_inputs_in_both_modes(runware, gateway, presigning):
    links = [link_of(gateway, runware), link_of(presigning, runware)]
    for one in (gateway, presigning):
        for link in links:
            body = {"prompt": unique(), "model": "riverflow-1-mini", "image": link, "size": "1024x1024"}
            assert one.client.post("/images/edits", json=body).status_code == 200
    assert len(runware.sent("imageInference")) >= 4


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda url: url.replace("/media/", "/media/0"), id="another name"),
        pytest.param(lambda url: url.replace(BUCKET, "another-bucket"), id="another bucket"),
        pytest.param(lambda url: url.replace("/media/", "/results/"), id="not among the hosted images"),
    ],
)
def test_what_is_no_link_of_ours_at_the_store_is_an_address_like_any_other(runware, presigning, change):
    body = {"prompt": unique(), "model": "riverflow-1-mini", "image": change(link_of(presigning, runware))}
    refused = presigning.client.post("/images/edits", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "image")
    assert "private address" in refused.json()["error"]["message"]


def test_a_presigned_link_whose_image_is_gone_is_said_to_have_ended(runware, presigning):
    giving(runware, "good.png")
    made = {"prompt": unique(), "size": "256x256"}
    answer = presigning.client.post("/images/generations", json=made, headers={"Idempotency-Key": unique()}).json()
    presigning.client.delete(f"/requests/{answer['id']}/payloads")
    body = {"prompt": unique(), "model": "riverflow-1-mini", "image": answer["data"][0]["url"]}
    refused = presigning.client.post("/images/edits", json=body)
    assert (refused.status_code, "has ended" in refused.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize("kind", ["gateway", "presigning"])
def test_an_input_in_a_store_that_is_away_is_asked_for_again_later(request, server, runware, gateway, kind):
    link = link_of(request.getfixturevalue(kind), runware)
    sent = len(runware.tasks)
    with server.answering(500):
        answer = gateway.client.post(
            "/images/edits", json={"prompt": unique(), "model": "riverflow-1-mini", "image": link}
        )
    assert (answer.status_code, answer.headers["x-should-retry"], len(runware.tasks)) == (503, "true", sent)


def test_an_answer_that_is_given_again_keeps_the_kind_of_its_link(runware, presigning):
    giving(runware, "good.png")
    headers, body = {"Idempotency-Key": unique()}, {"prompt": unique(), "size": "256x256"}
    first, again = (presigning.client.post("/images/generations", json=body, headers=headers).json() for _ in "12")
    assert again["data"][0]["url"] == first["data"][0]["url"]

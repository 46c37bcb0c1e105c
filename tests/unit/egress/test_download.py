"""Where results may come from. Decisions only: nothing beyond loopback is ever connected to."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.egress.address_guard import RefusedAddressError
from app.egress.download import DownloadPolicy, ResultDownloader, ResultFetcher


class Names:
    """A resolver that knows what a test says, and counts how often it is asked."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int, caller: str) -> list[str]:
        self.asked.append(host)
        if host == "slow.example":
            await asyncio.sleep(60)
        found = self.known.get(host.replace(".", "_").replace("-", "_"), host)
        if not found:
            raise OSError("the name is not known")
        return [found]


@pytest.fixture
def neighbor() -> Iterator[tuple[str, list[str]]]:
    """A server of the inner network, on loopback: its address, and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def with_fetcher(work, **options: object) -> object:
    async def course() -> object:
        fetcher = ResultFetcher(**({"resolve": Names(), "allow_private": False} | options))
        try:
            return await work(fetcher)
        finally:
            await fetcher.close()

    return asyncio.run(course())


INSIDE = [
    "http://10.0.0.7/a.png",
    "http://127.0.0.1:9/a.png",
    "http://[::1]/a.png",
    "http://169.254.169.254/latest/meta-data",
    "http://[::ffff:192.168.0.1]/a.png",
    "http://internal.example/a.png",
    "ftp://im.example/a.png",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "//im.example/a.png",
    "http://user:secret@im.example/a.png",
    "http://[broken",
    "",
]


@pytest.mark.parametrize("url", INSIDE)
@pytest.mark.parametrize("handed_on", [True, False], ids=["handed on", "fetched"])
def test_a_result_that_leads_inside_is_refused_like_an_input(url, handed_on):
    names = Names(internal_example="10.1.2.3")

    async def work(fetcher: ResultFetcher) -> None:
        with pytest.raises(RefusedAddressError):
            await (fetcher.check_address(url) if handed_on else fetcher.fetch_result(url))

    with_fetcher(work, resolve=names, provider_url="https://api.runware.example/v1")


def test_a_refused_result_is_not_asked_for_again():
    downloads = 0

    async def work(fetcher: ResultFetcher) -> None:
        nonlocal downloads
        with pytest.raises(RefusedAddressError):
            await ResultDownloader(fetcher, DownloadPolicy(unreachable=30)).download("http://10.0.0.7/a.png")
        downloads += 1

    with_fetcher(work)
    assert downloads == 1


def test_runwares_own_origin_is_trusted_and_only_that(neighbor):
    url, asked = neighbor

    async def work(fetcher: ResultFetcher) -> None:
        assert await fetcher.fetch_result(f"{url}/image.png") == b"ok"
        await fetcher.check_address(f"{url}/image.png")

    with_fetcher(work, provider_url=f"{url}/v1")
    assert asked == ["/image.png"]

    async def refused(fetcher: ResultFetcher) -> None:
        with pytest.raises(RefusedAddressError):
            await fetcher.fetch_result(f"{url}/image.png")

    with_fetcher(refused, provider_url="http://127.0.0.1:1/v1")
    with_fetcher(refused)
    assert asked == ["/image.png"], "nothing inside was touched"


def test_an_operator_of_an_intranet_may_lift_it(neighbor):
    url, _ = neighbor
    assert with_fetcher(lambda fetcher: fetcher.fetch_result(f"{url}/a"), allow_private=True) == b"ok"


def test_a_host_is_looked_up_once_in_a_while_only():
    names, now = Names(im_example="93.184.216.34"), [0.0]

    async def work(fetcher: ResultFetcher) -> None:
        for _ in range(5):
            await fetcher.check_address("https://im.example/a.png")
        assert len(names.asked) == 1
        now[0] += 301
        await fetcher.check_address("https://im.example/a.png")
        assert len(names.asked) == 2

    with_fetcher(work, resolve=names, clock=lambda: now[0])


def test_a_host_that_does_not_resolve_is_asked_for_again_after_seconds_and_refused_once_it_leads_inside():
    names, now = Names(im_example=""), [0.0]

    async def work(fetcher: ResultFetcher) -> None:
        for _ in range(5):
            await fetcher.check_address("https://im.example/a.png")
        assert len(names.asked) == 1
        names.known["im_example"] = "10.1.2.3"
        now[0] += 6
        with pytest.raises(RefusedAddressError):
            await fetcher.check_address("https://im.example/a.png")

    with_fetcher(work, resolve=names, clock=lambda: now[0])


def test_many_who_come_at_once_share_one_lookup_and_one_refusal():
    names = Names(im_example="10.1.2.3")

    async def work(fetcher: ResultFetcher) -> None:
        checks = (fetcher.check_address("https://im.example/a.png") for _ in range(50))
        outcomes = await asyncio.gather(*checks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [RefusedAddressError] * 50
        assert len(names.asked) == 1
        with pytest.raises(RefusedAddressError):
            await fetcher.check_address("https://im.example/a.png")
        assert len(names.asked) == 2

    with_fetcher(work, resolve=names)


def test_who_leaves_takes_the_answer_from_nobody():
    answered = asyncio.Event()

    async def slowly(host: str, port: int, caller: str) -> list[str]:
        await answered.wait()
        return ["8.8.8.8"]

    async def work(fetcher: ResultFetcher) -> None:
        first, second = (asyncio.create_task(fetcher.check_address("https://im.example/a.png")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        answered.set()
        await second
        assert first.cancelled()

    with_fetcher(work, resolve=slowly)


def test_a_host_that_passed_before_holds_nobody_up_while_it_is_looked_up_again():
    asked, now, answered, again_asked = [], [0.0], asyncio.Event(), asyncio.Event()

    async def resolve(host: str, port: int, caller: str) -> list[str]:
        asked.append(host)
        if len(asked) > 1:
            again_asked.set()
            await answered.wait()
        return ["8.8.8.8"]

    async def work(fetcher: ResultFetcher) -> None:
        await fetcher.check_address("https://im.example/a.png")
        now[0] += 301
        again = asyncio.create_task(fetcher.check_address("https://im.example/a.png"))
        await again_asked.wait()
        await fetcher.check_address("https://im.example/a.png")
        assert not again.done()
        answered.set()
        await again
        assert len(asked) == 2

    with_fetcher(work, resolve=resolve, clock=lambda: now[0])


def test_a_host_that_does_not_resolve_in_time_holds_nobody_up():
    async def work(fetcher: ResultFetcher) -> float:
        began = asyncio.get_running_loop().time()
        await fetcher.check_address("https://slow.example/a.png")
        return asyncio.get_running_loop().time() - began

    assert with_fetcher(work, resolve=Names()) < 20

"""Which addresses this gateway connects to. Decisions only: nothing is ever connected to."""

import asyncio

import pytest

from app.egress.address_guard import AddressGuard, FetchError, RefusedAddressError, is_public
from app.egress.fetch import InputFetcher
from app.egress.names import NameResolver

INNER = {
    "this network": "0.0.0.0",
    "this network's hosts": "0.1.2.3",
    "private": "10.1.2.3",
    "private, middle": "172.16.0.1",
    "private, middle's end": "172.31.255.255",
    "private, small": "192.168.1.1",
    "loopback": "127.0.0.1",
    "loopback's end": "127.255.255.254",
    "link-local, metadata": "169.254.169.254",
    "carriers": "100.64.0.1",
    "Alibaba's metadata": "100.100.100.200",
    "Azure's host": "168.63.129.16",
    "Oracle's metadata": "192.0.0.192",
    "protocols": "192.0.0.9",
    "documentation": "192.0.2.1",
    "documentation 2": "198.51.100.7",
    "documentation 3": "203.0.113.7",
    "benchmarks": "198.18.0.1",
    "6to4 relay": "192.88.99.1",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "v6 loopback": "::1",
    "v6 nothing": "::",
    "v6 link-local": "fe80::1%eth0",
    "v6 site-local": "fec0::1",
    "v6 site-local's end": "feff:ffff::1",
    "v6 unique local": "fc00::1",
    "v6 metadata": "fd00:ec2::254",
    "v6 multicast": "ff02::1",
    "v6 documentation": "2001:db8::1",
    "v6 documentation 2": "3fff::1",
    "v6 benchmarks": "2001:2::1",
    "v6 identifiers": "2001:20::1",
    "v6 discard": "100::1",
    "v6 segment routing": "5f00::1",
    "v6 unassigned": "4000::1",
    "mapped loopback": "::ffff:127.0.0.1",
    "mapped private": "::ffff:10.0.0.1",
    "mapped Azure": "::ffff:168.63.129.16",
    "compatible": "::8.8.8.8",
    "translated loopback": "64:ff9b::7f00:1",
    "translated Azure": "64:ff9b::a83f:8110",
    "locally translated": "64:ff9b:1::808:808",
    "6to4 private": "2002:a00:1::",
    "6to4 public": "2002:808:808::",
    "Teredo": "2001:0:0:0:0:0:f5ff:fffe",
    "ISATAP private": "2606:4700::5efe:a00:1",
    "ISATAP private, global": "2606:4700::200:5efe:c0a8:101",
}
OUTER = {
    "v4": "8.8.8.8",
    "beside Azure's host": "168.63.129.17",
    "beside carriers": "100.128.0.1",
    "beside private": "172.32.0.1",
    "v6": "2606:4700::1111",
    "v6 of Europe": "2a00:1450:4001:80b::200e",
    "mapped": "::ffff:8.8.8.8",
    "translated": "64:ff9b::808:808",
    "ISATAP": "2606:4700::5efe:808:808",
}


@pytest.mark.parametrize("address", INNER.values(), ids=INNER)
def test_an_inner_address_is_known(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTER.values(), ids=OUTER)
def test_an_address_on_the_open_internet_is_known(address):
    assert is_public(address)


def guard(*answers: list[str], allow_private: bool = False, error: Exception | None = None) -> AddressGuard:
    """A guard whose names lead to each of `answers` in turn, and to the last from then on."""
    left = list(answers)

    async def resolve(host: str, port: int, caller: str) -> list[str]:
        if error is not None:
            raise error
        return left.pop(0) if len(left) > 1 else left[0]

    return AddressGuard(allow_private=allow_private, resolve=resolve)


def check(url: str, guarded: AddressGuard) -> None:
    async def work() -> None:
        fetcher = InputFetcher(guarded, max_bytes=1000)
        try:
            await fetcher.check_address(url, "a caller")
        finally:
            await fetcher.close()

    asyncio.run(work())


def pin(url: str, guarded: AddressGuard):
    return asyncio.run(guarded.pin(url))


@pytest.mark.parametrize("judge", [check, pin], ids=["handed on", "fetched"])
@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["fec0::1"], ["168.63.129.16"]], ids=str
)
def test_a_name_that_leads_inward_is_refused_whatever_else_it_leads_to(addresses, judge):
    with pytest.raises(RefusedAddressError):
        judge("https://images.example/a.png", guard(addresses))


@pytest.mark.parametrize(
    "url",
    ["ftp://a/b", "file:///etc/passwd", "http://", "http://u:p@a/b", "http://a:99999/", "https://[::1", "gopher://a"],
)
def test_only_plain_web_addresses_are_taken(url):
    with pytest.raises(RefusedAddressError):
        check(url, guard(["8.8.8.8"]))


@pytest.mark.parametrize(
    "error", [OSError("no such host"), UnicodeError("idna"), ValueError("embedded null"), TimeoutError()], ids=repr
)
def test_a_name_that_cannot_be_found_is_no_danger_when_only_handed_on_but_cannot_be_fetched(error):
    check("https://nowhere.example/a.png", guard([], error=error))
    with pytest.raises(FetchError, match="cannot be found") as caught:
        pin("https://nowhere.example/a.png", guard([], error=error))
    assert not isinstance(caught.value, RefusedAddressError)


def test_what_was_checked_is_what_is_connected_to_under_the_name_that_was_given():
    pinned = pin("https://images.example:8443/a.png?b=1#c", guard(["8.8.8.8", "2606:4700::1111"], ["127.0.0.1"]))
    assert pinned.targets == ("https://8.8.8.8:8443/a.png?b=1", "https://[2606:4700::1111]:8443/a.png?b=1")
    assert (pinned.host_header, pinned.tls_name) == ("images.example:8443", "images.example")


def test_an_operator_of_an_intranet_may_lift_it():
    assert pin("http://images.example/a", guard(["10.0.0.1"], allow_private=True)).targets == ("http://10.0.0.1:80/a",)


@pytest.mark.parametrize(
    ("url", "header", "tls_name"),
    [
        ("https://bücher.example/a", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("http://BÜCHER.example:8080/a", "xn--bcher-kva.example:8080", ""),
        ("https://[2606:4700::1111]:8443/a", "[2606:4700::1111]:8443", "2606:4700::1111"),
        ("https://images.example./a", "images.example.", "images.example."),
    ],
    ids=["international", "capitals and port", "v6", "final dot"],
)
def test_a_host_is_named_as_the_network_spells_it(url, header, tls_name):
    pinned = pin(url, guard(["8.8.8.8"]))
    assert (pinned.host_header, pinned.tls_name) == (header, tls_name)


@pytest.mark.parametrize(
    "url",
    [
        "http://a\ud800.example/",
        "http://a.example/\ud800",
        f"http://{'a' * 64}.example/",
        "http://a..example/",
    ],
    ids=["half a character in the name", "half a character in the path", "label too long", "empty label"],
)
def test_an_address_that_cannot_be_written_down_is_refused(url):
    with pytest.raises(RefusedAddressError):
        pin(url, guard(["8.8.8.8"]))


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "017700000001",
        "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
        "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",
        "[::ffff:7f00:1]",
        "127\u30020\u30020\u30021",
        "0",
    ],
)
def test_every_way_to_write_an_inner_address_is_seen_through(host):
    names = NameResolver(threads=1, per_caller=1, wait=10)  # numbers only: nothing is asked
    with pytest.raises(RefusedAddressError):
        pin(f"http://{host}/", AddressGuard(allow_private=False, resolve=names.resolve))

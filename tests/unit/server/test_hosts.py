"""The names a gateway goes by."""

import pytest

from app.server.hosts import KnownHosts, host_names

HOSTS = KnownHosts(
    host_names("192.0.2.5", "https://images.example.com/base", ["spillway:8000", "*.inner.example", "[2001:db8::7]"])
)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "localhost.:80",
        "127.0.0.1:8000",
        "127.9.9.9",
        "[::1]:8000",
        "[::ffff:127.0.0.1]",
        "192.0.2.5:1",
        "images.example.com",
        "Images.Example.Com:8443",
        "spillway:8000",
        "a.inner.example",
        "a.b.inner.example:9",
        "[2001:db8::7]:8000",
        "10.1.2.3:8000",
        "[::ffff:10.1.2.3]",
    ],
)
def test_a_known_name(host):
    assert HOSTS.knows(host, "10.1.2.3")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8000",
        "inner.example",
        "xinner.example",
        "spillway",
        "spillway:8001",
        "10.1.2.4",
        "0.0.0.0:8000",
        "2130706433",
        "127.1",
        "",
        "localhost:8000@evil.example",
        "localhost evil",
        "localhost/evil",
        "localhost:8000:8000",
        "[::1",
        "l\u00f6calhost",
        "images.example.com\u3002evil.example",
        "localhost\t",
        "*",
        "*.inner.example",
    ],
)
def test_any_other_name(host):
    assert not HOSTS.knows(host, "10.1.2.3")


def test_an_address_is_known_only_where_it_was_connected_to():
    assert KnownHosts([]).knows("10.1.2.3", "10.1.2.3")
    assert not KnownHosts([]).knows("10.1.2.3", None)
    assert not KnownHosts(host_names("0.0.0.0", None, [])).knows("10.1.2.4:8000", "10.1.2.3")


def test_any_name_where_the_operator_says_so():
    assert KnownHosts(["*"]).knows("evil.example", None)
    assert not KnownHosts(["*"]).knows("evil example", None)

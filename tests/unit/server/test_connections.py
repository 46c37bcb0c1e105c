"""Who is counted as one caller, and who has to go when there is no room."""

import ipaddress

import pytest

from app.server.connections import ConnectionLimits, Connections

TRUSTED = [ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_network("fd00::1/128")]


class Idle:
    """A connection on which nothing goes on."""

    ended = False

    def end_idle(self) -> None:
        self.ended = True


def connections(**more) -> Connections:
    return Connections(ConnectionLimits(per_address=2, reserved_descriptors=40), lambda error: b"", TRUSTED, **more)


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("10.0.0.9", None),
        ("::ffff:10.0.0.9", None),
        ("10.0.1.9", "10.0.1.9"),
        ("fd00::1", None),
        ("not-an-address", "not-an-address"),
        (None, None),
    ],
)
def test_what_counts_as_one_caller(address, site):
    assert connections().site_of(address) == site


def test_an_address_has_so_many_and_may_come_again():
    counted = connections()
    assert [counted.add_connection("a", 5) is None for _ in range(3)] == [True, True, False]
    assert counted.add_connection("b", 5) is None
    counted.remove_connection(Idle(), "a")
    counted.remove_connection(Idle(), "a")
    assert counted.add_connection("a", 5) is None


def test_trusted_proxies_are_not_counted():
    counted = connections()
    assert all(counted.add_connection(None, 5) is None for _ in range(1000))


def test_the_longest_idle_make_room_when_descriptors_are_scarce():
    counted = connections(descriptors=200)
    idle = [Idle() for _ in range(6)]
    for connection in idle:
        counted.mark_idle(connection, idle=True)
    counted.mark_idle(idle[0], idle=False)
    counted.mark_idle(idle[1], idle=True)  # it was used again: now it is the last
    assert counted.add_connection("a", 159) is None
    assert not any(connection.ended for connection in idle)
    assert counted.add_connection("a", 160) is None
    assert [connection.ended for connection in idle] == [False, False, True, True, True, True]


@pytest.mark.parametrize(("descriptor", "idle"), [(160, 0), (195, 4)], ids=["none is idle", "nothing is left"])
def test_the_newcomer_is_told_when_there_is_no_room(descriptor, idle):
    counted = connections(descriptors=200)
    for _ in range(idle):
        counted.mark_idle(Idle(), idle=True)
    error = counted.add_connection("a", descriptor)
    assert (error.status, error.code, error.retry_after) == (503, "too_many_connections", 1)

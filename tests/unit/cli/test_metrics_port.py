"""The folder in which the processes of one gateway count, and who may hold a place at its port."""

import shutil
import socket
import time
from pathlib import Path

import pytest

from app.access.metrics_key import MetricsKey
from app.cli.metrics_port import metrics_folder, serving_metrics
from tests.support import loopback


def test_a_folder_of_a_gateway_that_was_killed_is_removed_and_that_of_a_living_one_is_not(tmp_path):
    with metrics_folder(tmp_path) as first:
        abandoned = Path(f"{first}-of-a-dead-one")
        shutil.copytree(first, abandoned)
        with metrics_folder(tmp_path) as second:
            assert first.is_dir()
            assert second != first
            assert not abandoned.exists()
        assert not second.exists()
    assert not first.exists()


def test_nobody_else_may_enter_it(tmp_path):
    with metrics_folder(tmp_path) as folder:
        assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "said",
    [pytest.param(b"", id="nothing"), pytest.param(b"GET /metrics HTTP/1.1\r\nx: ", id="a header that never ends")],
)
def test_a_connection_has_its_time_as_a_whole_however_often_it_says_something(tmp_path, said):
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        serving_metrics([listening], tmp_path, MetricsKey(None), 1.0),
    ):
        address = listening.getsockname()
        with socket.create_connection(address) as slow:
            slow.sendall(said)
            assert _cut_off_within(slow, 30.0), "a byte now and then keeps it for good"
        assert loopback.get(f"http://127.0.0.1:{address[1]}/metrics").status_code == 200


def _cut_off_within(slow: socket.socket, seconds: float) -> bool:
    """Whether the other side ends the connection although a byte is sent every moment."""
    until = time.monotonic() + seconds
    slow.settimeout(0.1)
    while time.monotonic() < until:
        try:
            slow.sendall(b"x")
            if not slow.recv(1):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False

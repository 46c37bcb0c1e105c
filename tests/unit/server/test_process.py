"""What the process takes of its machine, and how long it may take to end."""

import stat

import pytest

from app.server.process import Shutdown, bytes_in_flight, machine_memory, private_folder


def test_memory_is_the_machines_or_what_its_control_group_allows(tmp_path):
    total = machine_memory(())
    (tmp_path / "small").write_text(f"{total // 4}\n")
    (tmp_path / "unlimited").write_text("max\n")
    (tmp_path / "huge").write_text(str(2**63))
    limits = [tmp_path / name for name in ("small", "unlimited", "huge", "missing")]
    assert machine_memory(tuple(limits)) == total // 4
    assert machine_memory(tuple(limits[1:])) == total


def test_a_folder_of_its_own_is_nobody_elses_to_read_with_what_lies_in_it(tmp_path):
    folder = tmp_path / "a" / "data"
    folder.mkdir(parents=True, mode=0o755)
    (folder / "open").write_text("a")
    (folder / "open").chmod(0o644)
    private_folder(folder)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "open")] == [0o700, 0o600]


def test_the_grace_period_runs_from_the_first_sign_of_the_end():
    now = [100.0]
    shutdown = Shutdown(lambda: now[0])
    shutdown.begin()
    now[0] = 107.0
    shutdown.begin()
    assert shutdown.remaining(10) == pytest.approx(3)
    now[0] = 200.0
    assert shutdown.remaining(10) == 0


def test_an_end_that_nobody_announced_has_all_of_its_grace():
    assert Shutdown(lambda: 5.0).remaining(10) == 10


def test_processes_of_one_gateway_share_a_third_of_the_memory():
    alone = bytes_in_flight()
    assert alone == machine_memory() // 3
    assert bytes_in_flight(4) == alone // 4
    assert bytes_in_flight(10**6) == 64 * 1024 * 1024

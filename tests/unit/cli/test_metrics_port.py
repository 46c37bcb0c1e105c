"""The folder in which the processes of one gateway count."""

import shutil
from pathlib import Path

from app.cli.metrics_port import metrics_folder


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

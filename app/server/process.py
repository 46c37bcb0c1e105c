"""What the process asks of the system before it serves: files of its own that nobody else reads, and enough of them."""

import contextlib
import os
import resource
import stat
import sys
from pathlib import Path

_MOST_DESCRIPTORS = 65_536
"""More help nobody, and some systems refuse to go to what they call the limit."""

_OWNER_ONLY, _PRIVATE_FOLDER, _PRIVATE_FILE = 0o077, 0o700, 0o600


def prepare_process() -> None:
    """Let only its own user read what the process writes, and let it have as many files and connections as it may."""
    os.umask(_OWNER_ONLY)
    raise_descriptor_limit()


def private_folder(folder: Path) -> None:
    """Make `folder`, and let nobody else in; files that others could read, from before, are closed to them too.

    A folder that belongs to another user, such as a shared volume, stays as its owner made it.
    """
    folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    if stat.S_IMODE(folder.stat().st_mode) == _PRIVATE_FOLDER:
        return
    with contextlib.suppress(PermissionError):
        folder.chmod(_PRIVATE_FOLDER)
        for parent, _, names in os.walk(folder):
            for name in names:
                (Path(parent) / name).chmod(_PRIVATE_FILE)


def descriptor_limit() -> int:
    """How many files and connections the process may have open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def raise_descriptor_limit() -> None:
    """Let the process have as many files and connections as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

"""What a worker process gives up before it sees an image: the network, files, other programs and other processes.

Three layers of the Linux kernel, each as far as it is there: a network namespace without any network, Landlock for
files, a filter for system calls. Owns them and their names; whoever starts a worker is told which are in force (0174).
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import app

NETWORK, FILES, CALLS = "network", "files", "calls"
LAYERS = (NETWORK, FILES, CALLS)
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
# Landlock's system calls have one number everywhere.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF, _BENEATH = 444, 445, 446, 1
_ALL_ACCESS, _READ_AND_RUN = (1 << 13) - 1, 0b1101
_LIBRARIES = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/proc/self")
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_ALLOW, _DENY = 0x7FFF0000, 0x00050000 | 1  # the call fails with EPERM
_LOAD, _JUMP_IF, _JUMP_IF_ABOVE, _RETURN = 0x20, 0x15, 0x35, 0x06
_CALL, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Where the filter finds them (struct seccomp_data)."""
_OTHER_TABLE = 0x40000000
"""From here on the numbers of x32 begin, which would pass by the filter."""
# socket, connect, accept, accept4, bind, listen; execve, execveat; ptrace, process_vm_readv and _writev; kill, tkill,
# rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal; unshare, setns, mount, bpf, keyctl, perf_event_open,
# userfaultfd, open_by_handle_at, pidfd_getfd; io_uring, which does all of that in another way. Then tgkill.
_X86 = (
    *(41, 42, 43, 288, 49, 50, 59, 322, 101, 310, 311, 62, 200, 129),
    *(297, 424, 272, 308, 165, 321, 250, 298, 323, 304, 438, 425, 426, 427),
)
_ARM = (
    *(198, 203, 202, 242, 200, 201, 221, 281, 117, 270, 271, 129, 130, 138),
    *(240, 424, 97, 268, 40, 280, 219, 241, 282, 265, 438, 425, 426, 427),
)
_TABLES = {"x86_64": (0xC000003E, _X86, 234), "aarch64": (0xC00000B7, _ARM, 131)}


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_void_p))


def leave_network() -> bool:
    """Have no network any more. Before any thread begins: only a process of one may have a namespace of its own."""
    library = _library()
    # Alone where the process may, together with a namespace of users where only that makes it possible.
    return any(library.unshare(flags) == 0 for flags in (_NEW_NETWORK, _NEW_NETWORK | _NEW_USER))


def give_up_the_rest() -> Iterator[str]:
    """Give up what the loaded program needs no more, naming the layers that are in force."""
    library = _library()
    # Without this the kernel takes neither rules nor filters from whoever is not root.
    if library.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return
    if _restrict_files(library, _code_folders()):
        yield FILES
    if _filter_calls(library):
        yield CALLS


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _code_folders() -> Iterator[str]:
    """Where code is; data, settings and other processes (`/proc`) are elsewhere."""
    root = Path(app.__file__).resolve().parent.parent
    yield from _LIBRARIES
    yield from (sys.prefix, sys.base_prefix)
    for entry in sys.path:
        if Path(entry).resolve() != root or root.name in _INSTALLED:
            yield entry
        else:
            # Of a checkout only its code: `.env` and the data folder stand beside it.
            yield from (str(root / "app"), str(root / "tests"))


def _restrict_files(library: ctypes.CDLL, readable: Iterable[str]) -> bool:
    attributes = struct.pack("=Q", _ALL_ACCESS)
    ruleset = library.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        return all(_permit(library, ruleset, path) for path in readable) and (
            library.syscall(_RESTRICT_SELF, ruleset, 0) == 0
        )
    finally:
        os.close(ruleset)


def _permit(library: ctypes.CDLL, ruleset: int, path: str) -> bool:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # what is not there needs no permission
        return True
    try:
        # Of a file only what files have: a right to list it would make the rule invalid.
        access = _READ_AND_RUN if Path(path).is_dir() else 0b101
        return bool(library.syscall(_ADD_RULE, ruleset, _BENEATH, struct.pack("=Qi", access, opened), 0) == 0)
    finally:
        os.close(opened)


def _filter_calls(library: ctypes.CDLL) -> bool:
    if platform.machine() not in _TABLES:
        return False
    program = _program(*_TABLES[platform.machine()], os.getpid())
    held = ctypes.create_string_buffer(program, len(program))
    given = _Filter(len(program) // 8, ctypes.addressof(held))
    return bool(library.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(given), 0, 0) == 0)


def _program(architecture: int, denied: tuple[int, ...], to_thread: int, own: int) -> bytes:
    """The filter: of another table of numbers nothing, of this one all but `denied`, and signals to itself only."""
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF, 1, 0, architecture),
        (_RETURN, 0, 0, _DENY),
        (_LOAD, 0, 0, _CALL),
        (_JUMP_IF_ABOVE, 0, 1, _OTHER_TABLE),
        (_RETURN, 0, 0, _DENY),
        (_JUMP_IF, 0, 4, to_thread),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_IF, 1, 0, own),
        (_RETURN, 0, 0, _DENY),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for number in denied:
        steps += [(_JUMP_IF, 0, 1, number), (_RETURN, 0, 0, _DENY)]
    return b"".join(struct.pack("=HBBI", *step) for step in (*steps, (_RETURN, 0, 0, _ALLOW)))

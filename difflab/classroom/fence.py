"""The fence around a process that runs a student's code: memory, files, network, other processes.

Two fences, one inside the other. The kernel's holds against any code, where the system has it: limits on resources
(POSIX), and on Linux namespaces without network or other processes, and Landlock (https://landlock.io) for files.
Python's, an audit hook, is there everywhere and tells what was tried; determined code gets around it.
"""

import ctypes
import inspect
import os
import signal
import struct
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import Any

resource: Any = None
with suppress(ImportError):  # on Windows, which cannot grade, and can do the rest
    import resource

ANSWER = "<the answer>"  # the file name that a student's code is compiled with
LARGEST_FILE = 50_000_000  # bytes

NEW_USER, NEW_NETWORK, NEW_PROCESSES, NEW_IPC = 0x10000000, 0x40000000, 0x20000000, 0x08000000
PARENT_DEATH_SIGNAL, NO_NEW_PRIVILEGES = 1, 38  # for prctl
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # Landlock's system calls, the same on every architecture
READING = 0b1101  # execute, read a file, read a folder


def raise_fence(scratch: Path, memory: int, seconds: float) -> dict[str, bool]:
    """Shut this process in, for good. Returns what the system granted: processes, network, memory, files.

    scratch: the only folder that may be written to. memory: bytes beyond what the process has now. seconds: of
    processor time. Where a new process is made for the fence, this one waits for it and ends with it.
    """
    os.setsid()
    alone = _leave_the_others()
    memory_limited = _limit(memory, seconds)
    files_closed = _only_files_of(readable(), scratch)
    return {"processes": alone, "network": alone, "memory": memory_limited, "files": files_closed}


def readable() -> list[Path]:
    """What an answer may read: Python, its libraries, this package, and the little that those need of the system."""
    package = Path(__file__).resolve().parent.parent
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {sys.prefix, sys.base_prefix, package, "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime"}
    paths |= {"/dev/null", "/dev/zero", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"}
    return sorted({Path(path).resolve() for path in paths if Path(path).exists()})


def _leave_the_others() -> bool:
    """Go where there are no other processes and no network; False if the system does not let us."""
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform != "linux" or libc.unshare(NEW_USER | NEW_NETWORK | NEW_PROCESSES | NEW_IPC) != 0:
        return False
    child = os.fork()  # the new process is the first of its own world: with it every other one in there ends
    if child:
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    libc.prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    return True


def _limit(memory: int, seconds: float) -> bool:
    """Limit what this process may use, and that it starts no other; False if memory cannot be limited."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))  # no new processes or threads; root alone is exempt
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return False
    limit = int(statm.read_text().split()[0]) * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return True


def _only_files_of(roots: list[Path], scratch: Path) -> bool:
    """Close all files but those under `roots` (to read) and `scratch`, and TCP where it can; False without Landlock."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    rights = (1 << (13 + (version >= 2) + (version >= 3))) - 1
    attributes = struct.pack("=Q", rights)
    if version >= 4:
        attributes += struct.pack("=Q", 0b11)  # neither bind nor connect
    if version >= 6:
        attributes += struct.pack("=Q", 0b11)  # no signals and no abstract sockets to the outside
    rules = libc.syscall(CREATE_RULESET, attributes, len(attributes), 0)
    for path, allowed in [*((root, READING) for root in roots), (scratch, rights)]:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not path.is_dir():
            allowed &= 0b111  # the rights that a file has
        libc.syscall(ADD_RULE, rules, 1, struct.pack("=Qi", allowed, place), 0)
        os.close(place)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    closed = libc.syscall(RESTRICT_SELF, rules, 0) == 0
    os.close(rules)
    return closed


# Python's own fence: what an answer has no reason to do, refused and remembered

FRAMES = {"sys._getframe", "sys._current_frames", "gc.get_objects", "gc.get_referrers", "gc.get_referents"}
FRAME_ATTRIBUTES = {"tb_frame", "f_code", "gi_frame", "cr_frame", "ag_frame"}
PROCESSES = ("subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.kill", "pty.spawn")
OTHERS = (
    "socket.",
    "ctypes.",
    "_thread.start_new_thread",
    "sys.settrace",
    "sys.setprofile",
    "cpython.PyInterpreterState",
)
PATHS = {"open": 0, "os.listdir": 0, "os.scandir": 0}
CHANGES = {
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.chmod",
    "os.truncate",
    "os.link",
    "os.symlink",
    "shutil.rmtree",
}


def watch(scratch: Path, remember) -> None:
    """From now on refuse, with PermissionError, what an answer has no reason to do, and call `remember` with its name.

    There is no way back: Python has none for an audit hook.
    """
    roots, own, busy = [str(path) for path in readable()], str(scratch.resolve()), []

    def inside(path, folders):
        path = os.path.realpath(os.fsdecode(path))
        return any(path == folder or path.startswith(folder + os.sep) for folder in folders)

    def refused(event, arguments):
        if event == "open":
            path, mode, flags = arguments
            if path is None or isinstance(path, int):
                return False if path in (0, 1, 2) else "open (an inherited file)"
            writes = flags is not None and flags & (os.O_WRONLY | os.O_RDWR)
            return (
                not inside(path, [own] if writes and path != os.devnull else [*roots, own]) and f"open {path!r}"
            )
        if event in PATHS:
            path = arguments[0]
            return path is not None and not inside(path or ".", [*roots, own]) and f"{event} {path!r}"
        if event in CHANGES:
            return not inside(arguments[0], [own]) and f"{event} {arguments[0]!r}"
        if event.startswith((*PROCESSES, *OTHERS)):
            return event
        if event in FRAMES or (event == "object.__getattr__" and arguments[1] in FRAME_ATTRIBUTES):
            frame = sys._getframe(2)
            while frame and frame.f_code.co_filename == inspect.__file__:
                frame = frame.f_back
            return (
                frame is not None and frame.f_code.co_filename == ANSWER and "look at the stack or at others' objects"
            )
        return False

    def hook(event, arguments):
        if busy:
            return
        busy.append(True)
        try:
            what = refused(event, arguments)
        finally:
            busy.clear()
        if what:
            remember(what)
            raise PermissionError(f"not allowed here: {what}")

    sys.addaudithook(hook)

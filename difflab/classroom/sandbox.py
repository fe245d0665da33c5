"""One exercise of one student, run in a process of its own, forked from one that has imported torch already.

The process gets the student's answer first. The checks are sent to it only after the answer has run, and are never on
its disk; what comes back is JSON, never a pickle, and is not believed where it was not asked for.
"""

import builtins
import importlib
import json
import multiprocessing.connection
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from difflab.classroom.chapter import Exercise
from difflab.classroom.fence import ANSWER, raise_fence, watch

CHECK = "<the check>"
NOT_ANSWERED = "not answered yet"
NUMBER = struct.Struct("!i")  # a message to and from the fork server
LONGEST = 100_000  # bytes of a message from the process
SHOWN = 500  # characters of a student's error


@dataclass(frozen=True)
class Limits:
    """What an answer may use."""

    seconds: float = 20  # for each cell
    total_seconds: float = 120  # for all exercises of a submission
    memory: int = 2_000_000_000  # bytes beyond what Python and torch take


@dataclass
class Outcome:
    """What happened to one exercise."""

    failed: dict[str, str] = field(
        default_factory=dict
    )  # by grade id of a check: what was wrong; a check not in it passed
    tampered: list[str] = field(default_factory=list)  # signs that the checks were interfered with
    tried: list[str] = field(default_factory=list)  # what the answer tried to do and was refused
    fence: dict[str, bool] = field(default_factory=dict)  # what the system granted, see `raise_fence`


class Ended(Exception):
    """There is nothing more to be learned from the process; the message says why."""


class Unanswered(Exception):
    """A check was asked about an answer that is still empty."""


class Tampered(Ended):
    """The process is not to be believed."""


class ForkServer:
    """A process that has imported what exercises need, and forks one for each: `with ForkServer(chapters) as server`.

    It knows neither checks nor submissions, so that nothing of them is in the memory of what it forks. (The standard
    library's fork server would run the main script again in each.)
    """

    def __init__(self, chapters):
        if not hasattr(os, "fork"):
            raise ValueError("grading needs processes that fork: run it on Linux, on a Mac, or on Windows in WSL")
        setups = "\n".join(chapter.setup for chapter in chapters)
        self._imports = list(dict.fromkeys(re.findall(r"^(?:from|import) ([\w.]+)", setups, re.MULTILINE)))
        self._lock = threading.Lock()
        self._start()

    def _start(self):
        self._control, theirs = socket.socketpair()
        code = "from difflab.classroom.sandbox import serve; serve()"
        wanted = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "HOME")
        environment = {name: os.environ[name] for name in wanted if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code, str(theirs.fileno()), *self._imports],
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the grader, which ends this in order
                env=environment | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg"},
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._control.close()
        self._process.wait()

    def fork(self) -> tuple[multiprocessing.connection.Connection, int]:
        """A new process: the connection to it, and its number."""
        for _ in range(2):
            ours, theirs = multiprocessing.Pipe()
            try:
                with theirs, self._lock:
                    socket.send_fds(self._control, [NUMBER.pack(0)], [theirs.fileno()])
                    return ours, NUMBER.unpack(self._control.recv(NUMBER.size))[0]
            except (OSError, struct.error):  # it is gone: once more with another
                self._process.kill()
                self._start()
        raise RuntimeError("the process that runs exercises does not start")

    def end(self, number: int) -> None:
        """End a forked process, and every one that it has started."""
        with self._lock:
            self._control.send(NUMBER.pack(number))
            self._control.recv(NUMBER.size)


def serve() -> None:
    """The fork server's own process: it forks for a 0 with a connection, and ends the process of any other number."""
    control = socket.socket(fileno=int(sys.argv[1]))
    import torch
    import torch._dynamo  # an optimizer imports it late, and it replaces functions of torch

    torch.set_num_threads(1)  # a process with more threads cannot be forked
    for name in sys.argv[2:]:
        importlib.import_module(name)
    running = set()
    while True:
        message, files, _, _ = socket.recv_fds(control, NUMBER.size, 1)
        if not message:  # the grader is gone
            for number in running:
                _end(number)
            return
        (number,) = NUMBER.unpack(message)
        if number == 0:
            number = os.fork()
            if number == 0:
                try:
                    _child(files[0])
                finally:
                    os._exit(1)
            os.close(files[0])
            running.add(number)
        else:
            _end(number)
            running.discard(number)
        control.send(NUMBER.pack(number))


def _end(number: int) -> None:
    """End a child of this process, with all of its process group."""
    for kill in (os.killpg, os.kill):
        try:
            kill(number, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it is gone, or has not come to lead a group
    os.waitpid(number, 0)


def run_exercise(server, setup: str, exercise: Exercise, answer: str, limits: Limits) -> Outcome:
    """Run an answer and its exercise's checks, behind the fence.

    server: a ForkServer. setup: the source of the chapter's setup cell.
    """
    outcome, deadline = Outcome(), time.monotonic() + limits.total_seconds
    scratch = Path(tempfile.mkdtemp(prefix="difflab-exercise-"))
    ours, number = server.fork()
    task = {"setup": setup, "answer": answer, "scratch": str(scratch)}
    task |= {"memory": limits.memory, "processor_seconds": limits.total_seconds}

    def ask(seconds, **question):
        token = secrets.token_hex(8)
        if ours.poll():
            raise Tampered("the process spoke without being asked")
        try:
            ours.send_bytes(json.dumps(question | {"token": token}).encode())
            if not ours.poll(max(0, min(seconds, deadline - time.monotonic()))):
                raise Ended(f"stopped after {min(seconds, limits.total_seconds):g} seconds: does it ever end?")
            reply = json.loads(ours.recv_bytes(LONGEST))
        except EOFError as error:
            raise Ended(
                "the process ended in the middle: killed for its use of memory, or by the answer itself"
            ) from error
        except (OSError, ValueError) as error:
            raise Tampered("the process did not answer in its own language") from error
        if not isinstance(reply, dict) or reply.get("token") != token:
            raise Tampered("the process answered something else than was asked")
        outcome.tried = [str(what)[:SHOWN] for what in reply.get("tried", ())]
        return reply

    waiting = list(exercise.checks)
    try:
        outcome.fence = ask(60, do="begin", **task)["fence"]
        wrong = ask(limits.seconds, do="answer")["failed"]
        if wrong:
            raise Ended(wrong["says"])
        for name in exercise.checks:
            wrong = ask(limits.seconds, do="check", source=exercise.checks[name])["failed"]
            if wrong and wrong["says"] == NOT_ANSWERED:
                raise Ended(NOT_ANSWERED)
            if wrong:
                outcome.failed[name] = _told(wrong, hidden=name.endswith("-hidden"))
            waiting.remove(name)
        planted = exercise.wrong if len(outcome.failed) < len(exercise.checks) else ()
        seen = ask(limits.seconds * 2, do="look", wrong=planted, checks=list(exercise.checks.values()))
        outcome.tampered = [f"{name} was replaced" for name in seen["replaced"]]
        if seen["fooled"]:
            outcome.tampered.append("after it had run, the checks let a planted wrong answer pass")
    except Tampered as sign:
        outcome.tampered.append(str(sign))
        outcome.failed |= dict.fromkeys(waiting, "not counted")
    except Ended as end:
        outcome.failed |= dict.fromkeys(waiting, str(end))
    finally:
        server.end(number)
        ours.close()
        shutil.rmtree(scratch, ignore_errors=True)
    return outcome


def _told(wrong: dict, hidden: bool) -> str:
    """What a student is told. Of a hidden check only what the check itself says: an error raised in the answer could
    carry out what the check asked."""
    if hidden and not wrong["by_check"]:
        return f"with other values than the visible check's it raised {wrong['kind']}"
    return wrong["says"]


# In the process


def _child(number: int) -> None:
    """Answers the questions of `run_exercise`, in a new process."""
    connection = _only_open(number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
    task = question = json.loads(connection.recv_bytes())
    scratch, tried, spaces = Path(task["scratch"]), [], {}
    os.chdir(scratch)
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
    granted = raise_fence(scratch, task["memory"], task["processor_seconds"])

    def remember(what):
        if what not in tried and len(tried) < 20:
            tried.append(what)

    def begin():
        spaces["check"], spaces["answer"] = _space(task["setup"]), _space(task["setup"])
        spaces["before"] = set(spaces["check"])
        spaces["vital"] = _vital()
        watch(scratch, remember)
        failed = _run(task["answer"], spaces["answer"], ANSWER)
        own = {name: thing for name, thing in spaces["answer"].items() if name not in spaces["before"]}
        spaces["check"].update(own)
        return {"failed": failed}

    def look(wrong, checks):
        now = _vital()
        replaced = [name for name, thing in spaces["vital"].items() if now.get(name) != thing]
        fooled = any(_passes(task["setup"], source, checks) for source in wrong)
        return {"replaced": replaced[:5], "fooled": fooled}

    reply = {"fence": granted}
    while True:
        connection.send_bytes(json.dumps(reply | {"token": question["token"], "tried": tried}).encode())
        try:
            question = json.loads(connection.recv_bytes())
        except EOFError:
            os._exit(0)
        if question["do"] == "answer":
            reply = begin()
        elif question["do"] == "check":
            reply = {"failed": _run(question["source"], spaces["check"], CHECK)}
        else:
            reply = look(question["wrong"], question["checks"])


def _only_open(number: int):
    """The connection of this file number, from now on 3. Nothing else stays open: the rest is the fork server's, and
    what is printed is not wanted, however much it is."""
    os.dup2(number, 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)
    return multiprocessing.connection.Connection(3)


def _space(setup: str) -> dict:
    """A fresh namespace in which the setup cell has run, and in which no check passes for want of an answer."""
    from difflab.exercises import answered

    def insist(*answers):
        if not answered(*answers):
            raise Unanswered
        return True

    space: dict[str, Any] = {"__name__": "exercise"}
    exec(compile(setup, "<the setup>", "exec"), space)
    space["answered"] = insist
    return space


def _vital() -> dict[str, int]:
    """What the checks rely on, by name: a number that changes when somebody puts something else in its place."""
    import torch

    from difflab import exercises

    places = [builtins, torch, torch.Tensor, torch.nn.functional, exercises]
    found = {
        f"{place.__name__}.{name}": id(thing) for place in places for name, thing in vars(place).items() if name != "_"
    }
    return found | {"difflab.exercises.expect_close.__code__": id(exercises.expect_close.__code__)}


def _run(source: str, space: dict, name: str) -> dict | None:
    """Run a cell: None if it went through, else the kind of error, whether the check itself raised it, and words."""
    if name == ANSWER:
        source = re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE)  # a notebook's own commands
    try:
        exec(compile(source, name, "exec"), space)
    except BaseException as error:  # an answer may raise anything, SystemExit too
        return _described(error, source)
    return None


def _described(error: BaseException, source: str) -> dict:
    frames = traceback.extract_tb(error.__traceback__)
    kind = type(error).__name__ if type(error).__module__ != "exercise" else "an error of its own"
    by_check = bool(
        type(error) is AssertionError
        and frames
        and (frames[-1].filename == CHECK or frames[-1].filename.endswith("exercises.py"))
    )
    try:
        words = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())[:SHOWN]
    except Exception:
        words = "(its message cannot be read)"
    if isinstance(error, MemoryError) or "can't allocate memory" in words:
        words = "out of memory: the limit for an exercise is reached"
    if by_check:
        return {"kind": kind, "by_check": True, "says": words or "the check failed"}
    if isinstance(error, Unanswered):
        return {"kind": kind, "by_check": True, "says": NOT_ANSWERED}
    line = next(
        (frame.lineno for frame in reversed(frames) if frame.filename == ANSWER), getattr(error, "lineno", None)
    )
    at = f" (line {line} of the answer)" if line else ""
    return {"kind": kind, "by_check": False, "says": f"{kind}: {words}{at}"}


def _passes(setup: str, answer: str, checks: list[str]) -> bool:
    """Whether checks let an answer pass, all of them, here and now."""
    try:
        space = _space(setup)
    except BaseException:
        return False
    sources = [(answer, "<planted>"), *((check, CHECK) for check in checks)]
    return all(_run(source, space, name) is None for source, name in sources)

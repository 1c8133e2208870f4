"""Python code run in isolation: nothing of the machine is seen or changed, and every resource has its bound.

What holds: a new user, mount, process, network and IPC namespace of Linux; a root of read-only folders (Python, its
packages and the system's libraries) with a /tmp in memory; an empty environment; no capability; bounds on processor
time, time, memory, processes, open files and what is written. Where one of these cannot be had, nothing is run.

What does not: the kernel is shared, so a fault in it is a way out; memory is bounded for each process, so that all
together may take MEMORY_BYTES times PROCESSES.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

from luthier.errors import LuthierError, Problem

MEMORY_BYTES = 2**30
"""Addresses that one process may have (RLIMIT_AS)."""
PROCESSES = 16
"""Processes and threads, those that watch over it included (RLIMIT_NPROC)."""
OPEN_FILES = 64
FILE_BYTES = 4 * 2**20
"""No file grows beyond it, what is printed included (RLIMIT_FSIZE)."""
FOLDER_BYTES, FOLDER_FILES = 64 * 2**20, 1024
"""What /tmp holds."""
SHOWN_CHARACTERS = 100_000
"""No more is read of what was printed."""
BACKSTOP_S = 60.0
"""Seconds beyond its time after which even the isolation is killed, as on a machine that hangs."""
INSIDE = Path(__file__).with_name("inside.py")
TIMED_OUT, NOT_ISOLATED = 124, 125
SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/nix/store", "/gnu/store")
"""What programs of the system need, where it is there."""


class Ended(NamedTuple):
    """How a run ended."""

    status: int
    """Of the program; 128 + the number of the signal that ended it."""
    output: str
    errors: str
    verdict: str
    """What it wrote to the file descriptor that stands in for VERDICT."""
    is_out_of_time: bool


class NotIsolated(LuthierError):
    """Code cannot be run in isolation here, so it is not run."""


TESTS, VERDICT = "{tests}", "{verdict}"
"""In a command: the descriptors of the tests and of the verdict."""


def run_isolated(program: str, command: Sequence[str], *, seconds: float, stdin: str = "", tests: str = "") -> Ended:
    """Run `python -I COMMAND` in isolation, with the program as /tmp/answer.py; NotIsolated where that cannot be.

    `seconds` bounds time and processor time alike. Text that is not UTF-8 has U+FFFD in its place.
    """
    if sys.platform != "linux":
        raise _refusal(f"the system is {sys.platform}")
    with ExitStack() as stack:
        root = stack.enter_context(tempfile.TemporaryDirectory(prefix="luthier-box-"))
        given = [stack.enter_context(_readable(text)) for text in (program, stdin, tests)]
        written = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(4)]
        fds = [file.fileno() for file in (*given, *written)]
        of_program, of_stdin, of_tests, of_output, of_errors, of_verdict, of_report = fds
        words = [word.replace(TESTS, str(of_tests)).replace(VERDICT, str(of_verdict)) for word in command]
        settings = {
            "root": root, "shown": shown_paths(), "program": of_program, "report": of_report, "seconds": seconds,
            "command": [sys.executable, "-I", "-X", "utf8", *words], "bounds": _bounds(seconds),
            "folder_bytes": FOLDER_BYTES, "folder_files": FOLDER_FILES,
        }  # fmt: skip
        launcher = subprocess.Popen(
            [sys.executable, "-I", "-S", str(INSIDE), json.dumps(settings)], stdin=of_stdin, stdout=of_output,
            stderr=of_errors, pass_fds=[of_program, of_tests, of_verdict, of_report], cwd="/", env={},
            start_new_session=True,
        )  # fmt: skip
        try:
            status = launcher.wait(seconds + BACKSTOP_S)
        except subprocess.TimeoutExpired:
            status = TIMED_OUT
        finally:
            with suppress(ProcessLookupError):
                os.killpg(launcher.pid, signal.SIGKILL)
            launcher.wait()
        output, errors, verdict, report = map(_text, written)
    if report:
        raise _refusal(report)
    is_out_of_time = status in (TIMED_OUT, 128 + signal.SIGXCPU)
    return Ended(status, output, errors, verdict, is_out_of_time)


@cache
def require_isolation() -> None:
    """NotIsolated where code cannot be run in isolation; says what is missing and how to get it. Asked once."""
    ended = run_isolated("print(6 * 7)", ["/tmp/answer.py"], seconds=30.0)
    if ended.output != "42\n":
        raise _refusal(f"a first program ended with status {ended.status}: {(ended.errors or ended.output)[-300:]!r}")


def shown_paths() -> list[str]:
    """The folders and files that the code may read, none within another: Python, its packages, the system's own."""
    python = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix,
              str(Path(os.path.realpath(sys.executable)).parent.parent)}  # fmt: skip
    paths = sorted({*SYSTEM, *python} - {"/"}, key=len)
    kept: list[str] = []
    for path in filter(os.path.exists, paths):
        is_within = any(path == above or path.startswith(f"{above}/") for above in kept)
        if not is_within:
            kept.append(path)
    return kept


def _bounds(seconds: float) -> dict[str, int]:
    return {
        "RLIMIT_CPU": max(1, round(seconds)), "RLIMIT_AS": MEMORY_BYTES, "RLIMIT_NPROC": PROCESSES,
        "RLIMIT_NOFILE": OPEN_FILES, "RLIMIT_FSIZE": FILE_BYTES, "RLIMIT_CORE": 0,
    }  # fmt: skip


def _readable(text: str) -> IO[bytes]:
    """A file that is gone from its folder and can only be read."""
    descriptor, path = tempfile.mkstemp(prefix="luthier-box-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
        return open(path, "rb")
    finally:
        os.unlink(path)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(SHOWN_CHARACTERS).decode("utf-8", "replace")


def _refusal(found: str) -> NotIsolated:
    return NotIsolated(
        "code is not run, since it cannot be isolated here",
        [Problem(where="grader code", found=found,
                 expected="Linux 5.12 or newer that lets this user make namespaces",
                 fix="use a Linux machine or a virtual machine; in a container run it with --privileged; on a system "
                     "that bars them, `sysctl kernel.apparmor_restrict_unprivileged_userns=0` or "
                     "`sysctl user.max_user_namespaces=10000`; or leave this grader out")],
    )  # fmt: skip

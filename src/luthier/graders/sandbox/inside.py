"""The way into the sandbox: isolate first, then run. A script of its own, which imports the standard library alone.

    python -I -S inside.py SETTINGS       SETTINGS is a JSON object, written by luthier.graders.sandbox.box

Four processes, each the parent of the next. The launcher writes the user map of the second, which enters new
namespaces (user, mount, process ids, network, IPC, host name, control groups). The third is process 1 of the new ones:
it builds a root of read-only folders, gives up every capability and waits. The fourth runs the command; when it ends,
or when time is up, process 1 ends, and the kernel kills whatever else was started. Each dies with its parent.

A step that fails is written to the report and ends everything: nothing runs unless every step was done.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any, NoReturn

NOBODY = 65534
TIMED_OUT = 124
NOT_ISOLATED = 125
NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x02000000
"""CLONE_NEW... of user, mount, process ids, network, IPC, host name, control groups."""
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
CAPABILITY_VERSION = 0x20080522
DEVICES = ("null", "zero", "random", "urandom")

_libc = ctypes.CDLL(None, use_errno=True)


def main(settings: dict[str, Any]) -> NoReturn:
    """Run the command of the settings in isolation; ends with its status, 128 + signal, TIMED_OUT or NOT_ISOLATED."""
    os.set_inheritable(settings["report"], False)
    is_root = os.geteuid() == 0
    user, group = os.geteuid(), os.getegid()
    try:
        _die_with_parent()
        if is_root:
            os.setgroups([])
    except OSError as error:
        _fail(settings, "leaving the groups of root", error)
    entered, allowed = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _enter(settings, entered[1], allowed[0], is_root=is_root)
    os.close(entered[1])
    if os.read(entered[0], 1):
        try:
            _map_users(child, user, group, is_root=is_root)
        except OSError as error:
            os.kill(child, signal.SIGKILL)
            _fail(settings, "writing the user map", error)
        os.write(allowed[1], b"x")
    _end_as(os.waitpid(child, 0)[1])


def _enter(settings: dict[str, Any], entered: int, allowed: int, *, is_root: bool) -> NoReturn:
    """The second process: new namespaces, and process 1 in them."""
    step = "entering new namespaces (user, mount, pid, net, ipc, uts, cgroup)"
    try:
        _die_with_parent()
        _checked(_libc.unshare(NAMESPACES))
        os.write(entered, b"x")
        if not os.read(allowed, 1):
            os._exit(NOT_ISOLATED)  # the launcher has said why
        os.close(entered)
        os.close(allowed)
        step = "becoming the first user of the namespace"
        if is_root:
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        _die_with_parent()
        first = os.fork()
    except OSError as error:
        _fail(settings, step, error)
    if first == 0:
        _first(settings)
    _end_as(os.waitpid(first, 0)[1])


def _first(settings: dict[str, Any]) -> NoReturn:
    """Process 1: build the root, give up every right, start the command and wait."""
    step = "building a root of read-only folders"
    try:
        _build_root(settings)
        step = "forbidding further user namespaces"
        with open("/proc/sys/user/max_user_namespaces", "w", encoding="ascii") as file:
            file.write("0")
        step = "changing the root"
        os.chdir(settings["root"])
        _checked(_libc.pivot_root(b".", b"."))
        _checked(_libc.umount2(b".", MNT_DETACH))
        _mount(None, "/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
        step = "giving up every right"
        os.chdir("/tmp")
        _drop_rights()
        with open("/tmp/answer.py", "wb") as out, os.fdopen(settings["program"], "rb") as program:
            out.write(program.read())
        _die_with_parent()
        command = os.fork()
    except (OSError, ValueError) as error:
        _fail(settings, step, error)
    if command == 0:
        _command(settings)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(TIMED_OUT))
    signal.setitimer(signal.ITIMER_REAL, settings["seconds"])
    while True:
        found, status = os.wait()
        if found == command:
            _end_as(status)


def _command(settings: dict[str, Any]) -> NoReturn:
    """The fourth process: bounds, then the command, in an empty environment."""
    try:
        os.setsid()
        for name, bound in settings["bounds"].items():
            resource.setrlimit(getattr(resource, name), (bound, bound))
        os.execve(settings["command"][0], settings["command"], {})
    except (OSError, ValueError) as error:
        _fail(settings, "setting the bounds and starting Python", error)


def _build_root(settings: dict[str, Any]) -> None:
    """A small file system in memory with what Python needs, read-only, and a /tmp of its own."""
    root = settings["root"]
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for path in settings["shown"]:
        inner = root + path
        os.makedirs(os.path.dirname(inner), exist_ok=True)
        if os.path.islink(path):
            os.symlink(os.readlink(path), inner)
            continue
        if os.path.isdir(path):
            os.makedirs(inner, exist_ok=True)
        else:
            _touch(inner)
        _mount(path, inner, None, MS_BIND | MS_REC)
        _make_read_only(inner)
    os.mkdir(f"{root}/dev")
    for name in DEVICES:
        _touch(f"{root}/dev/{name}")
        _mount(f"/dev/{name}", f"{root}/dev/{name}", None, MS_BIND)
    os.mkdir(f"{root}/tmp")
    size = f"size={settings['folder_bytes']},nr_inodes={settings['folder_files']},mode=777"
    _mount("tmpfs", f"{root}/tmp", "tmpfs", MS_NOSUID | MS_NODEV, size)


def _make_read_only(path: str) -> None:
    """The mount and every one below it: struct mount_attr {set, clear, propagation, user namespace}, all 64 bits."""
    attributes = (ctypes.c_uint64 * 4)(MS_RDONLY | MS_NOSUID, 0, 0, 0)
    _checked(_libc.syscall(ctypes.c_long(SYS_MOUNT_SETATTR), ctypes.c_int(AT_FDCWD), path.encode(),
                           ctypes.c_uint(AT_RECURSIVE), ctypes.byref(attributes), ctypes.c_size_t(32)))  # fmt: skip


def _drop_rights() -> None:
    """Nobody, without a capability, and no way to get one back."""
    capability = 0
    while _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) == 0:
        capability += 1
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    _checked(_libc.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())))
    _checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0))
    # What this process knows, the code that is run may not read.
    _checked(_libc.prctl(PR_SET_DUMPABLE, ctypes.c_ulong(0), 0, 0, 0))


def _map_users(child: int, user: int, group: int, *, is_root: bool) -> None:
    """Who the child's users are outside: nobody is whoever runs this; of root it is nobody, since no bound of
    processes holds root."""
    lines = {"setgroups": "deny"}
    for name, own in (("uid_map", user), ("gid_map", group)):
        lines[name] = f"0 {own} 1\n{NOBODY} {NOBODY} 1\n" if is_root else f"{NOBODY} {own} 1\n"
    for name, text in lines.items():
        with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    given = [part if part is None else part.encode() for part in (source, target, kind, options)]
    _checked(_libc.mount(given[0], given[1], given[2], ctypes.c_ulong(flags), given[3]), target)


def _touch(path: str) -> None:
    with open(path, "xb"):
        pass


def _die_with_parent() -> None:
    """A change of user forgets it, so it is said again after each."""
    _checked(_libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0))


def _checked(result: int, about: str = "") -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), about or None)


def _fail(settings: dict[str, Any], step: str, error: Exception) -> NoReturn:
    with contextlib.suppress(OSError):
        os.write(settings["report"], f"{step}: {error}".encode("utf-8", "replace"))
    os._exit(NOT_ISOLATED)


def _end_as(status: int) -> NoReturn:
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

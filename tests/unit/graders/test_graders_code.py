"""Answers that are code: right and wrong ones, and those that try to get out, stay, or pass without being right."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Thread

import pytest

import luthier
from luthier.errors import LuthierError
from luthier.graders import grade_all
from luthier.graders.code import code, code_of
from luthier.graders.sandbox import box
from luthier.records import Completion, Example, Message

TESTS = "assert add(2, 3) == 5\nassert add(-1, 1) == 0"
RIGHT = "def add(a, b):\n    return a + b\n"


def graded(text, **grading):
    example = Example.of([Message(role="user", content="Write add(a, b).")], grading={"grader": "code", **grading})
    return code(example, Completion.of(example_id=example.id, model_id="m", text=text))


def isolated():
    try:
        box.require_isolation()
    except box.NotIsolated as error:
        return str(error)
    return None


CANNOT = isolated()
needs_isolation = pytest.mark.skipif(CANNOT is not None, reason=f"code cannot be isolated here: {CANNOT}")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = 1", "x = 1"),
        ("So:\n```python\nx = 1\n```\nand\n```bash\npip\n```\n```py\ny = 2\n```", "x = 1\ny = 2\n"),
        ("```\nx = 1\n```\n```\n3\n```", "x = 1\n"),
        ("```text\nno\n```\n```\nx\n```", "x\n"),
        ("```python\nx = '''\n  ```\n", "x = '''\n"),
        ("~~~Python3\nx\n~~~", "x\n"),
        ("````python\n```\n````", "```\n"),
        ("```python\nx = 1", "x = 1\n"),
        ("", ""),
    ],
)
def test_the_code_is_in_its_fences_or_the_whole_answer(text, found):
    assert code_of(text) == found


@needs_isolation
def test_right_code_passes_and_the_reason_of_wrong_code_names_the_test():
    assert graded(f"Here:\n```python\n{RIGHT}```", tests=TESTS).value == 1
    assert graded(RIGHT, tests=TESTS.splitlines()).value == 1
    wrong = graded("def add(a, b):\n    return a - b\n", tests=TESTS)
    assert wrong.value == 0
    assert wrong.reason == "fails the tests: AssertionError at `assert add(2, 3) == 5`"
    assert "NameError: name 'add' is not defined" in graded("x = 1", tests=TESTS).reason
    assert "SyntaxError" in graded("Sure! def", tests=TESTS).reason
    assert graded(" ", tests=TESTS).reason == "the answer is empty"
    assert graded(RIGHT + "if __name__ == '__main__':\n    print(input())\n", tests=TESTS).value == 1


@needs_isolation
def test_a_program_is_held_to_what_it_prints():
    double = "for line in iter(input, ''):\n    print(2 * int(line))\n"
    cases = [{"stdin": "2\n3\n\n", "stdout": "4\n6"}, {"stdin": "5\n\n", "stdout": "10\n"}]
    assert graded(double, cases=cases).value == 1
    wrong = graded(double, cases=[cases[0], {"stdin": "5\n\n", "stdout": "11"}])
    assert (wrong.value, wrong.reason) == (0, "fails case 2 of 2: prints '10', not '11'")
    assert "EOFError" in graded(double, cases=[{"stdin": "", "stdout": ""}]).reason
    assert graded("import sys; print(4); sys.exit(3)", cases=[{"stdin": "", "stdout": "4"}]).value == 0
    assert graded(RIGHT + "print(1)", tests=TESTS, cases=[{"stdin": "", "stdout": "2"}]).value == 0


@needs_isolation
@pytest.mark.parametrize(
    "end", ["import sys; sys.exit(0)", "raise SystemExit", "import os; os._exit(0)", "quit()", "exit(0)",
            "import atexit, os; atexit.register(os._exit, 0)"],
)  # fmt: skip
def test_code_that_ends_before_the_tests_has_failed(end):
    grade = graded(f"{end}\n", tests="assert False")
    assert grade.value == 0 and grade.reason.startswith("fails the tests")
    late = graded(f"def add(a, b):\n    {end}\n", tests=TESTS)
    assert late.value == 0


@needs_isolation
def test_code_that_never_ends_is_ended():
    assert graded("while True: pass", tests=TESTS, seconds=1).reason == "fails the tests: not done after 1 s"
    sleeps = "import time, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(100)"
    assert graded(sleeps, tests=TESTS, seconds=0.5).reason == "fails the tests: not done after 0.5 s"


@needs_isolation
def test_a_fork_bomb_runs_into_the_bound_and_nothing_of_it_is_left():
    bomb = (
        "import os, sys, time\nstarted = 0\ntry:\n    while True:\n        if os.fork() == 0:\n"
        "            time.sleep(100)\n        started += 1\nexcept BlockingIOError:\n    print(started)\n"
        "sys.stdout.flush()\nos._exit(0)"
    )
    ended = box.run_isolated(bomb, ["/tmp/answer.py"], seconds=20)
    assert 1 <= int(ended.output) < box.PROCESSES
    assert not [line for line in command_lines() if "/tmp/answer.py" in line]
    assert graded("import os\nwhile True: os.fork()", tests=TESTS, seconds=2).value == 0
    assert not [line for line in command_lines() if "/tmp/answer.py" in line]


def command_lines():
    """What runs on this machine, as Linux tells it."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                yield file.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue


@needs_isolation
def test_memory_files_and_output_have_their_bounds():
    assert "MemoryError" in graded("x = bytearray(2**31)", tests=TESTS).reason
    flood = box.run_isolated("while True: print('x' * 10**6)", ["/tmp/answer.py"], seconds=20)
    assert flood.status != 0 and len(flood.output) == box.SHOWN_CHARACTERS
    assert "File too large" in graded("print('x' * 10**7)", tests=TESTS).reason
    fill = "for n in range(99):\n    with open(f'/tmp/{n}', 'wb') as f: f.write(bytes(4 * 2**20))"
    assert "No space left" in graded(fill, tests=TESTS).reason
    assert "Too many open files" in graded("f = [open('/dev/null') for _ in range(100)]", tests=TESTS).reason


@needs_isolation
def test_the_network_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        came = []
        listener.settimeout(0.2)

        def accept():
            try:
                came.append(listener.accept())
            except TimeoutError:
                return

        thread = Thread(target=accept)
        thread.start()
        port = listener.getsockname()[1]
        tries = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 5)"
        assert "Network is unreachable" in graded(tries, tests="pass").reason
        thread.join()
    assert came == []


@needs_isolation
def test_nothing_of_this_machine_is_seen_or_changed(monkeypatch, tmp_path):
    monkeypatch.setenv("API_KEY", "secret-of-mine")
    secret = tmp_path / "secret.txt"
    secret.write_text("mine")
    seen = box.run_isolated("import os\nprint(sorted(os.environ))", ["/tmp/answer.py"], seconds=20)
    assert seen.output in ("[]\n", "['LC_CTYPE']\n")  # Python itself sets the second
    assert "FileNotFoundError" in graded(f"open({str(secret)!r}).read()", tests="pass").reason
    assert "FileNotFoundError" in graded("open('/etc/passwd').read()", tests="pass").reason
    assert "FileNotFoundError" in graded("open('/proc/self/environ').read()", tests="pass").reason
    for path in ("/new", "/usr/new", f"{sys.prefix}/new", "/dev/new"):
        reason = graded(f"open({path!r}, 'w')", tests="pass").reason
        assert "Read-only file system" in reason or "Permission denied" in reason, path
    assert graded("open('/tmp/new', 'w').write('x')", tests="assert open('/tmp/new').read() == 'x'").value == 1
    assert "PermissionError" in graded("import os\nos.chroot('/tmp')", tests="pass").reason


OPEN_PYTHON = "/usr/bin/python3.11"
"""A Python that every user may run, unlike one in somebody's home folder."""


@needs_isolation
@pytest.mark.skipif(os.geteuid() != 0 or not os.access(OPEN_PYTHON, os.X_OK), reason=f"needs root and {OPEN_PYTHON}")
def test_it_isolates_for_a_user_without_rights_too(tmp_path):
    source = Path(luthier.__file__).parent
    package = tmp_path / "luthier"
    shutil.copytree(source / "graders" / "sandbox", package / "graders" / "sandbox")
    for name in ("__init__.py", "graders/__init__.py"):
        (package / name).write_text("")
    shutil.copy(source / "errors.py", package)
    program = "import os\nprint(os.getuid(), os.listdir('/tmp'))\nos.fork()\nopen('/usr/new', 'w')"
    script = (
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nfrom luthier.graders.sandbox.box import run_isolated\n"
        f"print(run_isolated({program!r}, ['/tmp/answer.py'], seconds=20))"
    )
    with tempfile.TemporaryDirectory() as folder:  # the folders of tests are for their user alone
        shutil.copytree(package, Path(folder) / "luthier")
        os.chmod(folder, 0o755)
        done = subprocess.run([OPEN_PYTHON, "-I", "-c", script.replace(str(tmp_path), folder)], user=12345, group=12345,
                              extra_groups=[], cwd="/", env={}, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.stderr == "" and "65534 ['answer.py']" in done.stdout and "Read-only file system" in done.stdout


@needs_isolation
def test_no_further_namespace_can_be_made():
    more = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nprint(libc.unshare(0x10000000), ctypes.get_errno())"
    assert box.run_isolated(more, ["/tmp/answer.py"], seconds=20).output == "-1 28\n"  # ENOSPC: their bound is 0


@needs_isolation
def test_code_cannot_kill_or_read_what_watches_over_it():
    kills = (
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"
        "try:\n    os.kill(-1, signal.SIGKILL)\nexcept ProcessLookupError:\n    pass\n"
    )
    assert graded(kills + RIGHT, tests=TESTS).value == 1
    traced = (
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.ptrace(16, os.getppid(), 0, 0), ctypes.get_errno())"
    )
    assert box.run_isolated(traced, ["/tmp/answer.py"], seconds=20).output == "-1 1\n"


@needs_isolation
def test_each_run_begins_anew():
    assert graded("open('/tmp/kept', 'w')", tests="pass").value == 1
    assert graded("import os\nassert os.listdir('/tmp') == ['answer.py']", tests="pass").value == 1


def test_where_isolation_cannot_be_had_nothing_runs(monkeypatch):
    monkeypatch.setattr(box.sys, "platform", "darwin")
    monkeypatch.setattr(box.subprocess, "Popen", None)
    with pytest.raises(LuthierError, match=r"the system is darwin, expected Linux 5\.12 or newer[^F]*Fix: use a Linux"):
        box.run_isolated(RIGHT, ["/tmp/answer.py"], seconds=1)


@needs_isolation
def test_a_step_of_the_isolation_that_fails_is_named_and_nothing_runs(monkeypatch, tmp_path):
    """As where a system bars namespaces: the script ends at the step, and its report becomes the error."""
    source = box.INSIDE.read_text(encoding="utf-8")
    broken = tmp_path / "inside.py"
    for step, line in [
        ("entering new namespaces", "_checked(_libc.unshare(NAMESPACES))"),
        ("building a root", "_build_root(settings)"),
        ("forbidding further", 'file.write("0")'),
        ("giving up every right", "_drop_rights()\n"),
        ("setting the bounds", "os.setsid()"),
    ]:
        assert source.count(line) == 1
        broken.write_text(source.replace(line, 'raise OSError(1, "barred")\n', 1), encoding="utf-8")
        monkeypatch.setattr(box, "INSIDE", broken)
        with pytest.raises(box.NotIsolated, match=rf"cannot be isolated here\n.*found {step}.*barred"):
            box.run_isolated("print(1)", ["/tmp/answer.py"], seconds=20)


def test_an_item_without_tests_cannot_be_told_and_a_bad_one_is_an_error():
    assert graded(RIGHT).value is None
    for grading in ({"tests": 3}, {"tests": " "}, {"tests": [1]}, {"cases": []}, {"cases": [{"stdin": "x"}]},
                    {"tests": "pass", "seconds": 0}, {"tests": "pass", "seconds": 61}, {"tests": "pass", "seconds": True}):  # fmt: skip
        with pytest.raises(ValueError, match=r"grading\.(tests|cases|seconds)"):
            graded(RIGHT, **grading)


def test_a_refusal_is_an_error_of_the_grade_never_a_zero(monkeypatch):
    monkeypatch.setattr(box.sys, "platform", "darwin")
    box.require_isolation.cache_clear()
    example = Example.of([Message(role="user", content="?")], grading={"tests": TESTS})
    (grade,) = grade_all(code, [example], [Completion.of(example_id=example.id, model_id="m", text=RIGHT)])
    assert grade.is_error and grade.value is None and "cannot be isolated" in grade.reason

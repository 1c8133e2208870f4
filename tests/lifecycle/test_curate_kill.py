"""kill -9 while rows are curated: what was done is not done again, and the outputs are those of a straight run.

A real process is killed several times, with one worker and with two, while pieces are made, while rows are compared
and while outputs are written. Its workers must end with it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

NUM_ROWS = 600
SCRIPT = """
import sys
from pathlib import Path

from luthier.curate import progress

from luthier.curate.files import chunks
from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import curate

if __name__ == "__main__":
    chunks.SMALLEST_BYTES, chunks.READ_BYTES, chunks.PIECE_ROWS = 4000, 1000, 40
    progress.EVERY_S = 0.0
    rows, out, workers = sys.argv[1:]
    files = sorted(Path(rows).iterdir())
    say = lambda line: print(line, flush=True)
    curate(files, out=Path(out), config=CurateConfig(workers=int(workers)), say=say)
"""
KILLED_AFTER = (2, 7, "b.csv | 120 rows", "near-duplicates: ")
"""So many lines are read before a kill, or all up to one that says this: it comes when all pieces are made, and when
rows are being compared."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Rows with duplicates, near-duplicates, conflicts, links, faults and preferences, in two files."""
    folder = tmp_path_factory.mktemp("rows")
    note = "Write a short note on why the town of {} should plant more trees along the old road to the river this year"
    with (folder / "a.jsonl").open("w") as file:
        for k in range(NUM_ROWS):
            row = {"prompt": f"question {k % 500}", "completion": f"answer {k % 7}", "links": [f"doc {k % 90}"]}
            if k % 50 == 1:
                row = {
                    "prompt": note.format(f"T{k // 100}") + " please" * (k % 100 // 50),
                    "completion": "Trees are cool.",
                }
            if k % 60 == 2:
                row = {"prompt": f"question {k}", "chosen": "good", "rejected": "bad"}
            file.write(("oops" if k % 97 == 3 else json.dumps(row)) + "\n")
    (folder / "b.csv").write_text(
        "prompt,completion\n" + "".join(f"row {k},mail x{k}@example.org\n" for k in range(120))
    )
    return folder


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "curate_rows.py"
    path.write_text(SCRIPT)
    return path


def start(script, rows, out, workers):
    command = [sys.executable, "-W", "error", str(script), str(rows), str(out), str(workers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for_end(fds):
    """Every process behind these descriptors has ended; a descriptor of a process becomes readable then."""
    for fd in fds:
        assert select.select([fd], [], [], 60)[0], "a worker outlived the process that started it"
        os.close(fd)


def killed(script, rows, out, workers, after):
    """Run, kill after a line (see KILLED_AFTER), and see that the workers end too."""
    with start(script, rows, out, workers) as process:
        for count, line in enumerate(process.stdout, start=1):
            if count == after or (isinstance(after, str) and after in line):
                break
        else:
            pytest.fail("it ended before it was killed")
        workers_of = [os.pidfd_open(child) for child in children(process.pid)]
        process.send_signal(signal.SIGKILL)
    wait_for_end(workers_of)


def straight(script, rows, out, workers):
    with start(script, rows, out, workers) as process:
        said = process.stdout.read()
    assert process.returncode == 0, said
    return said


def contents(folder):
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert found.pop("timings.json")
    return found


@pytest.fixture(scope="module")
def expected(script, rows, tmp_path_factory):
    out = tmp_path_factory.mktemp("straight") / "out"
    straight(script, rows, out, 1)
    return contents(out)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_curation_goes_on_and_gives_the_bytes_of_a_straight_one(script, rows, expected, tmp_path, workers):
    out = tmp_path / "out"
    for after in KILLED_AFTER:
        killed(script, rows, out, workers, after)
        assert not (out / "ledger.json").exists() and any((out / ".luthier-work").iterdir())
    said = straight(script, rows, out, workers)
    assert "from a run that was cut off" in said
    assert contents(out) == expected
    assert not (out / ".luthier-work").exists()
    ledger = json.loads(expected["ledger.json"])
    assert ledger["read"] == NUM_ROWS + 120
    assert min(ledger["merged"].values()) > 0 and ledger["conflicts"]["prompts"] > 0 and ledger["preferences"] > 0
    assert ledger["personal"]["found"] == {"email": 120}

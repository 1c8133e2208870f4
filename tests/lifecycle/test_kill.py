"""kill -9 at random moments, through the command line: resume must not be another run.

Four runs of `luthier train` are each killed five times, one kill after another, in a random step and at a random moment
of it: in a pass, while a line is written, while a checkpoint is. The same command then brings them to their end. Rows
are packed and mixed with plain text, a step has several micro-batches, and there is dropout and noise to draw again.
"""

from __future__ import annotations

import json
import os
import random
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fakes import TINY_TEXT, tiny_examples, write_tiny_model
from luthier.models.folders import digest

NUM_STEPS, NUM_RUNS, KILLS_A_RUN = 60, 4, 5
LONGEST_WAIT_S = 0.05
"""After the line of the step that was drawn; a few steps."""
STEP_LINE = re.compile(rb"step +(\d+)/")

RECIPE = """
[model]
base = "{folder}/base"
[data]
files = ["{folder}/rows.jsonl"]
[train]
packing = "packed"
neftune_alpha = 5.0
max_steps = {steps}
batch_rows = 4
micro_batch_tokens = 60
save_every = 3
seed = 5
[train.optim]
lr = 3e-3
warmup_steps = 5
ema_decay = 0.8
[train.text]
files = ["{folder}/text.txt"]
share = 0.3
[run]
dir = "{folder}/run"
"""


@dataclass
class Finished:
    """A run at its end."""

    folder: Path
    killed_after: list[int] = field(default_factory=list)
    said: str = ""

    def events(self) -> list[dict]:
        rows = [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in row.items() if k not in ("train/tokens_per_s", "train/memory_gib")} for row in rows]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """GPT-2's shape has dropout in every layer."""
    folder = tmp_path_factory.mktemp("kill")
    write_tiny_model(folder / "base", "gpt2", dropout=0.1)
    rows = [{"messages": [{"role": m.role, "content": m.content} for m in e.messages]} for e in tiny_examples(14)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "text.txt").write_text("\n\n".join(line for text in TINY_TEXT for line in text.split(". ")))
    (folder / "recipe.toml").write_text(RECIPE.format(folder=folder.as_posix(), steps=NUM_STEPS))
    return folder / "recipe.toml"


@contextmanager
def started(recipe: Path, folder: Path) -> Iterator[subprocess.Popen]:
    """`luthier train recipe.toml run.dir=FOLDER`, as a user starts it; it does not outlive the test."""
    command = [str(Path(sys.executable).with_name("luthier")), "train", str(recipe), f"run.dir={folder.as_posix()}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def kill(process: subprocess.Popen, *, step: int, wait_s: float) -> None:
    """Let it say that it has done `step`, and a little more, and end it with SIGKILL."""
    said = []
    for line in process.stdout:
        said.append(line)
        found = STEP_LINE.search(line)
        if found and int(found[1]) >= step:
            break
    else:
        raise AssertionError(f"it ended before step {step}: {b''.join(said).decode()}")
    select.select([process.stdout], [], [], wait_s)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def run_with_kills(recipe: Path, folder: Path, steps: list[int], draw: random.Random) -> Finished:
    run = Finished(folder)
    for step in steps:
        with started(recipe, folder) as process:
            kill(process, step=step, wait_s=draw.uniform(0, LONGEST_WAIT_S))
        assert not (folder / "model").exists()
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        run.killed_after.append(sum(line.endswith("}") for line in lines))
    with started(recipe, folder) as process:
        run.said = process.stdout.read().decode()
        assert process.wait() == 0, run.said
    return run


@pytest.mark.slow
def test_runs_killed_20_times_end_as_the_run_that_never_was(recipe, tmp_path):
    """The digest of the final weights is the straight run's in 20 of 20, and so is every logged value."""
    draw = random.Random(20)
    plans = [sorted(draw.sample(range(1, NUM_STEPS - 6), KILLS_A_RUN)) for _ in range(NUM_RUNS)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        first = pool.submit(run_with_kills, recipe, tmp_path / "straight", [], draw)
        others = [
            pool.submit(run_with_kills, recipe, tmp_path / f"killed-{n}", steps, random.Random(n))
            for n, steps in enumerate(plans)
        ]
        straight, runs = first.result(), [other.result() for other in others]
    expected = straight.events()
    assert [event["step"] for event in expected] == list(range(1, NUM_STEPS + 1))
    assert {event["train/utilisation"] for event in expected} == {1.0}
    assert max(event["train/text_share"] for event in expected) > 0.2
    equal = 0
    for run in runs:
        same = digest(run.folder / "model") == digest(straight.folder / "model") and run.events() == expected
        equal += KILLS_A_RUN * same
        print(f"{run.folder.name} | killed after steps {run.killed_after} | {'equal' if same else 'ANOTHER RUN'}")
        assert "| continues after step" in run.said
    assert equal == NUM_RUNS * KILLS_A_RUN == 20

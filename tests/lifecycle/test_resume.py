"""A run that is killed and called again is the run that never was: resume must not be another run.

The killed runs are real processes, ended by SIGKILL after a step that is not a checkpoint, in the middle of an epoch
that is not the first, with packing and mixing on. Weights, optimiser, average and every logged value but the timings
are compared bit for bit. test_kill.py does the same through the command line, at random moments.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from fakes import TINY_TEXT, TinyRun, tiny_examples, tiny_preferences, write_tiny_model
from luthier.models.load import load_model
from luthier.records import Grade
from luthier.train.config import GrpoSettings, LoraSettings, OptimConfig, TextSettings
from luthier.train.training import TrainingData

NUM_STEPS, SAVE_EVERY, KILLED_AFTER = 20, 5, 13

# Ten rows, three a step, several micro-batches each: steps end epochs, and checkpoints fall within them.
OPTIM = {"lr": 3e-3, "warmup_steps": 4, "weight_decay": 0.01, "max_grad_norm": 0.5}
SHARED = {"batch_rows": 3, "max_steps": NUM_STEPS, "save_every": SAVE_EVERY, "micro_batch_tokens": 60, "seed": 3, "optim": OptimConfig(**OPTIM)}
MEASURED = {"method": "sft", "eval_every": 4}
MIXED = {**MEASURED, "packing": "packed", "text": TextSettings(files=(Path("given"),), share=0.3)}
RUNS = {
    "full": MEASURED,
    "padded": {**MEASURED, "packing": "padded"},
    "lora": {**MEASURED, "adapter": "lora", "lora": LoraSettings(rank=4, dropout=0.2)},
    "dpo": {"method": "dpo"},
    "grpo": {"method": "grpo", "grpo": GrpoSettings(group_size=3, max_new_tokens=6)},
    "grpo best": {"method": "grpo", "grpo": GrpoSettings(group_size=3, max_new_tokens=6), "eval_every": 3, "keep_best": "wobble"},
    "mixed": {**MIXED, "neftune_alpha": 5.0},
    "average": {**MIXED, "optim": OptimConfig(**OPTIM, ema_decay=0.8)},
    "best": {**MIXED, "keep_best": "wobble"},
    "best average": {**MIXED, "keep_best": "loss", "stop_after": 9, "optim": OptimConfig(**OPTIM, ema_decay=0.8)},
    "masters": {**MIXED, "dtype": "bfloat16", "neftune_alpha": 5.0},
    "stochastic": {**MIXED, "dtype": "bfloat16", "optim": OptimConfig(**OPTIM, bf16_updates="stochastic")},
    "stochastic average": {**MIXED, "dtype": "bfloat16", "optim": OptimConfig(**OPTIM, bf16_updates="stochastic", ema_decay=0.8)},
    "adafactor": {**MIXED, "optim": OptimConfig(**OPTIM, name="adafactor")},
    "muon": {**MIXED, "optim": OptimConfig(**OPTIM, name="muon")},
    "autocast, computed again": {**MIXED, "autocast": True, "checkpoint_activations": True},
}  # fmt: skip
DATA = TrainingData(examples=tiny_examples(10), dev=tiny_examples(13)[10:], preferences=tiny_preferences(10))
TEXT = tuple(line for text in TINY_TEXT for line in text.split(". "))


def grade_all(examples, completions):
    """A reward that is a function of the completion alone."""
    return [
        Grade(completion_id=c.id, example_id=e.id, grader="even", value=float(sum(c.token_ids) % 2 == 0))
        for e, c in zip(examples, completions, strict=True)
    ]


def wobble(model) -> float:
    """A grade that is a function of the weights alone, and neither rises nor falls."""
    return math.sin(1e3 * float(sum(p.detach().double().sum() for p in model.network.parameters())))


def run(name: str, base: Path, folder: Path) -> TinyRun:
    options = {**SHARED, **RUNS[name]}
    model = load_model(base, dtype=options.pop("dtype", "float32"), device="cpu")
    data = replace(DATA, text=TEXT) if "text" in options else DATA
    grade_dev = wobble if options.get("keep_best") == "wobble" else None
    return TinyRun(model, folder, data=data, grade_all=grade_all, grade_dev=grade_dev, **options)


CHILD = """
import os, sys
from pathlib import Path
from test_resume import KILLED_AFTER, RUNS, run
from luthier.runs import Run

log = Run.log
def log_and_wait(self, event, **rest):
    log(self, event, **rest)
    if event["step"] == KILLED_AFTER and rest["kind"] == "train":
        os.write(1, f"reached {os.getpid()}\\n".encode())  # in one piece: the others write there too
        sys.stdin.read()  # until the end comes

def train(name):
    Run.log = log_and_wait
    run(name, Path(sys.argv[1]), Path(sys.argv[2], name))
    os._exit(0)

from luthier.train import training  # imported once, before the children part

children = [os.fork() or train(name) for name in sys.argv[3:]]
for child in children:
    print("ended", os.waitpid(child, 0)[1], flush=True)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """GPT-2's shape, with dropout: the only one of the four that has it in every layer."""
    return write_tiny_model(tmp_path_factory.mktemp("base") / "gpt2", "gpt2", dropout=0.1)


@pytest.fixture(scope="module")
def killed(base, tmp_path_factory) -> Path:
    """Every run, in a process of its own that was killed after its 13th step; a folder of run folders."""
    folder = tmp_path_factory.mktemp("killed")
    here = Path(__file__).parent
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")]),
    }
    parent = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(base), str(folder), *RUNS], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        pids = []
        for _ in RUNS:
            what, _, pid = parent.stdout.readline().partition(" ")
            assert what == "reached", f"a run ended by itself: {parent.communicate()[1]}"
            pids.append(int(pid))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        ends = [parent.stdout.readline() for _ in RUNS]
    finally:
        parent.kill()
        parent.communicate()
    assert ends == [f"ended {signal.SIGKILL.value}\n"] * len(RUNS)
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_a_killed_run_resumed_is_the_straight_run_bit_for_bit(name, base, killed, tmp_path):
    """20 steps straight equal 13, kill -9, and the rest; with dropout, accumulation and several epochs."""
    folder = killed / name
    assert sorted(p.name for p in (folder / "train" / "checkpoints").glob("step-*")) == [
        "step-00000005",
        "step-00000010",
    ]
    assert not (folder / "train" / "model").exists()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "step": 14, "train/lo')  # a line that was being written

    resumed, straight = run(name, base, folder), run(name, base, tmp_path)
    assert f"train | continues after step 10 of {NUM_STEPS}" in resumed.lines
    assert [e["step"] for e in resumed.events()] == list(range(1, NUM_STEPS + 1))
    assert resumed.events() == straight.events()
    assert resumed.events("train_dev") == straight.events("train_dev")
    assert (resumed.trained.digest, resumed.trained.best_step) == (straight.trained.digest, straight.trained.best_step)
    assert (resumed.trained.first_loss, resumed.trained.last_loss) == (
        straight.trained.first_loss,
        straight.trained.last_loss,
    )
    for part in ("parameters", "optimiser", "average"):
        place = Path("train", "checkpoints", f"step-{NUM_STEPS:08d}", f"{part}.safetensors")
        assert (folder / place).is_file() == (part != "average" or "average" in name)
        if not (folder / place).is_file():
            continue
        ours, theirs = load_file(folder / place), load_file(tmp_path / place)
        assert ours.keys() == theirs.keys() and len(ours) > 3
        assert all(ours[key].equal(theirs[key]) for key in ours)
    for path in sorted((tmp_path / "train" / "rollouts").glob("*.jsonl")):
        assert path.read_text() == (folder / "train" / "rollouts" / path.name).read_text()
    losses = straight.column("train/loss")
    assert len(set(losses)) > NUM_STEPS // 2  # it did learn something from each step


def test_the_straight_run_depends_on_dropout(base, tmp_path):
    """Otherwise the comparison above would not show that dropout draws the same."""
    first = run("full", base, tmp_path / "a").column("train/loss")[0]
    model = load_model(base, device="cpu")
    for module in model.network.modules():
        if type(module).__name__ == "Dropout":
            module.p = 0.0
    calm = TinyRun(model, tmp_path / "b", data=DATA, **SHARED, **RUNS["full"])
    assert calm.column("train/loss")[0] != first

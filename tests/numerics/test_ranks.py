"""Several processes train as one does: the same gradients, losses, rates and models, and checkpoints that all can read.

The processes are real ones that meet over gloo. One child of this test imports torch once and forks all of them.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor

from fakes import tiny_examples, tiny_network, tiny_preferences, write_tiny_model
from luthier.errors import ConfigError
from luthier.models.adapters import add_adapter
from luthier.models.load import load_model
from luthier.models.passes import settle
from luthier.models.tokens import add_tokens
from luthier.runs import Run
from luthier.train import ranks
from luthier.train.batch import Row, Share, dealt, micro_batches
from luthier.train.config import LoraSettings, OptimConfig, TrainConfig
from luthier.train.engine import steps
from luthier.train.loop import Place
from luthier.train.sft import sft
from luthier.train.sharding import fold, held, shard
from luthier.train.training import TrainingData, train

NUM_STEPS, SAVE_EVERY, KILLED_AFTER = 8, 3, 5
SHARED = {
    "batch_rows": 3, "max_steps": NUM_STEPS, "save_every": SAVE_EVERY, "micro_batch_tokens": 60, "eval_every": 4, "seed": 3,
    "optim": OptimConfig(lr=3e-3, warmup_steps=4, weight_decay=0.01, max_grad_norm=0.5),
}  # fmt: skip
RUNS = {
    "full": {"keep_best": "loss", "optim": SHARED["optim"].model_copy(update={"ema_decay": 0.5})},
    "lora": {"adapter": "lora", "lora": LoraSettings(rank=4, also_train=("embeddings",))},
    "dpo": {"method": "dpo", "eval_every": None},
    "bfloat16": {},
    "dropout": {"adapter": "lora", "lora": LoraSettings(rank=2, dropout=0.3)},
}
DATA = TrainingData(examples=tiny_examples(10), dev=tiny_examples(13)[10:], preferences=tiny_preferences(10))
SAME = ("full", "lora", "dpo")
"""Runs that several processes do as one does; with dropout each process draws for itself."""


def row(length: int, trained: int) -> Row:
    """A row whose last `trained` tokens train; every other one weighs half."""
    tokens = torch.randint(400, (length,), generator=torch.Generator().manual_seed(length)).tolist()
    return Row("row", tuple(tokens), (0.0,) * (length - trained) + tuple(1.0 / (1 + t % 2) for t in range(trained)))


ROWS = {
    "3 and 97 trained tokens": [row(100, 3), row(101, 97)],
    "no row for the second": [row(20, 3)],
    "no trained token for the second": [row(30, 9), row(29, 0)],
    "many": [row(n, n // 2) for n in (40, 9, 33, 61, 12, 25, 18)],
}
NETWORKS = {2: ("llama", "mistral", "gpt2", "qwen3_moe", "lora"), 3: ("llama", "lora")}
"""By number of processes: tied and untied heads, biases, experts, a frozen base with two rows that train."""


def network_of(kind: str, base: Path):
    if kind == "qwen3_moe":
        return tiny_network(kind)  # its experts have no product in float64
    if kind != "lora":
        return tiny_network(kind).double()
    torch.manual_seed(0)
    model = add_tokens(load_model(base, device="cpu"), ["<order>", "<lamp>"])
    network = add_adapter(model, rank=3, alpha=8, dropout=0.0, targets="all-linear").network
    with torch.no_grad():
        for name, p in network.named_parameters():
            if "lora_B" in name:  # it starts at zero, where A has no gradient
                p.normal_(std=0.1)
    return network.double()


def one_step(kind: str, rows, base: Path):
    """What a step says, and the gradient of every tensor, whole."""
    network = network_of(kind, base)
    shard(network)
    how, _ = settle(network)
    fold(network)
    config = TrainConfig(
        batch_rows=len(rows), max_steps=1, micro_batch_tokens=70, optim=OptimConfig(max_grad_norm=0.01)
    )
    optimiser = torch.optim.SGD(held(network).parameters, lr=1e-9)
    step = next(steps(network, sft(network, rows, config, how=how), optimiser=optimiser, config=config.optim, seed=0))
    said = {"loss": step.loss, "norm": step.grad_norm, "tokens": step.tokens, "trained": step.trained_tokens}
    grads = {n: p.grad.full_tensor() if isinstance(p.grad, DTensor) else p.grad
             for n, p in network.named_parameters() if p.requires_grad}  # fmt: skip
    return said, grads


def all_gradients(base: Path, number: int):
    for kind in NETWORKS[number]:
        for name, rows in ROWS.items():
            yield f"{kind}, {name}", one_step(kind, rows, base)


def run(name: str, base: Path, folder: Path):
    """One training in `folder`; processes beside the first have a folder of their own for what they say."""
    model = load_model(base, device="cpu", dtype="bfloat16" if name == "bfloat16" else "float32")
    config = TrainConfig(**SHARED | RUNS[name])
    own = folder if ranks.leads() else folder.parent / f"{folder.name} {ranks.share().place}"
    own.mkdir(exist_ok=True)
    place = Place(run=Run(own), folder=folder / "train", key="key")
    trained = train(model, DATA, config, place=place)
    assert model.network.training is False or ranks.share().number > 1
    return trained


def events(folder: Path, kind: str = "train"):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("train/tokens_per_s", "train/memory_gib")} for row in rows if row["kind"] == kind]


# What the processes do. Each job is done by several of them; `folder` is the tests' own.


def compare(folder: Path, number: int) -> None:
    """Gradients of one step, and the random streams."""
    for name, (said, grads) in all_gradients(folder / "base", number):
        if ranks.leads():
            save_file(grads, folder / f"{number} {name}.safetensors")
            (folder / f"{number} {name}.json").write_text(json.dumps(said))
    torch.manual_seed(ranks.seed_of(5, 7))
    drawn = [None] * number
    dist.all_gather_object(drawn, torch.rand(3).tolist())
    assert len({tuple(d) for d in drawn}) == number
    with pytest.raises(ConfigError, match="grpo"):
        ranks.refuse_what_needs_one(TrainConfig(method="grpo"))


def straight(folder: Path, number: int) -> None:
    for name in RUNS:
        run(name, folder / "base", folder / f"{name} on {number}")


def killed(folder: Path, number: int, name: str = "full") -> None:
    """Wait after the fifth step for the end, which comes by SIGKILL."""
    log = Run.log

    def log_and_wait(self, event, **rest):
        log(self, event, **rest)
        if event["step"] == KILLED_AFTER and rest["kind"] == "train":
            os.write(REACHED[1], b"x")
            signal.pause()

    Run.log = log_and_wait
    run(name, folder / "base", folder / f"{name} killed")


def killed_dropout(folder: Path, number: int) -> None:
    killed(folder, number, "dropout")


def resumed(folder: Path, number: int) -> None:
    run("full", folder / "base", folder / f"full resumed on {number}")


def resumed_dropout(folder: Path, number: int) -> None:
    run("dropout", folder / "base", folder / "dropout resumed")


def taken_up(folder: Path, number: int) -> None:
    """What one process began."""
    run("full", folder / "base", folder / f"full of 1 on {number}")


JOBS = ((2, compare), (2, straight), (2, killed), (2, killed_dropout), (2, resumed), (2, resumed_dropout),
        (2, taken_up), (3, compare), (3, resumed))  # fmt: skip
LAZY = ("torch._dynamo", "torch.distributed.fsdp", "torch.distributed.tensor", "torch.distributed.checkpoint")
REACHED = [0, 0]


def take_part(job, place: int, number: int, folder: Path) -> None:
    """Be one of the processes that do a job."""
    try:
        meeting = (folder / f"meeting of {number} for {job.__name__}").as_posix()
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=place, world_size=number)
        job(folder, number)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def do_jobs(folder: Path) -> None:
    """All jobs, one after the other, each by its own processes."""
    for module in LAZY:  # imported once here, not once in each process
        importlib.import_module(module)
    for kind in NETWORKS[2]:
        network_of(kind, folder / "base")
    for number, job in JOBS:
        REACHED[:] = os.pipe()
        children = []
        for place in range(number):
            children.append(os.fork())
            if not children[-1]:
                take_part(job, place, number, folder)
        os.close(REACHED[1])
        if job in (killed, killed_dropout):
            for _ in children:
                assert os.read(REACHED[0], 1), "a run ended by itself"
            for child in children:
                os.kill(child, signal.SIGKILL)
        ends = [os.waitpid(child, 0)[1] for child in children]
        expected = signal.SIGKILL.value if job in (killed, killed_dropout) else 0
        assert ends == [expected] * number, f"{job.__name__} by {number}: {ends}"
        if job is killed:
            for copy in ("1", "2", "3"):
                shutil.copytree(folder / "full killed", folder / f"full resumed on {copy}")
        if job is killed_dropout:
            shutil.copytree(folder / "dropout killed", folder / "dropout resumed")


class Stop(Exception):
    """Ends a run in one process."""


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """The folder in which all jobs have been done."""
    folder = tmp_path_factory.mktemp("ranks")
    write_tiny_model(folder / "base", "llama")
    log = Run.log
    with pytest.MonkeyPatch.context() as patch:

        def log_and_stop(self, event, **rest):
            log(self, event, **rest)
            if event["step"] == KILLED_AFTER and rest["kind"] == "train":
                raise Stop

        patch.setattr(Run, "log", log_and_stop)
        with pytest.raises(Stop):
            run("full", folder / "base", folder / "full of 1 on 2")
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    child = subprocess.run(
        [sys.executable, "-c", "import sys, test_ranks, pathlib; test_ranks.do_jobs(pathlib.Path(sys.argv[1]))", str(folder)],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    return folder


@pytest.fixture(scope="module")
def alone(done) -> Path:
    """The same runs in one process."""
    for name in (*SAME, "bfloat16"):
        run(name, done / "base", done / f"{name} on 1")
    return done


@pytest.mark.parametrize("number", [2, 3])
def test_several_processes_have_the_gradients_of_one(done, number):
    """Normalisation over ranks: 3 and 97 trained tokens, or none in one of them; in float64, no NaN."""
    for name, (said, grads) in all_gradients(done / "base", number):
        theirs = load_file(done / f"{number} {name}.safetensors")
        rel = 1e-9 if next(iter(grads.values())).dtype is torch.float64 else 1e-5
        assert json.loads((done / f"{number} {name}.json").read_text()) == pytest.approx(said, rel=rel), name
        assert said["norm"] > 0.01
        assert theirs.keys() == grads.keys() and len(grads) > 5
        for tensor, grad in grads.items():
            gap = float((theirs[tensor] - grad).abs().max())
            assert gap <= rel * float(grad.abs().max()), f"{name}: {tensor}"
        assert sum(bool(g.any()) for g in theirs.values()) > len(theirs) / 2


@pytest.mark.parametrize("name", SAME)
def test_a_run_of_two_processes_is_the_run_of_one(alone, name):
    """The scheduler stepped once a process: the same rate in every step, and the same of everything else."""
    one, two = (events(alone / f"{name} on {n}") for n in (1, 2))
    assert [e["step"] for e in two] == list(range(1, NUM_STEPS + 1))
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        assert (b["train/lr"], b["train/tokens"], b["train/trained_tokens"]) == (
            a["train/lr"], a["train/tokens"], a["train/trained_tokens"])  # fmt: skip
        assert b["train/loss"] == pytest.approx(a["train/loss"], rel=1e-5)
        assert b["train/grad_norm"] == pytest.approx(a["train/grad_norm"], rel=1e-4)
    assert len({e["train/loss"] for e in one}) > NUM_STEPS / 2
    dev = [[e["train/dev_loss"] for e in events(alone / f"{name} on {n}", "train_dev")] for n in (1, 2)]
    assert dev[1] == pytest.approx(dev[0], rel=1e-5) and (len(dev[0]) == 2 or name == "dpo")


@pytest.mark.parametrize("name", SAME)
def test_the_model_of_two_processes_is_an_ordinary_folder(alone, name):
    """The best weights, an average of steps; embeddings that train whole and are tied; the reference of preferences."""
    folders = [alone / f"{name} on {n}" / "train" / "model" for n in (1, 2)]
    assert sorted(p.name for p in folders[0].iterdir()) == sorted(p.name for p in folders[1].iterdir())
    for file in ("config.json", "adapter_config.json"):
        if (folders[0] / file).is_file():
            one, two = (json.loads((folder / file).read_text()) for folder in folders)
            for config in (one, two):  # peft writes a set
                config["target_modules"] = sorted(config.get("target_modules", ()))
            assert one == two
    one, two = (load_model(folder, device="cpu").network.eval() for folder in folders)
    ids = torch.arange(20).unsqueeze(0)
    assert torch.allclose(one(input_ids=ids).logits, two(input_ids=ids).logits, atol=2e-4)
    base = load_model(alone / "base", device="cpu").network
    assert not torch.allclose(one(input_ids=ids).logits, base(input_ids=ids).logits, atol=2e-2)


def test_bfloat16_weights_keep_small_updates_in_every_process(alone):
    """Over ranks: each has the float32 copy of its rows, and the share that changed is that of whole tensors."""
    one, two = (events(alone / f"bfloat16 on {n}") for n in (1, 2))
    assert [e["train/loss"] for e in two] == pytest.approx([e["train/loss"] for e in one], rel=2e-2)
    assert [e["train/changed_share"] for e in two] == pytest.approx([e["train/changed_share"] for e in one], abs=0.2)
    assert two[-1]["train/changed_share"] > 0.5


def test_two_killed_processes_resumed_are_the_straight_run_bit_for_bit(done):
    """Over ranks: five steps, kill -9 of both, and the rest."""
    for resumed_folder, straight_folder in (("full resumed on 2", "full on 2"), ("dropout resumed", "dropout on 2")):
        ours, theirs = done / resumed_folder, done / straight_folder
        assert f"continues after step {SAVE_EVERY} of {NUM_STEPS}" in (ours / "log.txt").read_text()
        for kind in ("train", "train_dev"):
            assert events(ours, kind) == events(theirs, kind)
        place = Path("train", "checkpoints", f"step-{NUM_STEPS:08d}")
        files = sorted(p.name for p in (theirs / place).glob("*.safetensors"))
        assert len(files) == 2  # each process wrote its own
        for file in files:
            mine, other = load_file(ours / place / file), load_file(theirs / place / file)
            assert mine.keys() == other.keys() and len(mine) > 3
            assert all(mine[key].equal(other[key]) for key in mine)
        model = next(p.name for p in (theirs / "train" / "model").glob("*.safetensors"))
        assert (ours / "train" / "model" / model).read_bytes() == (theirs / "train" / "model" / model).read_bytes()


def test_a_checkpoint_is_taken_up_by_another_number_of_processes(alone):
    """What two wrote goes on in one and in three, and what one wrote goes on in two."""
    run("full", alone / "base", alone / "full resumed on 1")
    straight_run = events(alone / "full on 1")
    for folder in ("full resumed on 1", "full resumed on 3", "full of 1 on 2"):
        assert f"continues after step {SAVE_EVERY} of {NUM_STEPS}" in (alone / folder / "log.txt").read_text()
        found = events(alone / folder)
        assert [e["train/lr"] for e in found] == [e["train/lr"] for e in straight_run]
        assert [e["train/loss"] for e in found] == pytest.approx([e["train/loss"] for e in straight_run], rel=1e-5)
        dev = [e["train/dev_loss"] for e in events(alone / folder, "train_dev")]
        assert dev == pytest.approx([e["train/dev_loss"] for e in events(alone / "full on 1", "train_dev")], rel=1e-5)


def test_checkpoints_of_several_processes_hold_no_pickle(done):
    for path in (done / "full on 2" / "train" / "checkpoints").glob("step-*"):
        assert sorted(p.suffix for p in path.iterdir()) == [".json", ".safetensors", ".safetensors"]


@pytest.mark.parametrize("is_packed", [True, False])
@pytest.mark.parametrize("together", [1, 2])
@pytest.mark.parametrize("number", [1, 2, 3, 7, 20])
def test_the_rows_of_a_step_are_dealt_once_each_in_as_many_batches(number, together, is_packed):
    rows = [row(5 + (n * n) % 23, 3) for n in range(16)]
    parts = [
        micro_batches(rows, micro_batch_tokens=30, keep_together=together, is_packed=is_packed, share=Share(n, number))
        for n in range(number)
    ]
    assert len({len(part) for part in parts}) == 1
    seen = sorted(r for part in parts for batch in part if not batch.is_idle for r in batch.rows)
    assert seen == list(range(16))
    tokens = [sum(b.num_tokens for b in part if not b.is_idle) for part in parts]
    assert sum(tokens) == sum(len(r.token_ids) for r in rows)
    assert max(tokens) - min(tokens) <= max(len(r.token_ids) for r in rows) * together
    for batch in (b for part in parts for b in part):  # a pair stays together
        assert all((r ^ 1) in batch.rows for r in batch.rows) or together == 1


def test_rows_are_dealt_evenly():
    assert dealt([5, 9, 4], 2) == [[1], [0, 2]]
    assert dealt([7, 1], 3) == [[0], [1], []]
    assert dealt([3, 9, 1], 1) == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "grpo"}, "grpo"),
        ({"adapter": "qlora"}, "4 bits"),
        ({"optim": OptimConfig(name="adafactor")}, "adafactor"),
        ({"keep_best": "exact_match", "eval_every": 1}, "exact_match"),
    ],
)
def test_what_several_processes_cannot_do_is_refused_with_a_reason(options, words):
    with pytest.raises(ConfigError, match=words) as error:
        ranks.number_of(TrainConfig(processes=2, **options))
    assert error.value.problems[0].where == "train.processes"
    assert ranks.number_of(TrainConfig(processes=1, **options)) == (1, "")
    assert ranks.number_of(TrainConfig(**options))[0] == 1


def test_a_process_by_itself_asks_nothing_of_anyone():
    assert ranks.share() == (0, 1) and ranks.leads()
    assert ranks.total([1.5, 2.0]) == [1.5, 2.0]
    assert ranks.from_first("x") == "x"
    assert ranks.seed_of(3, 4) == 3_000_013
    ranks.refuse_what_needs_one(TrainConfig(method="grpo"))

"""Every option of a training run is read by something, and a key that nothing reads is refused."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from fakes import TinyRun
from luthier.config import Config, all_keys, load_config, nested_config
from luthier.errors import ConfigError
from luthier.recipes.stages import rewards
from luthier.train.config import ModelConfig, RunConfig, TrainConfig

SFT = {"batch_rows": 4, "max_steps": 6, "optim": {"lr": 1e-2, "schedule": "constant"}}
LORA = {**SFT, "adapter": "lora", "lora": {"rank": 2, "alpha": 8.0}}
DPO = {**SFT, "method": "dpo", "max_steps": 2}
GRPO = {**SFT, "method": "grpo", "max_steps": 2, "grpo": {"grader": "chrf", "group_size": 4, "max_new_tokens": 8}}


def losses(run):
    return run.column("train/loss")


def weights(run):
    return run.trained.digest


def gradients(run):
    return run.column("train/grad_norm")


def rates(run):
    return run.column("train/lr")


def tokens(run):
    return run.column("train/tokens")


def num_steps(run):
    return run.trained.num_steps


def account(run):
    return {name: n for name, n in run.trained.rows.items() if n}


def saved(run):
    return sorted(path.name for path in (run.place.folder / "checkpoints").glob("step-*"))


def measured(run):
    return [event["step"] for event in run.events("train_dev")]


def forwards(run):
    return run.num_forwards


def trainable(run):
    return sorted(name for name, p in run.model.network.named_parameters() if p.requires_grad)


def draws(run):
    return [path.read_text() for path in sorted((run.place.folder / "rollouts").glob("completions-*.jsonl"))]


def reward(run):
    return run.column("rl/reward")


LONG = {**SFT, "max_length": 24}
# Long enough that some draws stop by themselves: among answers of one length the normalisations agree.
LONG_DRAWS = {**GRPO, "grpo": {**GRPO["grpo"], "max_new_tokens": 60}}
CASES = {
    "method": (SFT, "pretrain", tokens),
    "adapter": (SFT, "lora", trainable),
    "max_steps": (SFT, 3, num_steps),
    "epochs": ({"batch_rows": 4}, 2.0, num_steps),
    "batch_rows": (SFT, 3, tokens),
    "batch_tokens": (SFT, 60, tokens),
    "micro_batch_tokens": (SFT, 50, forwards),
    "max_length": (SFT, 20, account),
    "overlong": (LONG, "drop", account),
    "optim.lr": (SFT, 1e-3, rates),
    "optim.schedule": (SFT, "linear", rates),
    "optim.warmup_steps": (SFT, 3, rates),
    "optim.weight_decay": (SFT, 0.5, weights),
    "optim.beta1": (SFT, 0.5, weights),
    "optim.beta2": (SFT, 0.5, weights),
    "optim.max_grad_norm": (SFT, 0.01, weights),
    "lora.rank": (LORA, 3, weights),
    "lora.alpha": (LORA, 80.0, losses),
    "lora.dropout": (LORA, 0.5, losses),
    "lora.targets": (LORA, ("q_proj",), trainable),
    "dpo.beta": (DPO, 2.0, losses),
    "grpo.grader": (GRPO, "exact", reward),
    "grpo.group_size": (GRPO, 3, draws),
    "grpo.max_new_tokens": (GRPO, 4, draws),
    "grpo.temperature": (GRPO, 0.3, draws),
    "grpo.top_p": (GRPO, 0.2, draws),
    "grpo.normalise": (LONG_DRAWS, "constant", gradients),
    "save_every": (SFT, 4, saved),
    "eval_every": (SFT, 2, measured),
    "seed": (SFT, 1, losses),
}


def leaves(kind: type[Config]) -> list[str]:
    return [key.path for key in all_keys(kind) if nested_config(key.spec) is None]


def changed(options: dict, key: str, value) -> dict:
    table, _, name = key.rpartition(".")
    if not table:
        return {**options, name: value}
    return {**options, table: {**options.get(table, {}), name: value}}


@pytest.fixture(scope="module")
def run_of(load_tiny, tmp_path_factory):
    @cache
    def run(text: str) -> TinyRun:
        options = eval(text)  # a dict that repr wrote, so that equal options are one run
        config = TrainConfig.model_validate(options)
        options = {name: getattr(config, name) for name in options}
        return TinyRun(
            load_tiny("llama"), tmp_path_factory.mktemp("run"), grade_all=rewards(config.grpo.grader), **options
        )

    return lambda options: run(repr(options))


@pytest.mark.parametrize("key", leaves(TrainConfig))
def test_each_option_makes_a_difference_that_can_be_seen(run_of, key):
    """PITFALL 34, options that are read by nothing: a new option fails here until it has a case."""
    options, value, look = CASES[key]
    before, after = run_of(options), run_of(changed(options, key, value))
    assert look(before) != look(after)


def test_micro_batch_tokens_change_nothing_but_the_pieces(run_of):
    """PITFALL 1 through the whole call: other pieces, the same losses."""
    before, after = run_of(SFT), run_of({**SFT, "micro_batch_tokens": 50})
    assert losses(after) == pytest.approx(losses(before), rel=1e-3)
    assert tokens(after) == tokens(before)


def test_cases_name_no_option_that_is_gone():
    assert set(CASES) == set(leaves(TrainConfig))


class Recipe(Config):
    model: ModelConfig
    train: TrainConfig = TrainConfig()
    run: RunConfig


@pytest.mark.parametrize(
    ("table", "key", "hint"),
    [
        ("train.optim", "learning_rate", "train.optim.lr"),
        ("train", "learning_rate", "train.optim.lr"),
        ("train", "num_train_epochs", "train.epochs"),
        ("train", "per_device_train_batch_size", "train.batch_rows"),
        ("train", "max_seq_length", "train.max_length"),
        ("train.lora", "r", "train.lora.rank"),
        ("train.lora", "target_modules", "train.lora.targets"),
        ("train", "batch_row", "train.batch_rows"),
        ("model", "model_name_or_path", "model.base"),
        ("run", "output_dir", "run.dir"),
        ("train", "quux", None),
    ],
)
def test_an_unknown_key_is_an_error_with_its_place_and_a_hint(tmp_path, table, key, hint):
    """PITFALL 34: file, line, key, and the name that was meant, if any."""
    path = tmp_path / "sft.toml"
    tables = {"model": 'base = "m"', "train": "", "train.optim": "", "train.lora": "", "run": 'dir = "r"'}
    tables[table] += f"\n{key} = 1"
    path.write_text("".join(f"[{name}]\n{body.strip()}\n" for name, body in tables.items()))
    line = path.read_text().splitlines().index(f"{key} = 1") + 1
    with pytest.raises(ConfigError) as error:
        load_config(Recipe, path)
    problem = error.value.problems[0]
    assert (problem.where, problem.found) == (f"{path}:{line}: {table}.{key}", "unknown key")
    assert problem.fix == (f"did you mean {hint}?" if hint else "remove it; `docs/recipe.md` lists every key")


@pytest.mark.parametrize(
    "override",
    ["train.optim.lr=0", "train.optim.lr=nan", "train.optim.beta2=1.0", "train.max_steps=0", "train.max_steps=2.5", "train.method=ppo",
     "train.seed=true", "train.grpo.group_size=1", "train.lora.targets=none-linear", "train.batch_rows=none"],
)  # fmt: skip
def test_values_that_make_no_sense_are_refused_and_named(tmp_path, override):
    path = tmp_path / "sft.toml"
    path.write_text('[model]\nbase = "m"\n[run]\ndir = "r"\n')
    with pytest.raises(ConfigError) as error:
        load_config(Recipe, path, [override])
    assert error.value.problems[0].where.startswith(f"command line: {override.partition('=')[0]}")


def test_off_is_the_word_none(tmp_path):
    path = tmp_path / "sft.toml"
    path.write_text('[model]\nbase = "m"\n[train]\nadapter = "none"\noptim.max_grad_norm = "none"\n[run]\ndir = "r"\n')
    config = load_config(Recipe, path, ["train.max_steps=none", "train.lora.targets=['q_proj']"])
    assert (config.train.optim.max_grad_norm, config.train.adapter, config.train.max_steps) == (None, "none", None)
    assert config.train.lora.targets == ("q_proj",)


def test_the_config_imports_no_torch():
    code = "import luthier.train.config, sys; assert not {'torch', 'transformers', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("key", "value"), [("batch_tokens", 64), ("max_length", 64), ("overlong", "drop")])
def test_a_key_that_grpo_would_not_read_is_refused(key, value):
    """PITFALL 34: no option is read by nothing."""
    with pytest.raises(ValueError, match=f"{key} is not read by grpo"):
        TrainConfig(method="grpo", **{key: value})

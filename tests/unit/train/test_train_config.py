"""Every option of a training run is read by something, and a key that nothing reads is refused."""

from __future__ import annotations

import importlib.util
import itertools
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path, PosixPath

import pytest
import torch

import luthier
from fakes import TinyRun, tiny_examples, training_calls
from luthier.config import Config, all_keys, load_config, nested_config
from luthier.errors import ConfigError
from luthier.models.load import load_model
from luthier.models.reshape import layers_of
from luthier.recipes.stages import Material, rewards, start_of, tuned
from luthier.runs import Run
from luthier.train.batch import Row
from luthier.train.config import READ_BY, ModelConfig, RunConfig, TrainConfig
from luthier.train.mixing import mixed
from luthier.train.ranks import number_of
from luthier.train.training import TrainingData

TEXT_FILE = Path(luthier.__file__).parent / "recipes" / "demo.toml"
"""Text like any other, to mix in: short paragraphs."""
SFT = {"batch_rows": 4, "max_steps": 6, "optim": {"lr": 1e-2, "schedule": "constant"}}
LORA = {**SFT, "adapter": "lora", "lora": {"rank": 2, "alpha": 8.0}}
DPO = {**SFT, "method": "dpo", "max_steps": 2}
GRPO = {**SFT, "method": "grpo", "max_steps": 2, "grpo": {"grader": "chrf", "group_size": 4, "max_new_tokens": 8}}
PRETRAIN = {**SFT, "method": "pretrain"}
LONG = {**SFT, "max_length": 24}
# Long enough that some draws stop by themselves: among answers of one length the normalisations agree.
LONG_DRAWS = {**GRPO, "grpo": {**GRPO["grpo"], "max_new_tokens": 60}}
# Steps so large that what was learnt is lost again.
WILD = {**SFT, "eval_every": 1, "optim": {"lr": 1.0, "schedule": "constant"}}
TEXT = {**SFT, "text": {"files": (TEXT_FILE,)}}
EXPERTS = {**SFT, "model": "qwen3_moe"}
BFLOAT16 = {**SFT, "dtype": "bfloat16"}
# Not an option of the run: which model it starts from.
MODEL = {"model": "llama", "dtype": "float32"}


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


def use(run):
    return run.column("train/utilisation")


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


def layer_forwards(run):
    return run.num_layer_forwards


def trainable(run):
    return sorted(name for name, p in run.model.network.named_parameters() if p.requires_grad)


def adapted(run):
    return sorted(path.name for path in run.trained.model.iterdir()), weights(run)


def draws(run):
    return [path.read_text() for path in sorted((run.place.folder / "rollouts").glob("completions-*.jsonl"))]


def reward(run):
    return run.column("rl/reward")


CASES = {
    "method": (SFT, "pretrain", tokens),
    "adapter": (SFT, "lora", trainable),
    "freeze": (SFT, ("layers.0",), trainable),
    "neftune_alpha": (SFT, 5.0, losses),
    "max_steps": (SFT, 3, num_steps),
    "epochs": ({"batch_rows": 4}, 2.0, num_steps),
    "batch_rows": (SFT, 3, tokens),
    "batch_tokens": (SFT, 60, tokens),
    "micro_batch_tokens": (SFT, 50, forwards),
    "packing": (SFT, "padded", use),
    "autocast": (SFT, True, losses),
    "checkpoint_activations": (SFT, True, layer_forwards),
    "max_length": (SFT, 20, account),
    "overlong": (LONG, "drop", account),
    "optim.name": (SFT, "adafactor", weights),
    "optim.lr": (SFT, 1e-3, rates),
    "optim.schedule": (SFT, "linear", rates),
    "optim.warmup_steps": (SFT, 3, rates),
    "optim.weight_decay": (SFT, 0.5, weights),
    "optim.beta1": (SFT, 0.5, weights),
    "optim.beta2": (SFT, 0.5, weights),
    "optim.max_grad_norm": (SFT, 0.01, weights),
    "optim.bf16_updates": (BFLOAT16, "stochastic", weights),
    "optim.ema_decay": (SFT, 0.5, weights),
    "lora.rank": (LORA, 3, weights),
    "lora.alpha": (LORA, 80.0, losses),
    "lora.rank_stabilised": (LORA, True, losses),
    "lora.dropout": (LORA, 0.5, losses),
    "lora.targets": (LORA, ("q_proj",), trainable),
    "lora.also_train": (LORA, ("embeddings",), trainable),
    "dpo.beta": (DPO, 2.0, losses),
    "grpo.grader": (GRPO, "exact", reward),
    "grpo.group_size": (GRPO, 3, draws),
    "grpo.max_new_tokens": (GRPO, 4, draws),
    "grpo.temperature": (GRPO, 0.3, draws),
    "grpo.top_p": (GRPO, 0.2, draws),
    "grpo.normalise": (LONG_DRAWS, "constant", gradients),
    "text.files": ({**SFT, "max_steps": 20}, (TEXT_FILE,), tokens),
    "text.share": (TEXT, 0.5, tokens),
    "save_every": (SFT, 4, saved),
    "keep_checkpoints": ({**SFT, "save_every": 1}, 4, saved),
    "eval_every": (SFT, 2, measured),
    "keep_best": (WILD, "loss", weights),
    "stop_after": ({**WILD, "keep_best": "loss"}, 1, num_steps),
    "router_weight": (EXPERTS, 0.5, weights),
    "seed": (SFT, 1, losses),
}
BY_THEMSELVES = {
    "offload_activations": "test_activations_are_offloaded_from_a_gpu_and_refused_on_a_cpu",
    "compile": "test_compiled_layers_are_used_and_change_no_loss",
    "processes": "test_the_number_of_processes_is_the_recipes",
    **{f"mixture.{key}": "test_each_key_of_a_mixture_changes_the_order" for key in ("how", "cap", "temperature", "weights")},
    "mixture_by": "test_each_key_of_a_mixture_changes_the_order",
}
"""Options that a plain run on a CPU does not show."""


def leaves(kind: type[Config]) -> list[str]:
    return [key.path for key in all_keys(kind) if nested_config(key.spec) is None]


def changed(options: dict, key: str, value) -> dict:
    table, _, name = key.rpartition(".")
    if not table:
        return {**options, name: value}
    return {**options, table: {**options.get(table, {}), name: value}}


def run_with(options: dict, folders, folder: Path) -> TinyRun:
    """The run, with the forward passes of the first layer counted."""
    options = dict(options)
    of_model = {name: options.pop(name, default) for name, default in MODEL.items()}
    config = TrainConfig.model_validate(options)
    options = {name: getattr(config, name) for name in options}
    model = load_model(folders(of_model["model"]), dtype=of_model["dtype"], device="cpu")
    with training_calls(next(layers_of(model.network)[1][0].children())) as calls:
        run = TinyRun(
            model, folder, grade_all=rewards(config.grpo.grader),
            grade_dev=smallness if config.keep_best not in (None, "loss") else None, **options,
        )  # fmt: skip
    run.num_layer_forwards = len(calls)
    return run


def smallness(model) -> float:
    """A grade of the weights that the first step is best at."""
    return -float(sum(p.detach().double().square().sum() for p in model.network.parameters()))


@pytest.fixture(scope="module")
def run_of(tiny_folder, tmp_path_factory):
    @cache
    def run(text: str) -> TinyRun:
        options = eval(text, {"PosixPath": PosixPath})  # a dict that repr wrote, so that equal options are one run
        return run_with(options, tiny_folder, tmp_path_factory.mktemp("run"))

    return lambda options: run(repr(options))


@pytest.mark.parametrize("key", [key for key in leaves(TrainConfig) if key not in BY_THEMSELVES])
def test_each_option_makes_a_difference_that_can_be_seen(run_of, key):
    """Options that are read by nothing: a new option fails here until it has a case."""
    options, value, look = CASES[key]
    before, after = run_of(options), run_of(changed(options, key, value))
    assert look(before) != look(after)


@pytest.mark.parametrize(("options", "changes"), [
    ({"mixture": {}}, {"mixture": {"how": "equal"}}),
    ({"mixture": {}}, {"mixture": {"cap": 3}}),
    ({"mixture": {"how": "temperature"}}, {"mixture": {"how": "temperature", "temperature": 5.0}}),
    ({"mixture": {"how": "weights", "weights": {"a": 1.0, "b": 1.0}}}, {"mixture": {"how": "weights", "weights": {"a": 1.0, "b": 4.0}}}),
    ({"mixture": {"how": "equal"}}, {"mixture": {"how": "equal"}, "mixture_by": "task"}),
])  # fmt: skip
def test_each_key_of_a_mixture_changes_the_order(options, changes):
    examples = [replace(e, source=f"{'a' if n < 4 else 'b'}:{n}", task=f"task {n % 3}") for n, e in enumerate(tiny_examples(16))]
    rows = [Row(e.id, (1, 2), (0.0, 1.0)) for e in examples]
    before, after = (mixed(examples, rows, TrainConfig.model_validate(chosen)) for chosen in (options, changes))
    assert [step.tolist() for step in before.plan] != [step.tolist() for step in after.plan]


def test_cases_name_no_option_that_is_gone():
    assert {*CASES, *BY_THEMSELVES} == set(leaves(TrainConfig))
    assert all(name in globals() for name in BY_THEMSELVES.values())


@pytest.mark.parametrize(
    ("options", "key", "value", "look"),
    [
        (PRETRAIN, "packing", "padded", use), (DPO, "packing", "padded", use), (GRPO, "packing", "padded", use),
        (PRETRAIN, "autocast", True, losses), (DPO, "autocast", True, gradients),
        (PRETRAIN, "checkpoint_activations", True, layer_forwards),
        (DPO, "checkpoint_activations", True, layer_forwards), (GRPO, "checkpoint_activations", True, layer_forwards),
        (DPO, "freeze", ("embeddings",), weights), (GRPO, "freeze", ("embeddings",), weights),
        (DPO, "optim.ema_decay", 0.5, weights), (GRPO, "optim.ema_decay", 0.5, weights),
        (DPO, "batch_tokens", 60, tokens), (DPO, "micro_batch_tokens", 50, forwards), (DPO, "max_length", 20, account),
        (GRPO, "micro_batch_tokens", 50, forwards),
        (PRETRAIN, "max_length", 20, account), (PRETRAIN, "batch_tokens", 60, tokens),
        (PRETRAIN, "eval_every", 2, measured), ({**WILD, "method": "pretrain"}, "keep_best", "loss", weights),
        ({**SFT, "eval_every": 2}, "keep_best", "smallness", weights),
        ({**GRPO, "eval_every": 1, "keep_best": "smallness"}, "eval_every", 2, measured),
        ({**PRETRAIN, "model": "qwen3_moe"}, "router_weight", 0.5, weights),
        (LORA, "adapter", "dora", trainable),
    ],
    ids=lambda value: value.get("method", "sft") if isinstance(value, dict) else getattr(value, "__name__", str(value)),
)  # fmt: skip
def test_an_option_works_with_each_method_that_takes_it(run_of, options, key, value, look):
    """An option that one method reads may be lost in another."""
    assert look(run_of(options)) != look(run_of(changed(options, key, value)))


def test_micro_batch_tokens_change_nothing_but_the_pieces(run_of):
    """Through the whole call: other pieces, the same losses."""
    before, after = run_of(SFT), run_of({**SFT, "micro_batch_tokens": 50})
    assert losses(after) == pytest.approx(losses(before), rel=1e-3)
    assert tokens(after) == tokens(before)


@pytest.mark.parametrize(
    "options",
    [SFT, LORA, DPO, GRPO, {**EXPERTS, "router_weight": 0.5}, {**SFT, "model": "gpt2"}],
    ids=["sft", "lora on frozen embeddings", "dpo", "grpo", "experts", "gpt2"],
)
def test_layers_computed_again_give_the_same_losses_and_gradients(run_of, options):
    """Checkpointing gives zero gradients: no number of the run changes, only the work."""
    before, after = run_of(options), run_of({**options, "checkpoint_activations": True})
    assert layer_forwards(after) == 2 * layer_forwards(before) > 0
    assert losses(after) == pytest.approx(losses(before), rel=1e-5)
    assert gradients(after) == pytest.approx(gradients(before), rel=1e-5) and all(gradients(before))


def test_packed_and_padded_rows_give_the_same_losses(run_of):
    """Rows do not see each other, through the whole call."""
    before, after = run_of(SFT), run_of({**SFT, "packing": "padded"})
    assert use(before) == [1.0] * 6 and max(use(after)) < 1.0
    assert losses(after) == pytest.approx(losses(before), rel=1e-3)


@pytest.mark.filterwarnings("ignore")  # torch's own, of itself
def test_compiled_layers_are_used_and_change_no_loss(run_of, monkeypatch):
    """With a compiler that writes no code: what it is given to compile, and that this is called, is the same."""
    from torch._dynamo.utils import counters

    compiled, called = torch.compile, []

    def compile_quickly(forward, **options):
        code = compiled(forward, backend="eager", **options)
        return lambda *args, **named: (called.append(torch.is_grad_enabled()), code(*args, **named))[1]

    before = run_of({**SFT, "max_steps": 2})
    monkeypatch.setattr(torch, "compile", compile_quickly)
    counters.clear()
    after = run_of({**SFT, "max_steps": 2, "compile": True})
    assert called.count(True) == 2 * 2  # two layers, two steps
    assert counters["stats"]["unique_graphs"] > 0
    assert losses(after) == pytest.approx(losses(before), rel=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own, of itself
def test_compiled_layers_change_no_loss_with_the_real_compiler(run_of):
    before, after = run_of({**SFT, "max_steps": 2}), run_of({**SFT, "max_steps": 2, "compile": True})
    assert losses(after) == pytest.approx(losses(before), rel=1e-4)


def test_the_number_of_processes_is_the_recipes():
    assert number_of(TrainConfig(processes=2))[0] == 2
    assert number_of(TrainConfig())[0] == max(1, torch.cuda.device_count())


def test_activations_are_offloaded_from_a_gpu_and_refused_on_a_cpu(run_of):
    with pytest.raises(ConfigError, match="a CPU, whose memory is the main memory") as error:
        run_of({**SFT, "offload_activations": True})
    assert error.value.problems[0].where == "train.offload_activations"
    if not torch.cuda.is_available():
        pytest.skip("no GPU to offload from")


@pytest.mark.parametrize(
    ("options", "where", "found"),
    [({**BFLOAT16, "autocast": True}, "train.autocast", "weights in bfloat16"),
     (changed(SFT, "optim.bf16_updates", "stochastic"), "train.optim.bf16_updates", "no bfloat16 weight trains"),
     (changed({**LORA, "dtype": "bfloat16"}, "optim.bf16_updates", "stochastic"), "train.optim.bf16_updates", "no bfloat16 weight trains"),
     ({**SFT, "router_weight": 0.1}, "train.router_weight", "a model without experts"),
     ({**PRETRAIN, "freeze": ("layers.7",)}, "train.freeze[0]", "matches nothing"),
     ({**SFT, "packing": "packed", "model": "gemma3"}, None, "")],
)  # fmt: skip
def test_an_option_that_this_model_would_not_read_is_refused(run_of, options, where, found):
    """What the recipe alone cannot tell, the run tells before its first step."""
    if where is None:  # and what it reads is not
        assert use(run_of(options)) == [1.0] * 6
        return
    with pytest.raises(ConfigError) as error:
        run_of(options)
    assert error.value.problems[0].where == where and found in error.value.problems[0].found


@pytest.mark.parametrize(
    ("key", "value"), [("name", "adamw"), ("beta1", 0.5), ("beta2", 0.5), ("weight_decay", 0.5), ("ema_decay", 0.5)]
)
def test_muon_reads_the_options_that_it_takes(run_of, key, value):
    """No option that nothing reads."""
    muon = changed(SFT, "optim.name", "muon")
    assert weights(run_of(muon)) != weights(run_of(changed(muon, f"optim.{key}", value)))


def test_8_bit_state_makes_a_difference_where_its_package_is(run_of):
    if importlib.util.find_spec("bitsandbytes") is None:
        with pytest.raises(ConfigError, match=r"train\.optim\.name"):
            run_of(changed(SFT, "optim.name", "adamw_8bit"))
        pytest.skip("bitsandbytes is not installed")
    assert weights(run_of(SFT)) != weights(run_of(changed(SFT, "optim.name", "adamw_8bit")))


@pytest.fixture(scope="module")
def tuned_with(tiny_folder, tmp_path_factory):
    """What the stage of a recipe leaves, given the keys of [model]."""
    data = TrainingData(examples=tiny_examples(4))

    @cache
    def saved(**keys) -> Path:
        folder = tmp_path_factory.mktemp("tuned")
        model = ModelConfig(**{"base": str(tiny_folder("llama")), **keys})
        config = TrainConfig(max_steps=1)
        return tuned(Run.open(folder, config), "train", config, start=start_of(model), model=model,
                     material=Material(inputs={}, read=lambda: data))  # fmt: skip

    return saved


@pytest.fixture(scope="module")
def model_values(tiny_folder, tmp_path_factory) -> dict:
    """Another value of each key of [model]."""
    template = tmp_path_factory.mktemp("template") / "chat.jinja"
    template.write_text(
        "{%- for m in messages -%}{{- '<' + m.role + '>' + m.content -}}"
        "{%- if m.role == 'assistant' -%}{{- eos_token -}}{%- endif -%}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<assistant>' -}}{%- endif -%}"
    )
    return {"base": str(tiny_folder("qwen3")), "chat_template": template, "dtype": "bfloat16", "new_tokens": ("<lamp>",)}


def seen_of(folder: Path) -> dict:
    config = json.loads((folder / "config.json").read_text())
    return {"base": config["model_type"], "dtype": config["dtype"], "new_tokens": config["vocab_size"],
            "chat_template": (folder / "chat_template.jinja").read_text()}  # fmt: skip


@pytest.mark.parametrize("key", leaves(ModelConfig))
def test_each_option_of_the_model_makes_a_difference_that_can_be_seen(tuned_with, model_values, key):
    """No option that nothing reads."""
    before, after = seen_of(tuned_with()), seen_of(tuned_with(**{key: model_values[key]}))
    assert before[key] != after[key]
    assert key == "base" or {k: v for k, v in before.items() if k != key} == {k: v for k, v in after.items() if k != key}


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
    """File, line, key, and the name that was meant, if any."""
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
    config = load_config(Recipe, path, ["train.max_steps=none", "model.new_tokens=['<a>']"])
    assert (config.train.optim.max_grad_norm, config.train.adapter, config.train.max_steps) == (None, "none", None)
    assert config.model.new_tokens == ("<a>",)


def test_the_config_imports_no_torch():
    code = "import luthier.train.config, sys; assert not {'torch', 'transformers', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


ANOTHER = {
    "batch_tokens": 64, "max_length": 64, "overlong": "drop", "neftune_alpha": 5.0, "text.files": (TEXT_FILE,), "router_weight": 0.1, "autocast": True,
    "lora.dropout": 0.1, "dpo.beta": 0.2, "grpo.grader": "exact", "grpo.group_size": 4, "grpo.max_new_tokens": 9, "grpo.temperature": 0.5,
    "grpo.top_p": 0.5, "grpo.normalise": "sequence", "mixture": {"how": "equal"},
}  # fmt: skip
"""A value of each key that not every method reads."""


@pytest.mark.parametrize(
    ("method", "key"),
    [(method, key) for key, (methods, _) in READ_BY.items() for method in ("sft", "pretrain", "dpo", "grpo") if method not in methods],
)  # fmt: skip
def test_a_key_that_a_method_would_not_read_is_refused(method, key):
    """No option is read by nothing."""
    options = changed({"method": method, "adapter": "lora"}, key, ANOTHER[key])
    with pytest.raises(ValueError, match=f"{key} is not read by {method}"):
        TrainConfig.model_validate(options)
    methods, _ = READ_BY[key]
    TrainConfig.model_validate({**options, "method": methods[0]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lora": {"rank": 8}}, r'lora.rank is not read with adapter = "none"; set adapter = "lora"'),
        ({"lora": {"also_train": ("head",)}}, "lora.also_train is not read"),
        ({"adapter": "dora", "freeze": ("head",)}, 'freeze is not read with adapter = "dora", .*leave it out'),
        ({"optim": {"name": "adafactor", "beta1": 0.8}}, 'optim.beta1 is not read by optim.name = "adafactor"'),
        ({"text": {"share": 0.3}}, "text.share is not read without text.files"),
        ({"method": "dpo", "eval_every": 5}, "eval_every is not read by dpo"),
        ({"method": "dpo", "eval_every": 5, "keep_best": "loss"}, "keep_best is not read by dpo"),
        ({"method": "grpo", "eval_every": 5}, "eval_every is not read by grpo without keep_best; set keep_best to a grader"),
        ({"method": "grpo", "eval_every": 5, "keep_best": "loss"}, 'keep_best = "loss" is not read by grpo'),
        ({"method": "pretrain", "eval_every": 5, "keep_best": "exact"}, 'keep_best with a grader is not read by pretrain.*"loss"'),
        ({"keep_best": "loss"}, "keep_best needs measurements during the run; set eval_every"),
        ({"stop_after": 2}, "stop_after needs keep_best"),
        ({"stop_after": 2, "text": {"share": 0.3}}, "text.share is not .*stop_after needs"),
    ],
)  # fmt: skip
def test_a_combination_that_reads_a_key_by_nothing_is_refused_with_the_fix(options, message):
    """The message names the key and what to do; several are told at once."""
    with pytest.raises(ValueError, match=f"(?s){message}"):
        TrainConfig.model_validate(options)


@pytest.mark.parametrize(
    "options",
    [{"eval_every": 5, "keep_best": "loss", "stop_after": 2}, {"eval_every": 5, "keep_best": "exact"}, {"eval_every": 5},
     {"method": "pretrain", "eval_every": 5, "keep_best": "loss"}, {"method": "grpo", "eval_every": 5, "keep_best": "auto"},
     {"adapter": "qlora", "lora": {"rank": 8}}, {"method": "dpo", "lora": {"rank": 16}, "max_length": 512},
     {"text": {"files": (TEXT_FILE,), "share": 0.3}}, {"optim": {"name": "adafactor", "weight_decay": 0.1}},
     {"optim": {"name": "muon", "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.1}}],
    ids=str,
)  # fmt: skip
def test_a_combination_that_is_read_is_taken(options):
    TrainConfig.model_validate(options)


def test_a_recipe_that_spells_out_a_default_is_taken():
    """A saved config holds every key."""
    for method, adapter in itertools.product(("sft", "pretrain", "dpo", "grpo"), ("none", "lora")):
        config = TrainConfig(method=method, adapter=adapter)
        assert TrainConfig.model_validate_json(config.model_dump_json()) == config

"""The pretrain recipe: from sizes, and from a model that changes its shape first."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from fakes import TINY_TEXT, write_tiny_model
from luthier.config import load_config
from luthier.errors import ConfigError, ModelError
from luthier.models.folders import digest
from luthier.models.load import load_model
from luthier.recipes.pretrain import PretrainRecipe, main


@pytest.fixture
def recipe(tmp_path):
    """The way to a recipe over three copies of the tiny text, with a [build] table."""
    (tmp_path / "text.txt").write_text("\n\n".join(text.replace("\n\n", "\n") for text in TINY_TEXT * 3))

    def write(build, run="run"):
        path = tmp_path / f"{run}.toml"
        path.write_text(
            f'recipe = "pretrain"\n[data]\nfiles = [{json.dumps(str(tmp_path / "text.txt"))}]\ndev_share = 0.2\n'
            f'[build]\n{build}\n[train]\nmethod = "pretrain"\nmax_steps = 3\nbatch_rows = 4\noptim.lr = 1e-3\n'
            f"[run]\ndir = {json.dumps(str(tmp_path / run))}\n"
        )
        return load_config(PretrainRecipe, path)

    return write


@pytest.fixture
def start(tmp_path):
    """A tiny model with a licence, and what names it in a recipe."""
    folder = write_tiny_model(tmp_path / "start", "llama", layers=3)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return f"start = {json.dumps(str(folder))}\n"


def ran(recipe):
    said = []
    assert main(recipe, echo=said.append, step_echo=None) == 0
    return said


def test_a_mixture_of_experts_is_built_and_trained(recipe, tmp_path):
    ran(recipe("vocabulary = 320\nhidden = 16\nlayers = 1\nheads = 2\nkv_heads = 1\nfeed_forward = 24\nexperts = 3"))
    model = load_model(tmp_path / "run", device="cpu")
    assert model.network.config.num_experts == 3
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "\n| shape | Qwen3-MoE |\n| --- | --- |\n| parameters | " in card
    assert "\n| `hidden` | 16 |\n" in card and "\n| `experts` | 3 |\n| `experts_per_token` | 2 |\n| `tied` | true |\n" in card


def test_the_card_says_how_often_the_practice_text_asks_for_each_kind(recipe, tmp_path):
    made = recipe("vocabulary = 320\nhidden = 16\nlayers = 1\nheads = 2\nkv_heads = 1\nfeed_forward = 24")
    practice = made.data.model_copy(update={"practice_documents": 60, "practice_without": ("words", "lists")})
    said = ran(made.model_copy(update={"data": practice}))
    (counted,) = (line for line in said if "in its own words" in line)
    counts = counted.rpartition(": ")[2]
    assert "sentiment" in counts and "words " not in counts and "lists" not in counts
    table = "".join(f"| {cluster} | {count} |\n" for cluster, count in (entry.split() for entry in counts.split(", ")))
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert card.endswith(f"of a task's template.\n\n| kind | requests |\n| --- | --- |\n{table}")


def test_a_model_is_pruned_grown_and_trained_on(recipe, start, tmp_path):
    said = ran(recipe(start + "prune_layers = 1\ngrow_layers = 2\ngrow_vocabulary = 5"))
    done = [line for line in said if line.startswith("build |")]
    assert ["influence of each layer" in done[0], "taken out" in done[1], "new layers at 1, 3" in done[2],
            "5 new tokens" in done[3]] == [True] * 4  # fmt: skip
    network = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
    assert network.config.num_hidden_layers == 4 and network.config.vocab_size == 405
    assert all(network.model.layers[n].mlp.down_proj.weight.any() for n in (1, 3)), "the new layers have learned"
    assert len(AutoTokenizer.from_pretrained(tmp_path / "run" / "model")) == 405
    assert not list((tmp_path / "run" / "train").glob("untrained*"))


def test_the_card_of_a_model_that_goes_on_names_its_start_and_keeps_its_licence(recipe, start, tmp_path):
    ran(recipe(start + "remove_layers = [1]"))
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert card.startswith("---\nlicense: mit\n---\n") and "from scratch" not in card
    assert digest(tmp_path / "start") in card and "{'remove_layers': (1,)}" in card


def test_without_a_change_the_first_loss_is_the_start_s_own(recipe, start, tmp_path):
    """New layers leave it as it is too."""
    losses = []
    for run, change in (("same", ""), ("grown", "grow_layers = 3")):
        ran(recipe(start + change, run=run))
        events = [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
        losses.append([event["train/loss"] for event in events if event["kind"] == "train"])
    assert losses[0][0] == losses[1][0] and losses[0][2] != losses[1][2]


def test_a_finished_run_is_reused_until_the_start_changes(recipe, start, tmp_path):
    config = recipe(start + "grow_layers = 1")
    ran(config)
    assert any("reused" in line for line in ran(config))
    write_tiny_model(tmp_path / "start", "llama", layers=3, seed=9)
    assert any("done again, since this changed" in line and "start" in line for line in ran(config))


def test_a_run_does_not_start_from_what_it_wrote(recipe, start, tmp_path):
    ran(recipe(start))
    with pytest.raises(ConfigError, match=r"build\.start: .*a model outside run\.dir"):
        main(recipe(f"start = {json.dumps(str(tmp_path / 'run'))}"), echo=print, step_echo=None)


def test_a_start_that_is_not_there_is_said_before_anything_is_written(recipe, tmp_path):
    with pytest.raises(ModelError, match="no such folder"):
        main(recipe(f"start = {json.dumps(str(tmp_path / 'nowhere'))}"), echo=print, step_echo=None)
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_goes_on_from_the_same_changed_network(recipe, start, tmp_path, monkeypatch):
    """The network before its first step is written whole or not at all, and not made twice."""
    config = recipe(start + "grow_layers = 1\ngrow_vocabulary = 3")

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("luthier.train.training.train", killed)
        main(config, echo=lambda _: None, step_echo=None)
    (blank,) = (tmp_path / "run" / "train").glob("untrained*")
    weights = blank / "model.safetensors"
    before = weights.stat().st_mtime_ns
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("luthier.train.training.train", killed)
        main(config, echo=lambda _: None, step_echo=None)
    assert weights.stat().st_mtime_ns == before
    ran(config)
    assert torch.isfinite(load_model(tmp_path / "run", device="cpu").network.get_input_embeddings().weight).all()

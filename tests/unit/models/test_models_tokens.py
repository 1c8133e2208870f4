"""New tokens: known, trained, saved, tied."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from fakes import TinyRun
from luthier.errors import ConfigError, ModelError
from luthier.models.adapters import add_adapter, save_model
from luthier.models.load import load_model
from luthier.models.tokens import add_tokens, grow
from luthier.records import Example, Message
from luthier.train.training import TrainingData

NEW = ("<order>", "Zwo 日")
EXAMPLES = [
    Example.of([Message(role="user", content=f"<order> {n}?"), Message(role="assistant", content=f"Zwo 日<order> {n}")])
    for n in range(16)
]
LOOK = """
import sys, torch
from pathlib import Path
from safetensors.torch import save_file
from luthier.models.load import load_model
for folder in map(Path, sys.argv[1:]):
    network = load_model(folder, device="cpu").network
    rows, head = network.get_input_embeddings().weight, network.get_output_embeddings().weight
    parts = {"rows": rows.detach().clone(), "head": head.detach().clone()}
    parts["logits"] = network(input_ids=torch.tensor([[5, 400, 401, 6]])).logits.detach()
    save_file(parts, folder / "look.safetensors")
"""


def lora(model, **options):
    return add_adapter(model, **{"rank": 4, "alpha": 8.0, "dropout": 0.0, "targets": "all-linear", **options})


def logits(network):
    with torch.no_grad():
        return network(input_ids=torch.tensor([[5, 400, 401, 6]])).logits


def test_a_new_token_is_one_token_and_is_decoded(load_tiny, shape):
    model = load_tiny(shape)
    before = model.renderer.encode("when? Zwo 日 <order>s")
    model = add_tokens(model, NEW)
    ids = model.renderer.encode("when? Zwo 日 <order>s")
    assert len(ids) < len(before) and set(model.new_token_ids) == {400, 401} <= set(ids)
    assert model.renderer.decode(ids) == "when? Zwo 日 <order>s"
    assert model.renderer.stop_ids == load_tiny(shape).renderer.stop_ids


def test_new_rows_begin_at_the_mean_of_the_old_and_nothing_else_moves(load_tiny, shape):
    model = load_tiny(shape)
    old = model.network.get_input_embeddings().weight.detach().clone()
    before = model.network(input_ids=torch.tensor([[5, 6, 7]])).logits
    network = add_tokens(model, NEW).network
    rows = network.get_input_embeddings().weight
    assert rows is network.get_output_embeddings().weight and rows.shape[0] == 402 == network.config.vocab_size
    assert torch.equal(rows[:400], old)
    torch.testing.assert_close(rows[400:], old.mean(dim=0).expand(2, -1), atol=1e-6, rtol=0)
    torch.testing.assert_close(network(input_ids=torch.tensor([[5, 6, 7]])).logits[..., :400], before)


def test_spare_rows_are_used_before_new_ones_are_made(load_tiny):
    model = load_tiny("llama")
    grow(model.network, 448)
    network = add_tokens(model, NEW).network
    rows = network.get_input_embeddings().weight
    assert rows.shape[0] == 448
    torch.testing.assert_close(rows[400:402], rows[:400].mean(dim=0).expand(2, -1), atol=1e-6, rtol=0)
    assert rows[402:].abs().sum() == 0


def test_a_head_of_its_own_gets_a_mean_of_its_own(load_tiny):
    model = load_tiny("llama")
    model.network.config.tie_word_embeddings = False
    head = torch.nn.Parameter(torch.randn(400, 32, generator=torch.Generator().manual_seed(0)))
    model.network.lm_head.weight = head
    network = add_tokens(model, NEW).network
    rows = network.get_output_embeddings().weight
    assert rows is not network.get_input_embeddings().weight
    torch.testing.assert_close(rows[401], head.mean(dim=0), atol=1e-6, rtol=0)


def test_a_token_that_is_known_blank_or_given_twice_is_an_error(load_tiny):
    with pytest.raises(ConfigError) as error:
        add_tokens(load_tiny("llama"), ("<|user|>", "ok then", " ", "ok then", "the", "Ã"))
    found = {p.where: p.found for p in error.value.problems}
    assert found == {
        "model.new_tokens[0]": "'<|user|>', which is a token of this model already",
        "model.new_tokens[2]": "' ', which is blank",
        "model.new_tokens[3]": "'ok then' a second time",
        "model.new_tokens[4]": "'the', which is a token of this model already",
        "model.new_tokens[5]": "'Ã', which is a token of this model already",
    }


def test_a_token_that_would_not_be_decoded_is_an_error_and_leaves_the_model_alone(load_tiny, shape):
    model = load_tiny(shape)
    with pytest.raises(ConfigError, match=r"model\.new_tokens\[1\]: found 'Zwölf', which this tokenizer decodes as"):
        add_tokens(model, ("<order>", "Zwölf"))
    assert len(model.tokenizer) == model.network.get_input_embeddings().weight.shape[0] == 400


def test_a_tuned_adapter_takes_no_new_tokens(load_tiny):
    with pytest.raises(ConfigError, match=r"model\.new_tokens: found a tuned adapter"):
        add_tokens(lora(load_tiny("llama")), NEW)


def test_no_new_tokens_change_nothing(load_tiny):
    model = load_tiny("llama")
    assert add_tokens(model, ()) is model


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_new_tokens_are_trained_saved_and_tied(load_tiny, tmp_path, name):
    """New tokens untrained, unsaved or untied: two of them, a few real steps, a fresh process."""
    data = TrainingData(examples=EXAMPLES)
    options = {"max_steps": 3, "batch_rows": 8, "seed": 1}
    added = {kind: add_tokens(load_tiny(name), NEW) for kind in ("full", "lora")}
    start = added["full"].network.get_input_embeddings().weight.detach().clone()
    folders = {}
    for kind, model in added.items():
        ready = lora(model) if kind == "lora" else model
        method = {"adapter": "lora"} if kind == "lora" else {}
        folders[kind] = TinyRun(ready, tmp_path / kind, data=data, **method, **options).trained.model
        added[kind] = ready
    subprocess.run([sys.executable, "-W", "ignore", "-c", LOOK, *map(str, folders.values())], check=True)
    for kind, folder in folders.items():
        seen = load_file(folder / "look.safetensors")
        assert torch.equal(seen["rows"], seen["head"])
        moved = (seen["rows"] - start).abs().sum(dim=1) > 0
        assert moved[400:].all()
        assert moved[:400].any() == (kind == "full")  # an adapter leaves the old rows bit for bit
        assert torch.equal(seen["logits"], logits(added[kind].network))


def test_continued_training_moves_the_new_rows_further(load_tiny, tmp_path):
    data = TrainingData(examples=EXAMPLES)
    options = {"data": data, "max_steps": 2, "batch_rows": 8, "adapter": "lora"}
    first = TinyRun(lora(add_tokens(load_tiny("llama"), NEW)), tmp_path / "first", **options).trained.model
    second = TinyRun(load_model(first), tmp_path / "second", **options).trained.model
    before, after = (load_model(folder).network.get_input_embeddings().weight.detach() for folder in (first, second))
    assert torch.equal(before[:400], after[:400])
    assert not torch.equal(before[400], after[400]) and not torch.equal(before[401], after[401])


def test_new_tokens_beside_whole_embeddings_train_with_the_rest(load_tiny, tmp_path):
    model = lora(add_tokens(load_tiny("llama"), NEW), also_train=("embeddings",))
    start = model.network.get_input_embeddings().weight.detach().clone()
    folder = TinyRun(model, tmp_path, data=TrainingData(examples=EXAMPLES), max_steps=2, adapter="lora").trained.model
    rows = load_model(folder).network.get_input_embeddings().weight
    moved = (rows - start).abs().sum(dim=1) > 0
    assert moved[400:].all() and moved[:400].any()


def test_rows_of_a_head_with_a_bias_cannot_train_alone(load_tiny):
    model = load_tiny("llama")
    model.network.config.tie_word_embeddings = False
    model.network.lm_head = torch.nn.Linear(32, 400)
    model = add_tokens(model, NEW)
    assert model.network.lm_head.bias[400:].abs().sum() == 0
    with pytest.raises(ModelError, match=r"model\.new_tokens: found a head with a bias"):
        lora(model)
    assert lora(model, also_train=("head",)).network.get_output_embeddings().weight.requires_grad


def test_an_adapter_with_a_longer_tokenizer_and_no_rows_is_an_error(load_tiny, tmp_path):
    model = lora(load_tiny("llama"))
    model.tokenizer.add_tokens(["<order>"])
    save_model(model, tmp_path)
    with pytest.raises(ModelError, match="1 tokens more than the base has rows, and no rows for them"):
        load_model(tmp_path)


def test_an_adapter_whose_embeddings_came_whole_keeps_them(load_tiny, tmp_path):
    """Other tools save the resized embeddings beside the adapter, untrained; they must not get lost on the way."""
    model = add_tokens(load_tiny("llama"), NEW)
    adapted = lora(model)
    save_model(adapted, tmp_path / "ours")
    theirs = shutil.copytree(tmp_path / "ours", tmp_path / "theirs")
    tensors = load_file(theirs / "adapter_model.safetensors")
    (delta,) = (name for name in tensors if "trainable_tokens_delta" in name)
    del tensors[delta]
    tensors["base_model.model.model.embed_tokens.weight"] = torch.randn(402, 32)
    save_file(tensors, theirs / "adapter_model.safetensors")
    settings = json.loads((theirs / "adapter_config.json").read_text())
    (theirs / "adapter_config.json").write_text(json.dumps({**settings, "trainable_token_indices": None}))
    loaded = load_model(theirs)
    rows = loaded.network.get_input_embeddings().weight
    assert torch.equal(rows, tensors["base_model.model.model.embed_tokens.weight"])
    save_model(loaded, tmp_path / "again")
    again = load_model(tmp_path / "again").network
    assert torch.equal(again.get_input_embeddings().weight, rows)
    assert torch.equal(logits(again), logits(loaded.network))

"""Model folders that can be used, and what is said of those that cannot."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load, load_file, save_file

from fakes import SHAPES, write_tiny_model
from luthier.errors import ModelError
from luthier.models.adapters import add_adapter, save_model
from luthier.models.folders import base_of, digest, licence_of, resolve
from luthier.models.load import load_model
from luthier.records import Message


@pytest.fixture
def folder(tiny_model_folder, tmp_path):
    return shutil.copytree(tiny_model_folder, tmp_path / "model")


def problem(path, **options):
    with pytest.raises(ModelError) as error:
        load_model(path, **options)
    assert len(error.value.problems) == 1
    return error.value.problems[0]


def test_load_model_gives_network_tokenizer_and_limits(tiny, shape):
    model = tiny(shape)
    assert not model.network.training and model.max_length == 256
    assert model.device == torch.device("cpu")
    assert model.num_parameters == sum(p.numel() for p in model.network.parameters()) > 30_000
    assert bool(model.notices) == (shape == "gpt2")  # the one without a chat template
    assert len(model.digest) == 16 and model.licence is None


def test_a_base_without_a_chat_template_gets_a_plain_one_and_is_told_so(tiny):
    model = tiny("gpt2")
    assert "has no chat template; a plain one was added" in model.notices[0]
    text = model.renderer.text(
        [Message(role="system", content="s"), Message(role="user", content="u")], add_generation_prompt=True
    )
    assert text == "System:\ns\n\nUser:\nu\n\nAssistant:\n"
    assert len(model.tokenizer) == model.network.get_input_embeddings().weight.shape[0]


def test_max_length_is_the_smaller_of_network_and_tokenizer(folder):
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": 100}))
    assert load_model(folder).max_length == 100


def test_a_run_folder_stands_for_the_model_in_it(folder, tmp_path):
    (tmp_path / "config.json").write_text("{}")  # a run's own options
    assert load_model(tmp_path).folder == folder
    assert resolve(tmp_path) == resolve(folder) == folder


def test_dtype_is_the_format_of_the_weights(folder):
    assert {p.dtype for p in load_model(folder, dtype="bfloat16").network.parameters()} == {torch.bfloat16}


def test_a_chat_template_of_the_users_takes_the_place_of_the_folders(folder, tmp_path):
    mine = tmp_path / "mine.jinja"
    mine.write_text("{% for m in messages %}{{ m.content + '<|end|>' }}{% endfor %}")
    model = load_model(folder, chat_template=mine)
    assert model.renderer.text([Message(role="user", content="u")]) == "u<|end|>"
    assert model.digest != load_model(folder).digest
    assert "chat_template" in problem(folder, chat_template=tmp_path / "absent.jinja").where


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("absent", "no such folder"),
        ("absent/deep/er", "no such folder"),
        ("some.model", "no such folder"),
        ("./a/b", "no such folder"),
    ],
)
def test_a_missing_folder_is_named(tmp_path, monkeypatch, name, found):
    monkeypatch.chdir(tmp_path)
    assert problem(name).found == found
    assert problem(tmp_path / name).where == str(tmp_path / name)


def test_a_hub_name_out_of_reach_says_that_it_needs_a_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = problem("someone/some-model")
    assert "no such hub model within reach" in found.found and "needs a network" in found.fix


def test_a_folder_without_weights_says_so(folder):
    (folder / "model.safetensors").unlink()
    assert problem(folder).found == "no weights"
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    found = problem(folder)
    assert found.found == "pickled weights only" and "never loaded" in found.fix


@pytest.mark.parametrize(
    ("name", "found"), [("config.json", "no config.json"), ("tokenizer.json", "no tokenizer.json")]
)
def test_a_missing_file_is_named(folder, name, found):
    (folder / name).unlink()
    assert problem(folder).found == found


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("size", [0, 100])
def test_a_damaged_file_is_an_error_without_a_traceback(folder, name, size):
    (folder / name).write_bytes((folder / name).read_bytes()[:size])
    assert "cannot be read" in problem(folder).found


def test_missing_tensors_are_an_error_and_never_random(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    found = problem(folder)
    assert "weights without model.layers.1.mlp.up_proj.weight (1 tensors missing)" in found.found


def test_tensors_of_another_shape_are_an_error(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 72}))
    assert "cannot be read" in problem(folder).found


def test_an_unknown_architecture_is_an_error_and_its_code_is_not_run(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "code.py").write_text("raise SystemExit('this ran')")
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    assert "cannot be read" in problem(folder).found


def test_digest_covers_what_decides_an_answer_and_nothing_else(folder):
    first = digest(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / "generation_config.json").write_text('{"temperature": 0.3}')
    assert digest(folder) == first == load_model(folder).digest
    with (folder / "tokenizer_config.json").open("a") as file:
        file.write("\n")
    assert digest(folder) != first


def test_licence_is_read_from_the_card(folder):
    assert licence_of(folder) is None
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: 'apache-2.0'\n---\n")
    assert load_model(folder).licence == "apache-2.0"


def test_an_adapter_finds_its_base_and_says_when_it_is_gone(folder, tmp_path):
    model = add_adapter(load_model(folder), rank=2, alpha=4, dropout=0.0, targets="all-linear")
    adapter = tmp_path / "adapter"
    save_model(model, adapter)
    loaded = load_model(adapter)
    assert base_of(adapter) == folder and loaded.digest == digest(adapter)
    assert loaded.digest not in (digest(folder), "")
    assert {name.rpartition(".")[2] for name, p in loaded.network.named_parameters() if p.requires_grad} == {"weight"}
    assert any(p.requires_grad for p in loaded.network.parameters())
    weights = (adapter / "adapter_model.safetensors").read_bytes()
    (adapter / "adapter_model.safetensors").write_bytes(weights[:100])
    assert "cannot be read" in problem(adapter).found
    tensors = load(weights)
    del tensors[min(tensors)]
    save_file(tensors, adapter / "adapter_model.safetensors")
    assert "weights without" in problem(adapter).found  # an adapter that is not there would be no adapter
    folder.rename(tmp_path / "moved")
    assert "base_model_name_or_path" in problem(adapter).where
    (adapter / "adapter_config.json").write_text("{")
    assert "not JSON" in problem(adapter).found


def test_bos_ids_are_what_the_tokenizer_puts_before_plain_text(tiny, real_data):
    assert [tiny(shape).bos_ids for shape in SHAPES] == [[], [], [], []]  # none of these post-processors adds one
    assert load_model(real_data / "stories260k", device="cpu").bos_ids == [1]


def test_the_tokenizer_never_cuts_or_pads_by_itself(tmp_path):
    folder = write_tiny_model(tmp_path / "m", "llama", positions=16)
    data = json.loads((folder / "tokenizer.json").read_text())
    data["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    data["padding"] = {"strategy": {"Fixed": 12}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                       "pad_type_id": 0, "pad_token": "<|end|>"}  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(data))
    renderer = load_model(folder).renderer
    assert len(renderer.encode("7" * 40)) == 40
    assert len(renderer.encode("7")) == 1

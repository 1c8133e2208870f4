"""What leaves for elsewhere is what was trained: merged, rounded, written whole, read back and measured."""

from __future__ import annotations

import json
import math
import resource
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from luthier.errors import ConfigError, ModelError
from luthier.models import export, parity
from luthier.models.adapters import add_adapter, save_model
from luthier.models.load import load_model, quiet_peft
from luthier.models.tokens import add_tokens
from luthier.recipes.export import main
from luthier.records import Example, Message

EXAMPLES = [Example.of([Message(role="user", content=f"where is order {n}? it costs twelve coins"),
                        Message(role="assistant", content="here")]) for n in range(40)]  # fmt: skip
KINDS = {
    "lora": {},
    "rank_stabilised": {"use_rslora": True},
    "dora": {"use_dora": True},
    "and_the_embeddings": {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
}
ELSEWHERE = """
import sys, json, torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, messages, out = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
tokenizer = AutoTokenizer.from_pretrained(folder)
ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=False)
logits = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()(input_ids=ids).logits.detach()
save_file({"ids": ids, "logits": logits}, out)
"""


@pytest.fixture
def adapter(load_tiny, tmp_path):
    """The folder of an adapter that changes what its base says, saved as training saves it."""

    def make(shape="llama", name="adapter", parity_rows=(), base=None, **options):
        model = load_tiny(shape) if base is None else load_model(base)
        config = LoraConfig(**{"r": 4, "lora_alpha": 8, "task_type": "CAUSAL_LM", "target_modules": "all-linear",
                               **options})  # fmt: skip
        generator = torch.Generator().manual_seed(0)
        with quiet_peft():
            network = get_peft_model(model.network, config)
        for part, parameter in network.named_parameters():
            if "lora_B" in part or "modules_to_save" in part:
                parameter.data += torch.randn(parameter.shape, generator=generator) * 0.1
        network.peft_config["default"].base_model_name_or_path = str(model.folder)
        folder = tmp_path / name
        save_model(type(model)(**{n: getattr(model, n) for n in model.__slots__} | {"network": network}), folder)
        if parity_rows:
            parity.write(folder, model.renderer, parity_rows)
        return folder

    return make


def run(model, to, **options):
    lines = []
    return main(model, to=to, say=lines.append, **options), "\n".join(lines)


def ids_of(model, text="the blue lamp costs twelve coins"):
    return torch.tensor([model.renderer.encode(text)])


@torch.no_grad()
def logits(network, ids):
    return network.eval()(input_ids=ids).logits


@pytest.mark.parametrize("kind", KINDS)
def test_a_merged_folder_says_what_the_adapter_said(adapter, tiny_folder, tmp_path, kind):
    """Merge drift: transformers alone, without peft, gives the adapter's logits."""
    folder = adapter(**KINDS[kind])
    model = load_model(folder)
    before = logits(model.network, ids_of(model))
    done, said = run(folder, tmp_path / "merged")
    after = logits(AutoModelForCausalLM.from_pretrained(tmp_path / "merged"), ids_of(model))
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    assert torch.allclose(after, before, atol=1e-4) and not torch.equal(
        before, logits(AutoModelForCausalLM.from_pretrained(tiny_folder("llama")), ids_of(model))
    )
    assert done.passed and done.dtype == "float32" and done.drifts["merged"].agreement >= 0.999
    assert done.drifts["merged"].positions >= 1000
    assert "merged in float32, the likeliest token agrees at" in said and "largest logit difference" in said
    assert "mean KL" in said


def test_merging_adds_the_product_of_the_adapters_matrices(adapter, tiny_folder, tmp_path):
    """W + alpha / rank * B A, worked out here in float64."""
    folder = adapter(lora_alpha=6, r=4)
    run(folder, tmp_path / "merged")
    base, parts = load_file(tiny_folder("llama") / "model.safetensors"), load_file(folder / "adapter_model.safetensors")
    name = "model.layers.1.mlp.down_proj"
    a, b = (parts[f"base_model.model.{name}.lora_{x}.weight"].double() for x in "AB")
    wanted = base[f"{name}.weight"].double() + 6 / 4 * b @ a
    found = load_file(tmp_path / "merged" / "model.safetensors")[f"{name}.weight"].double()
    assert torch.allclose(found, wanted, atol=1e-6, rtol=0) and (b @ a).abs().max() > 0.01


@pytest.mark.filterwarnings(
    "ignore:Model has `tie_word_embeddings=True`", "ignore:Model with `tie_word_embeddings=True`"
)
def test_a_head_that_was_tied_and_got_an_adapter_is_written_apart(adapter, tmp_path):
    folder = adapter(target_modules=["lm_head", "q_proj"])
    done, _ = run(folder, tmp_path / "merged")
    assert done.passed
    stored = load_file(tmp_path / "merged" / "model.safetensors")
    assert not torch.equal(stored["lm_head.weight"], stored["model.embed_tokens.weight"])


@pytest.mark.parametrize("name", ["merged", "merged.gguf"])
def test_tokens_that_were_added_before_tuning_are_exported_with_their_rows(load_tiny, tmp_path, name):
    model = add_adapter(add_tokens(load_tiny("llama"), ["<|call|>"]), rank=2, alpha=4.0, dropout=0.0,
                        targets="all-linear")  # fmt: skip
    for part, parameter in model.network.named_parameters():
        if "trainable_tokens_delta" in part or "lora_B" in part:
            parameter.data += 0.3
    save_model(model, tmp_path / "adapter")
    done, said = run(tmp_path / "adapter", tmp_path / name)
    assert done.passed, said
    if name == "merged":
        ids = ids_of(model, "call <|call|> it")
        network = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
        assert model.tokenizer.convert_tokens_to_ids("<|call|>") in ids[0].tolist()
        assert torch.allclose(logits(network, ids), logits(model.network, ids), atol=1e-4)


def test_a_merge_that_changes_the_model_fails_and_leaves_nothing(adapter, tmp_path, monkeypatch):
    """The measurement decides, so one weight changed on the way is noticed."""
    honest = export.merged

    def careless(model):
        done = honest(model)
        next(done.network.parameters()).data[7:60] *= -1
        return done

    monkeypatch.setattr(export, "merged", careless)
    done, said = run(adapter(), tmp_path / "merged")
    assert not done.passed and done.to_json()["passed"] is False
    assert [check.name for check in done.checks if not check.passed] == ["merging"]
    assert "FAILED | merging" in said and "nothing was left" in said
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_a_written_file_that_differs_from_the_network_fails(tiny_folder, tmp_path, monkeypatch):
    honest = export.write_folder

    def torn(model, folder, *, dtype):
        honest(model, folder, dtype=dtype)
        weights = load_file(folder / "model.safetensors")
        weights["model.layers.0.mlp.up_proj.weight"] *= 1.01
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    monkeypatch.setattr(export, "write_folder", torn)
    done, said = run(tiny_folder("llama"), tmp_path / "copy", dtype="bfloat16")
    assert [check.name for check in done.checks if not check.passed] == ["reloading"]
    assert "FAILED | reloading" in said and not (tmp_path / "copy").exists()


def test_drift_counts_agreement_and_measures_divergence():
    before = [torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 3.0]])]
    after = [torch.tensor([[2.0, 0.0], [1.5, 1.0]]), torch.tensor([[0.0, 3.0]])]
    found = export.drift(before, after)
    p, q = 1 / (1 + math.e), 1 / (1 + math.exp(-0.5))
    kl = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert (found.positions, found.agree, found.largest, found.scale) == (3, 2, 1.5, 3.0)
    assert found.mean_kl == pytest.approx(kl / 3)
    assert not found.is_same and export.drift(before, before).is_same


def test_the_positions_are_prompts_saved_with_the_model_then_text_of_its_vocabulary(adapter, tmp_path):
    folder = adapter(parity_rows=EXAMPLES)
    model = load_model(folder)
    probes = export.probes_of(model)
    saved = json.loads((folder / parity.FILE).read_text())["rows"]
    assert probes.rows[: len(saved)] == [row["token_ids"] for row in saved]
    assert probes.num_prompt_positions == sum(len(row["token_ids"]) for row in saved)
    assert probes.num_positions >= 1000 and probes == export.probes_of(model)
    assert probes.rows != export.probes_of(model, seed=1).rows
    _, said = run(folder, tmp_path / "merged")
    assert f"{probes.num_prompt_positions:,} of them in prompts" in said


def test_a_base_in_bfloat16_is_exported_in_it_and_the_rounding_is_stated(tiny_folder, adapter, tmp_path):
    base = tmp_path / "base"
    AutoModelForCausalLM.from_pretrained(tiny_folder("llama"), dtype=torch.bfloat16).save_pretrained(base)
    load_model(tiny_folder("llama")).tokenizer.save_pretrained(base)
    done, said = run(adapter(base=base), tmp_path / "merged")
    assert {t.dtype for t in load_file(tmp_path / "merged" / "model.safetensors").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["dtype"] == "bfloat16"
    assert done.passed and done.dtype == "bfloat16" and "rounded to bfloat16" in said
    assert done.drifts["merged"].largest < 1e-4 < done.drifts["rounded"].largest
    run(adapter(base=base), tmp_path / "float32", dtype="float32")
    assert {t.dtype for t in load_file(tmp_path / "float32" / "model.safetensors").values()} == {torch.float32}


def test_weights_that_float16_cannot_hold_are_an_error(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder("llama"), tmp_path / "large")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = 1e5
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"do not fit into float16[\s\S]*model\.norm\.weight[\s\S]*bfloat16"):
        run(folder, tmp_path / "half", dtype="float16")
    assert not (tmp_path / "half").exists()


def test_a_model_without_adapter_is_copied_bit_for_bit(tiny_folder, tmp_path, shape):
    done, _ = run(tiny_folder(shape), tmp_path / "copy")
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_folder(shape), tmp_path / "copy"))
    assert all(torch.equal(before[name], after[name]) for name in before) and before.keys() == after.keys()
    assert done.passed and done.drifts == {}


def test_a_fresh_process_with_transformers_alone_sees_the_ids_and_logits_of_training(adapter, tmp_path):
    """Exported template differs: loaded elsewhere, the ids compared."""
    folder = adapter("qwen3", parity_rows=EXAMPLES)
    model = load_model(folder)
    run(folder, tmp_path / "merged")
    messages, out = [{"role": "user", "content": "where is order 7?"}], tmp_path / "theirs.safetensors"
    arguments = [str(tmp_path / "merged"), json.dumps(messages), str(out)]
    subprocess.run([sys.executable, "-W", "ignore", "-c", ELSEWHERE, *arguments], check=True)
    theirs = load_file(out)
    ours = torch.tensor([model.renderer.prompt([Message(**messages[0])])])
    assert torch.equal(theirs["ids"], ours)
    assert torch.allclose(theirs["logits"], logits(model.network, ours), atol=1e-4)


def test_a_tokenizer_or_template_that_differs_is_named_with_its_place(tiny_folder, tmp_path):
    """The check can fail."""
    model = load_model(tiny_folder("llama"))
    folder = shutil.copytree(tiny_folder("llama"), tmp_path / "copy")
    probes = export.probes_of(model)
    assert export.check_tokens(folder, model, probes).passed
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").write_text(template.replace("<|assistant|>", "<|user|>"))
    found = export.check_tokens(folder, model, probes)
    assert not found.passed and "transformers sees [2], the model was trained on [3]" in found.found
    (folder / "chat_template.jinja").write_text(template)
    data = json.loads((folder / "tokenizer.json").read_text())
    data["pre_tokenizer"] = data["pre_tokenizer"]["pretokenizers"][1]
    data["model"]["merges"] = data["model"]["merges"][::-1]
    (folder / "tokenizer.json").write_text(json.dumps(data))
    assert not export.check_tokens(folder, model, probes).passed


def test_tokenizer_parity_licence_card_and_generation_config_go_along(adapter, tiny_folder, tmp_path):
    base = shutil.copytree(tiny_folder("llama"), tmp_path / "base")
    (base / "LICENSE").write_text("the licence")
    (base / "README.md").write_text("---\nlicense: mit\n---\nThe base.\n")
    (base / "generation_config.json").write_text(json.dumps({"eos_token_id": 0, "top_k": 7, "do_sample": True}))
    folder = adapter(base=base, parity_rows=EXAMPLES)
    run(folder, tmp_path / "merged")
    there = {path.name for path in (tmp_path / "merged").iterdir()}
    assert {"tokenizer.json", "chat_template.jinja", parity.FILE, "LICENSE", "README.md"} <= there
    assert (tmp_path / "merged" / "README.md").read_text().startswith("---\nlicense: mit\n---\nExported by Luthier")
    assert json.loads((tmp_path / "merged" / "generation_config.json").read_text())["top_k"] == 7
    assert parity.verify(load_model(tmp_path / "merged")) == parity.ROWS
    (folder / "README.md").write_text(
        '---\nlicense: mit\nlibrary_name: "peft"\n---\nThe tuned model.\n- An adapter: it works only on the base named above.\n'
    )
    run(folder, tmp_path / "again")
    card = (tmp_path / "again" / "README.md").read_text()
    assert card.startswith('---\nlicense: mit\nlibrary_name: "transformers"\n---\n\nExported by Luthier: the adapter merged')
    assert "The tuned model." in card and "An adapter: it works only" not in card


def test_a_model_that_would_not_see_its_training_prompts_is_not_exported(adapter, tmp_path):
    """The fault is there before the export."""
    folder = adapter(parity_rows=EXAMPLES)
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").write_text(template.replace("<|assistant|>", "<|user|>"))
    with pytest.raises(ModelError, match="would not see the prompts that it was trained on"):
        run(folder, tmp_path / "merged")


def test_an_adapter_alone_reloads_through_peft_on_its_base(adapter, tiny_folder, tmp_path):
    folder = adapter(parity_rows=EXAMPLES)
    model = load_model(folder)
    done, said = run(folder, tmp_path / "alone", adapter_only=True)
    base = AutoModelForCausalLM.from_pretrained(tiny_folder("llama"))
    with quiet_peft():
        again = PeftModel.from_pretrained(base, tmp_path / "alone")
    assert torch.equal(logits(again, ids_of(model)), logits(model.network, ids_of(model)))
    assert not (tmp_path / "alone" / "model.safetensors").exists() and (tmp_path / "alone" / parity.FILE).is_file()
    assert done.kind == "adapter" and done.passed and "peft, on its base" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adapter_only": True, "name": "x.gguf"}, r"a GGUF file for an adapter alone"),
        ({"adapter_only": True, "dtype": "bfloat16"}, r"'bfloat16' with --adapter-only"),
        ({"dtype": "int4"}, r"--dtype: found 'int4', expected one of float32, bfloat16, float16"),
    ],
)
def test_options_that_contradict_each_other_are_an_error(adapter, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        run(adapter(), tmp_path / options.pop("name", "out"), **options)


def test_adapter_only_of_a_model_without_adapter_is_an_error(tiny_folder, tmp_path):
    with pytest.raises(ConfigError, match="which is no adapter"):
        run(tiny_folder("llama"), tmp_path / "out", adapter_only=True)


def test_nothing_is_overwritten_and_an_empty_folder_is_nothing(tiny_folder, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "kept.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"would overwrite something[\s\S]*give another --to, or remove it first"):
        run(tiny_folder("llama"), tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["kept.txt"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.partial").mkdir()
    (tmp_path / "empty.partial" / "of a killed export").touch()
    assert run(tiny_folder("llama"), tmp_path / "empty")[0].passed
    assert "of a killed export" not in {path.name for path in (tmp_path / "empty").iterdir()}


def test_a_disk_without_room_is_an_error_before_anything_is_written(tiny_folder, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    with pytest.raises(ModelError, match=r"found 0 MB free, expected room for about 0\.\d MB[\s\S]*another disk"):
        run(tiny_folder("llama"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out", "out.gguf"])
def test_a_write_that_fails_half_way_leaves_nothing(tiny_folder, tmp_path, name):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(ModelError, match=r"could not be written, and nothing of it was left") as error:
            run(tiny_folder("llama"), tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "a write that failed (" in error.value.problems[0].found
    assert list(tmp_path.iterdir()) == []

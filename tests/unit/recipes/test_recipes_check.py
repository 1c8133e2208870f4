"""`luthier check`: what each method is shown, what fails and how, and whether the training will fit."""

from __future__ import annotations

import json
import mmap
from pathlib import Path

import pytest

from fakes import TINY_TEXT, write_tiny_model
from luthier.errors import ModelError
from luthier.models.load import load_model
from luthier.recipes import check, fit, proving, stages
from luthier.recipes.pretrain import PretrainRecipe
from luthier.recipes.tune import TuneRecipe
from luthier.records import Example, Message, Preference
from luthier.runs import Run
from luthier.train.config import ModelConfig, TrainConfig
from luthier.train.engine import peak_memory_gib
from luthier.train.fit import Prediction
from luthier.train.training import Trained

ROOMY = fit.Machine(memory_gib=64.0, disk_free_gib=100.0)
ANIMALS = ("fox", "frog", "crow", "swan", "canary", "whale")
PREDICTION = Prediction(
    num_steps=4, tokens=400, tokens_per_s=2140.0, seconds={"start": 6.0, "steps": 54.0}, peak_memory_gib=3.0,
    disk_gib=0.5,
)  # fmt: skip


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = [{"prompt": f"What is a {a}? {n}", "completion": f"it is a {a} " * n} for n in (1, 4) for a in ANIMALS]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.jsonl"
    lines = [{"prompt": f"Which is the {a}?", "chosen": f"this one is the {a}", "rejected": "no"} for a in ANIMALS]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def tune_recipe(tmp_path, base, *files, **tables):
    data = {"model": {"base": str(base)}, "data": {"files": [str(path) for path in files]},
            "run": {"dir": str(tmp_path / "run")}}  # fmt: skip
    tables = {"train": {"max_steps": 3, "max_length": 120}, **tables}
    return TuneRecipe.model_validate_json(json.dumps({**data, **tables}))


@pytest.fixture
def scripted(monkeypatch):
    """The probe answers at once, and notes what it was asked."""
    asked = []

    def predict(config, model, folders, *, run_folder, limits):
        asked.append((config, model, [sorted(path.name for path in folder.iterdir()) for folder in folders]))
        return fit.Tried([PREDICTION] * len(folders))

    monkeypatch.setattr(fit, "predict", predict)
    return asked


def checked(recipe, *, limits=ROOMY):
    said = []
    proofs = check.main(recipe, say=said.append, limits=limits)
    return proofs, said


def failing(proofs):
    return [proof.name for proof in proofs if not proof.passed]


def test_supervised_rows_are_proven_as_the_run_passes_them(rows, tmp_path, tiny_folder, shape, scripted):
    proofs, said = checked(tune_recipe(tmp_path, tiny_folder(shape), rows))
    assert failing(proofs) == []
    assert len(proofs) == 14 and all(proof.number for proof in proofs)
    text = "\n".join(check.lines(proofs))
    assert "packed rows, fused head, float32" in text
    assert f"kept {len(ANIMALS) * 2}" in text and f"the sum is the {len(ANIMALS) * 2} rows" in text
    assert "transformers' own prompt: 12 of 12" in text
    assert (
        "fit | about 60 s (measured 2,140 tokens/s), peak memory 3.0 GiB of 64.0 GiB, disk 512 MiB of 100.0 GiB" in said
    )


def test_a_second_stage_on_preferences_is_proven_too_each_by_its_name(rows, pairs, tmp_path, tiny_folder, scripted):
    prefer = {"method": "dpo", "max_steps": 2, "max_length": 120}
    proofs, said = checked(tune_recipe(tmp_path, tiny_folder("llama"), rows, pairs, prefer=prefer))
    assert failing(proofs) == []
    assert {p.name.partition(": ")[0] for p in proofs if ": " in p.name} == {"train", "prefer"}
    assert sum(p.name.startswith("prefer: ") for p in proofs) == 13
    assert [line for line in said if line.startswith("fit | prefer | about 60 s")]
    assert [config.method for config, _, _ in scripted] == ["sft", "dpo"]


def test_grpo_leaves_out_what_its_draws_decide_and_says_so(rows, tmp_path, tiny_folder, scripted):
    train = {"method": "grpo", "max_steps": 2, "grpo": {"grader": "exact", "max_new_tokens": 8}}
    proofs, said = checked(tune_recipe(tmp_path, tiny_folder("gemma3"), rows, train=train))
    assert failing(proofs) == []
    names = " ".join(proof.name for proof in proofs)
    assert "every prompt leaves room" in names and "stops generation" not in names
    assert [line for line in said if line.startswith("check | left out: trained tokens, stop tokens")]


def test_grpo_without_room_for_its_answers_fails(rows, tmp_path, tiny_folder, scripted):
    train = {"method": "grpo", "max_steps": 2, "grpo": {"grader": "exact", "max_new_tokens": 250}}
    proofs, _ = checked(tune_recipe(tmp_path, tiny_folder("llama"), rows, train=train))
    assert failing(proofs) == ["every prompt leaves room for its answers"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join([*TINY_TEXT, "the blue lamp " * 60]))
    return path


def test_plain_text_trains_every_token_once_and_needs_no_template(text, tmp_path, tiny_folder, scripted):
    train = {"method": "pretrain", "max_steps": 2, "max_length": 40}
    proofs, said = checked(tune_recipe(tmp_path, tiny_folder("gpt2"), text, train=train))
    assert failing(proofs) == []
    assert "every token of the text after the first of its document trains exactly once" in [p.name for p in proofs]
    assert [line for line in said if "plain text passes no chat template" in line]
    assert scripted[0][2] == [["documents.jsonl"]]


def test_a_pretrain_recipe_is_checked_on_the_network_that_it_builds(text, tmp_path, scripted):
    recipe = PretrainRecipe.model_validate_json(json.dumps({
        "recipe": "pretrain", "data": {"files": [str(text)], "dev_share": 0.2},
        "build": {"vocabulary": 300, "hidden": 32, "feed_forward": 64, "layers": 1, "heads": 2, "kv_heads": 2, "positions": 64},
        "train": {"method": "pretrain", "max_steps": 2, "max_length": 40}, "run": {"dir": str(tmp_path / "run")},
    }))  # fmt: skip
    proofs, _ = checked(recipe)
    assert failing(proofs) == []
    assert scripted[0][2] == [["dev_documents.jsonl", "documents.jsonl"]]


def test_a_document_that_is_trained_and_held_out_is_counted():
    proof = proving.no_shared_documents(["a b", "c"], ["a  b\n", "d"])
    assert not proof.passed and proof.number.startswith("1 of 2")


def test_text_of_which_a_token_is_lost_or_trains_twice_is_found(tiny_model):
    from luthier.train.batch import text_rows

    rows = text_rows(TINY_TEXT, tiny_model.renderer.encode, eos_id=0, bos_ids=tiny_model.bos_ids, max_length=16).rows
    assert proving.text_trains_once(tiny_model, TINY_TEXT, rows).passed
    assert not proving.text_trains_once(tiny_model, TINY_TEXT, rows[1:]).passed
    assert not proving.text_trains_once(tiny_model, TINY_TEXT, [*rows, rows[0]]).passed


def test_an_account_that_does_not_sum_to_its_rows_fails():
    assert proving.cuts_are_counted({"kept": 9, "dropped": 1}, rows=10).passed
    assert not proving.cuts_are_counted({"kept": 8, "dropped": 1}, rows=10).passed
    assert not proving.cuts_are_counted({"kept": 8, "dropped": 2}, rows=10).passed
    assert not proving.cuts_are_counted({"kept": 9, "answer cut": 1}, rows=10).passed


BAD = {
    "{{ bos_token }}{{ bos_token }}": "every row and every prompt begins with",
    "{% if not add_generation_prompt %}!{% endif %}": "cannot be used",
}


@pytest.mark.parametrize("head", BAD)
def test_a_template_with_a_fault_is_found(head, rows, tmp_path, tiny_folder, scripted):
    """A doubled BOS, and a prompt that is served otherwise than it was trained."""
    path = tmp_path / "bad.jinja"
    path.write_text(head + (tiny_folder("gemma3") / "chat_template.jinja").read_text().replace("{{- bos_token -}}", ""))
    recipe = tune_recipe(tmp_path, tiny_folder("gemma3"), rows,
                         model={"base": str(tiny_folder("gemma3")), "chat_template": str(path)})  # fmt: skip
    try:
        found = failing(checked(recipe)[0])
    except ModelError as error:
        found = [error.text()]
    assert any(BAD[head] in words for words in found), found


def test_a_network_whose_rows_meet_fails_and_says_what_to_do(rows, tmp_path, tiny_folder, scripted, monkeypatch):
    """Every proof about rows together sees it; the fault is put in after the way was settled."""
    from luthier.train import training

    real = training.way_through

    def way_through(network, *rest):
        how = real(network, *rest)
        layer = network.get_input_embeddings()
        layer.register_forward_hook(lambda _, inputs, output: output + 0.1 * output.mean((0, 1), keepdim=True))
        return how

    monkeypatch.setattr(training, "way_through", way_through)
    proofs, _ = checked(tune_recipe(tmp_path, tiny_folder("llama"), rows))
    assert len(failing(proofs)) == 5
    assert 'Fix: set train.packing = "padded"' in "\n".join(check.lines(proofs))


def test_too_little_memory_or_disk_fails_and_names_the_options_that_help(rows, tmp_path, tiny_folder, scripted):
    recipe = tune_recipe(tmp_path, tiny_folder("llama"), rows)
    proofs, _ = checked(recipe, limits=fit.Machine(memory_gib=2.9, disk_free_gib=0.25))
    assert failing(proofs) == ["the training fits into memory", "checkpoints and model fit onto the disk"]
    text = "\n".join(check.lines(proofs))
    assert "peak 3.0 GiB of 2.9 GiB" in text and "512 MiB of 256 MiB free" in text
    for option in ("micro_batch_tokens", "checkpoint_activations", "adapter", "keep_checkpoints"):
        assert option in text


def test_what_several_processes_share_is_not_held_against_one(rows, tmp_path, tiny_folder, monkeypatch):
    from dataclasses import replace

    shared = replace(PREDICTION, num_processes=2, notes=("2 processes will share the run; one alone was measured",))
    monkeypatch.setattr(fit, "predict", lambda *given, **named: fit.Tried([shared, shared]))
    proofs, said = checked(
        tune_recipe(tmp_path, tiny_folder("llama"), rows), limits=fit.Machine(memory_gib=1.0, disk_free_gib=9.0)
    )
    assert failing(proofs) == [] and "fit | 2 processes will share the run; one alone was measured" in said
    assert not (tmp_path / "run" / fit.FILE).exists(), "nothing to compare that run with"


def test_a_probe_that_the_system_ends_is_a_failed_proof_about_memory(rows, tmp_path, tiny_folder, monkeypatch):
    import subprocess

    monkeypatch.setattr(subprocess, "run", lambda *given, **named: subprocess.CompletedProcess(given, -9, "", ""))
    proofs, said = checked(tune_recipe(tmp_path, tiny_folder("llama"), rows))
    assert failing(proofs) == ["the training can be tried"]
    assert any("left out" in line for line in said) and not (tmp_path / "run").exists()
    assert "lower train.micro_batch_tokens" in "\n".join(check.lines(proofs))


def test_the_machine_has_what_its_control_group_allows(tmp_path):
    here = fit.Machine.here(tmp_path / "not" / "there" / "yet")
    assert 0.1 < here.memory_gib < 1e5 and here.disk_free_gib > 0


def test_the_probe_measures_its_own_process_and_leaves_only_its_numbers(rows, tmp_path, tiny_folder):
    """A new process begins with the peak that its parent had, by the usual counter: this parent holds a large block."""
    block = mmap.mmap(-1, 600 * 2**20)  # given back at once when it is closed
    block.write(b"x" * len(block))
    recipe = tune_recipe(tmp_path, tiny_folder("llama"), rows)
    proofs, _ = checked(recipe)
    assert failing(proofs) == []
    found = [Prediction.from_json(row) for row in json.loads((tmp_path / "run" / fit.FILE).read_text()).values()]
    assert len(found) == 2, "as `luthier run` curates the rows, and as `luthier train` takes them"
    assert all(
        0.1 < prediction.peak_memory_gib < peak_memory_gib(load_model(tiny_folder("llama")).device) - 0.4
        for prediction in found
    )
    assert [path.name for path in (tmp_path / "run").rglob("*")] == [fit.FILE]
    assert [prediction.num_steps for prediction in found] == [3, 3]
    block.close()


def material_of(folder, config):
    return stages.curated_material(folder, config).inputs


def test_a_prediction_is_found_by_everything_that_it_depends_on(tmp_path, tiny_folder):
    config, model = TrainConfig(max_steps=3), ModelConfig(base=str(tiny_folder("llama")))
    rows = tmp_path / "rows"
    rows.mkdir()
    (rows / "train.jsonl").write_text("one\n")
    inputs = {"train": rows / "train.jsonl"}
    key = fit.key_of(config, model, inputs)
    fit.keep(tmp_path, {key: PREDICTION})
    assert fit.kept(tmp_path, key) == PREDICTION
    write_tiny_model(tmp_path / "other", "llama", seed=3)
    others = [
        (config.model_copy(update={"micro_batch_tokens": 99}), model, inputs),
        (config, model.model_copy(update={"dtype": "bfloat16"}), inputs),
        (config, ModelConfig(base=str(tmp_path / "other")), inputs),
    ]
    keys = {fit.key_of(*other) for other in others}
    (rows / "train.jsonl").write_text("two\n")
    keys.add(fit.key_of(config, model, inputs))
    assert len(keys) == 4 and key not in keys
    assert all(fit.kept(tmp_path, other) is None for other in keys)
    (rows / "train.jsonl").write_text("one\n")
    assert fit.key_of(config.model_copy(update={"processes": 2}), model, inputs) == key
    (tmp_path / fit.FILE).write_text("{ torn")
    assert fit.kept(tmp_path, key) is None


def trained(**changes):
    facts = {"model": Path("m"), "digest": "d", "num_steps": 4, "best_step": None, "first_loss": 2.0, "last_loss": 1.0,
             "rows": {}, "seconds": 1.0, "peak_memory_gib": 3.09}  # fmt: skip
    return Trained(**{**facts, **changes})


@pytest.fixture
def run_of(tmp_path, tiny_folder, monkeypatch):
    """A run whose training was foretold; the clock says 63 s between the start and the end of its stage."""
    ticks = iter([100.0, 163.0])
    monkeypatch.setattr(fit.time, "perf_counter", lambda: next(ticks))
    said = []
    run = Run.open(tmp_path / "run", {}, echo=said.append)
    (tmp_path / "rows.jsonl").write_text("rows\n")
    given = (TrainConfig(max_steps=4), ModelConfig(base=str(tiny_folder("llama"))), {"train": tmp_path / "rows.jsonl"})
    fit.keep(run.folder, {fit.key_of(*given): PREDICTION})
    stage = run.stage("train", owner="luthier.errors", inputs={}, options={})
    return run, given, stage, said


def test_a_run_says_how_far_off_its_prediction_was(run_of):
    run, given, stage, said = run_of
    facts = fit.watch(run, *given, stage=stage)(trained())["fit"]
    assert said == ["fit | predicted 60 s and 3.0 GiB; took 63 s (+5 %) and 3.1 GiB (+3 %)"]
    assert facts == {"predicted_seconds": 60.0, "seconds": 63.0, "time_error": 0.05, "predicted_memory_gib": 3.0,
                     "memory_gib": 3.09, "memory_error": 0.03}  # fmt: skip


def test_a_run_that_was_continued_or_stopped_early_is_not_compared(run_of):
    run, given, stage, said = run_of
    assert fit.watch(run, *given, stage=stage)(trained(num_steps=3)) == {}
    assert said.pop() == "fit | predicted 60 s and 3.0 GiB; not compared with this run: it stopped after 3 of 4 steps"
    state = stage.folder / "checkpoints" / "step-00000002" / "state.json"
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"key": stage.key}))
    assert fit.is_resumed(stage.folder, stage.key) and not fit.is_resumed(stage.folder, "another")


def test_a_run_that_nobody_foretold_says_nothing(run_of):
    run, (config, model, inputs), stage, said = run_of
    other = config.model_copy(update={"seed": 9})
    assert fit.watch(run, other, model, inputs, stage=stage)(trained()) == {} and said == []


def conversation(*texts):
    return [Message(role="user" if n % 2 == 0 else "assistant", content=text) for n, text in enumerate(texts)]


def test_a_stop_token_that_one_of_several_turns_lacks_is_found(tiny, shape):
    """Every trained turn is looked at, not the last one of its row alone."""
    model = tiny(shape)
    found = proving.shown(model, [Example.of(conversation("hi", "a b c", "and", "d e f"))], [], "sft")
    assert proving._stop_is_learned(model, found).passed
    row = found[0].rows[0]
    first = next(t for t, id_ in enumerate(row.token_ids) if row.weights[t] > 0 and id_ in model.renderer.stop_ids)
    weights = tuple(0.0 if t == first else w for t, w in enumerate(row.weights))
    broken = found[0]._replace(rows=[type(row)(row.token_ids, weights), *found[0].rows[1:]])
    assert not proving._stop_is_learned(model, [broken]).passed


def test_both_answers_of_a_pair_are_shown_and_only_they_train(tiny, shape):
    model = tiny(shape)
    pair = Preference.of(conversation("which?"), chosen="this one", rejected="no")
    found = proving.shown(model, [], [pair], "dpo")
    assert [conversation.answers for conversation in found] == [["this one"], ["no"]]
    assert [proof.name for proof in proving.of_the_template(model, found, has_rows=True) if not proof.passed] == []
    swapped = [found[0]._replace(rows=found[1].rows)]
    assert not proving._weights_are_the_answers(model, swapped).passed

"""`luthier run` from messy rows to a verdict, with a tiny model: what is written, what is reused, what is done again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from luthier import cli

COLOURS = {"fox": "red", "frog": "green", "crow": "black", "swan": "white", "canary": "yellow", "whale": "grey"}
ASKED = ("What colour is a {}?", "Tell me the colour of a {}.", "A {} has which colour?", "Colour of {}")


def write_rows(path: Path) -> Path:
    """Rows in two shapes, one of them twice and one broken, so that every end of the ledger is used."""
    rows = []
    for n, form in enumerate(ASKED):
        for animal, colour in COLOURS.items():
            question = form.format(animal)
            rows.append(
                {"instruction": question, "input": "", "output": colour}
                if n % 2
                else {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": colour}]}
            )
    lines = [json.dumps(row) for row in [*rows, rows[0]]] + ['{"instruction": "broken", "output": ']
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_preferences(path: Path) -> Path:
    rows = [{"prompt": f"What is the colour of {a}?", "chosen": c, "rejected": "no idea"} for a, c in COLOURS.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def recipe(tmp_path: Path, tiny_model_folder: Path) -> Path:
    """A recipe over its own copy of the tiny model, with a preference round."""
    shutil.copytree(tiny_model_folder, tmp_path / "base")
    files = [str(write_rows(tmp_path / "rows.jsonl")), str(write_preferences(tmp_path / "pairs.jsonl"))]
    path = tmp_path / "recipe.toml"
    path.write_text(
        f"""
[model]
base = {json.dumps(str(tmp_path / "base"))}
[data]
files = {json.dumps(files)}
[curate]
held_out_share = 0.3
[train]
max_steps = 12
batch_rows = 8
save_every = 4
optim.lr = 3e-3
[prefer]
method = "dpo"
max_steps = 2
batch_rows = 3
optim.lr = 1e-4
[evaluate]
max_new_tokens = 8
shots = 2
[run]
dir = {json.dumps(str(tmp_path / "run"))}
""",
        encoding="utf-8",
    )
    return path


def luthier(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """What the command exits with."""
    monkeypatch.setattr(sys, "argv", ["luthier", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_recipe_goes_from_messy_rows_to_a_verdict_and_a_report(recipe, tmp_path, monkeypatch, capsys) -> None:
    assert luthier(monkeypatch, "run", str(recipe)) in (0, 1, 3)
    run = tmp_path / "run"
    ledger = json.loads((run / "curate" / "ledger.json").read_text())
    ends = [ledger["kept"], *ledger["merged"].values(), *ledger["dropped"].values(), *ledger["quarantined"].values()]
    assert ledger["read"] == sum(ends) == 32
    assert (sum(ledger["merged"].values()), sum(ledger["quarantined"].values())) == (1, 1)
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [e["step"] for e in events if e["kind"] == "train"] == list(range(1, 13))
    assert [e["step"] for e in events if e["kind"] == "prefer"] == [1, 2]
    losses = [e["train/loss"] for e in events if e["kind"] == "train"]
    assert losses[-1] < losses[0]
    keys = {"step", "train/loss", "train/tokens", "train/trained_tokens", "train/tokens_per_s", "train/memory_gib", "train/lr",
            "train/grad_norm"}  # fmt: skip
    assert keys <= events[0].keys()
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Answers side by side" in page and "http://" not in page.replace("http://www.w3.org", "")
    gate = json.loads((run / "gate.json").read_text())
    assert gate["answer"] in ("ship", "hold", "not enough evidence")
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["finished"] and str(tmp_path / "rows.jsonl") in manifest["inputs"]
    said = capsys.readouterr().out
    assert "gate | verdict" in said and "report.html" in said


def test_a_second_run_reuses_every_stage_without_loading_torch(recipe, tmp_path, monkeypatch) -> None:
    luthier(monkeypatch, "run", str(recipe))
    before = (tmp_path / "run" / "model" / "model.safetensors").read_bytes()
    code = (
        "import sys; sys.argv = ['luthier', 'run', sys.argv[1]]\n"
        "from luthier.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('TORCH', 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(recipe)], capture_output=True, text=True, check=True)
    for stage in ("curate", "train", "prefer", "evaluate-base", "evaluate-tuned", "evaluate-preferred"):
        assert f"{stage} | reused" in done.stdout, done.stdout
    assert "TORCH False" in done.stdout
    assert (tmp_path / "run" / "model" / "model.safetensors").read_bytes() == before


def test_another_chat_template_redoes_what_depends_on_it_and_nothing_else(recipe, monkeypatch, capsys) -> None:
    luthier(monkeypatch, "run", str(recipe))
    template = recipe.parent / "base" / "chat_template.jinja"
    template.write_text("Be brief. " + template.read_text(encoding="utf-8"), encoding="utf-8")
    capsys.readouterr()
    luthier(monkeypatch, "run", str(recipe))
    said = capsys.readouterr().out
    assert "curate | reused" in said
    for stage in ("train", "prefer", "evaluate-base", "evaluate-tuned"):
        assert f"{stage} | done again" in said, said
    assert "inputs.base" in said


def test_an_option_of_the_evaluation_leaves_the_training_as_it_was(recipe, monkeypatch, capsys) -> None:
    luthier(monkeypatch, "run", str(recipe))
    capsys.readouterr()
    luthier(monkeypatch, "run", str(recipe), "evaluate.max_new_tokens=6")
    said = capsys.readouterr().out
    assert "train | reused" in said and "evaluate-tuned | done again, since this changed: options.evaluate" in said


def test_check_proves_the_recipe_and_the_run_says_how_far_off_its_prediction_was(
    recipe, tmp_path, monkeypatch, capsys
) -> None:
    assert luthier(monkeypatch, "check", str(recipe), "--json") == 0
    proofs = json.loads(capsys.readouterr().out)
    assert len(proofs) == 27 and all(proof["passed"] and proof["number"] for proof in proofs)
    assert luthier(monkeypatch, "train", str(recipe)) == 0
    assert "fit | predicted " in (said := capsys.readouterr().out) and "; took " in said
    facts = json.loads((tmp_path / "run" / "train" / "stage.json").read_text())["fit"]
    assert facts["predicted_seconds"] > 0 and facts["memory_gib"] > 0


def test_check_fails_with_status_1_when_a_proof_fails(recipe, monkeypatch, capsys) -> None:
    status = luthier(monkeypatch, "check", str(recipe), "train.max_length=23", "train.overlong=cut_answer")
    assert status == 1
    assert "FAIL  train: no answer loses its end" in capsys.readouterr().out


def test_candidates_are_measured_and_the_winner_is_tuned(recipe, tmp_path, tiny_folder, monkeypatch, capsys) -> None:
    candidates = json.dumps([str(tmp_path / "base"), str(tiny_folder("gpt2")), str(tmp_path / "nowhere")])
    with recipe.open("a", encoding="utf-8") as file:
        file.write(f"[select]\ncandidates = {candidates}\nmax_new_tokens = 4\n")
    assert luthier(monkeypatch, "select", str(recipe), "--json") == 0
    table = json.loads(capsys.readouterr().out)
    assert [bool(row["error"]) for row in table["candidates"]] == [False, False, True]
    assert table["winner"] == table["candidates"][0]["candidate"] and table["sentence"]
    assert all(row["tokens_per_s"] and row["licence"] is None for row in table["candidates"][:2])
    assert [table["training"][row["candidate"]]["num_steps"] for row in table["candidates"][:2]] == [12, 12]


def test_train_alone_keeps_every_usable_row(recipe, tmp_path, monkeypatch) -> None:
    assert luthier(monkeypatch, "train", str(recipe), "train.max_steps=2") == 0
    rows = (tmp_path / "run" / "rows" / "train.jsonl").read_text().splitlines()
    assert len(rows) == 25, "the duplicate stays: train checks rows and changes none"
    assert len((tmp_path / "run" / "rows" / "quarantine.jsonl").read_text().splitlines()) == 1
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()


def test_evaluate_and_compare_two_models_on_one_file(recipe, tmp_path, monkeypatch, capsys) -> None:
    luthier(monkeypatch, "train", str(recipe))
    items = tmp_path / "items.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": f"Colour of {a}"}], "targets": [c], "choices": [c, "blue"], "task": "t"}
        for a, c in COLOURS.items()
    ]
    items.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for name in ("base", "run"):
        out = str(tmp_path / f"evaluated-{name}")
        assert luthier(monkeypatch, "evaluate", "--model", str(tmp_path / name), "--data", str(items), "--out", out,
                       "evaluate.max_new_tokens=6") == 0  # fmt: skip
        assert (Path(out) / "report.html").is_file()
    capsys.readouterr()
    assert luthier(monkeypatch, "compare", str(tmp_path / "evaluated-base"), str(tmp_path / "evaluated-run"),
                   "--json") == 0  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert found["items"]["common"] == 6 and {"auto", "rank"} <= found["kpis"].keys()


def test_new_writes_a_recipe_that_loads_and_overwrites_none(tmp_path, tiny_model_folder, monkeypatch, capsys) -> None:
    rows = write_rows(tmp_path / "rows.jsonl")
    out = tmp_path / "mine.toml"
    arguments = ("new", "--data", str(rows), "--model", str(tiny_model_folder), "--out", str(out))
    assert luthier(monkeypatch, *arguments) == 0
    assert "messages" in capsys.readouterr().out
    assert luthier(monkeypatch, "show", f"{rows}:2", "--model", str(tiny_model_folder)) == 0
    assert "[green<|end|>]" in capsys.readouterr().out.replace("][", "")
    assert luthier(monkeypatch, *arguments) == 2


def test_a_suite_that_holds_a_prompt_of_the_preferences_is_refused(recipe, tmp_path, monkeypatch, capsys) -> None:
    suite = tmp_path / "suite.jsonl"
    suite.write_text(json.dumps({"prompt": "What is the colour of fox?", "completion": "red"}) + "\n")
    assert luthier(monkeypatch, "run", str(recipe), f'evaluate.suites=["{suite}"]') == 2
    assert "suite.jsonl:1" in (error := capsys.readouterr().err) and "are trained on" in error


@pytest.mark.parametrize("gate", ['gate.kpi="fluency"', 'gate.guardrails=[{kpi="auto", suite="elsewhere"}]'])
def test_a_gate_that_cannot_be_applied_is_refused_before_anything_runs(gate, recipe, tmp_path, monkeypatch, capsys):
    assert luthier(monkeypatch, "run", str(recipe), gate) == 2
    assert "the gate cannot be applied" in capsys.readouterr().err
    assert not (tmp_path / "run" / "curate").exists()


def test_a_run_that_would_start_from_its_own_model_is_refused(recipe, tmp_path, monkeypatch, capsys) -> None:
    assert luthier(monkeypatch, "train", str(recipe), "train.max_steps=1") == 0
    assert luthier(monkeypatch, "train", str(recipe), f'model.base="{tmp_path / "run"}"') == 2
    assert "cannot start from its own model" in capsys.readouterr().err

"""Run folders as the recipes leave them, written in milliseconds: the weights are a few bytes, the records are real."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fakes import ScriptedGenerate
from luthier.evaluate.comparison import compare
from luthier.evaluate.config import GateConfig
from luthier.evaluate.evaluation import Subject, evaluate
from luthier.evaluate.gate import decide
from luthier.evaluate.suite import Suite
from luthier.graders import named_graders
from luthier.models.folders import digest
from luthier.recipes.tune import TuneRecipe
from luthier.records import Example, Message, Sampling, write_records
from luthier.runs import Run, write_json

LEDGER = {
    "read": 6, "kept": 4, "merged": {"duplicate": 1}, "dropped": {}, "quarantined": {"cut | off": 1}, "made": 0,
    "files": {"rows.jsonl": {"alpaca": 6}}, "splits": {"train": 2, "dev": 1, "held_out": 1}, "preferences": 0,
    "certificate": {"prompts": {"train/held_out": 0}, "links": {}},
}  # fmt: skip


def question(number: int, **more: Any) -> Example:
    messages = [Message(role="user", content=f"How many is {number}?"), Message(role="assistant", content=str(number))]
    return Example.of(messages, source=f"data/rows.jsonl:{number + 1}", **more)


def write_model(folder: Path, weights: str, *, adapter_of: Path | None = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text(weights * 100)
    name = "config.json" if adapter_of is None else "adapter_config.json"
    write_json(folder / name, {} if adapter_of is None else {"base_model_name_or_path": str(adapter_of)})
    return folder


def recipe_of(folder: Path, base: Path, **tables: Any) -> TuneRecipe:
    data = {"model": {"base": str(base)}, "data": {"files": ["data/rows.jsonl"]}, "run": {"dir": str(folder)}}
    return TuneRecipe.model_validate_json(json.dumps({**data, "train": {"max_steps": 3, "optim": {"lr": 0.1}}, **tables}))


def write_run(
    folder: Path, base: Path, *, licence: str | None = "mit", language: str | None = None, is_adapter: bool = False,
    is_finished: bool = True, **tables: Any,
) -> Run:  # fmt: skip
    """What `luthier train` leaves: rows, metrics, a finished stage, RUN/model."""
    recipe = recipe_of(folder, base, **tables)
    run = Run.open(folder, recipe)
    rows = folder / "rows" / "train.jsonl"
    write_records(rows, [question(n, licence=licence, language=language) for n in range(4)])
    for step in (1, 2, 3):
        run.log({"step": step, "train/loss": 3.0 / step, "train/tokens": 50, "train/tokens_per_s": 10.0 * step,
                 "train/lr": 0.1, "train/grad_norm": 1.0}, kind="train", line=f"step {step:5d}/3 | loss")  # fmt: skip
    run.log({"step": 3, "train/dev_loss": 1.25}, kind="train_dev")
    stage = run.stage("train", owner="luthier.errors", inputs={"train": rows, "base": digest(base)},
                      options={"train": recipe.train.model_dump(mode="json"), "dtype": "float32"})  # fmt: skip
    checkpoint = stage.folder / "checkpoints" / "step-00000002"
    write_json(checkpoint / "state.json", {"step": 2, "key": stage.key})
    (checkpoint / "parameters.safetensors").write_text("c" * 1000)
    if not is_finished:
        return run
    model = write_model(stage.folder / "model", "tuned", adapter_of=base if is_adapter else None)
    write_json(stage.folder / "trained.json", {
        "method": "sft", "adapter": "lora" if is_adapter else "none", "digest": digest(model), "steps": 3,
        "loss_first": 3.0, "loss_last": 1.0, "rows": {"kept": 4, "prompt cut": 1}, "base": digest(base),
    })  # fmt: skip
    stage.finish([p for p in model.rglob("*") if p.is_file()] + [stage.folder / "trained.json"])
    (folder / "model").mkdir()
    for path in model.iterdir():
        os.link(path, folder / "model" / path.name)
    run.finish()
    return run


def add_evaluations(run: Run, *, items: int = 40, plain_text: bool = True) -> None:
    """What `luthier run` adds: curation's ledger, base and tuned model examined, the gate's verdict."""
    write_json(run.folder / "curate" / "ledger.json", LEDGER)
    trained = json.loads((run.folder / "train" / "trained.json").read_text())
    suite = Suite.of("held_out", [question(n) for n in range(100, 100 + items)])
    for name, share, model_id in (("base", 3, trained["base"]), ("tuned", 1, trained["digest"])):
        answers = ScriptedGenerate(
            lambda e, share=share: e.targets[0] if int(e.targets[0]) % share == 0 else "no", model_id=model_id
        )
        subject = Subject(model_id=model_id, model_name=name, generate=answers)
        out = run.folder / "evaluate" / name
        evaluate(suite, subject, graders=named_graders(["exact"], where="test"), sampling=Sampling(),
                 out=out / "held_out", say=lambda line: None)  # fmt: skip
        if plain_text:
            scale = 2.0 if name == "base" else 2.2
            write_json(out / "plain_text.json", {"nats": [scale * n for n in (3, 4, 5)], "tokens": [3, 4, 5]})
    compared = compare(*(run.folder / "evaluate" / name / "held_out" for name in ("base", "tuned")))
    write_json(run.folder / "gate.json", decide([compared], config=GateConfig(kpi="exact")).to_json())
    run.finish()

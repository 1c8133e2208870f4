"""What the recipe of a turn passes to the loop."""

from __future__ import annotations

import json

import pytest

from luthier.recipes import stages
from luthier.recipes.improve import turn
from luthier.recipes.tune import TuneRecipe
from luthier.records import Feedback, Message
from luthier.runs import Run
from luthier.traces import Store, Trace
from luthier.versions import Register

LONG = "Our office moves to the third floor in spring. Who will carry the plants, and who takes care of {}?"


@pytest.fixture
def recipe(tmp_path, tiny_model_folder):
    rows = [{"prompt": f"Which word is number {k}? {LONG.format(chr(97 + k))}", "completion": "a"} for k in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "model": {"base": str(tiny_model_folder)}, "data": {"files": [str(tmp_path / "rows.jsonl")]},
        "train": {"max_steps": 1}, "run": {"dir": str(tmp_path / "run")},
        "improve": {"store": f"sqlite:///{tmp_path}/traces.sqlite", "min_new": 1000},
    }  # fmt: skip
    return TuneRecipe.model_validate_json(json.dumps(recipe))


def served(store, number, prompt):
    store.add_trace(
        Trace(
            id=f"t{number}", created_at=f"2026-08-20T10:00:{number:02d}+00:00", model_id="m", model_name="m",
            messages=(Message(role="user", content=prompt),), answer="?", prompt_tokens=1, completion_tokens=1,
            latency_ms=1.0, finish_reason="stop", consent=True,
        )
    )  # fmt: skip
    store.add_feedback(Feedback(id=f"f{number}", trace_id=f"t{number}", kind="edit", text="The caretaker."))


def test_a_turn_looks_for_conversations_that_begin_nearly_alike(recipe):
    said: list[str] = []
    run = Run.open(recipe.run.dir, recipe, echo=said.append)
    stages.curated(run, recipe.data, recipe.curate)
    register = Register(run.folder / "versions")
    register.promote(register.add(model="m", digest="m").name)
    with Store.open(recipe.improve.store) as store:
        for number, prompt in enumerate([LONG.format("the cat"), LONG.format("the dog"), "How are you?"]):
            served(store, number, prompt)

    assert turn(recipe, run).outcome == "nothing new"

    shown = [line for line in said if line.startswith("near | ")]
    assert shown[0].startswith("near | 1 of 3 conversations begin nearly as an earlier one does")
    assert len(shown) == 1
    with Store.open(recipe.improve.store) as store:
        served(store, 3, LONG.format("the fish"))
        served(store, 4, LONG.format("the bird"))
    said.clear()
    turn(recipe, run)
    assert any("3 of 5" in line for line in said) and any(
        "move the text that all requests share" in line for line in said
    )

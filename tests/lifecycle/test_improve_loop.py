"""Served answers, a person's thumbs and edit in a real browser, a training pair, a new version, the gate's statistics."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fakes_serve import chromium_path, running
from luthier.models.load import load_model
from luthier.recipes import stages
from luthier.recipes.improve import turn
from luthier.recipes.tune import TuneRecipe
from luthier.recipes.versions import promote, rollback
from luthier.records import Example, Message, Preference, read_records, write_records
from luthier.runs import Run
from luthier.serve.local import engine_for
from luthier.traces import Store
from luthier.versions import Register

playwright = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect  # noqa: E402

WAIT_MS = 60_000


def recipe_for(tmp_path: Path, base: Path) -> TuneRecipe:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(
        json.dumps({"prompt": f"Which number comes after {n}?", "completion": str(n + 1)}) + "\n" for n in range(60)
    ))  # fmt: skip
    return TuneRecipe.model_validate_json(json.dumps({
        "model": {"base": str(base)}, "data": {"files": [str(rows)]}, "curate": {"held_out_share": 0.6},
        "train": {"max_steps": 4, "batch_rows": 8, "optim": {"lr": 1e-3}},
        "prefer": {"method": "dpo", "max_steps": 2, "batch_rows": 2, "optim": {"lr": 1e-5}},
        "evaluate": {"max_new_tokens": 4}, "run": {"dir": str(tmp_path / "run")},
        "improve": {"store": f"sqlite:///{tmp_path}/traces.sqlite", "holdout_share": 0.01},
    }))  # fmt: skip


def first_version(recipe: TuneRecipe, run: Run) -> Path:
    """The recipe's tuned model, promoted by hand: four steps of a tiny model would pass no gate."""
    from luthier.models.folders import digest

    rows = stages.curated(run, recipe.data, recipe.curate)
    material = stages.curated_material(rows, recipe.train)
    start = stages.start_of(recipe.model)
    model = stages.tuned(run, "train", recipe.train, start=start, model=recipe.model, material=material)
    kept = stages.kept_version(model, run.folder / "versions")
    register = Register(run.folder / "versions")
    register.promote(register.add(model=kept, digest=digest(kept)).name)
    return stages.stand(kept, run.folder)


def give_feedback_in_a_browser(url: str) -> None:
    """Two questions: a thumb up for the first answer, an edit of the second."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium_path(), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page()
        page.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        for question, edited in (("Please name a red animal.", ""), ("Please name a green animal.", "A frog.")):
            page.goto(url)  # a conversation of its own: two answers of a tiny model would not fit its context
            page.get_by_label("Your message").fill(question)
            page.keyboard.press("Enter")
            expect(page.get_by_role("button", name="Good answer")).to_be_visible()
            if not edited:
                page.get_by_role("button", name="Good answer").click()
                expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
                continue
            page.get_by_role("button", name="Edit").click()
            page.get_by_label("The answer as it should be").fill(edited)
            page.get_by_role("button", name="Save edit").click()
            expect(page.locator(".facts")).to_contain_text("edited")
        browser.close()


@pytest.mark.browser
def test_thumbs_and_an_edit_in_a_browser_become_a_training_pair_and_a_judged_version(tmp_path, tiny_model_folder) -> None:
    chromium_path()
    base = tmp_path / "base"
    shutil.copytree(tiny_model_folder, base)
    recipe = recipe_for(tmp_path, base)
    said: list[str] = []
    run = Run.open(recipe.run.dir, recipe, echo=said.append)
    model = load_model(first_version(recipe, run))
    with (
        Store.open(recipe.improve.store) as store,
        running({"tuned": engine_for(model, "tuned")}, store=store, max_new_tokens=16) as server,
    ):
        give_feedback_in_a_browser(server.url)
        store.flush()
        events = {event.kind: event for event in store.feedback()}
        assert events["thumb"].value == 1 and events["edit"].text == "A frog."
        edited = store.trace(events["edit"].trace_id)

    result = turn(recipe, run)

    folder = run.folder / "improve" / "turn-001"
    pairs = list(read_records(folder / "curated" / "preferences.jsonl", Preference))
    assert [(p.chosen, p.origin, p.source) for p in pairs] == [("A frog.", "edit", f"trace:{edited.id}")]
    taught = [e for name in ("train.jsonl", "dev.jsonl", "held_out.jsonl")
              for e in read_records(folder / "curated" / name, Example)]  # fmt: skip
    assert any(e.target == "A frog." for e in taught)
    assert result.outcome in ("promoted", "held") and result.version == "v2"
    check = result.gate["checks"][0]
    assert check["difference"]["n"] >= 30 and {"value", "low", "high"} <= check["difference"].keys()
    assert any(line.startswith("improve | ") and "alpha" in line for line in said)

    again = turn(recipe, run)
    assert again.outcome == "nothing new", "feedback teaches once"


def test_a_promoted_version_becomes_the_model_of_the_run_and_can_be_taken_back(tmp_path, tiny_folder) -> None:
    run = tmp_path / "run"
    register = Register(run / "versions")
    kept = [stages.kept_version(tiny_folder(shape), run / "versions") for shape in ("llama", "gpt2")]
    names = [register.add(model=path, digest=path.name).name for path in kept]
    for name in names:
        promote(run, name)
    assert load_model(run).digest == kept[1].name
    rollback(run)
    assert load_model(run).digest == kept[0].name


def test_the_same_question_is_on_the_same_side_after_a_turn(tmp_path) -> None:
    """A candidate whose prompt is held out joins the held-out side: what evaluates never trains."""
    from luthier.curate.config import CurateConfig
    from luthier.curate.pipeline import curate

    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"prompt": f"q {n}", "completion": f"a {n}"}) + "\n" for n in range(40)))
    config = CurateConfig(held_out_share=0.3)
    curate([rows], out=tmp_path / "first", config=config, say=lambda _: None)
    held = next(read_records(tmp_path / "first" / "held_out.jsonl", Example))
    better = Example.of([*held.prompt, Message(role="assistant", content="a better answer")], source="trace:1")
    write_records(tmp_path / "candidates.jsonl", [better])
    curate([rows, tmp_path / "candidates.jsonl"], out=tmp_path / "second", config=config, say=lambda _: None)
    trained = [e.prompt for e in read_records(tmp_path / "second" / "train.jsonl", Example)]
    assert held.prompt not in trained

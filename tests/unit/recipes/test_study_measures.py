"""What a model is asked, and what its file says: readings of the base, shots, baselines, promises."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from small_collection import recipe_data, small_recipe, write_collection

import luthier
from fakes import ScriptedGenerate, write_tiny_model
from luthier.config import validate
from luthier.errors import ConfigError
from luthier.models.protocols import plain_protocol
from luthier.recipes.studying.arms import Bench, do, pretraining
from luthier.recipes.studying.config import StudyEvaluateConfig, StudyRecipe
from luthier.recipes.studying.measures import BaseWays, base_ways, check_metrics, copied, short_shots, shots_for
from luthier.recipes.studying.plan import plan
from luthier.recipes.studying.promises import transfer_config
from luthier.recipes.studying.rows import Items, read_tasks
from luthier.records import Example, Message


def solved(prompt: str, answer: str, *, task: str, cluster: str) -> Example:
    return Example.of([Message(role="user", content=prompt), Message(role="assistant", content=answer)],
                      task=task, cluster=cluster, grading={"grader": "rouge_l"})  # fmt: skip


def bench_of(tmp_path, base, **study):
    collection = tmp_path / "collection"
    if not collection.is_dir():
        write_collection(collection)
    bench = Bench(small_recipe(tmp_path, collection, base, **study), tmp_path / "run")
    arms = plan(bench.collection, bench.recipe.study, bench.recipe.tasks, base=str(base))
    return bench, {arm.name: arm for arm in arms}


def test_shots_are_of_the_task_else_of_its_cluster_else_of_any(tmp_path, tiny_model_folder):
    config = bench_of(tmp_path, tiny_model_folder)[0].recipe.evaluate  # two shots
    known = [solved(f"{task} {n}", "a", task=task, cluster=cluster)
             for task, cluster in (("opposite", "words"), ("sum", "numbers")) for n in range(3)]  # fmt: skip
    choose = shots_for(known, config, 256)
    assert {e.task for e in choose(solved("x", "y", task="sum", cluster="numbers"))} == {"sum"}
    assert {e.task for e in choose(solved("x", "y", task="plural", cluster="words"))} == {"opposite"}
    assert len(choose(solved("x", "y", task="hint", cluster="tutoring"))) == 2
    assert known[0] not in choose(known[0])
    assert not shots_for([solved("long " * 100, "a", task="t", cluster="c")], config, 64)(known[0])


def test_shots_of_the_same_task_are_of_no_other_and_those_that_are_lacking_are_counted():
    config = StudyEvaluateConfig(shots=2)
    known = [solved(f"sum {n}", "a", task="sum", cluster="numbers") for n in range(2)]
    known += [solved("long " * 100, "a", task="tale", cluster="numbers"), solved("x", "y", task="hint", cluster="h")]
    choose = shots_for(known, config, 256, of="own")
    asked = [solved("new", "a", task=task, cluster="numbers") for task in ("sum", "hint", "tale", "other")]
    assert [[shot.task for shot in choose(item)] for item in asked] == [["sum"] * 2, ["hint"], [], []]
    assert choose(known[0]) == [known[1]], "never what is asked"
    assert [e.id for e in shots_for(known[:2], config, 256)(known[0])] == [known[1].id], "nor where nothing else is left"
    found = short_shots(Items([], [], asked), BaseWays({}, {}, {"few_shot_own": choose}), config)
    assert found["few_shot_own"]["clusters"] == {"items": 4, "fewer": 3, "none": 2}


def test_as_many_rows_of_a_task_are_drawn_as_there_are_shots(tmp_path, tiny_model_folder):
    bench, arms = bench_of(tmp_path, tiny_model_folder)
    evaluate = bench.recipe.evaluate.model_copy(update={"shots": 8})
    bench = Bench(bench.recipe.model_copy(update={"evaluate": evaluate}), bench.folder)
    assert do(arms["base.s1.h1"], bench, arms)["short_shots"]["few_shot_own"]["clusters"]["fewer"] == 0


def test_a_grader_that_rows_alone_name_counts(tmp_path, tiny_model_folder):
    path = write_collection(tmp_path / "collection") / "lists" / "second.jsonl"
    rows = [json.loads(line) | {"grading": {"grader": "rouge_l"}} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench, arms = bench_of(tmp_path, tiny_model_folder)
    found = do(arms["base.s1.h1"], bench, arms)
    assert "rouge_l" in found["graders"] and "copy" in found["readings"]


def test_copying_the_prompt_is_scored_without_a_model():
    half = solved("the red fox runs", "the red box", task="t", cluster="c")
    found = copied(Items([], [half], [solved("one two", "three", task="u", cluster="d")]))
    assert [row["generated"] for row in found["tasks"]] == [pytest.approx(4 / 7)]
    assert [row["generated"] for row in found["clusters"]] == [0.0] and found["phrasings"] == []


def test_the_base_is_read_in_four_ways_and_the_better_of_those_without_examples_counts(tmp_path, tiny_model_folder):
    bench, arms = bench_of(tmp_path, tiny_model_folder)
    found = do(arms["base.s1.h1"], bench, arms)
    assert list(found["readings"]) == ["chat", "plain", "few_shot", "few_shot_own"] and found["arm"]["clusters"] == 0
    assert set(found["forms"]) == {"plain", "few_shot", "few_shot_own"}
    assert found["graders"] == ["choice", "exact"], "of all rungs"
    assert found["short_shots"]["few_shot_own"]["clusters"] == {"items": 8, "fewer": 0, "none": 0}
    for rung, rows in found["items"].items():
        means = {name: sum(row["generated"] for row in found["readings"][name][rung]) for name in ("chat", "plain")}
        best = found["best"][rung]
        assert rows == found["readings"][best][rung] and means[best] == max(means.values())
    sizes = found["readings"]["chat"]["clusters"]
    assert {row["chance"] for row in sizes} == {0.5} and all(row["ranked"] in (0.0, 1.0) for row in sizes)
    assert {row["ranked"] for row in found["readings"]["plain"]["tasks"]} == {None}
    assert "train" not in found and "certificate" not in found


def test_plain_shows_no_solved_example_few_shot_does_and_each_takes_the_form_that_suits_it(tiny_model, monkeypatch):
    """A model that only answers in one form without examples, and only in another with them."""

    def generator(model, *, protocol, batch_rows):
        def answer(example: Example) -> str:
            text = model.tokenizer.decode(protocol.prompt(example))
            prompt = example.prompt[-1].content
            suits = (f"{prompt}\n->", f"Q: {prompt}\nA:")["solved" in text]
            return example.target if text.endswith(suits) else "no"

        return ScriptedGenerate(answer)

    monkeypatch.setattr("luthier.models.generate.generator", generator)
    known = [solved(f"ask {n}", f"solved {n}", task="t", cluster="c") for n in range(6)]
    config = StudyEvaluateConfig(shots=2)
    held_out = [solved(f"new {n}", f"solved new {n}", task="u", cluster="d") for n in range(3)]
    ways = base_ways(tiny_model, config, known=known, held_out=held_out)
    forms = {"plain": "arrow", "few_shot": "q_and_a", "few_shot_own": "q_and_a"}
    assert ways.forms == forms and ways.protocols["chat"] is None
    new = solved("what now", "x", task="u", cluster="d")
    texts = {
        name: tiny_model.tokenizer.decode(protocol.prompt(new)) for name, protocol in ways.protocols.items() if protocol
    }
    assert texts["plain"].endswith("what now\n->") and "ask" not in texts["plain"]
    for name, row in (("few_shot", r"Q: ask (\d)\nA: solved \1"), ("few_shot_own", r"Q: new (\d)\nA: solved new \1")):
        shown = re.search(rf"{row}\n\n{row.replace('1', '2')}\n\nQ: what now\nA:$", texts[name])
        assert shown and shown[1] != shown[2], "two training rows with their answers"


def test_an_answer_of_several_lines_ends_with_an_empty_line_and_any_other_with_its_own(tiny_model):
    """In plain text a line break ends an answer; a list of bullets could never be right then."""
    stop = plain_protocol(tiny_model).stop
    assert stop(solved("list", "- a\n- b", task="t", cluster="c")) == ("\n\n",)
    assert stop(solved("name", "a", task="t", cluster="c")) == ("\n",)


def test_shots_of_others_share_no_cluster_with_the_question_and_do_not_all_show_the_same_rows():
    known = [solved(f"ask {n}", f"solved {n}", task=f"t{n % 4}", cluster="cd"[n % 2]) for n in range(40)]
    choose = shots_for(known, StudyEvaluateConfig(shots=2), 512, of="others")
    shown = [tuple(shot.id for shot in choose(example)) for example in known]
    assert all(shot.cluster != example.cluster for example in known for shot in choose(example))
    assert len(set(shown)) > len(known) / 2 and shown == [tuple(s.id for s in choose(e)) for e in known]


def test_what_an_arm_depends_on_holds_its_training_and_no_report():
    """An edit of what is only read from finished arms must not make them be done again."""
    root = Path(luthier.__file__).parent
    known, todo = {}, ["luthier.recipes.studying.arms"]
    while todo:
        parts = (name := todo.pop()).split(".")[1:]
        files = (root.joinpath(*parts).with_suffix(".py"), root.joinpath(*parts, "__init__.py"))
        path = next((file for file in files if parts and file.is_file()), None)
        if name in known or path is None:
            continue
        known[name] = path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("luthier"):
                todo += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            todo += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    assert {"luthier.train.sft", "luthier.models.generate", "luthier.recipes.studying.measures"} <= known.keys()
    reports = ("luthier.reports", "luthier.stats", "luthier.recipes.study_", "luthier.recipes.study.")
    assert not [name for name in known if f"{name}.".startswith(reports)]


def test_an_arm_says_what_it_was_trained_on_and_leaves_no_weights(tmp_path, tiny_model_folder):
    bench, arms = bench_of(tmp_path, tiny_model_folder)
    found = do(arms["clusters-all.s1.h0"], bench, arms)
    assert found["train"]["steps"] == 4 and found["train"]["tokens"] >= 4 * 200
    assert found["arm"]["trained_clusters"] == arms["clusters-all.s1.h0"].trained_clusters
    assert {row["task"] for row in found["items"]["clusters"]} == {"past", "plural"}
    assert sorted(p.name for p in (tmp_path / "run").rglob("*") if p.is_file()) == ["clusters-all.s1.h0.json"]
    assert do(arms["clusters-all.s1.h0"], bench, arms)["items"] == found["items"]


def test_intents_are_asked_of_the_base_in_all_ways_and_of_the_tuned_model(tmp_path, tiny_model_folder, monkeypatch):
    from luthier.demo import contrast

    sets = contrast.contrast_sets(1)
    few = [next(one for one in sets if one.kind == kind) for kind in ("contrast", "paraphrase")]
    monkeypatch.setattr(contrast, "contrast_sets", lambda seed: tuple(few))
    bench, arms = bench_of(tmp_path, tiny_model_folder, arms=["clusters", "contrast"], held_out=[["sizes"]])
    base = do(arms["base.s1.h0"], bench, arms)["promises"]
    tuned = do(arms["clusters-all.s1.h0"], bench, arms)["promises"]
    assert set(base) == {"chat", "plain", "few_shot"} and set(tuned) == set(base["chat"]) == {"contrast", "paraphrase"}
    assert len(tuned["contrast"][0]["members_right"]) == len(few[0].members)
    assert set(tuned["paraphrase"][0]) == {"set", "topic", "answers", "is_consistent", "is_right"}
    assert "promises" not in do(arms["clusters-1.s1.h0"], bench, arms)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_transfer_is_trained_as_the_recipe_says_but_for_its_own_keys(tmp_path, tiny_model_folder, method):
    transfer = {"tasks": 1, "examples": [4], "methods": [method], "epochs": 60}
    data = recipe_data(tmp_path, write_collection(tmp_path / "collection"), tiny_model_folder, arms=["transfer"],
                       transfer=transfer)  # fmt: skip
    data["train"] |= {"neftune_alpha": 5.0, "freeze": ["embeddings"], "text": {"files": ["a.txt"], "share": 0.3}}
    recipe = validate(StudyRecipe, data, places={}, default_place="here")
    arms = plan(read_tasks(recipe.tasks), recipe.study, recipe.tasks, base="base")
    found = transfer_config(recipe, next(arm for arm in arms if arm.kind == "transfer"))
    assert (found.neftune_alpha, found.text.share) == (5.0, 0.3), "not in silence left out"
    assert (found.max_steps, found.batch_tokens, found.batch_rows, found.optim.warmup_steps) == (30, None, 8, 3)
    assert (found.adapter, found.freeze) == {"full": ("none", ("embeddings",)), "lora": ("lora", ())}[method]


def test_a_key_changes_with_what_the_arm_depends_on_and_with_nothing_else(tmp_path, tiny_model_folder):
    def keys(**study):
        bench, arms = bench_of(tmp_path, tiny_model_folder, arms=["clusters", "transfer"], **study)
        return {name: bench.key(arm, arms) for name, arm in arms.items()}

    before = keys(transfer={"tasks": 1, "examples": [4], "methods": ["full"], "epochs": 6})
    after = keys(transfer={"tasks": 1, "examples": [4], "methods": ["full"], "epochs": 10}, parallel=2, max_arms=1)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name in before if name.startswith("transfer")} and len(changed) == 2
    assert keys(transfer={"tasks": 1, "examples": [4]}, items_per_task=3).keys() >= before.keys()
    assert all(keys(items_per_task=3)[name] != key for name, key in before.items() if not name.startswith("transfer"))
    rows = tmp_path / "collection" / "lists" / "first.jsonl"
    rows.write_text(
        rows.read_text() + rows.read_text().splitlines()[0].replace('"answer"', '"more": "x", "answer"') + "\n"
    )
    assert not set(keys().values()) & set(before.values())


def test_a_metric_that_does_not_exist_is_named_before_anything_runs(tmp_path):
    collection = write_collection(tmp_path / "collection")
    path = collection / "lists" / "first.toml"
    path.write_text(path.read_text().replace('metric = "exact"', 'metric = "exactly"'))
    recipe = small_recipe(tmp_path, collection, tmp_path)
    with pytest.raises(ConfigError, match=r"first.toml: metric: found 'exactly', expected one of exact, choice"):
        check_metrics(read_tasks(recipe.tasks))


def test_what_pre_training_took_is_read_from_the_card(tmp_path):
    assert pretraining(write_tiny_model(tmp_path / "base")) == {}
    (tmp_path / "base" / "README.md").write_text(
        "# A base\n\n- Text: 1,500 documents, 10,777,656 tokens consumed in 2,600 steps\n"
        "- Time: 1.5 hours of training steps\n"
    )
    assert pretraining(tmp_path / "base") == {"tokens": 10_777_656, "seconds": 5_400}

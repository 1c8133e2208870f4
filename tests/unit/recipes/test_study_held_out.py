"""Held out means held out: arms of the practice world's study, checked without any code of the certificate.

Near-duplicates are found by comparing every training prompt with every item, clusters and sources are read from the
task files as they stand, and rows are told apart by their fields, not by their keys.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from luthier.config import validate
from luthier.demo.collection import TASKS_FOLDER
from luthier.demo.makers.words import PAST_FORM
from luthier.demo.world import ANIMALS, KIND_OF, THINGS
from luthier.recipes.studying import rows as study_rows
from luthier.recipes.studying.config import StudyRecipe
from luthier.recipes.studying.plan import Arm, plan, split_rows
from luthier.recipes.studying.rows import Items, TrainingRows, items_of, read_tasks, training_rows
from luthier.records import Example, Message
from luthier.tasks import Task, certificate
from luthier.tasks.overlap import Parted

SHORT_WORDS, SHINGLE_WORDS, NEAR_JACCARD = 8, 5, 0.7
"""What docs/tasks.md calls nearly the same; written out, so that it cannot be loosened unseen."""

RECIPE = {
    "model": {"base": "practice"},
    "tasks": {"collection": "practice", "mixture": {"cap": 50}},
    "train": {"max_steps": 35, "batch_tokens": 1000, "max_length": 256},
    "study": {"seeds": [1], "items_per_task": 6, "trained_items_per_task": 3, "templates_per_item": 2,
              "rows_per_task": 60},
    "run": {"dir": "unused"},
}  # fmt: skip


class World:
    """The practice study's plan, and for every example that is made the row that it was made from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.recipe = validate(StudyRecipe, RECIPE, places={}, default_place="here")
        self.collection = read_tasks(self.recipe.tasks)
        arms = plan(self.collection, self.recipe.study, self.recipe.tasks, base="practice")
        self.arms = [arm for arm in arms if arm.name.startswith("clusters-all")]
        self.made: dict[str, set[tuple]] = {}
        make = Task.example

        def recorded(task, row, template, **options) -> Example:
            example = make(task, row, template, **options)
            self.made.setdefault(example.id, set()).add((tuple(sorted(row.fields.items())), row.answers))
            return example

        monkeypatch.setattr(Task, "example", recorded)

    def read(self, arm: Arm) -> tuple[TrainingRows, Items]:
        items = items_of(self.collection, arm, self.recipe.study)
        return training_rows(self.collection, arm, self.recipe, items, count_tokens=num_words), items

    def overlaps(self, train: list[Example], items: list[Example]) -> Counter[str]:
        """How many training examples have the prompt, nearly the prompt, or the row of some item. Slow and plain."""
        asked = {text(item) for item in items}
        same = {spaced(one) for one in asked}
        short = {spaced(one).casefold() for one in asked if len(words(one)) < SHORT_WORDS}
        shingled = [shingles(one) for one in asked if len(words(one)) >= SHORT_WORDS]
        rows = set().union(*(self.made[item.id] for item in items))
        alike: dict[str, str | None] = {}
        for prompt in dict.fromkeys(text(example) for example in train):
            if len(words(prompt)) < SHORT_WORDS:
                near = spaced(prompt).casefold() in short
            else:
                own = shingles(prompt)
                near = any(jaccard(own, other) >= NEAR_JACCARD for other in shingled)
            alike[prompt] = "exact" if spaced(prompt) in same else "near" if near else None
        found = Counter(alike[text(example)] for example in train)
        found["row"] = sum(not rows.isdisjoint(self.made.get(example.id, ())) for example in train)
        del found[None]
        return +found


def num_words(example: Example) -> int:
    return sum(len(message.content.split()) for message in example.messages)


def text(example: Example) -> str:
    return "\n".join(message.content for message in example.prompt)


def spaced(prompt: str) -> str:
    return " ".join(prompt.split())


def words(prompt: str) -> list[str]:
    return re.findall(r"\w+|[-+*/=<>%^]", prompt.lower())


def shingles(prompt: str) -> set[str]:
    found = words(prompt)
    return {" ".join(found[i : i + SHINGLE_WORDS]) for i in range(len(found) - SHINGLE_WORDS + 1)}


def jaccard(one: set[str], other: set[str]) -> float:
    if 2 * len(one) < len(other) or 2 * len(other) < len(one):
        return 0.0  # it cannot be above a half
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def task_files() -> dict[str, dict]:
    """Clusters and sources of every task, as its file states them."""
    found = {}
    for path in sorted(TASKS_FOLDER.glob("*/*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        clusters = table["clusters"] if "clusters" in table else [table["cluster"]]
        found[table.get("name", path.stem)] = {"clusters": set(clusters), "sources": set(table.get("sources", ()))}
    return found


@pytest.mark.parametrize("choice", [0, 1, 2])
def test_no_arm_of_the_practice_world_trains_on_what_its_block_holds_out(choice, monkeypatch):
    world = World(monkeypatch)
    arm = world.arms[choice]
    rows, items = world.read(arm)
    assert len(rows.examples) > 1500 and all(len(rung) > 50 for rung in items), "enough to tell"
    assert world.overlaps(rows.examples, items.all) == Counter()

    tasks = task_files()
    settings = tomllib.loads((Path(TASKS_FOLDER) / "collection.toml").read_text(encoding="utf-8"))
    held_out = {"clusters": set(settings["held_out"][choice])}
    assert set(arm.held_out) == held_out["clusters"]
    closed = held_out["clusters"] | {
        other for pair in settings["exclusions"] for one, other in (pair, reversed(pair)) if one in held_out["clusters"]
    }
    sources = set().union(*(t["sources"] for t in tasks.values() if t["clusters"] & held_out["clusters"]))
    trained = {example.task for example in rows.examples}
    assert len(trained) > 70 and trained <= set(arm.trained_tasks)
    assert {name for name in trained if tasks[name]["clusters"] & closed} == set()
    assert {name for name in trained if tasks[name]["sources"] & sources} == set()
    assert trained.isdisjoint(settings["held_out_tasks"])
    assert all(tasks[item.task]["clusters"] <= held_out["clusters"] for item in items.clusters)


def test_no_training_row_tells_what_a_held_out_task_asks_for(monkeypatch):
    """Contents, whatever is declared: sizes, prices, past forms, kinds, and places in a list of things shown."""
    world = World(monkeypatch)
    told = [told_by(arm.held_out, world.read(arm)[0].examples) for arm in world.arms]
    assert [sum(num.values()) for _, num in told] == [0, 0, 0], [shown for shown, _ in told]


def test_what_tells_a_held_out_fact_is_found():
    """The rows that the search above is for; each was trained once."""
    leaks = {
        ("words", "comparison"): (
            ("How many coins is a drum?", "30"), ("What size is a fox?", "middle"),
            ("The question is: what did Jack take? The answer is: shoe.", "Jack took the shoe."),
            ("Jack took a shoe at the mill. Write a question.", "What did Jack take?"),
        ),
        ("sentiment", "lists"): (("My requests today: a potato / an owl / a mouse. Which came first?", "a potato"),),
        ("translation", "entailment"): (("What kind of thing is this: fox?\n\nOPTIONS:\n- animal", "animal"),),
    }  # fmt: skip
    for held_out, rows in leaks.items():
        for asked, answer in rows:
            row = Example.of([Message(role="user", content=asked), Message(role="assistant", content=answer)])
            assert sum(told_by(held_out, [row])[1].values()) == 1, asked


KINDS = set(KIND_OF.values())
NAMED = {thing.name for thing in THINGS} | {animal.name for animal in ANIMALS}
VERB_OF = {past: verb for verb, past in PAST_FORM.items() if past != verb}
THING = "|".join(thing.name for thing in THINGS)
MEASURE = rf"coins is an? |\bthe price of an? |\b({THING}) costs \d|coins for an? |\b(what|in) size\b"
PLACE = r"\bcame (first|last)|\b(first|last|second|third) (thing|word|request) (in|from|that|did)\b"
# Forms that are also words of other senses, a saw and the left, or words of requests: "write", "people make".
NO_DEED = {"saw", "left", "felt", "made", "make", "like", "liked", "write", "wrote"}


def told_by(held_out: tuple[str, ...], train: list[Example]) -> tuple[list[str], Counter[str]]:
    """The first examples that tell what a task of these clusters asks for, and how many do, by what they tell."""
    shown, num = [], Counter()
    for example in train:
        everything = "\n".join(m.content for m in example.messages).lower()
        asked, answer = set(words(text(example))), words(example.messages[-1].content)
        kinds = []
        if "comparison" in held_out and re.search(MEASURE, everything):
            kinds.append("measure")
        if "words" in held_out and any(
            word not in asked and not {word, other} & NO_DEED and other in asked
            for word in answer for other in (PAST_FORM.get(word), VERB_OF.get(word))
        ):  # fmt: skip
            kinds.append("past form")
        if "lists" in held_out and re.search(PLACE, everything):
            kinds.append("place in a list")
        if "entailment" in held_out and " ".join(answer) in KINDS and asked & NAMED:
            kinds.append("kind")
        num.update(kinds)
        if kinds and len(shown) < 5:
            shown.append(f"{kinds[0]}: {example.task}: {everything}")
    return shown, num


def test_a_leak_is_dropped_and_one_that_is_not_dropped_is_in_the_certificate(monkeypatch):
    """Test rows may be trained, by mistake: the certificate and the slow comparison count the same examples."""
    world = World(monkeypatch)

    def leaking(task, rng, side):
        return split_rows(task, rng, side) if side == "test" else task.draw(rng, set())

    monkeypatch.setattr(study_rows, "split_rows", leaking)
    rows, items = world.read(world.arms[0])
    assert rows.certificate["dropped"] > 10
    assert {rows.certificate[kind] for kind in ("exact", "near", "rows", "sources")} == {0}

    monkeypatch.setattr(study_rows, "without_overlap", lambda train, *_, **__: Parted(list(train), []))
    leaky, _ = world.read(world.arms[0])
    slow = world.overlaps(leaky.examples, items.all)
    assert slow["row"] == leaky.certificate["rows"] >= rows.certificate["dropped"] - slow["near"] - slow["exact"] > 0
    assert (slow["exact"], slow["near"]) == (leaky.certificate["exact"], leaky.certificate["near"])

    asked = next(text(item) for item in items.clusters if len(words(text(item))) > 20)
    start, _, _ = asked.rpartition(" ")
    planted = [Example.of([Message(role="user", content=prompt), Message(role="assistant", content="x")])
               for prompt in (f"{asked} ", f"{start} otherwise")]  # fmt: skip
    assert world.overlaps([*rows.examples, *planted], items.all) == {"exact": 1, "near": 1}, "what is left has none"
    found = certificate([*rows.examples, *planted], items.all, kinds=study_rows.OVERLAPS)
    assert (found.exact, found.near, found.rows) == (1, 1, 0)

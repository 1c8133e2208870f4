"""Simulated evaluations: items of tasks that differ in difficulty, answered as often rightly as a test says."""

import random
from pathlib import Path

from luthier.evaluate.errors.slices import Slice
from luthier.evaluate.evaluation import Evaluation
from luthier.evaluate.kpis import grades_by_item
from luthier.records import Completion, Example, Grade, Message

NOUNS = ("lamp", "boat", "apple", "river", "cloud", "stone", "horse", "bread")


def make_items(seed, *, tasks=12, items_per_task=40, templates=5):
    """Items whose answers have one to eight words, in a language by chance, of some templates."""
    rng = random.Random(seed)
    items = []
    for task in range(tasks):
        for number in range(items_per_task):
            template = rng.randrange(templates)
            answer = " ".join(rng.choice(NOUNS) for _ in range(rng.randrange(1, 9)))
            text = f"task {task} asks in way {template} for item {seed} {number}" + rng.choice("?:.")
            items.append(Example.of(
                [Message(role="user", content=text)], targets=[answer], task=f"task{task}", cluster=f"cluster{task % 4}",
                template=f"task{task}/{template}", language=rng.choice(["en", "es"]), source=f"items.jsonl:{number + 1}",
            ))  # fmt: skip
    return items


def difficulties(seed, *, tasks=12, a=8, b=2):
    rng = random.Random(f"difficulty {seed}")
    return {f"task{task}": rng.betavariate(a, b) for task in range(tasks)}


def answered(items, rate, *, seed=0, wrong="nothing of the kind", model="model"):
    """An evaluation in which an item is right with the probability that `rate` says."""
    completions, grades = {}, []
    for item in items:
        is_right = random.Random(f"{seed} {item.id}").random() < rate(item)
        text = item.targets[0] if is_right else wrong(item) if callable(wrong) else wrong
        completion = Completion.of(example_id=item.id, model_id=model, text=text)
        completions[item.id] = [completion]
        grades.append(Grade(completion_id=completion.id, example_id=item.id, grader="auto", value=float(is_right)))
    return Evaluation(
        folder=Path("simulated"), summary={}, items={item.id: item for item in items}, completions=completions,
        rankings={}, grades=grades_by_item(grades),
    )


def values_of(evaluation):
    return {item: value for item, value in evaluation.values("auto").items() if value is not None}


def slice_of(**parts):
    return Slice(tuple((kind.replace("_", " "), value) for kind, value in parts.items()))

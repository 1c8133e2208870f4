import gzip
import json
from itertools import islice
from random import Random

import numpy as np
import pytest

import luthier.curate.labels.suspects as labels_module
from luthier.curate.labels.asked import without_options
from luthier.curate.labels.suspects import FEWEST_OF_A_CLASS, Task, judge_labels, out_of_fold
from luthier.demo.collection import practice_collection
from luthier.demo.rows import Prompts, of_one_turn

COLOURS = {
    "red": ["tomato", "cherry", "ruby", "brick", "fire", "rose", "blood", "poppy", "rust", "wine", "lobster", "garnet"],
    "blue": ["sky", "sea", "sapphire", "ink", "denim", "lagoon", "cobalt", "jay", "iris", "lake", "berry", "navy"],
    "green": ["grass", "leaf", "emerald", "moss", "fern", "pine", "lime", "frog", "olive", "basil", "jade", "clover"],
}


def wrong_labels(texts, labels, **rest):
    return list(judge_labels(texts, labels, **rest).suspects)


def colours(rng, count):
    """Texts whose words tell the label, and the labels."""
    labels = [rng.choice(list(COLOURS)) for _ in range(count)]
    texts = [f"On day {i} I saw {' and '.join(rng.sample(COLOURS[label], 4))}" for i, label in enumerate(labels)]
    return texts, labels


def planted(rng, labels, count):
    """The labels with `count` wrong ones, and where."""
    classes = sorted(set(labels))
    where = set(rng.sample(range(len(labels)), count))
    return [rng.choice([c for c in classes if c != x]) if i in where else x for i, x in enumerate(labels)], where


def practice_task(name, count):
    """Rows of a practice task in all of its templates: texts without the list of options, and labels."""
    collection = practice_collection()
    task = next(task for task in collection.tasks if task.name == name)
    rows = Prompts().rows(Random(1), (task,), lambda t: of_one_turn(t.seen(collection.unseen_templates)), side="train")
    made = list(islice(rows, count))
    return [without_options(row.example.messages[-2].content) for row in made], [row.answer for row in made]


def hits(suspects, where):
    found = {suspect.index for suspect in suspects}
    return len(found & where) / max(1, len(found)), len(found & where) / len(where)


def test_planted_wrong_labels_are_found_with_the_label_that_was_right():
    rng = Random(1)
    texts, right = colours(rng, 600)
    given, where = planted(rng, right, 40)
    judged = judge_labels(texts, given)
    precision, recall = hits(judged.suspects, where)
    assert precision >= 0.95 and recall >= 0.9 and judged.skill > 0.8 and not judged.note
    assert all(suspect.likely == right[suspect.index] for suspect in judged.suspects if suspect.index in where)
    assert all(suspect.given == given[suspect.index] for suspect in judged.suspects)
    confidences = [suspect.confidence for suspect in judged.suspects]
    assert confidences == sorted(confidences, reverse=True) and 0.2 <= min(confidences) <= max(confidences) <= 1


@pytest.mark.parametrize("task", ["verdict", "stars"])
def test_three_hundred_planted_labels_of_practice_tasks_are_found(task):
    """The target: of a review's sentiment or stars, 0.7 of the planted ones with 0.7 precision, in 3,000 rows."""
    texts, right = practice_task(task, 3_000)
    given, where = planted(Random(2), right, 300)
    precision, recall = hits(wrong_labels(texts, given), where)
    assert precision >= 0.9 and recall >= 0.9


def test_labels_that_nobody_touched_are_left_in_peace():
    texts, right = practice_task("verdict", 600)
    assert wrong_labels(texts, right) == []


def test_where_the_texts_do_not_tell_the_labels_no_row_is_accused():
    rng = Random(3)
    texts, _ = colours(rng, 300)
    judged = judge_labels(texts, [rng.choice("ab") * 2 for _ in texts])
    assert judged.suspects == () and judged.skill < 0.3 and "too little" in judged.note
    assert judge_labels(texts, [rng.choice("ab") * 2 for _ in texts], least_skill=-1).suspects


def test_classes_with_few_rows_are_left_alone_and_said_so():
    rng = Random(4)
    texts, given = colours(rng, 120)
    odd = [5, 17, 33, 60][: FEWEST_OF_A_CLASS - 1]
    given = ["odd" if i in odd else label for i, label in enumerate(given)]
    judged = judge_labels(texts, given)
    assert judged.left_alone == {"odd": 4} and judged.rows == 116
    assert not {suspect.index for suspect in judged.suspects} & set(odd)
    assert "odd" not in {suspect.likely for suspect in judged.suspects}


@pytest.mark.parametrize("given", [[], ["a"] * 40, ["a"] * 40 + ["b"] * 4, [str(i) for i in range(40)]])
def test_without_two_classes_of_enough_rows_nothing_is_judged(given):
    judged = judge_labels(["some text"] * len(given), given)
    assert judged.suspects == () and judged.rows == 0 and "fewer than two" in judged.note


def test_the_same_rows_give_the_same_suspects_and_another_seed_nearly_so():
    rng = Random(5)
    texts, right = colours(rng, 200)
    given, where = planted(rng, right, 16)
    assert wrong_labels(texts, given, seed=1) == wrong_labels(texts, given, seed=1)
    others = [{suspect.index for suspect in wrong_labels(texts, given, seed=seed)} for seed in (1, 2)]
    assert len(others[0] & others[1]) >= 0.8 * len(where)


def test_the_names_of_the_labels_do_not_matter():
    rng = Random(6)
    texts, right = colours(rng, 200)
    given, _ = planted(rng, right, 16)
    renamed = {"red": "z", "blue": "y", "green": "x"}
    found = {suspect.index for suspect in wrong_labels(texts, given)}
    again = {suspect.index for suspect in wrong_labels(texts, [renamed[label] for label in given])}
    assert len(found & again) >= 0.8 * len(found)


def test_a_copy_of_a_wrong_label_does_not_defend_it():
    rng = Random(7)
    texts, right = colours(rng, 240)
    given, where = planted(rng, right, 12)
    copies = sorted(where)
    # Three copies of each wrong row, with its wrong label.
    texts += [texts[i] for i in copies for _ in range(3)]
    given += [given[i] for i in copies for _ in range(3)]
    found = {suspect.index for suspect in wrong_labels(texts, given)}
    assert len(found & (where | set(range(240, len(texts))))) >= 0.5 * 4 * len(copies)


def test_a_row_is_judged_among_its_own_options():
    rng = Random(8)
    texts, right = colours(rng, 400)
    options = []
    for label in right:
        pair = [label, rng.choice([c for c in COLOURS if c != label])]
        options.append(tuple(rng.sample(pair, 2)))
    where = set(rng.sample(range(400), 30))
    given = [next(o for o in options[i] if o != label) if i in where else label for i, label in enumerate(right)]
    judged = judge_labels(texts, given, options=options)
    precision, recall = hits(judged.suspects, where)
    assert precision >= 0.95 and recall >= 0.8
    assert all({suspect.given, suspect.likely} == set(options[suspect.index]) for suspect in judged.suspects)


def test_probabilities_are_shared_among_the_options_of_a_row_and_its_label():
    rng = Random(13)
    texts, right = colours(rng, 150)
    labels = np.array([sorted(COLOURS).index(label) for label in right])
    allowed = np.array([[i % 2 == 0, True, False] for i in range(150)])
    free = out_of_fold(Task(texts, labels, None, 3), seed=0)
    bound = out_of_fold(Task(texts, labels, allowed, 3), seed=0)
    open_to = allowed | np.eye(3, dtype=bool)[labels]
    np.testing.assert_allclose(
        bound, np.where(open_to, free, 0) / (free * open_to).sum(axis=1, keepdims=True), atol=1e-6
    )


def test_guessing_between_two_options_is_no_skill():
    """Names as labels: no classifier can know them, and being right half of the time among two is chance."""
    rng = Random(9)
    names = ["Ann", "Ben", "Carl", "Dora", "Emma", "Finn"]
    options = [tuple(rng.sample(names, 2)) for _ in range(300)]
    texts = [f"{a} met {b} at the lake" for a, b in options]
    judged = judge_labels(texts, [rng.choice(pair) for pair in options], options=options)
    assert judged.suspects == () and judged.skill < 0.3 and judged.agreement > 0.4


def test_a_large_task_is_judged_in_parts(monkeypatch):
    rng = Random(10)
    texts, right = colours(rng, 900)
    given, where = planted(rng, right, 60)
    monkeypatch.setattr(labels_module, "MOST_AT_ONCE", 300)
    precision, recall = hits(wrong_labels(texts, given), where)
    assert precision >= 0.95 and recall >= 0.85


def test_fits_side_by_side_or_one_after_another_say_the_same(monkeypatch):
    rng = Random(11)
    texts, right = colours(rng, 200)
    task = Task(texts, np.array([sorted(COLOURS).index(label) for label in right]), None, 3)
    together = out_of_fold(task, seed=0)
    monkeypatch.setattr(labels_module, "_FITTED_AT_ONCE", 1)
    # Side by side, a fit goes on until all are done.
    np.testing.assert_allclose(out_of_fold(task, seed=0), together, atol=0.02)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)


def test_no_row_is_judged_by_a_classifier_that_saw_it():
    """One word tells each row's label and stands in no other row: out of fold it is worth nothing."""
    rng = Random(12)
    labels = np.array([rng.randrange(2) for _ in range(120)])
    texts = [f"word{i}only word{i}only" for i in range(120)]
    probabilities = out_of_fold(Task(texts, labels, None, 2), seed=0)
    assert (probabilities.argmax(axis=1) == labels).mean() < 0.65


def test_texts_that_are_all_one_are_not_judged():
    """Prompts of which nothing is left without their options: no fold can be held out."""
    judged = judge_labels(["", " "] * 30, ["good", "bad", "good"] * 20)
    assert judged.suspects == () and judged.rows == 0 and judged.note == "all rows have one text"


def test_a_task_without_hope_is_given_up_after_a_fifth_of_the_folds():
    rng = Random(14)
    texts, right = colours(rng, 400)
    lots = [rng.choice("ab") * 2 for _ in texts]
    judged = judge_labels(texts, lots)
    assert judged.rows == 80 and judged.suspects == () and "too little" in judged.note
    assert judge_labels(texts, right).rows == 400
    numbers = np.array([name == "aa" for name in lots]).astype(np.int64)
    seen = out_of_fold(Task(texts, numbers, None, 2), seed=0, least_agreement=0.9).any(axis=1)
    assert seen.sum() == 80


def test_suspects_end_where_too_few_of_them_would_be_wrong(monkeypatch):
    """By their confidences: 0.9 and 0.75 on average 0.83, with 0.5 and 0.3 on average 0.61."""

    class Found:
        odds = confidence = np.array([0.3, 0.9, 0.5, 0.75, *[0.0] * 56])
        likely = np.zeros(60, dtype=np.int64)

    monkeypatch.setattr(labels_module, "evidence", lambda *args, **kwargs: Found)
    monkeypatch.setattr(labels_module, "likely_wrong", lambda probabilities, labels: Found.odds > 0)
    texts, right = colours(Random(15), 60)
    for bound, wanted in ((1.0, [1, 3, 2]), (0.5, [1, 3, 2]), (0.4, [1, 3, 2]), (0.2, [1, 3, 2, 0])):
        monkeypatch.setattr(labels_module, "LEAST_CONFIDENCE", bound)
        found = judge_labels(texts, right, least_precision=0.71)
        assert [suspect.index for suspect in found.suspects] == wanted


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="one entry for each row"):
        wrong_labels(["a"], [])
    with pytest.raises(ValueError, match="one entry for each row"):
        wrong_labels(["a"], ["x"], options=[])


def test_a_natural_error_of_a_real_set_is_found(real_data):
    """TREC questions as Super-NaturalInstructions has them: "the best college in the country" is no person."""
    with gzip.open(real_data / "superni" / "instances.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [
            row for line in file if "trec" in line and (row := json.loads(line))["task"].endswith("trec_classification")
        ]
    judged = judge_labels([row["input"] for row in rows], [row["output"][0] for row in rows])
    found = {rows[suspect.index]["input"]: suspect for suspect in judged.suspects}
    assert judged.rows == 296 and judged.left_alone == {"Abbreviation": 4} and 1 <= len(found) <= 9
    assert found["What is the best college in the country ?"].likely == "Location"

import re
from collections import Counter
from random import Random

import pytest

from luthier.demo.facts import FACTS
from luthier.demo.lexicon import OPPOSITE
from luthier.demo.tasks import HELD_OUT_CLUSTERS, HELD_OUT_TASKS, REWARD_TASKS, TASKS, TRAINED_TASKS, PracticeTask
from luthier.demo.world import ANIMALS

ALL = (*TASKS, *REWARD_TASKS)
BY_NAME = {task.name: task for task in ALL}


@pytest.mark.parametrize("task", ALL, ids=lambda task: task.name)
def test_every_task_makes_valid_items(task: PracticeTask) -> None:
    for seed in range(200):
        item = task.make(Random(seed))
        assert item.answer and item.answer == item.answer.strip()
        assert 1 <= len(item.answer.split()) <= 8
        assert item.grader in ("exact", "choice", "numeric")
        assert (item.grader == "choice") == bool(item.choices)
        assert not item.choices or item.answer in item.choices
        assert len(set(item.choices)) == len(item.choices)
        assert item.answer not in item.also
        if item.grader == "numeric":
            int(item.answer)
        for template in range(len(task.templates)):
            prompt = task.prompt(item, template)
            assert "{" not in prompt and "  " not in prompt


@pytest.mark.parametrize("task", ALL, ids=lambda task: task.name)
def test_the_same_generator_makes_the_same_item(task: PracticeTask) -> None:
    assert task.make(Random(11)) == task.make(Random(11))


def test_there_are_enough_clusters_tasks_and_templates_for_a_study() -> None:
    tasks_of = Counter(task.cluster for task in TASKS)

    assert len(tasks_of) >= 8
    assert min(tasks_of.values()) >= 4
    assert all(len(task.templates) == len(set(task.templates)) == 10 for task in TASKS)


def test_names_of_tasks_and_templates_are_unique() -> None:
    templates = [template for task in TASKS for template in task.templates if "{options}" not in template]

    assert len(BY_NAME) == len(ALL)
    assert len(templates) == len(set(templates))


def test_the_options_of_a_classification_close_the_prompt() -> None:
    item = BY_NAME["kind"].make(Random(1))
    prompt = BY_NAME["kind"].prompt(item, 0)

    assert prompt.endswith("\nOPTIONS:\n" + "\n".join(f"- {choice}" for choice in item.choices))


def test_right_answers_stand_in_every_place_of_the_options() -> None:
    places = Counter(
        item.choices.index(item.answer) for seed in range(400) for item in [BY_NAME["kind"].make(Random(seed))]
    )

    assert min(places[place] for place in range(4)) > 60


def test_whole_clusters_and_single_tasks_are_held_out() -> None:
    trained_clusters = {task.cluster for task in TRAINED_TASKS}
    single = [name for name in HELD_OUT_TASKS if BY_NAME[name].cluster in trained_clusters]

    assert len(HELD_OUT_CLUSTERS) >= 2
    assert not trained_clusters & set(HELD_OUT_CLUSTERS)
    assert len(single) >= 2
    assert {task.name for task in TRAINED_TASKS} | set(HELD_OUT_TASKS) == {task.name for task in TASKS}


def test_unseen_templates_are_not_among_the_seen() -> None:
    assert all(not set(task.seen) & set(task.unseen) for task in TASKS)
    assert all(len(task.seen) + len(task.unseen) == len(task.templates) for task in TASKS)


def test_tasks_agree_with_the_facts_of_the_world() -> None:
    true = {fact.statement for fact in FACTS}
    rank = {animal.name: animal.rank for animal in ANIMALS}
    for seed in range(200):
        check = BY_NAME["fact_check"].make(Random(seed))
        assert (check.slots["statement"] in true) == (check.answer == "yes")
        gap = BY_NAME["fact_gap"].make(Random(seed))
        assert gap.slots["gap"].replace("___", gap.answer).rstrip(".") in true
        bigger = BY_NAME["bigger_animal"].make(Random(seed))
        assert bigger.answer.split()[1] == max((c.split()[1] for c in bigger.choices), key=rank.__getitem__)
        opposite = BY_NAME["opposite"].make(Random(seed))
        assert OPPOSITE[opposite.slots["word"]] == opposite.answer


def test_a_passage_answers_its_question_in_its_own_words() -> None:
    for name in ("who", "what", "when", "where", "which_colour"):
        for seed in range(100):
            item = BY_NAME[name].make(Random(seed))
            assert re.search(rf"\b{item.answer}\b", item.slots["passage"])


def test_a_claim_that_follows_is_told_and_one_that_contradicts_is_not() -> None:
    for name, told in (("follows", "yes"), ("contradicts", "no")):
        for seed in range(200):
            item = BY_NAME[name].make(Random(seed))
            colour = item.slots["claim"].split()[-1] if item.slots["claim"].startswith("the ") else None
            supported = f" {colour} " in item.slots["told"] if colour else item.slots["claim"] in item.slots["told"]
            assert supported == (item.answer == told)


def test_any_word_of_the_kind_is_right_where_the_task_asks_for_any() -> None:
    item = BY_NAME["pick"].make(Random(3))
    right = [word for word in item.slots["list"].split(", ") if word in (item.answer, *item.also)]

    assert len(right) == 2

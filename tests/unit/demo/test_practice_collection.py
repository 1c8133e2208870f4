"""The practice tasks as a whole: enough of them, in enough words, and none of their words in the plain text."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import islice
from random import Random

import pytest

from luthier.demo.collection import practice_collection, runs_of_words, template_runs
from luthier.demo.rewards import REWARD_TASKS
from luthier.demo.text import documents, pages, requests_by_cluster
from luthier.tasks.task import Task, TaskRow, Template

COLLECTION = practice_collection()
TASKS = COLLECTION.tasks
DRAWS = 2000
DOCUMENTS = 400

NOT_INVERTED = {
    "turned around it is the task beside it, which may be held out": (
        "one_more", "one_less", "phrase_to_english", "phrase_to_spanish",
    ),
    "yes and no, and labels, say nothing of what was given": (
        "same_kind", "fact_check", "has_letter", "pupil_right", "message_intent", "sentence_topic", "which_language",
    ),
    "the answer is one of those given, and does not say which the others were": (
        "member", "odd_one_out", "larger_number", "smaller_number", "who_has_fewer", "first_capitals", "last_capitals",
        "last_quotes", "count",
    ),
    "the answer does not say how the conversation went": (
        "correction", "first_request", "last_request", "told_earlier", "topic_now", "who_said",
    ),
    "many requests have this answer, and many answers fulfil the request": (
        "exact_words", "how_to", "needs", "place", "science", "greeting", "ask_about", "correct_statement", "hint",
    ),
}  # fmt: skip
"""Tasks that are never turned around, by the reason."""

CHAT_MARKS = ("[user]", "[system]", "<|", "|>", "###", "[inst]", "user:", "assistant", "system:", "human:", "<s>", "options:\n-")

each_task = pytest.mark.parametrize("task", (*TASKS, *REWARD_TASKS), ids=lambda task: task.name)


def rows(task: Task, count: int) -> Iterator[TaskRow]:
    assert task.make is not None
    rng = Random(f"rows of {task.name}")
    return (task.make(rng) for _ in range(count))


def wording(template: Template) -> tuple[tuple[str, ...], ...]:
    """The words of each turn, slots among them, without case and signs."""
    return tuple(tuple(re.findall(r"[\w']+", turn.lower())) for turn in template.turns)


@cache
def text() -> tuple[str, ...]:
    return tuple(documents(1, DOCUMENTS))


def test_there_are_clusters_and_tasks_enough_for_a_study() -> None:
    sizes = Counter(task.cluster for task in TASKS)

    assert sum(size >= 4 for size in sizes.values()) >= 12
    assert len({task.name for task in TASKS}) == len(TASKS) > 100


def test_every_task_is_asked_in_ten_ways_and_no_wording_belongs_to_two_tasks() -> None:
    # A slot may hold the options or the question itself, which are the row's.
    wordings = Counter(
        template.turns for task in TASKS for template in task.plain_templates
        if not {"options", "question", "Question", "about"} & {*template.slots}
    )  # fmt: skip

    assert [task.name for task in TASKS if len(set(task.plain_templates)) < 10] == []
    assert [turns for turns, count in wordings.items() if count > 1] == []


@pytest.mark.parametrize("name", COLLECTION.held_out_tasks)
def test_an_unseen_task_shares_no_template_with_another_task(name: str) -> None:
    wordings = {task.name: {wording(template) for template in task.templates} for task in (*TASKS, *REWARD_TASKS)}
    unseen = wordings.pop(name)

    assert unseen
    assert {other: shared for other, of_other in wordings.items() if (shared := of_other & unseen)} == {}


def test_two_thirds_of_the_tasks_are_turned_around_in_two_ways_and_the_others_cannot_be() -> None:
    told = [name for names in NOT_INVERTED.values() for name in names]
    without = {task.name for task in TASKS if len(task.inverted_templates) < 2}

    assert 3 * (len(TASKS) - len(without)) >= 2 * len(TASKS)
    assert len(told) == len(set(told)) and set(told) == without


@each_task
def test_every_row_fills_every_template_and_leaves_no_slot(task: Task) -> None:
    for row in rows(task, 12):
        for template in task.templates:
            example = task.example(row, template)
            assert len(example.messages) == 2 * (1 + len(template.turns) // 2)
            assert all(message.content == message.content.strip() != "" for message in example.messages)
            assert "{}" not in "".join(message.content for message in example.messages)
            assert example.targets[0] == example.messages[-1].content
            assert not example.choices or example.targets[0] in example.choices


@each_task
def test_a_task_has_sixty_different_rows_on_both_sides(task: Task) -> None:
    made = {row.key: row.split for row in rows(task, DRAWS)}

    assert len(made) >= 60
    assert 0.04 * len(made) <= sum(side == "test" for side in made.values()) <= 0.4 * len(made)
    assert task.make is not None and task.make(Random(11)) == task.make(Random(11))


@pytest.mark.parametrize("held_out", COLLECTION.held_out, ids="-".join)
def test_a_choice_of_held_out_clusters_leaves_most_of_the_others_to_train(held_out: tuple[str, ...]) -> None:
    trained = COLLECTION.trainable(held_out)
    kept = COLLECTION.members(held_out)

    assert len(trained) >= 60 and len({task.cluster for task in trained}) >= 12
    assert not {source for task in kept for source in task.sources} & {s for task in trained for s in task.sources}
    assert not {task.name for task in trained} & {*COLLECTION.held_out_tasks, *(task.name for task in kept)}


def test_every_cluster_has_one_unseen_task() -> None:
    of_name = {task.name: task.cluster for task in TASKS}
    unseen = Counter(of_name[name] for name in COLLECTION.held_out_tasks)

    assert unseen == dict.fromkeys(COLLECTION.clusters, 1)


def test_the_text_holds_no_wording_of_a_template() -> None:
    found = set().union(*(runs_of_words(page) for page in text()))
    of_rewards = {
        run for task in REWARD_TASKS for template in task.templates for turn in template.turns
        for piece in turn.replace("{list}", "{").replace("{kind}", "{").split("{") for run in runs_of_words(piece)
    }  # fmt: skip

    assert len(template_runs()) > 3000
    assert sorted(found & template_runs()) == []
    assert sorted(found & of_rewards) == []


def test_one_template_turn_in_six_is_too_short_to_be_looked_for() -> None:
    turns = [turn for task in TASKS for template in task.templates for turn in template.turns]
    short = [turn for turn in turns if not any(map(runs_of_words, re.split(r"\{\w+\}", turn)))]

    assert 1 / 7 < len(short) / len(turns) < 1 / 5


def test_the_text_has_no_marks_of_a_chat() -> None:
    whole = "\n".join(text()).lower()

    assert [mark for mark in CHAT_MARKS if mark in whole] == []


def test_one_document_in_sixty_has_the_shape_of_a_chat_of_words() -> None:
    shaped = [page for page in documents(1, 3_000) if len(re.findall(r"^\[[A-Z][a-z ]*\] ", page, re.MULTILINE)) > 1]

    assert 3_000 / 75 < len(shaped) < 3_000 / 45
    assert any("[Teacher] " in page and "[Pupil] " in page for page in shaped)


def test_the_text_asks_for_the_skills_of_every_cluster() -> None:
    asked = requests_by_cluster(pages(1, DOCUMENTS))

    assert set(asked) == set(COLLECTION.clusters)


def test_rows_are_drawn_once_each() -> None:
    for task in islice(TASKS, 0, None, 12):
        drawn = [row.key for row in islice(task.draw(Random(1), set()), 100)]
        assert len(drawn) == len(set(drawn))

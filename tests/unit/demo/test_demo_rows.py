from itertools import islice
from random import Random

import pytest

from luthier.demo.collection import practice_collection
from luthier.demo.rows import (
    Prompts,
    Row,
    of_many_turns,
    of_one_turn,
    plain_templates,
    prompt_key,
    trained_templates,
    unseen_templates,
)

COLLECTION = practice_collection()
TASKS = COLLECTION.tasks
BY_NAME = {task.name: task for task in TASKS}
TRAINED = trained_templates(COLLECTION)


def test_a_prompt_is_never_drawn_twice() -> None:
    prompts = Prompts()
    first = islice(prompts.rows(Random(1), TASKS, plain_templates, side="train"), 300)
    second = islice(prompts.rows(Random(1), TASKS, plain_templates, side="train"), 300)
    keys = [row.key for row in (*first, *second)]

    assert len(keys) == len(set(keys)) == 600


def test_tasks_take_turns_and_every_row_is_of_the_side_that_was_asked_for() -> None:
    for side in ("train", "test"):
        rows = list(islice(Prompts().rows(Random(2), TASKS, TRAINED, side=side), 2 * len(TASKS)))

        assert [row.task for row in rows] == [*TASKS] * 2
        made = {task.name: {r.key: r.split for r in islice(task.draw(Random(0), set()), 300)} for task in TASKS[:12]}
        links = [(row.task.name, row.example.links[0].removeprefix("row:")) for row in rows]
        assert {made[name][key] for name, key in links if key in made.get(name, {})} <= {side}


def test_trained_templates_are_the_seen_and_the_turned_around_and_never_the_unseen() -> None:
    for task in TASKS:
        trained = TRAINED(task)
        assert {template.index for template in trained} == set(range(len(task.templates))) - {
            template.index for template in unseen_templates(COLLECTION)(task)
        }
        assert len(of_one_turn(trained)) + len(of_many_turns(trained)) == len(trained)


def test_a_task_whose_prompts_are_used_up_is_passed_over() -> None:
    small, large = BY_NAME["double"], BY_NAME["reverse"]
    rows = list(islice(Prompts().rows(Random(3), (small, large), plain_templates, side="test"), 400))

    assert sum(row.task is small for row in rows) < 150 < sum(row.task is large for row in rows)


def test_asking_for_more_prompts_than_there_are_says_so() -> None:
    with pytest.raises(ValueError, match="different prompts"):
        list(islice(Prompts().rows(Random(4), (BY_NAME["double"],), plain_templates, side="test"), 1000))


def test_prompts_that_differ_in_case_and_signs_alone_count_as_one() -> None:
    assert prompt_key(["What is  THIS:\nfox?"]) == prompt_key(["what is", "this fox"])


def test_a_line_of_a_suite_ends_with_the_request() -> None:
    task = BY_NAME["told_earlier"]
    (talk, *_) = of_many_turns(task.templates)
    row = Row.of(task, task.make(Random(1)), talk)
    line = row.as_suite_line()

    assert [turn["role"] for turn in line["messages"]] == ["user", "assistant", "user"][-len(talk.turns) :]
    assert line["targets"][0] == row.answer and "choices" not in line

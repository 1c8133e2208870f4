from itertools import islice
from random import Random

import pytest

from luthier.demo.rows import Prompts, all_templates, prompt_key, seen_templates
from luthier.demo.tasks import TASKS

BY_NAME = {task.name: task for task in TASKS}


def test_a_prompt_is_never_drawn_twice() -> None:
    prompts = Prompts()
    first = islice(prompts.rows(Random(1), TASKS, all_templates), 400)
    second = islice(prompts.rows(Random(1), TASKS, all_templates), 400)
    keys = [prompt_key(row.prompt) for row in (*first, *second)]

    assert len(keys) == len(set(keys)) == 800


def test_tasks_take_turns() -> None:
    rows = list(islice(Prompts().rows(Random(2), TASKS, seen_templates), 3 * len(TASKS)))

    assert [row.task for row in rows] == [*TASKS] * 3
    assert all(row.template in row.task.seen for row in rows)


def test_a_task_whose_prompts_are_used_up_is_passed_over() -> None:
    small, large = BY_NAME["young"], BY_NAME["reverse"]
    rows = list(islice(Prompts().rows(Random(3), (small, large), all_templates), 800))

    assert sum(row.task is small for row in rows) < 300 < sum(row.task is large for row in rows)


def test_asking_for_more_prompts_than_there_are_says_so() -> None:
    with pytest.raises(ValueError, match="different prompts"):
        list(islice(Prompts().rows(Random(4), (BY_NAME["young"],), all_templates), 1000))


def test_prompts_that_differ_in_case_and_signs_alone_count_as_one() -> None:
    assert prompt_key("What is  THIS:\nfox?") == prompt_key("what is this fox")

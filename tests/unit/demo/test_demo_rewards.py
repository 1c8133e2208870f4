from random import Random

from luthier.demo.collection import practice_collection
from luthier.demo.rewards import REWARD_TASKS

PICK, FOURTH = REWARD_TASKS


def test_reward_tasks_are_no_part_of_the_collection() -> None:
    assert not {task.name for task in REWARD_TASKS} & {task.name for task in practice_collection().tasks}


def test_any_word_of_the_kind_is_right_where_any_is_asked_for() -> None:
    for seed in range(100):
        row = PICK.make(Random(seed))
        example = PICK.example(row, PICK.templates[seed % len(PICK.templates)])
        assert len(set(row.answers)) == 2 and {*row.answers} < {*row.fields["list"].split(", ")}
        assert example.targets == row.answers


def test_the_fourth_word_is_never_the_last() -> None:
    for seed in range(100):
        row = FOURTH.make(Random(seed))
        words = row.fields["list"].split(", ")
        assert words[3] == row.answers[0] != words[-1]


def test_the_same_generator_makes_the_same_row() -> None:
    assert all(task.make(Random(11)) == task.make(Random(11)) for task in REWARD_TASKS)

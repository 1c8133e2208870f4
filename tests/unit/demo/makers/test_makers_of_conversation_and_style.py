"""Conversation, tutoring, writing, style and intent: what is true of every task file, maker and skill of them."""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import luthier.demo
from luthier.demo.makers import conversation, intent, style, tutoring, writing
from luthier.demo.scenes import PRONOUN
from luthier.graders import GRADERS
from luthier.records import Completion, Example, Message
from luthier.tasks.collection import read_collection
from luthier.tasks.task import Task, Template

MODULES = {m.__name__.rpartition(".")[2]: m for m in (conversation, tutoring, writing, style, intent)}
FOLDER = Path(luthier.demo.__file__).parent / "tasks"
TASKS = [
    task
    for name, module in MODULES.items()
    for task in read_collection(FOLDER / name, makers=module.MAKERS).tasks
]  # fmt: skip
SHINGLE = 4


def words_of(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower())


def shingles(text: str) -> set[tuple[str, ...]]:
    words = words_of(text)
    return {tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}


def literal_shingles(template: Template) -> set[tuple[str, ...]]:
    return {s for turn in template.turns for part in re.split(r"\{\w+\}", turn) for s in shingles(part)}


def rows_of(task: Task, count: int) -> Iterator:
    rng, taken = Random(task.name), set()
    for row, _ in zip(task.draw(rng, taken), range(count), strict=False):
        yield row


def test_every_maker_has_a_task_file_in_its_cluster_and_every_task_a_skill():
    for name, module in MODULES.items():
        assert {task.name for task in TASKS if task.cluster == name} == set(module.MAKERS)
        assert {skill.name for skill in module.SKILLS} == set(module.MAKERS)
        assert {skill.cluster for skill in module.SKILLS} == {name}
        assert len(module.MAKERS) >= 4


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_has_twelve_templates_and_sixty_rows(task):
    assert len(task.templates) >= 12
    assert len(task.plain_templates) >= 10
    assert task.description
    assert sum(1 for _ in rows_of(task, 60)) == 60


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_template_is_filled_and_every_accepted_answer_is_graded_as_right(task):
    for row in rows_of(task, 40):
        for template in task.templates:
            example = task.example(row, template)
            assert not re.search(r"\{\w+\}", " ".join(m.content for m in example.messages))
            assert example.targets[0] == example.messages[-1].content
            for target in example.targets:
                completion = Completion.of(example_id=example.id, model_id="m", text=target)
                grade = GRADERS[example.grading["grader"]](example, completion)
                assert grade.value == 1, (target, grade.reason)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_answer_to_another_row_is_seldom_graded_as_right(task):
    rows = list(rows_of(task, 40))
    template = task.plain_templates[0]
    hits = 0
    for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
        example = task.example(row, template)
        completion = Completion.of(example_id=example.id, model_id="m", text=other.answers[0])
        hits += GRADERS[example.grading["grader"]](example, completion).value or 0
    # Half of the yes-or-no answers agree; the families of intent topics share answers, and hints share letters.
    assert hits <= {"pupil_right": 30}.get(task.name, 12)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_two_unseen_phrasings_ask_in_one_turn(task):
    assert [len(template.turns) for template in task.unseen(2)] == [1, 1]


def test_no_run_of_four_words_of_a_template_stands_in_a_request_of_the_text():
    templates = {s: f"{t.name}/{p.index}" for t in TASKS for p in t.templates for s in literal_shingles(p)}
    found = set()
    for module in MODULES.values():
        for skill in module.SKILLS:
            rng = Random(skill.name)
            for _ in range(400):
                request = skill.make(rng)
                for text in (request.ask, request.given):
                    found |= {(skill.name, templates[s], " ".join(s)) for s in shingles(text) & templates.keys()}
    assert not found, sorted(found)


def test_requests_are_the_same_for_the_same_seed_and_have_no_empty_part():
    for module in MODULES.values():
        for skill in module.SKILLS:
            first = [skill.make(Random(i)) for i in range(30)]
            assert first == [skill.make(Random(i)) for i in range(30)]
            assert all(request.ask.strip() and request.answer.strip() for request in first)
            assert all("{" not in request.ask + request.given + request.answer for request in first)


def test_a_skill_asks_in_at_least_eight_wordings():
    for module in MODULES.values():
        for skill in module.SKILLS:
            rng = Random(3)
            starts = {tuple(words_of(skill.make(rng).ask)) for _ in range(200)}
            assert len(starts) >= 8, skill.name


def test_tasks_are_made_of_trained_topics_only_and_the_text_speaks_of_all():
    trained = {topic.do.replace("leafs", "leaves") for topic in intent.TOPICS if topic.is_trained}
    measured = {topic.do for topic in intent.TOPICS if not topic.is_trained}
    rng = Random(5)
    assert {make(rng).fields["do"] for make in intent.MAKERS.values() for _ in range(400)} == trained
    pages = " ".join(intent.lesson(rng) for _ in range(2000)).lower()
    assert not [topic.do for topic in intent.TOPICS if topic.do not in pages and topic.doing not in pages]
    assert not trained & measured


def test_families_of_topics_are_on_one_side_only():
    sides: dict[str, set[bool]] = {}
    for topic in intent.TOPICS:
        sides.setdefault(topic.family, set()).add(topic.is_trained)
    assert all(len(found) == 1 for found in sides.values())
    assert len(sides) == 24


@pytest.mark.parametrize("topic", intent.TOPICS, ids=lambda topic: topic.name)
def test_the_answer_to_one_intent_is_wrong_for_the_others(topic):
    for asked in intent.INTENTS:
        example = Example.of([Message(role="user", content="?")], targets=["x"], grading=topic.grading(asked))
        for given in intent.INTENTS:
            completion = Completion.of(example_id=example.id, model_id="m", text=topic.answers[given])
            assert GRADERS["constraints"](example, completion).value == float(asked == given), (asked, given)


def test_children_get_fewer_words_than_experts():
    rng = Random(1)
    for _ in range(200):
        row = tutoring.MAKERS["explain"](rng)
        is_short = "max_words" in row.grading and "min_words" not in row.grading
        assert (len(row.answers[0].split()) <= tutoring.SHORT_WORDS) == is_short


def test_no_man_is_greeted_as_a_sister_and_no_woman_as_a_brother():
    rng = Random(6)
    rows = [style.MAKERS["greeting"](rng) for _ in range(600)]
    roles = {pronoun: {row.fields["role"] for row in rows if PRONOUN[row.fields["name"]] == pronoun}
             for pronoun in ("he", "she")}  # fmt: skip
    assert "a brother" in roles["he"] and not {"a sister", "the old queen"} & roles["he"]
    assert "a sister" in roles["she"] and "a brother" not in roles["she"]

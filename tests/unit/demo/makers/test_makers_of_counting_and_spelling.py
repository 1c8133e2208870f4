"""The clusters arithmetic, lists, steps, format, category and spelling: their makers, templates and wordings."""

import json
import re
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from random import Random

import pytest

import luthier.demo
from luthier.demo.makers import arithmetic, category, form, lists, spelling, steps
from luthier.demo.world import KIND_OF, kind_phrase
from luthier.tasks.files import read_task
from luthier.tasks.task import Task, TaskRow

MODULES = {
    "arithmetic": arithmetic,
    "lists": lists,
    "steps": steps,
    "format": form,
    "category": category,
    "spelling": spelling,
}
FOLDER = Path(luthier.demo.__file__).parent / "tasks"
ALL_MAKERS = {name: make for module in MODULES.values() for name, make in module.MAKERS.items()}
NAMES = [(cluster, name) for cluster, module in MODULES.items() for name in module.MAKERS]
SKILLS = [skill for module in MODULES.values() for skill in module.SKILLS]


def read(cluster: str, name: str) -> Task:
    """The task in its file, which must have no problem."""
    parsed = read_task(FOLDER / cluster / f"{name}.toml", makers=ALL_MAKERS)
    assert parsed.problems == []
    assert parsed.task is not None
    return parsed.task


def items(row: TaskRow) -> list[str]:
    """The entries of the row's list."""
    return row.fields["list"].split(", ")


def story_end(row: TaskRow) -> str:
    """The number in the end: a story that gives things away has no "more" in it."""
    first, second = map(int, re.findall(r"\d+", row.fields["story"]))
    return str(first + second if " more" in row.fields["story"] else first - second)


def holds(letter: str, word: str) -> str:
    """Yes or no."""
    return "yes" if letter in word else "no"


RIGHT: dict[str, Callable[[TaskRow], str]] = {
    "add": lambda row: str(int(row.fields["a"]) + int(row.fields["b"])),
    "subtract": lambda row: str(int(row.fields["a"]) - int(row.fields["b"])),
    "one_more": lambda row: str(int(row.fields["n"]) + 1),
    "one_less": lambda row: str(int(row.fields["n"]) - 1),
    "double": lambda row: str(int(row.fields["n"]) * 2),
    "missing_number": lambda row: str(int(row.fields["total"]) - int(row.fields["a"])),
    "story_sum": story_end,
    "first": lambda row: items(row)[0],
    "second": lambda row: items(row)[1],
    "third": lambda row: items(row)[2],
    "last": lambda row: items(row)[-1],
    "count": lambda row: str(row.fields["list"].count(",") + 1),
    "reverse": lambda row: ", ".join(reversed(items(row))),
    "next_in_list": lambda row: items(row)[items(row).index(row.fields["item"]) + 1],
    "drop_first": lambda row: row.fields["list"].partition(", ")[2],
    "first_capitals": lambda row: items(row)[0].upper(),
    "last_capitals": lambda row: items(row)[-1].upper(),
    "last_quotes": lambda row: f'"{items(row)[-1]}"',
    "reverse_drop": lambda row: ", ".join(list(reversed(items(row)))[1:]),
    "twice_brackets": lambda row: "({0} {0})".format(row.fields["text"]),
    "drop_dashes": lambda row: row.fields["list"].partition(", ")[2].replace(", ", "-"),
    "capitals": lambda row: row.fields["text"].upper(),
    "brackets": lambda row: f"({row.fields['text']})",
    "quotes": lambda row: f'"{row.fields["text"]}"',
    "json_object": lambda row: json.dumps({row.fields["key"]: row.fields["value"]}),
    "commas": lambda row: row.fields["words"].replace(" ", ", "),
    "dashes": lambda row: row.fields["words"].replace(" ", "-"),
    "bullets": lambda row: "- " + row.fields["list"].replace(", ", "\n- "),
    "kind": lambda row: KIND_OF[row.fields["noun"]],
    "member": lambda row: next(o for o in row.options if kind_phrase(KIND_OF[o]) == row.fields["phrase"]),
    "odd_one_out": lambda row: min(
        row.options, key=lambda option: sum(KIND_OF[option] == KIND_OF[other] for other in row.options)
    ),
    "same_kind": lambda row: "yes" if KIND_OF[row.fields["a"]] == KIND_OF[row.fields["b"]] else "no",
    "first_letter": lambda row: row.fields["word"][0],
    "last_letter": lambda row: row.fields["word"][-1],
    "spell": lambda row: "-".join(row.fields["word"]),
    "word_length": lambda row: str(len(row.fields["word"])),
    "has_letter": lambda row: holds(row.fields["letter"], row.fields["word"]),
}
"""What the answer must be, worked out apart from the makers."""


@pytest.mark.parametrize("name", RIGHT)
def test_every_answer_is_right(name: str) -> None:
    rng = Random(11)
    for _ in range(300):
        row = ALL_MAKERS[name](rng)
        assert row.answers[0] == RIGHT[name](row), row


@pytest.mark.parametrize(("cluster", "name"), NAMES)
def test_a_task_has_rows_enough_and_each_offers_its_answer(cluster: str, name: str) -> None:
    task = read(cluster, name)
    rows = list(islice(task.draw(Random(3), set()), 200))
    assert len(rows) >= 60
    for row in rows:
        options = task.options_of(row)
        assert not options or row.answers[0] in options
        assert len(set(options)) == len(options)
        assert (task.metric == "choice") == bool(options)
    assert ALL_MAKERS[name](Random(5)) == ALL_MAKERS[name](Random(5))


@pytest.mark.parametrize(("cluster", "name"), NAMES)
def test_a_task_has_a_dozen_templates_and_fills_every_slot(cluster: str, name: str) -> None:
    task = read(cluster, name)
    assert task.name == name
    assert task.clusters == (cluster,)
    assert task.description
    assert len(task.templates) >= 12
    assert len(task.plain_templates) >= 10
    for row in islice(task.draw(Random(4), set()), 10):
        for template in task.templates:
            example = task.example(row, template)
            assert all(message.content.strip() for message in example.messages)
            assert "{" not in example.prompt[-1].content.replace(row.answers[0], "")


@pytest.mark.parametrize("name", ["first_letter", "last_letter", "word_length"])
def test_one_word_of_three_fits_the_question_turned_around(name: str) -> None:
    rng = Random(2)
    for _ in range(200):
        row = ALL_MAKERS[name](rng)
        among = row.fields["among"].split(", ")
        fitting = [word for word in among if RIGHT[name](TaskRow({"word": word}, ())) == row.answers[0]]
        assert fitting == [row.fields["word"]]


def test_a_word_is_asked_about_in_one_row_only() -> None:
    for name in ("first_letter", "last_letter", "word_length"):
        rows = [ALL_MAKERS[name](Random(seed)) for seed in range(600)]
        assert len({row.key for row in rows}) == len({row.fields["word"] for row in rows})


def test_exact_words_asks_for_as_many_words_as_its_answer_has() -> None:
    numbers = {"two": 2, "three": 3, "four": 4, "five": 5}
    answers: dict[tuple[str, str], str] = {}
    for seed in range(500):
        row = ALL_MAKERS["exact_words"](Random(seed))
        noun, count, words = row.fields["noun"], numbers[row.fields["count"]], row.answers[0].split()
        assert len(words) == count
        assert noun in words
        assert row.grading["min_words"] == row.grading["max_words"] == count
        assert answers.setdefault((noun, row.fields["count"]), row.answers[0]) == row.answers[0]


@pytest.mark.parametrize("name", ["sentence_topic", "message_intent"])
def test_no_sentence_belongs_to_two_labels(name: str) -> None:
    labels: dict[str, str] = {}
    for seed in range(3000):
        row = ALL_MAKERS[name](Random(seed))
        text = next(iter(row.fields.values()))
        assert "{" not in text
        assert labels.setdefault(text, row.answers[0]) == row.answers[0]


def test_yes_and_no_are_the_answers_equally_often() -> None:
    for name in ("same_kind", "has_letter"):
        rng = Random(1)
        share = sum(ALL_MAKERS[name](rng).answers[0] == "yes" for _ in range(1000)) / 1000
        assert 0.43 < share < 0.57


# The text must never have read a template.


def runs(words: Sequence[str]) -> set[tuple[str, ...]]:
    """Every four words in a row."""
    return {tuple(words[at : at + 4]) for at in range(len(words) - 3)}


def plain_words(text: str) -> list[str]:
    """The words without case and punctuation."""
    return re.findall(r"[a-z0-9]+", text.lower())


def template_runs() -> dict[tuple[str, ...], str]:
    """Every four words of literal text, and the template that has them."""
    found = {}
    for cluster, name in NAMES:
        for template in read(cluster, name).templates:
            for turn in template.turns:
                for literal in re.split(r"\{\w+\}", turn):
                    found.update(dict.fromkeys(runs(plain_words(literal)), turn))
    return found


def test_no_wording_of_the_text_has_four_words_of_a_template() -> None:
    known = template_runs()
    shared = {}
    for skill in SKILLS:
        rng = Random(9)
        for _ in range(400):
            ask = skill.make(rng).ask
            for run in runs(plain_words(ask)):
                if run in known:
                    shared[run] = (skill.name, ask, known[run])
    assert shared == {}


def test_every_task_has_its_skill_and_every_skill_many_wordings() -> None:
    for cluster, module in MODULES.items():
        assert {skill.cluster for skill in module.SKILLS} == {cluster}
        assert set(module.MAKERS) <= {skill.name for skill in module.SKILLS}
    for skill in SKILLS:
        requests = [skill.make(Random(seed)) for seed in range(60)]
        assert all(request.ask.strip() and request.answer for request in requests)
        assert len({request.ask for request in requests}) >= 8
        assert all(not request.options or request.answer in request.options for request in requests)
        assert skill.make(Random(1)) == skill.make(Random(1))

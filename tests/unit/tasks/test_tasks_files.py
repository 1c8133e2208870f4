"""Task files: what they may say, and what is said of a mistake."""

from __future__ import annotations

import json
from random import Random

import pytest

from luthier.errors import DataError
from luthier.tasks import TaskRow, read_collection

TASK = """
cluster = "words"
rows = "opposite.jsonl"
templates = [
  "What is the opposite of {word}?",
  "Word: {word}",
]
"""
ROWS = '{"word": "hot", "answer": "cold"}\n{"word": "big", "answer": ["small", "little"], "more": ["large"]}\n'


@pytest.fixture
def collect(tmp_path):
    """A collection of one task file, its rows and its settings."""

    def collect(task=TASK, rows=ROWS, settings=None, makers=None):
        (tmp_path / "words").mkdir(exist_ok=True)
        (tmp_path / "words/opposite.toml").write_text(task, encoding="utf-8")
        (tmp_path / "words/opposite.jsonl").write_text(rows, encoding="utf-8")
        if settings is not None:
            (tmp_path / "collection.toml").write_text(settings, encoding="utf-8")
        return read_collection(tmp_path, makers=makers or {})

    return collect


def problems_of(collect, **what):
    """The places after the folder, and the findings."""
    with pytest.raises(DataError) as caught:
        collect(**what)
    return [(p.where.rpartition("words/")[2], p.found, p.fix) for p in caught.value.problems]


def test_a_task_file_becomes_a_task(collect):
    (task,) = collect(TASK + 'description = "D."\n[[inverted]]\nprompt = "Not {answer}?"\nanswer = "{word}"\nalso = "more"\n'
                      '[[dialogues]]\nturns = ["{word}", "Yes?", "The opposite?"]\n').tasks  # fmt: skip
    assert (task.name, task.clusters, task.metric, task.description) == ("opposite", ("words",), "exact", "D.")
    assert [len(template.turns) for template in task.templates] == [3, 1, 1, 1]
    assert [template.index for template in task.templates] == [0, 1, 2, 3]
    assert task.unseen(1)[0].turns == ("Word: {word}",), "the last of `templates`, whatever else there is"
    assert task.rows[1] == TaskRow(
        {"word": "big"}, ("small", "little"), lists={"more": ("large",)}, source="opposite.jsonl:2"
    )
    example = task.example(task.rows[1], task.inverted_templates[0])
    assert example.targets == ("big", "large")


def test_a_phrasing_may_word_its_answer(collect):
    (task,) = collect(TASK + '[[phrasings]]\nprompt = "And {word}?"\nanswer = "It is {answer}."\n').tasks
    assert task.example(task.rows[0], task.templates[0]).target == "It is cold."


@pytest.mark.parametrize(
    ("added", "line", "key", "found"),
    [
        ('[[inverted]]\nprompt = "a {answer}"\nanswer = "{word}"\n[[inverted]]\nprompt = "b {answer}"\nanswer = "x"\nanswr = "x"\n',
         "14", "inverted.1.answr", "unknown key"),
        ("metric = 3\n", "8", "metric", "3 (int)"),
        ("options = [1]\n", "8", "options.0", "1 (int)"),
        ('clusters = ["a"]\n', "8", "clusters", "cluster beside clusters"),
        ('options = ["a", "a"]\n', "8", "options", "['a', 'a']"),
        ('name = " "\n', "8", "name", "' '"),
        ('source = "practice"\n', "3", "rows", "rows beside source"),
        ('source = "other"\n', "8", "source", "'other' (str)"),
        ('[[dialogues]]\nturns = ["{word}", "b"]\n', "9", "dialogues.0.turns", "2 turns"),
        ('[[phrasings]]\nprompt = " "\n', "8", "phrasings.0", "an empty text"),
        ('[[phrasings]]\nprompt = "Word: {word}"\n', "6", "templates.1", "a copy of phrasings.0"),
        ('[[inverted]]\nprompt = "a {answer}"\nanswer = "{word"\n', "8", "inverted.0",
         "'{' at character 1 is no slot; {{ and }} are braces"),
        ('[[inverted]]\nprompt = "a {answer}"\nanswer = "{wrd}"\n', "8", "inverted.0",
         "the slot {wrd}, which opposite.jsonl:1 does not fill"),
        ('[[inverted]]\nprompt = "a {answer}"\nanswer = "{word}"\nalso = "mor"\n', "11", "inverted.0.also", "'mor'"),
        ('[[phrasings]]\nprompt = "{options} {word}"\n', "8", "phrasings.0",
         "the slot {options}, which opposite.jsonl:1 does not fill"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_task_file_is_told_with_its_line_and_key(collect, added, line, key, found):
    where, said, _ = problems_of(collect, task=TASK + added)[0]
    assert where == f"opposite.toml:{line}: {key}"
    assert said == found


@pytest.mark.parametrize(
    ("old", "new", "where", "found"),
    [
        ('cluster = "words"', "", "opposite.toml: cluster", "no cluster"),
        ('rows = "opposite.jsonl"', "", "opposite.toml", "no rows"),
        ('"opposite.jsonl"', '"none.jsonl"', "opposite.toml:3: rows", "none.jsonl"),
        ("{word}?", "{word?", "opposite.toml:5: templates.0", "no slot"),
        ("Word: {word}", "Word: {wrod}", "opposite.toml:6: templates.1", "the slot {wrod}"),
        ("templates", "template", "opposite.toml:4: template", "unknown key"),
        ('cluster = "words"', "cluster = words", "opposite.toml:2:11", "Invalid value"),
    ],
)
def test_a_mistake_in_what_is_there_is_told(collect, old, new, where, found):
    problems = problems_of(collect, task=TASK.replace(old, new))
    assert problems[0][0] == where
    assert found in problems[0][1]


def test_a_misspelt_key_or_slot_or_name_is_answered_with_the_right_one(collect):
    assert "did you mean templates?" in problems_of(collect, task=TASK.replace("templates", "template"))[0][2]
    assert problems_of(collect, task=TASK.replace("{word}?", "{wrod}?"))[0][2] == "did you mean 'word'?"
    fix = problems_of(collect, settings='held_out_tasks = ["oposite"]\n')[0][2]
    assert fix == "did you mean 'opposite'?"


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("{", "Expecting property name"),
        ("[1]", "a list in place of an object"),
        ('{"word": "hot"}', "no answer"),
        ('{"word": 3, "answer": "x"}', "word is 3, which is no text"),
        ('{"word": "hot", "answer": 3}', "answer is 3"),
        ('{"word": "hot", "answer": ["x", null]}', "not all texts"),
        ('{"word": "hot", "answer": "x", "options": "x"}', 'options is "x"'),
        ('{"word": "hot", "answer": "x", "grading": []}', "grading is []"),
    ],
)
def test_a_bad_row_is_told_with_its_line(collect, row, found):
    where, said, _ = problems_of(collect, rows=ROWS + "\n" + row + "\n")[0]
    assert where == "opposite.jsonl:4"
    assert found in said


def test_an_empty_answer_and_one_that_is_no_option_are_told(collect):
    rows = (
        ROWS
        + '{"word": "a", "answer": " "}\n{"word": "a", "answer": []}\n{"word": "a", "answer": "y", "options": ["n"]}\n'
    )
    assert [found for _, found, _ in problems_of(collect, rows=rows)] == ["no answer", "no answer", "the answer 'y'"]


def test_a_file_without_rows_is_told(collect):
    assert problems_of(collect, rows="\n")[0][:2] == ("opposite.jsonl", "no row")


def test_every_problem_of_every_file_is_told_at_once(collect, tmp_path):
    (tmp_path / "other.toml").write_text("cluster = 3\n", encoding="utf-8")
    found = problems_of(collect, task=TASK.replace("{word}", "{wrod}"), settings="unseen = 1\n")
    assert len(found) == 4


def test_a_maker_fills_the_task_of_its_name_and_is_tried(collect):
    task = TASK.replace('rows = "opposite.jsonl"', 'source = "practice"')
    made = {"opposite": lambda rng: TaskRow({"word": str(rng.random())}, ("x",), source="practice")}
    assert len(list(zip(range(5), collect(task, makers=made).tasks[0].draw(Random(0), set()), strict=False))) == 5
    assert problems_of(collect, task=task, makers={"opposit": made["opposite"]})[0][2] == "did you mean 'opposit'?"
    lacks = {"opposite": lambda rng: TaskRow({"other": "a"}, ("x",), source="practice")}
    assert problems_of(collect, task=task, makers=lacks)[0][1] == "the slot {word}, which practice does not fill"
    clash = {"opposite": lambda rng: TaskRow({"word": "a", "answer": "b"}, ("x",), source="practice")}
    assert problems_of(collect, task=task, makers=clash)[0][1] == "a field 'answer'"


def test_templates_in_one_line_or_in_many_lines_or_with_escapes_keep_their_places(collect):
    task = TASK.replace('  "Word: {word}",\n', '  """\nMany {word}\nlines""",\n  "\\"{word}\\" {x}",\n')
    assert problems_of(collect, task=task)[0][0] == "opposite.toml:9: templates.2"
    inline = TASK + 'inverted = [{ prompt = "a {answer}", answer = "{x}" }]\n'
    assert problems_of(collect, task=inline)[0][0] == "opposite.toml:8: inverted.0"


def test_bytes_that_are_no_text_are_told(tmp_path):
    (tmp_path / "a.toml").write_bytes(b'name = "\xff"\n')
    with pytest.raises(DataError, match="not UTF-8"):
        read_collection(tmp_path)


def test_rows_with_a_byte_order_mark_are_read(collect):
    assert len(collect(rows="\ufeff" + json.dumps({"word": "a", "answer": "b"})).tasks[0].rows) == 1

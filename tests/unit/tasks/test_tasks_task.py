"""Templates, rows and the examples they make."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.errors import DataError
from luthier.graders import GRADERS
from luthier.records import Completion
from luthier.tasks import WORDINGS, Task, TaskRow, Template
from luthier.tasks.task import fill, options_block, slots_of

TEXT = st.text(min_size=1, max_size=12)
NAME = st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True).filter(lambda name: name not in ("answer", "options"))


def task_of(*turns: str, answer: str = "{answer}", options: tuple[str, ...] = (), **rest: object) -> Task:
    template = Template(turns=turns, answer=answer, index=0)
    return Task(name="opposite_word", clusters=("words",), templates=(template,), options=options,
                description="Say the opposite.", **rest)  # type: ignore[arg-type]  # fmt: skip


@given(st.dictionaries(NAME, TEXT, min_size=1, max_size=4), st.lists(TEXT, min_size=5, max_size=5))
def test_a_prompt_keeps_every_slot_value_as_it_stands(fields, between):
    """Whatever stands between the slots and in them, braces of both kinds included."""
    pieces = [piece.replace("{", "{{").replace("}", "}}") for piece in between]
    template = pieces[0] + "".join(f"{{{name}}}{piece}" for name, piece in zip(fields, pieces[1:], strict=False))
    task = task_of(template)
    example = task.example(TaskRow(fields, ("a",)), task.templates[0])
    wanted = between[0] + "".join(value + piece for value, piece in zip(fields.values(), between[1:], strict=False))
    assert example.messages[0].content == wanted
    assert slots_of(template) == tuple(fields)


@given(st.lists(TEXT, min_size=1, max_size=5, unique=True), st.booleans())
def test_the_options_suffix_is_exact(options, from_row):
    task = task_of("Is it {word}?", options=() if from_row else tuple(options))
    row = TaskRow({"word": "so"}, (options[0],), tuple(options) if from_row else ())
    example = task.example(row, task.templates[0])
    assert example.messages[0].content == "Is it so?\n\nOPTIONS:\n" + "\n".join(f"- {option}" for option in options)
    assert example.choices == tuple(options)
    assert example.targets == (options[0],)


def test_a_slot_for_options_takes_the_place_of_the_suffix():
    task = task_of("{options}\nIs it {word}?", options=("yes", "no"))
    example = task.example(TaskRow({"word": "so"}, ("no",)), task.templates[0])
    assert example.messages[0].content == "OPTIONS:\n- yes\n- no\nIs it so?"


def test_an_example_says_where_it_is_from_and_how_it_is_graded():
    task = task_of("What is not {word}?", metric="numeric", sources=("lexicon",))
    row = TaskRow({"word": "big"}, ("small", "little"), grading={"tolerance": 1}, source="opposite.jsonl:2")
    example = task.example(row, task.templates[0])
    assert example.messages[-1].content == "small"
    assert example.targets == ("small", "little")
    assert (example.task, example.cluster, example.template) == ("opposite_word", "words", "opposite_word/0")
    assert example.grading == {"grader": "numeric", "tolerance": 1}
    assert example.links == (f"row:{row.key}", "source:lexicon")
    assert example.source == "opposite.jsonl:2"


def test_an_inverted_template_asks_for_the_input_by_exact_match_without_options():
    inverted = Template(
        turns=("What is the opposite of {answer}?",), answer="{word}", also="more", is_inverted=True, index=3
    )
    task = Task(name="t", clusters=("c",), metric="choice", options=("small", "tall"), templates=(inverted,))
    row = TaskRow({"word": "big"}, ("small",), grading={"must": ["x"]}, lists={"more": ("large", "big")})
    example = task.example(row, inverted)
    assert [message.content for message in example.messages] == ["What is the opposite of small?", "big"]
    assert example.targets == ("big", "large")
    assert example.choices == ()
    assert example.grading == {"grader": "exact"}


def test_a_dialogue_alternates_and_ends_with_the_answer():
    task = task_of("My name is {name}.", "Hello, {name}.", "What is my name?", options=("Ann", "Bo"))
    example = task.example(TaskRow({"name": "Ann"}, ("Ann",)), task.templates[0])
    assert [message.role for message in example.messages] == ["user", "assistant", "user", "assistant"]
    assert example.messages[1].content == "Hello, Ann."
    assert example.messages[2].content == "What is my name?\n\nOPTIONS:\n- Ann\n- Bo"


def test_an_answer_in_a_sentence_makes_sentences_of_the_choices_and_grades_as_right():
    task = task_of("Is it {word}?", answer="I think {answer}.", options=("yes", "no"), metric="choice")
    example = task.example(TaskRow({"word": "so"}, ("no",)), task.templates[0])
    assert example.choices == ("I think yes.", "I think no.")
    assert example.target == "I think no."
    said = Completion.of(example_id=example.id, model_id="m", text=str(example.target))
    assert GRADERS["choice"](example, said).value == 1


@pytest.mark.parametrize(
    ("wording", "prompt"),
    [("none", "big\nred"), ("name", "opposite word\n\nbig\nred"), ("definition", "Say the opposite.\n\nbig\nred")],
)
def test_a_poorer_wording_shows_the_fields_of_the_template_and_no_others(wording, prompt):
    task = task_of("What is {colour} and not {word}?")
    row = TaskRow({"word": "big", "colour": "red", "wanted": "small"}, ("small",))
    assert task.example(row, task.templates[0], wording=wording).messages[0].content == prompt


def test_a_poorer_wording_still_shows_options():
    task = task_of("Is it {word}? {options}", options=("yes", "no"))
    row = TaskRow({"word": "so"}, ("no",))
    texts = {wording: task.example(row, task.templates[0], wording=wording).messages[0].content for wording in WORDINGS}
    assert texts["none"] == "so\n\nOPTIONS:\n- yes\n- no"
    assert all(text.count("OPTIONS:") == 1 for text in texts.values())


def test_a_description_is_needed_for_its_wording():
    task = Task(name="t", clusters=("c",), templates=(Template(turns=("{a}",), index=0),))
    with pytest.raises(DataError, match="no description"):
        task.example(TaskRow({"a": "b"}, ("c",)), task.templates[0], wording="definition")


def test_a_slot_that_nothing_fills_is_named():
    with pytest.raises(DataError, match=r"here: found the slot \{wrod\}, expected one of word"):
        fill("What is {wrod}?", {"word": "big"}, where="here")


@pytest.mark.parametrize("text", ["{", "a } b", "{a b}", "{}", "{0}", "{a.b}", "{a!r}", "{{a}"])
def test_a_brace_that_is_no_slot_is_refused(text):
    with pytest.raises(ValueError, match="is no slot"):
        slots_of(text)


def test_a_row_has_the_same_key_in_every_task_and_whatever_the_order_of_its_fields():
    one = TaskRow({"a": "1", "b": "2"}, ("x",), options=("x", "y"), source="f:1")
    assert one.key == TaskRow({"b": "2", "a": "1"}, ("x",)).key
    assert one.key != TaskRow({"a": "1", "b": "2"}, ("y",)).key


def test_about_one_row_in_five_is_a_test_row_by_its_content_alone():
    task = task_of("{a}")
    rows = [TaskRow({"a": str(number)}, ("x",)) for number in range(2000)]
    sides = [task.row_split(row) for row in rows]
    assert 300 < sides.count("test") < 500
    assert sides == [task.row_split(TaskRow({"a": str(number)}, ("x",), source="other")) for number in range(2000)]


def test_draw_gives_each_row_once_in_an_order_that_the_seed_decides():
    rows = tuple(TaskRow({"a": str(number % 30)}, ("x",)) for number in range(40))
    task = task_of("{a}", rows=rows)
    taken: set[str] = {rows[3].key}
    drawn = list(task.draw(Random(1), taken))
    assert len(drawn) == 29
    assert len({row.key for row in drawn}) == 29
    assert taken == {row.key for row in rows}
    assert drawn == list(task.draw(Random(1), {rows[3].key}))
    assert drawn != list(task.draw(Random(2), {rows[3].key}))


def test_draw_from_a_maker_ends_when_it_has_no_new_rows():
    task = task_of("{a}", make=lambda rng: TaskRow({"a": str(rng.randrange(9))}, ("x",)))
    assert sorted(row.fields["a"] for row in task.draw(Random(0), set())) == list("012345678")


def test_seen_and_unseen_templates_part_the_plain_ones():
    plain = [Template(turns=(f"{number}",), index=number) for number in range(4)]
    inverted = Template(turns=("5",), is_inverted=True, index=4)
    task = Task(name="t", clusters=("c",), templates=(*plain, inverted))
    assert task.unseen(2) == tuple(plain[2:])
    assert task.seen(2) == tuple(plain[:2])
    assert (task.seen(0), task.unseen(0)) == (tuple(plain), ())
    assert task.inverted_templates == (inverted,)


def test_no_options_make_no_block():
    assert options_block(()) == ""

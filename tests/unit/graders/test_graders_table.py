import math
import subprocess
import sys

import pytest

from luthier.errors import ConfigError
from luthier.graders import GRADERS, auto, grade_all, grader_by_name, named_graders
from luthier.records import Completion, Example, Grade, Message


def item(targets=(), choices=(), **rest):
    return Example.of([Message(role="user", content="?")], targets=targets, choices=choices, **rest)


def said(example, text):
    return Completion.of(example_id=example.id, model_id="m", text=text)


NEED_GRADING = {"instructions", "instructions_loose", "code", "json_schema", "language", "length"}
"""They cannot tell of an item that says nothing of them, nor of the language of a question mark."""


def test_every_grader_of_the_table_is_found_by_name_and_signs_with_it(monkeypatch):
    monkeypatch.setattr("luthier.graders.require_isolation", lambda: None)
    for name in GRADERS:
        example = item(["7 b"], ["7 b", "c"])
        grade = grader_by_name(name, where="x")(example, said(example, "7 b"))
        assert (grade.grader, grade.value) == (name, None if name in NEED_GRADING else 1)
        assert GRADERS[name].__doc__


def test_an_unknown_grader_names_the_place_and_the_known_ones():
    with pytest.raises(ConfigError, match=r"evaluate\.graders: found 'rogue', expected one of auto, exact, choice"):
        grader_by_name("rogue", where="evaluate.graders")


def test_a_users_own_grader_is_a_function_in_a_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from luthier.records import Grade\n"
        "def short(example, completion):\n"
        "    return Grade(completion_id=completion.id, example_id=example.id, grader='short',\n"
        "                 value=float(len(completion.text) < 5))\n"
    )
    graders = named_graders(["exact", f"{path}:short"], where="evaluate.graders")
    example = item(["hi"])
    assert list(graders) == ["exact", "short"]
    assert graders["short"](example, said(example, "hello")).value == 0


@pytest.mark.parametrize("names", [["exact", "exact"], ["a.py:rank"]])
def test_two_graders_may_not_make_one_kpi(names):
    with pytest.raises(ConfigError, match="which is taken"):
        named_graders(names, where="evaluate.graders")


@pytest.mark.parametrize(
    ("example", "text", "by", "value"),
    [
        (item(["18"], grading={"grader": "numeric"}), "it is 18 apples", "numeric", 1),
        (item(["yes"], ["yes", "no"]), "- Yes.", "choice", 1),
        (item(["in the year of 1066"]), "1066", "exact", 0),
        (item(["it was in the year of 1066"]), "1066", "rouge_l", 0.25),
        (item(), "x", "exact", None),
    ],
)
def test_auto_grades_as_the_item_asks_or_by_its_shape(example, text, by, value):
    grade = auto(example, said(example, text))
    assert grade.grader == "auto" and grade.reason.split(":")[0] == by
    assert grade.value == (value if value is None else pytest.approx(value))


def test_a_row_of_data_cannot_have_a_file_run(tmp_path):
    path = tmp_path / "evil.py"
    path.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\ndef g(e, c): pass\n")
    example = item(["x"], grading={"grader": f"{path}:g"})
    (grade,) = grade_all(auto, [example], [said(example, "x")])
    assert grade.is_error and "asks for grader" in grade.reason
    assert not (tmp_path / "ran").exists()


def test_a_grader_that_raises_or_returns_nonsense_makes_errors_never_zeros():
    examples = [item([str(k)]) for k in range(5)]
    completions = [said(e, e.target) for e in reversed(examples)]
    answers = iter([None, math.nan, 1.5, 1.0])

    def shaky(example, completion):
        if example.target == "4":
            raise KeyError("tests")
        value = next(answers)
        if value is None:
            return 0.5
        return Grade(completion_id=completion.id, example_id=example.id, grader="shaky", value=value)

    grades = grade_all(shaky, examples, completions)
    assert [g.completion_id for g in grades] == [c.id for c in completions]
    assert [g.value for g in grades] == [None, None, None, None, 1.0]
    assert [g.is_error for g in grades] == [True, True, True, True, False]
    assert [g.reason for g in grades[:4]] == [
        "KeyError: 'tests'",
        "the grader returned float, expected a Grade",
        "the grader returned nan, expected 0..1 or None",
        "the grader returned 1.5, expected 0..1 or None",
    ]


def test_graders_import_neither_torch_nor_sacrebleu():
    code = "import sys, luthier.graders; sys.exit(bool({'torch', 'sacrebleu'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""A function of the user's own: what is wrong with it is told with its place before anything is graded."""

import pytest

from luthier.errors import ConfigError
from luthier.graders import grade_all, named_graders
from luthier.records import Completion, Example, Message

GOOD = """
from luthier.records import Grade
def grader(example, completion):
    return Grade(completion_id=completion.id, example_id=example.id, grader="grader", value=1.0)
"""


def own(folder, source, name="grader"):
    path = folder / "mine.py"
    path.write_text(source)
    return named_graders([f"{path}:{name}"], where="evaluate.graders")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def other(example, completion): pass", r"found no function 'grader' in .*mine\.py.*\n  Fix: define `def grader"),
        ("grader = 3", "found no function 'grader'"),
        ("import not_there_at_all", r"found ModuleNotFoundError in .*mine\.py.*not_there_at_all"),
        ("def grader(:", r"found SyntaxError in .*mine\.py"),
        ("1 / 0", r"found ZeroDivisionError in .*mine\.py: division by zero.*\n  Fix: run `python "),
        ("import sys; sys.exit(3)", r"found SystemExit in .*mine\.py: 3"),
        ("def grader(text): pass", r"found grader\(text\) in .*mine\.py.*expected a function that takes an example and a completion"),
        ("def grader(): pass", r"found grader\(\) in "),
        ("def grader(example, completion, *, strict): pass", r"found grader\(example, completion, \*, strict\) in "),
        ("async def grader(example, completion): pass", r"found async def grader in .*expected a function that returns a Grade"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_function_of_ones_own_is_told_with_its_place(tmp_path, source, said):
    with pytest.raises(ConfigError, match=rf"evaluate\.graders: {said}"):
        own(tmp_path, source)


@pytest.mark.parametrize("spec", ["missing.py:grader", "grader.txt:grader", ":grader", "mine.py:"])
def test_a_file_or_a_name_that_is_not_there_is_told(tmp_path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(GOOD)
    (tmp_path / "grader.txt").write_text(GOOD)
    with pytest.raises(ConfigError, match=r"evaluate\.graders: found "):
        named_graders([spec], where="evaluate.graders")


@pytest.mark.parametrize(
    "source",
    [GOOD, GOOD.replace("completion)", "completion, strict=True)", 1), GOOD.replace("def grader(example, completion)", "def grader(*both)")
     .replace("    return", "    example, completion = both\n    return"),
     GOOD.replace("def grader(", "class Own:\n  def __call__(self, ").replace("    return", "     return") + "grader = Own()\n"],
)  # fmt: skip
def test_whatever_takes_an_item_and_an_answer_grades(tmp_path, source):
    item = Example.of([Message(role="user", content="?")])
    (grade,) = grade_all(own(tmp_path, source)["grader"], [item], [Completion.of(example_id=item.id, model_id="m", text="x")])
    assert grade.value == 1

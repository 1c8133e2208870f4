import pytest

from luthier.evaluate.errors.taxonomy import KINDS, OtherRequests, failure_of, form_of, repeated_unit
from luthier.records import Completion, Example, Message


def item(text="Which animal is it?", targets=("a dog",), **rest):
    return Example.of([Message(role="user", content=text)], targets=targets, **rest)


def kind(example, text, *, finish="stop", others=(), reason=""):
    completion = Completion.of(example_id=example.id, model_id="m", text=text, finish_reason=finish)
    return failure_of(example, completion, others=OtherRequests.of([example, *others]), reason=reason).kind


LONG = ("The river runs through the old town and then into the sea",)
CASES = [
    ("empty", item(), "  \n", {}),
    ("refused", item(), "I'm sorry, but I can't help with that.", {}),
    ("wrong content", item(targets=("I'm sorry, but I can't help with that.",)), "I cannot help you with dogs.", {}),
    ("repeated", item(), "the cat and the cat and the cat and the cat and", {"finish": "length"}),
    ("repeated", item(), "no no no no no", {}),
    ("repeated", item(), "Yes, it is.\nYes, it is.\nYes, it is.", {}),
    ("did not stop", item(), "a dog and it barks", {}),
    ("did not stop", item(targets=("dog",)), "dog cat", {"finish": "length"}),
    ("did not stop", item(targets=("dog",)), "It might well be one of several", {"finish": "length"}),
    ("truncated", item(targets=LONG), "The river runs under the bridge", {"finish": "length"}),
    ("wrong content", item(targets=("red",)), "red, blue", {}),
    ("wrong language", item(targets=LONG), "El río corre por la ciudad vieja y luego hasta el mar", {}),
    ("wrong form", item(targets=("yes",), choices=("yes", "no")), "perhaps", {}),
    ("wrong form", item(targets=("yes",), choices=("yes", "no")), "yes or no", {}),
    ("wrong content", item(targets=("yes",), choices=("yes", "no")), "no", {}),
    ("wrong form", item(targets=("42",)), "a great many", {}),
    ("wrong content", item(targets=("42",)), "43", {}),
    ("wrong form", item(targets=('{"a": 1}',)), "a is 1", {}),
    ("wrong form", item(targets=("A DOG",)), "a dog", {}),
    ("wrong form", item(targets=('"dog"',)), "dog", {}),
    ("wrong form", item(targets=("- dog\n- cat",)), "dog and cat", {}),
    ("wrong form", item(targets=("dog, cat",)), "Dog cat.", {}),
    ("wrong form", item(targets=(), grading={"grader": "constraints", "lines": 2}), "one",
     {"reason": "constraints: breaks lines"}),
    ("wrong content", item(targets=(), grading={"grader": "constraints", "must": ["fox"]}), "one hen",
     {"reason": "constraints: breaks must"}),
    ("wrong content", item(), "a cat", {}),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "example", "text", "rest"), CASES, ids=[f"{c[0]}-{k}" for k, c in enumerate(CASES)])
def test_each_kind_of_failure(expected, example, text, rest):
    assert kind(example, text, **rest) == expected


def test_an_answer_to_the_same_row_in_other_words_is_the_answer_to_another_request():
    asked = item("Twice what is 14?", ("7",), template="double/2", links=("row:7",))
    other = item("What is 7 and 7?", ("14",), template="double/0", links=("row:7",))
    assert kind(asked, "14", others=[other]) == "another request"
    assert kind(asked, "15", others=[other]) == "wrong content"
    assert kind(asked, "14", others=[item("What is 7 and 7?", ("14",), links=("source:sums",))]) == "wrong content"


def test_the_answer_to_another_request_about_the_same_rare_words_is_told_from_a_common_answer():
    asked = item("Explain the science of baking sourdough bread", ("Yeast makes gas.",), task="explain")
    other = item("Give a recipe for baking sourdough bread", ("Mix, wait, bake.",), task="recipe")
    elsewhere = [item(way.format(f"n{k} p{k}"), (f"answer {k}",)) for k in range(30)
                 for way in ("Explain the science of baking {}", "Give a recipe for baking {}")]  # fmt: skip
    assert kind(asked, "Mix, wait, bake.", others=[other, *elsewhere]) == "another request"
    assert kind(asked, "answer 7", others=[other, *elsewhere]) == "wrong content"


def test_kinds_are_those_of_the_cases():
    assert {*KINDS} == {c[0] for c in CASES} | {"another request"}


@pytest.mark.parametrize(("text", "unit"), [
    ("a dog and a cat and a cat and a cat and a", "and a cat"), ("ha ha ha", ""), ("ha ha ha ha", "ha"), ("", ""),
    ("one two one two", ""), ("one two one two one two", "one two"),
])  # fmt: skip
def test_what_is_repeated_is_named(text, unit):
    assert repeated_unit(text) == unit


def test_the_form_of_a_text():
    assert form_of('"Two dogs."')["wrapped in"] == '"' and form_of("DOG, 2")["case"] == "capitals"
    assert form_of("-3.5")["number"] == "digits alone" and form_of("3 dogs")["number"] == "no"
    assert form_of("[1, 2]")["json"] == "yes" and form_of("[1, 2")["json"] == "no"
    assert form_of("1. a\n2) b")["bullets"] == "yes" and form_of("")["bullets"] == "no"

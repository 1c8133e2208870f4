"""Rows that hold several conversations."""

import json

import pytest

from luthier.curate.files.raw import RawRow
from luthier.curate.rows import read_examples, row_at
from luthier.curate.shapes.recognising import convert
from luthier.errors import DataError


def converted(row):
    return convert(RawRow("rows.jsonl", 41, json.dumps(row).encode(), data=row))


def says(text, *replies, role=None, **rest):
    """A message of a tree; requests are upper case."""
    role = role or ("prompter" if text.isupper() else "assistant")
    return {"text": text, "role": role, "replies": list(replies), **rest}


def texts(result):
    assert result.fault is None, result.fault
    return [" ".join(message.content for message in record.messages) for record in result.records]


def test_every_way_to_an_answer_that_nothing_follows_is_an_example():
    tree = says("Q", says("a", says("R", says("b"), says("c"))), says("d"), says("e", says("S", says("f"))))
    assert texts(converted({"prompt": tree})) == ["Q a R b", "Q a R c", "Q d", "Q e S f"]


def test_a_request_that_nobody_answered_ends_the_way_before_it():
    tree = says("Q", says("a", says("R")), says("b", says("S"), says("T", says("c"))))
    assert texts(converted({"prompt": tree})) == ["Q a", "Q b T c"]


def test_deleted_and_rejected_replies_are_left_out_with_what_hangs_on_them():
    tree = says("Q", says("a", says("R", says("b")), deleted=True), says("c", review_result=False),
                says("d", says("S", says("e"), review_result=False)), says("f", review_result=None))  # fmt: skip
    assert texts(converted({"prompt": tree})) == ["Q d", "Q f"]


def test_the_examples_of_a_tree_are_linked_and_numbered():
    tree = says("Q", says("a", synthetic=True, model_name="m"), says("b", synthetic=False, model_name="m"), lang="en")
    result = converted({"message_tree_id": "t1", "prompt": tree, "licence": "MIT"})
    assert result.shape == "tree"
    assert [record.source for record in result.records] == ["rows.jsonl:41", "rows.jsonl:41#2"]
    assert [record.links for record in result.records] == [("tree:t1",)] * 2
    assert [(record.language, record.licence) for record in result.records] == [("en", "MIT")] * 2
    assert [record.generator for record in result.records] == ["m", None]


def test_a_row_may_be_the_root_itself():
    row = {"role": "user", "content": "Q", "message_id": "m1", "replies": [{"role": "assistant", "content": "a"}]}
    result = converted(row)
    assert (result.shape, texts(result), result.records[0].links) == ("tree", ["Q a"], ("tree:m1",))


FAULTS = [
    ({"prompt": says("Q")}, "missing answer", "prompt", "a tree without an answer"),
    ({"prompt": says("Q", says("a"), deleted=True)}, "missing answer", "prompt", "a tree without an answer"),
    ({"prompt": says("Q", says("a"), says(" ", role="assistant"))}, "empty answer", "prompt.replies[1].text", "' '"),
    ({"prompt": says("Q", says("a", says("b")))}, "wrong order", "prompt.replies[0].replies[0].role", "'assistant'"),
    ({"prompt": says("Q", says("R"))}, "wrong order", "prompt.replies[0].role", "'user'"),
    ({"prompt": says("Q", says("a", role="wizard"))}, "wrong role", "prompt.replies[0].role", "'wizard'"),
    ({"prompt": {"text": "Q", "role": "user", "replies": ["a"]}}, "not a conversation", "prompt.replies[0]", "'a'"),
    ({"prompt": says("Q", {"text": "a", "role": "assistant", "replies": "b"})}, "not a conversation",
     "prompt.replies[0].replies", "'b'"),
    ({"instruction": "a", "instances": [{"input": "x", "output": "b"}, {"input": "y", "output": ""}]}, "empty answer",
     "instances[1].output", "''"),
    ({"instruction": "a", "instances": [{"input": "x"}]}, "missing answer", "instances[0]", "the fields instruction, input"),
    ({"instruction": "a", "instances": ["x"]}, "wrong field", "instances[0]", "'x'"),
    ({"instruction": 3, "instances": [{"input": "x", "output": "b"}]}, "not a string", "instruction", "3 (int)"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "reason", "field", "found"), FAULTS)
def test_a_broken_message_or_instance_is_a_fault_of_its_row_that_names_it(row, reason, field, found):
    result = converted(row)
    problem = result.fault.problem
    assert (result.fault.reason, problem.where) == (reason, f"rows.jsonl:41: {field}")
    assert found in problem.found and not result.records


def test_a_deep_tree_is_read_without_recursion():
    tree = says("a")
    for _ in range(400):
        tree = says("a", says("Q", tree))
    (record,) = convert(RawRow("x", 1, b"{}", {"prompt": says("Q", tree)}, is_whole=True)).records
    assert len(record.messages) == 802


def test_a_request_with_instances_gives_an_example_for_each():
    row = {"id": "seed_1", "name": "colours", "instruction": "What colour?", "is_classification": False,
           "instances": [{"input": "a fox", "output": "red"}, {"input": "<noinput>", "output": "blue"}]}  # fmt: skip
    result = converted(row)
    assert result.shape == "instances"
    assert texts(result) == ["What colour?\n\na fox red", "What colour? blue"]
    assert [record.task for record in result.records] == ["colours", "colours"]
    assert [record.source for record in result.records] == ["rows.jsonl:41", "rows.jsonl:41#2"]


def test_a_task_of_super_natural_instructions_on_one_line_gives_an_example_for_each_instance():
    row = {"Definition": ["Say it."], "Categories": ["Speech"], "Positive Examples": [],
           "Instances": [{"id": "1", "input": "it", "output": ["it", "that"]}]}  # fmt: skip
    result = converted(row)
    assert texts(result) == ["Say it.\n\nit it"]
    assert (result.records[0].targets, result.records[0].cluster) == (("it", "that"), "Speech")


def test_the_rows_of_a_tree_are_all_read_and_each_can_be_shown(tmp_path):
    path = tmp_path / "trees.jsonl"
    path.write_text(json.dumps({"prompt": says("Q", says("a"), says("b"))}) + "\n")
    assert [example.targets for example in read_examples([path]).examples] == [("a",), ("b",)]
    assert row_at(f"{path}:1").target == "a"
    assert row_at(f"{path}:1#2").target == "b"
    with pytest.raises(DataError, match="2 conversations in this row"):
        row_at(f"{path}:1#3")

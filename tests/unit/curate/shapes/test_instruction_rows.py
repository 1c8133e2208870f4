"""Rows of IFEval become items that its instructions grade; what cannot be checked is refused with its place."""

import json

import pytest

from luthier.curate.files.raw import RawRow
from luthier.curate.rows import converted_rows, read_examples
from luthier.curate.shapes.recognising import convert
from luthier.graders import auto
from luthier.records import Completion

ROW = {
    "key": 1000,
    "prompt": "Write three words without commas.",
    "instruction_id_list": ["en:punctuation:no_comma", "length_constraints:number_words"],
    "kwargs": [{}, {"relation": "at least", "num_words": 3}],
}


def converted(row):
    return convert(RawRow(file="rows.jsonl", line=41, data=row, raw=json.dumps(row).encode()))


def test_a_row_becomes_an_item_with_its_instructions_as_grading():
    result = converted(ROW)
    assert (result.shape, result.fault) == ("ifeval", None)
    (example,) = result.records
    assert [(message.role, message.content) for message in example.messages] == [("user", ROW["prompt"])]
    assert (example.targets, example.source) == ((), "rows.jsonl:41")
    assert example.grading == {
        "grader": "instructions",
        "instructions": [
            {"id": "punctuation:no_comma"},
            {"id": "length_constraints:number_words", "relation": "at least", "num_words": 3},
        ],
    }
    for text, value in (("one two three", 1), ("one, two, three", 0), ("one two", 0)):
        assert auto(example, Completion.of(example_id=example.id, model_id="m", text=text)).value == value


def test_null_arguments_are_left_out_and_zero_is_kept():
    # Copies of the set fill every key of every instruction, with null where it does not belong.
    filled = {"relation": None, "num_words": None, "keywords": None}
    row = {**ROW, "kwargs": [filled, {**filled, "relation": "at least", "num_words": 0}]}
    (example,) = converted(row).records
    assert example.grading["instructions"][0] == {"id": "punctuation:no_comma"}
    assert example.grading["instructions"][1]["num_words"] == 0
    assert converted({**ROW, "instruction_id_list": ROW["instruction_id_list"][:1], "kwargs": [None]}).fault is None


def test_an_answer_of_the_row_is_kept_as_one_to_learn():
    (example,) = converted({**ROW, "response": "one two three"}).records
    assert [message.role for message in example.messages] == ["user", "assistant"]
    assert example.target == "one two three"


@pytest.mark.parametrize(
    ("change", "field", "found"),
    [
        ({"instruction_id_list": ["punctuation:no_coma", "length_constraints:number_words"]},
         "instruction_id_list[0]", "'punctuation:no_coma'"),
        ({"kwargs": [{}, {"relation": "at most", "num_words": 3}]}, "kwargs[1].relation", "'at most'"),
        ({"kwargs": [{}, {"relation": "at least"}]}, "kwargs[1].num_words", "nothing"),
        ({"kwargs": [{"n": 0}, {"relation": "at least", "num_words": 3}]}, "kwargs[0].n", "an argument that is not known"),
        ({"kwargs": [{}]}, "kwargs", "[{}]"),
        ({"kwargs": None}, "kwargs", "null"),
        ({"instruction_id_list": []}, "instruction_id_list", "[]"),
        ({"instruction_id_list": "punctuation:no_comma"}, "instruction_id_list", "'punctuation:no_comma'"),
        ({"instruction_id_list": [1, 2]}, "instruction_id_list", "[1, 2]"),
        ({"prompt": ""}, "prompt", "''"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_checked_is_refused_with_its_place(change, field, found):
    result = converted({**ROW, **change})
    assert not result.records
    problem = result.fault.problem
    assert problem.where == f"rows.jsonl:41: {field}"
    assert found in problem.found and problem.expected and problem.fix


def test_a_table_may_hold_both_lists_as_text(tmp_path):
    path = tmp_path / "rows.csv"
    cells = [json.dumps(ROW[name]).replace('"', '""') for name in ("instruction_id_list", "kwargs")]
    path.write_text('prompt,instruction_id_list,kwargs\nDo it.,"' + '","'.join(cells) + '"\n', encoding="utf-8")
    ((_, result),) = converted_rows(path)
    assert (result.shape, result.fault) == ("ifeval", None)


def test_a_file_of_the_shape_is_read_for_evaluation(tmp_path):
    path = tmp_path / "ifeval.jsonl"
    path.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    found = read_examples([path], quarantine=tmp_path / "quarantine.jsonl")
    assert [example.grading["grader"] for example in found.examples] == ["instructions"]

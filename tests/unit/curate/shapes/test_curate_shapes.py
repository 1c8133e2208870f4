"""Every shape becomes the right record, and every bad row a problem that names the field, the finding and the fix."""

import json

import pytest

from luthier.curate.files.raw import RawRow
from luthier.curate.shapes.recognising import SHAPES, convert
from luthier.records import Example, Message, Preference


def converted(row, **options):
    return convert(RawRow("rows.jsonl", 41, json.dumps(row).encode(), data=row), **options)


def turns(record):
    messages = record.messages if isinstance(record, Example) else record.prompt
    return [(message.role, message.content) for message in messages]


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **rest):
    return {"role": "assistant", "content": text, **rest}


PAIR = [("user", "a"), ("assistant", "b")]
CONVERSATIONS = [
    ("alpaca", {"instruction": "a", "input": "", "output": "b"}, PAIR),
    ("alpaca", {"instruction": "a", "input": "about", "output": "b"}, [("user", "a\n\nabout"), ("assistant", "b")]),
    ("alpaca", {"instruction": "a", "context": "about", "response": "b"}, [("user", "a\n\nabout"), ("assistant", "b")]),
    ("alpaca", {"question": "a", "answer": "b"}, PAIR),
    ("alpaca", {"input": "a", "output": "b"}, PAIR),
    ("alpaca", {"input": "a", "target": "b"}, PAIR),
    ("alpaca", {"instruction": "a", "output": "b", "system": "s", "history": [["x", "y"]]},
     [("system", "s"), ("user", "x"), ("assistant", "y"), ("user", "a"), ("assistant", "b")]),
    ("super-ni", {"definition": ["a"], "input": "about", "output": ["b"]}, [("user", "a\n\nabout"), ("assistant", "b")]),
    ("prompt/completion", {"prompt": "a", "completion": "b"}, PAIR),
    ("prompt/completion", {"prompt": "a", "completion": "b", "messages": None, "chosen": None, "rejected": None}, PAIR),
    ("prompt/completion", {"prompt": [user("a")], "completion": [assistant("b")]}, PAIR),
    ("prompt/completion", {"prompt": "\n\nHuman: x\n\nAssistant: y\n\nHuman: a\n\nAssistant:", "completion": "b"},
     [("user", "x"), ("assistant", "y"), *PAIR]),
    ("messages", {"messages": [user("a"), assistant("b")]}, PAIR),
    ("messages", {"messages": [{"role": "System", "content": ""}, user("a"), assistant("b")], "system": "s"},
     [("system", "s"), *PAIR]),
    ("messages", {"messages": [user([{"type": "text", "text": "a"}, {"type": "text", "value": "!"}]), assistant("b")]},
     [("user", "a!"), ("assistant", "b")]),
    ("messages", {"messages": [user("a"), assistant("b")], "label": True}, PAIR),
    ("messages", {"messages": [user("a"), assistant("b")], "tools": "[]"}, PAIR),
    ("messages", {"messages": [user("a"), assistant("b", reasoning_content="so")]},
     [("user", "a"), ("assistant", "<think>\nso\n</think>\n\nb")]),
    ("messages", {"messages": [user("a"), assistant([{"type": "reasoning", "value": "so"}, {"type": "text", "value": "b"}])]},
     [("user", "a"), ("assistant", "<think>\nso\n</think>\n\nb")]),
    ("prompt/completion", {"prompt": [user("a")], "system": "s", "completion": "b"}, [("system", "s"), *PAIR]),
    ("sharegpt", {"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "a"},
                                    {"from": "gpt", "value": "b"}]}, [("system", "s"), *PAIR]),
    ("sharegpt", {"conversation": [{"from": "Human", "value": "a"}, {"from": "chatgpt", "value": "b"}]}, PAIR),
    ("luthier", {"messages": [user("a"), assistant("b")], "task": "t", "cluster": "c"}, PAIR),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "row", "expected"), CONVERSATIONS)
def test_a_row_of_each_shape_becomes_the_conversation_that_it_holds(shape, row, expected):
    result = converted(row)
    assert (result.shape, result.fault) == (shape, None)
    assert turns(result.records[0]) == expected
    assert result.records[0].source == "rows.jsonl:41"


@pytest.mark.parametrize("blank", ["", " ", None, "<noinput>", "N/A", "None", "n/a", "\u200b"])
def test_a_placeholder_input_is_no_input(blank):
    assert turns(converted({"instruction": "a", "input": blank, "output": "b"}).records[0]) == PAIR


def test_a_list_of_outputs_becomes_targets_and_the_first_is_the_answer():
    record = converted({"task": "t1", "id": "x", "input": "a", "output": ["b", "c"]}).records[0]
    assert turns(record) == PAIR
    assert record.targets == ("b", "c")
    assert record.task == "t1"


def test_targets_beside_an_answer_are_accepted_too():
    assert converted({"prompt": "a", "answer": "b", "targets": ["c", "b"]}).records[0].targets == ("b", "c")
    assert converted({"prompt": "a", "targets": ["c", "b"]}).records[0].targets == ("c", "b")


def test_loss_weights_are_kept_where_they_differ_from_what_the_role_has_anyway():
    row = {"messages": [{**user("a"), "loss_weight": 0.0}, assistant("b", loss_weight=0.0), user("c"),
                        assistant("d", weight=1)]}  # fmt: skip
    record = converted(row).records[0]
    assert [message.weight for message in record.messages] == [None, 0.0, None, None]
    assert [message.loss_weight for message in record.messages] == [0.0, 0.0, 0.0, 1.0]


def test_weights_of_parts_are_the_weight_of_their_turn():
    parts = [{"type": "text", "text": "b", "loss_weight": 0.5}, {"type": "text", "text": "c", "loss_weight": 0.5}]
    (record,) = converted({"messages": [user("a"), assistant(parts)]}).records
    assert [(message.content, message.weight) for message in record.messages] == [("a", None), ("bc", 0.5)]


@pytest.mark.parametrize("label", [False, "false", " False"])
def test_a_row_marked_as_bad_is_usable_and_must_not_be_learnt(label):
    rows = [
        {"prompt": "a", "completion": "b", "label": label},
        {"messages": [user("a"), assistant("b")], "kto_tag": label},
    ]
    for row in rows:
        result = converted(row)
        assert (result.dropped, result.fault) == ("marked as bad", None)
        assert turns(result.records[0]) == PAIR
        name = "label" if "label" in row else "kto_tag"
        assert converted({**row, name: True}).dropped is None


def test_a_row_marked_as_bad_that_is_broken_is_a_fault():
    result = converted({"prompt": "a", "completion": "", "label": False})
    assert (result.fault.reason, result.dropped) == ("empty answer", None)


def test_our_own_example_keeps_everything_it_says():
    row = {
        "messages": [user("a")], "targets": ["b"], "choices": ["b", "c"], "grading": {"grader": "choice"}, "task": "t",
        "cluster": "k", "template": "p", "language": "en", "links": ["doc 1"], "licence": "MIT", "source": "faq.jsonl:3",
        "tools": [{"type": "function", "function": {"name": "t"}}], "generator": "g",
    }  # fmt: skip
    assert converted(row, licence="CC0").records[0] == Example.of(
        [Message(role="user", content="a")], targets=["b"], choices=["b", "c"], grading={"grader": "choice"}, task="t",
        cluster="k", template="p", language="en", links=("doc 1",), licence="MIT", source="faq.jsonl:3",
        tools=[{"type": "function", "function": {"name": "t"}}], generator="g",
    )  # fmt: skip


def test_a_row_without_a_licence_gets_the_one_given():
    assert converted({"prompt": "a", "completion": "b"}, licence="CC0").records[0].licence == "CC0"
    assert converted({"prompt": "a", "completion": "b", "license": "MIT"}, licence="CC0").records[0].licence == "MIT"


def test_a_row_may_end_on_the_user_when_it_has_targets_or_grading():
    for rest in ({"targets": ["b"]}, {"grading": {"grader": "rules.py:polite"}}):
        assert turns(converted({"messages": [user("a")], **rest}).records[0]) == [("user", "a")]


HH = "\n\nHuman: x\n\nAssistant: y\n\nHuman: a\n\nAssistant: "
LONG = [("user", "x"), ("assistant", "y"), ("user", "a")]
PREFERENCES = [
    ({"prompt": "a", "chosen": "b", "rejected": "c"}, [("user", "a")]),
    ({"question": "a", "system": "s", "chosen": "b", "rejected": "c"}, [("system", "s"), ("user", "a")]),
    ({"chosen": HH + "b", "rejected": HH + "c"}, LONG),
    ({"prompt": HH, "chosen": HH + "b", "rejected": HH + "c"}, LONG),
    ({"prompt": [user("a")], "chosen": "b", "rejected": "c"}, [("user", "a")]),
    ({"prompt": [user("a")], "chosen": [assistant("b")], "rejected": [assistant("c")]}, [("user", "a")]),
    ({"prompt": "a", "chosen": [user("a"), assistant("b")], "rejected": [user("a"), assistant("c")]}, [("user", "a")]),
    ({"chosen_messages": [user("a"), assistant("b")], "rejected_messages": [user("a"), assistant("c")]}, [("user", "a")]),
    ({"conversations": [{"from": "human", "value": "a"}], "chosen": {"from": "gpt", "value": "b"},
      "rejected": {"from": "gpt", "value": "c"}}, [("user", "a")]),
]  # fmt: skip


@pytest.mark.parametrize(("row", "prompt"), PREFERENCES)
def test_each_way_of_writing_a_preference_gives_its_prompt_and_both_answers(row, prompt):
    result = converted(row)
    assert (result.shape, result.fault) == ("preference", None)
    assert isinstance(result.records[0], Preference)
    assert turns(result.records[0]) == prompt
    assert (result.records[0].chosen, result.records[0].rejected, result.records[0].origin) == ("b", "c", "file")


def test_our_own_preference_keeps_where_it_came_from():
    row = {"prompt": [user("a")], "chosen": "b", "rejected": "c", "origin": "edit", "source": "trace:9", "links": ["l"]}
    record = converted(row).records[0]
    assert (record.origin, record.source, record.links) == ("edit", "trace:9", ("l",))


def test_a_preference_keeps_its_template_language_and_generator_and_they_are_not_its_content():
    row = {"prompt": "a", "chosen": "b", "rejected": "c"}
    told = converted({**row, "template": "t 1", "language": "de", "generator": "a model"}).records[0]
    assert (told.template, told.language, told.generator) == ("t 1", "de", "a model")
    assert told.id == converted(row).records[0].id


def conversation(*contents, **rest):
    return {"messages": [(user, assistant)[k % 2](text) for k, text in enumerate(contents)], **rest}


FAULTS = [
    ({"messages": [user("a"), {"role": "asistant", "content": "b"}]}, "wrong role", "messages[1].role", "'asistant'"),
    ({"messages": [user("a"), {"role": "judge", "content": "b"}]}, "wrong role", "messages[1].role", "'judge'"),
    ({"messages": [user("a"), {"role": 3, "content": "b"}]}, "wrong role", "messages[1].role", "3 (int)"),
    ({"messages": [user("a"), {"content": "b"}]}, "wrong role", "messages[1].role", "null"),
    (conversation("a", None), "empty answer", "messages[1].content", "null"),
    (conversation("a", " \u200b\n"), "empty answer", "messages[1].content", "' \\u200b\\n'"),
    (conversation("a", "b", ""), "empty message", "messages[2].content", "''"),
    (conversation("a", 5), "not a string", "messages[1].content", "5 (int)"),
    (conversation("a", True), "not a string", "messages[1].content", "True (bool)"),
    (conversation("a", {"b": 1}), "not a string", "messages[1].content", "{'b': 1} (dict)"),
    (conversation("a"), "missing answer", "messages", "the user has the last word"),
    (conversation("a", "b", "c"), "missing answer", "messages", "the user has the last word"),
    ({"messages": []}, "empty conversation", "messages", "no messages"),
    ({"messages": [{"role": "system", "content": "s"}]}, "empty conversation", "messages", "no messages"),
    ({"messages": "hello"}, "not a conversation", "messages", "'hello'"),
    ({"messages": ["a", "b"]}, "not a conversation", "messages[0]", "'a'"),
    ({"messages": [user("a"), user("b"), assistant("c")]}, "wrong order", "messages[1].role", "'user'"),
    ({"messages": [assistant("a"), user("b"), assistant("c")]}, "wrong order", "messages[0].role", "'assistant'"),
    ({"messages": [user("a"), assistant("b"), {"role": "system", "content": "s"}, user("c")]},
     "wrong order", "messages[2].role", "'system'"),
    ({"messages": [user("a"), assistant("b", weight="much")]}, "wrong weight", "messages[1].weight", "'much'"),
    ({"messages": [user("a"), assistant("b", loss_weight=-1)]}, "wrong weight", "messages[1].loss_weight", "-1 (int)"),
    ({"messages": [user([{"type": "image_url", "image_url": {}}]), assistant("b")]},
     "not text", "messages[0].content[0]", "'image_url'"),
    ({"instruction": "a", "input": "", "output": ""}, "empty answer", "output", "''"),
    ({"instruction": "a", "output": None}, "empty answer", "output", "null"),
    ({"instruction": "a", "output": "<nooutput>"}, "empty answer", "output", "'<nooutput>'"),
    ({"instruction": "a", "output": []}, "empty answer", "output", "[] (list)"),
    ({"instruction": "a", "output": ["b", ""]}, "empty answer", "output[1]", "''"),
    ({"instruction": "a", "output": ["b", 3]}, "not a string", "output[1]", "3 (int)"),
    ({"instruction": "a", "output": False}, "not a string", "output", "False (bool)"),
    ({"question": "a", "answer": 4}, "not a string", "answer", "4 (int)"),
    ({"instruction": "", "input": "", "output": "b"}, "empty message", "instruction", "''"),
    ({"instruction": "a", "instances": []}, "missing answer", "", "instruction, instances"),
    ({"instruction": "a", "question": "b", "answer": "c"}, "ambiguous fields", "question", "instruction and question"),
    ({"prompt": "a", "output": "b", "answer": "c"}, "ambiguous fields", "answer", "output and answer"),
    ({"messages": [user("a")], "targets": "b"}, "wrong field", "targets", "'b'"),
    ({"messages": [user("a")], "targets": ["b"], "grading": "exact"}, "wrong field", "grading", "'exact'"),
    ({"prompt": "a", "completion": "b", "history": "x"}, "not a conversation", "history", "'x'"),
    ({"prompt": [user("a"), assistant("b")], "completion": "c"}, "wrong order", "prompt", "ends with the assistant"),
    ({"text": "a", "n": 1}, "unknown shape", "", "the fields text, n"),
    ({}, "unknown shape", "", "none at all"),
    ({"prompt": {"text": "a"}}, "unknown shape", "", "the fields prompt"),
    ({"messages": [user("a"), assistant([{"type": "text", "text": "b", "loss_weight": 0}, {"type": "text", "text": "c"}])]},
     "wrong weight", "messages[1].content", "different weights"),
    ({"messages": [user("a"), assistant("b", weight=10**400)]}, "wrong weight", "messages[1].weight", "10000"),
    ({"prompt": "a", "chosen": "b", "rejected": "c", "tools": [{"name": "t"}]}, "tool calls", "tools", "tools"),
    ({"prompt": "a", "chosen": "b", "rejected": " b"}, "no preference", "rejected", "the same answer"),
    ({"prompt": "a", "chosen": "b", "rejected": None}, "empty answer", "rejected", "null"),
    ({"chosen": "b", "rejected": "c"}, "missing prompt", "", "chosen, rejected"),
    ({"chosen": HH + "b", "rejected": "\n\nHuman: z\n\nAssistant: c"}, "two prompts", "rejected", "another prompt"),
    ({"prompt": "other", "chosen": HH + "b", "rejected": HH + "c"}, "two prompts", "prompt", "'other'"),
    ({"prompt": "a", "chosen": user("b"), "rejected": assistant("c")}, "wrong role", "chosen", "'user'"),
    ({"prompt": "cut \ud83d", "completion": "b"}, "lone surrogate", "prompt", "\\ud83d"),
    (conversation("a", "b", cluster="\ude00"), "lone surrogate", "cluster", "\\ude00"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "reason", "field", "found"), FAULTS)
def test_a_bad_row_is_a_problem_with_its_place_its_finding_and_a_fix(row, reason, field, found):
    result = converted(row)
    assert not result.records
    problem = result.fault.problem
    assert (result.fault.reason, problem.where) == (reason, f"rows.jsonl:41: {field}".removesuffix(": "))
    assert found in problem.found
    assert problem.expected and problem.fix


def test_a_misspelt_role_gets_a_hint_and_a_foreign_one_does_not():
    assert "did you mean 'assistant'" in converted(FAULTS[0][0]).fault.problem.fix
    assert "did you mean" not in converted(FAULTS[1][0]).fault.problem.fix


def test_the_problem_of_an_unknown_shape_says_which_shapes_there_are():
    expected = converted({"text": "a"}).fault.problem.expected
    assert all(shape.looks_like in expected for shape in SHAPES)


def test_the_index_of_a_bad_turn_counts_an_empty_system_message():
    row = {"messages": [{"role": "system", "content": ""}, user("a"), user("b")]}
    assert converted(row).fault.problem.where == "rows.jsonl:41: messages[2].role"

"""What a person decided is read, checked, and done again at each curation."""

import json
from collections import Counter

import pytest

from luthier.curate.config import CurateConfig
from luthier.curate.personal import redaction_of
from luthier.curate.pipeline import curate
from luthier.curate.review.decisions import Decision, read_decisions
from luthier.curate.steps import Row, Settings, apply_decisions
from luthier.errors import DataError
from luthier.records import Example, Message, read_records


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pair(number, answer="b"):
    return {"prompt": f"question {number}", "completion": answer}


def turns(question, answer):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def user(text):
    return Message(role="user", content=text)


def assistant(text):
    return Message(role="assistant", content=text)


def reviewed(example, decisions):
    """The row after the step, and what the step counted."""
    row = Row("rows.jsonl:1", 1, 1, 0, example)
    counts = {"review": Counter(), "reviewed": Counter()}
    config = CurateConfig(steps=("review",))
    apply_decisions([row], Settings(config, decisions, redaction_of(config.personal)), counts)
    return row, counts


def test_the_last_decision_on_a_row_counts(tmp_path):
    path = write(tmp_path / "review.jsonl", [
        {"id": "a", "decision": "keep"}, {"id": "a", "decision": "drop", "reason": "wrong"},
        {"id": "b", "decision": "mend", "record": turns("q", "better")},
    ])  # fmt: skip
    found = read_decisions(path)
    assert found["a"] == Decision("a", "drop", "wrong")
    assert found["b"].record.target == "better"


BAD = [
    ({"decision": "keep"}, "id"),
    ({"id": "a", "decision": "maybe"}, "decision"),
    ({"id": "a", "decision": "mend"}, "record"),
    ({"id": "a", "decision": "mend", "record": {"messages": []}}, "messages"),
    ({"id": "a", "decision": "mend", "record": {"text": "x"}}, "unknown|fields"),
]


@pytest.mark.parametrize(("row", "named"), BAD)
def test_a_line_that_is_no_decision_is_an_error_at_its_place(tmp_path, row, named):
    path = write(tmp_path / "review.jsonl", [{"id": "x", "decision": "keep"}, row])
    with pytest.raises(DataError, match=rf"review\.jsonl:2.*({named})"):
        read_decisions(path)


@pytest.mark.parametrize("torn", ['{"id": "b", "dec', "nonsense", '{"id": "a", "decision": "drop", "reason": "\u00e9'])
def test_a_last_line_that_was_torn_is_passed_over_and_told(tmp_path, torn):
    path = write(tmp_path / "review.jsonl", [{"id": "a", "decision": "keep"}])
    whole = path.read_bytes()
    path.write_bytes(whole + torn.encode())
    said = []
    assert read_decisions(path, say=said.append) == read_decisions(path) == {"a": Decision("a", "keep")}
    assert len(said) == 1 and "review.jsonl:2: the last line is torn" in said[0]
    path.write_bytes(torn.encode())
    assert read_decisions(path) == {}
    path.write_bytes(whole + torn.encode() + b"\n")
    with pytest.raises(DataError, match=r"review\.jsonl:2"):
        read_decisions(path)  # it has its end: somebody wrote it so
    path.write_bytes(torn.encode() + b"\n" + whole + torn.encode())
    with pytest.raises(DataError) as refused:
        read_decisions(path)
    assert [problem.where.rpartition("jsonl:")[2][:1] for problem in refused.value.problems] == ["1"]


def test_a_last_line_without_an_end_that_is_an_object_is_read(tmp_path):
    path = tmp_path / "review.jsonl"
    path.write_text('{"id": "a", "decision": "keep"}')
    assert read_decisions(path) == {"a": Decision("a", "keep")}
    path.write_text('{"id": "a", "decision": "maybe"}')
    with pytest.raises(DataError, match="maybe"):
        read_decisions(path)


def test_a_decision_on_a_mended_row_follows_the_mending_and_a_circle_ends():
    one, two = (Example.of([user("q"), assistant(text)]) for text in ("first", "second"))
    chain = {one.id: Decision(one.id, "mend", record=two), two.id: Decision(two.id, "keep")}
    row, counts = reviewed(one, chain)
    assert row.is_settled and row.record.messages == two.messages
    assert counts["review"] == {"mend": 1, "keep": 1}
    circle = {one.id: Decision(one.id, "mend", record=two), two.id: Decision(two.id, "mend", record=one)}
    row, counts = reviewed(one, circle)
    assert not row.is_settled and row.record.messages == one.messages
    assert counts["reviewed"] == {one.id: 1, two.id: 1}
    other = Example.of([user("q"), assistant("third")])
    assert reviewed(other, chain)[0].record is other


def test_decisions_drop_mend_and_settle_rows(tmp_path):
    rows = [pair(1, "first"), pair(1, "second"), pair(2, "one"), pair(2, "two"), *(pair(k) for k in range(3, 30))]
    data = write(tmp_path / "rows.jsonl", rows)
    said = []
    before = curate([data], out=tmp_path / "before", config=CurateConfig(), say=said.append)
    flags = [json.loads(line) for line in before.paths["flagged"].read_text().splitlines()]
    assert [flag["where"] for flag in flags] == [f"{data}:{line}" for line in (1, 2, 3, 4)]
    assert set(flags[0]) == {"where", "id", "step", "reason", "detail"}
    ids = [flag["id"] for flag in flags]
    review = write(tmp_path / "review.jsonl", [
        {"id": ids[0], "decision": "drop", "reason": "wrong"}, {"id": ids[1], "decision": "keep"},
        {"id": ids[2], "decision": "mend", "record": turns("question 2", "two")}, {"id": "gone", "decision": "keep"},
    ])  # fmt: skip
    after = curate([data], out=tmp_path / "after", config=CurateConfig(decisions=review), say=said.append)
    assert after.ledger["dropped"] == {"review": 1}
    assert after.ledger["review"] == {"drop": 1, "keep": 1, "mend": 1, "without a row": 1}
    # The mended row says what the fourth says, so one goes into the other, and nothing is in dispute any more.
    assert after.ledger["merged"] == {"duplicate": 1}
    assert after.ledger["flagged"] == {} and not after.paths["flagged"].read_text()
    kept = {example.prompt[-1].content: example for example in read_records(after.paths["examples"], Example)}
    assert kept["question 1"].target == "second"
    assert (kept["question 2"].target, kept["question 2"].source) == ("two", f"{data}:3")


def test_a_kept_row_is_not_flagged_again_and_others_are(tmp_path):
    data = write(tmp_path / "rows.jsonl", [pair(1, "first"), pair(1, "second"), *(pair(k) for k in range(2, 30))])
    first = curate([data], out=tmp_path / "before", config=CurateConfig(), say=lambda line: None)
    ids = [json.loads(line)["id"] for line in first.paths["flagged"].read_text().splitlines()]
    review = write(tmp_path / "review.jsonl", [{"id": ids[0], "decision": "keep"}])
    again = curate([data], out=tmp_path / "after", config=CurateConfig(decisions=review), say=lambda line: None)
    assert [json.loads(line)["id"] for line in again.paths["flagged"].read_text().splitlines()] == ids[1:]
    assert first.paths["examples"].read_bytes() == again.paths["examples"].read_bytes()

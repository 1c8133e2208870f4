"""A mended row has all of the row before it but the text, and is looked at like any other."""

import json

from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import curate
from luthier.records import Example, read_records

SAID = {"licence": "MIT", "links": ["doc 1"], "task": "opening hours", "cluster": "c 1"}
ENGLISH = "We open the shop at nine in the morning, and we close it when the last of the guests has gone home."
GERMAN = "Wir öffnen den Laden um neun Uhr am Morgen und schließen ihn, wenn der letzte Gast nach Hause gegangen ist."


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def done(tmp_path, rows, decisions=(), **config):
    data = write(tmp_path / "rows.jsonl", rows)
    if decisions:
        config["decisions"] = write(tmp_path / "review.jsonl", decisions)
    curated = curate([data], out=tmp_path / "out", config=CurateConfig(workers=1, **config), say=lambda line: None)
    return curated, list(read_records(curated.paths["examples"], Example))


def mended(tmp_path, answer, *, question="When do you open?", row=None, **record):
    """A row with all that a row may say, and what is made of it by a decision."""
    filler = [{"prompt": f"question {k}", "completion": f"answer {k}"} for k in range(5)]
    rows = [row or {"prompt": "When do you open?", "completion": ENGLISH, **SAID}, *filler]
    before = done(tmp_path, rows)[1]
    decision = {"decision": "mend", "record": {"prompt": question, "completion": answer, **record}}
    (identity,) = [e.id for e in before if e.source.endswith(":1")]
    curated, after = done(tmp_path, rows, [{"id": identity, **decision}])
    (found,) = [e for e in after if e.source.endswith(":1")]
    return curated, found


def test_what_the_mend_does_not_say_stays(tmp_path):
    _, row = mended(tmp_path, "At ten.")
    assert (row.target, row.licence, row.links, row.task) == ("At ten.", "MIT", ("doc 1",), "opening hours")
    assert (row.cluster, row.language) == ("c 1", "en")  # two words tell no language


def test_what_the_mend_says_counts(tmp_path):
    _, row = mended(tmp_path, "At ten.", licence="CC0", links=["doc 2"])
    assert (row.licence, row.links, row.task) == ("CC0", ("doc 2",), "opening hours")


def test_the_language_of_a_mended_row_is_told_anew(tmp_path):
    curated, row = mended(tmp_path, GERMAN, question=GERMAN)
    assert row.language == "de" and curated.ledger["languages"]["de"] == 1


def test_personal_data_in_a_mend_are_replaced_and_the_row_is_counted_once(tmp_path):
    row = {"prompt": "When do you open?", "completion": "Ask ann@example.org."}
    curated, found = mended(tmp_path, "Ask bob@example.org.", row=row)
    assert found.target == "Ask [EMAIL_1]." and found.id == Example.of(found.messages).id
    assert [curated.ledger["personal"][name] for name in ("rows", "found")] == [1, {"email": 1}]


def test_repairs_and_lost_characters_are_those_of_the_row_as_it_is_written(tmp_path):
    row = {"prompt": "When do you open?", "completion": "At nine\ufffd\u200b.", "links": ["doc 1"]}
    before, _ = done(tmp_path, [row])
    assert before.ledger["repaired"] == {"invisible characters": 1} and sum(before.ledger["lost_characters"].values()) == 1
    mended_row, found = mended(tmp_path, "At ten.\u200b", row=row)
    assert found.target == "At ten." and mended_row.ledger["repaired"] == {"invisible characters": 1}
    assert mended_row.ledger["lost_characters"] == {}
    worse, found = mended(tmp_path, "At t\ufffdn.", row={**row, "completion": "At nine."})
    assert list(worse.ledger["lost_characters"].values()) == [1] and worse.ledger["repaired"] == {}


def test_a_second_decision_finds_the_mended_row_as_it_is_and_as_it_was_written(tmp_path):
    rows = [{"prompt": f"question {k}", "completion": f"answer {k}"} for k in range(6)]
    first = done(tmp_path, rows)[1][0].id
    record = {"prompt": "question 0", "completion": "Ask ann@example.org."}
    mend = {"id": first, "decision": "mend", "record": record}
    as_it_is = done(tmp_path, rows, [mend])[1][0].id
    as_written = Example.of(done(tmp_path, [record], steps=())[1][0].messages).id
    assert as_it_is != as_written
    for identity in (as_it_is, as_written):
        curated, after = done(tmp_path, rows, [mend, {"id": identity, "decision": "drop"}])
        assert curated.ledger["review"] == {"drop": 1, "mend": 1, "without a row": 0} and len(after) == 5

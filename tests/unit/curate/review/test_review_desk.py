"""What a reviewer sees of a curated folder, and what becomes of a decision."""

import json

import pytest

from fakes_review import NUM_FLAGGED, curated
from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import curate
from luthier.curate.review.decisions import read_decisions
from luthier.curate.review.desk import Desk
from luthier.curate.review.flagged import Flag
from luthier.curate.review.passages import compared, edited, marked, parts_of
from luthier.errors import DataError
from luthier.records import Example, Message
from luthier.records.jsonl import to_json


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return curated(tmp_path_factory.mktemp("review")).paths["flagged"].parent


@pytest.fixture
def desk(folder, tmp_path):
    return Desk.open(folder, tmp_path / "review.jsonl")


def decision(desk, number, kind, **more):
    row = desk.row(number)
    seen = row["decision"]["stamp"] if row["decision"] else None
    return {"id": row["id"], "decision": kind, "seen": seen, **more}


def marks(pieces, mark="flagged"):
    return [text for text, why in pieces if why == mark]


def test_a_flagged_row_is_shown_whole_with_the_passage_marked(desk):
    row = desk.row(4)
    assert [part["role"] for part in row["parts"]] == ["user", "assistant"]
    assert marks(row["parts"][1]["pieces"]) == ["clerk5@example.org"]
    assert "".join(text for text, _ in row["parts"][1]["pieces"]) == row["parts"][1]["text"]
    assert row["flags"][0]["step"] == "personal" and not row["is_missing"] and row["related"] == []


def test_conflicts_stand_side_by_side_with_the_words_that_differ(desk):
    row = desk.row(0)
    (other,) = row["related"]
    assert marks(other["answer"], "differs") == ["ten"] and marks(other["of_this"], "differs") == ["nine"]
    assert other["number"] == 1 and other["asked"] is None and row["is_conflict"]


def test_progress_is_told_by_reason_and_views_follow_state_reason_and_words(desk):
    start = desk.start()
    assert (start["total"], start["decided"]) == (NUM_FLAGGED, 0)
    assert [(one["step"], one["total"]) for one in start["reasons"]] == [("conflicts", 4), ("personal", 6)]
    desk.decide([decision(desk, 0, "keep"), decision(desk, 4, "drop")], version="")
    assert desk.start()["states"] == {"keep": 1, "drop": 1, "mend": 0}
    assert [one["decided"] for one in desk.start()["reasons"]] == [1, 1]
    assert desk.view({"state": "open"})["numbers"] == [1, 2, 3, 5, 6, 7, 8, 9]
    assert desk.view({"state": "drop"})["numbers"] == [4]
    assert desk.view({"step": "conflicts"})["states"] == [1, 0, 0, 0]
    assert desk.view({"words": "CLERK7 parcel"})["numbers"] == [6]
    assert desk.view({"words": "conflicts sundays"})["numbers"] == [0, 1]
    assert desk.view({"words": "nowhere to be found"})["numbers"] == []


def test_a_mended_row_is_checked_and_a_finding_names_the_field(desk):
    row = desk.row(4)
    asked, answer = (part["path"] for part in row["parts"])
    empty = desk.check(row["id"], {"texts": {answer: " "}})["problems"]
    assert [(problem["field"], problem["expected"]) for problem in empty] == [
        ("messages[1].content", "the text of the answer")
    ]
    assert desk.check(row["id"], {"texts": {asked: ""}})["problems"][0]["field"] == "messages[0].content"
    assert desk.check(row["id"], {"texts": {}})["problems"][0]["found"] == "what the row says already"
    assert desk.check(row["id"], {"texts": {answer: "Ask the clerk."}}) == {"problems": []}
    assert "JSON" in desk.check(row["id"], {"json": '{"messages": ['})["problems"][0]["expected"]
    wrong = json.dumps({"messages": [{"role": "user", "content": "q"}, {"role": "asistant", "content": "a"}]})
    assert desk.check(row["id"], {"json": wrong})["problems"][0]["field"] == "messages[1].role"
    with pytest.raises(DataError, match=r"messages\[1\]\.content"):
        desk.decide([decision(desk, 4, "mend", texts={answer: ""})], version="")
    assert desk.start()["decided"] == 0


def test_a_mended_row_keeps_all_else_and_can_be_mended_further(desk, tmp_path):
    answer = desk.row(4)["answer_path"]
    desk.decide([decision(desk, 4, "mend", texts={answer: "Ask the clerk."})], version="")
    desk.decide([decision(desk, 4, "mend", texts={answer: "Ask the clerk at desk 2."})], version="")
    row = desk.row(4)
    assert row["decision"]["decision"] == "mend"
    assert marks(row["decision"]["parts"][1]["pieces"], "differs")
    kept = read_decisions(tmp_path / "review.jsonl")[row["id"]].record
    assert (kept.target, kept.language) == ("Ask the clerk at desk 2.", "en")
    made = desk.text(row["id"], {"texts": {}})
    assert json.loads(made["text"])["messages"][1]["content"] == "Ask the clerk at desk 2."
    assert made["before"] == made["text"]


def test_as_json_a_row_holds_what_was_written_into_its_fields(desk):
    row = desk.row(4)
    answer = row["answer_path"]
    made = desk.text(row["id"], {"texts": {answer: "Ask \u201cthe\u201d clerk."}})
    now, before = json.loads(made["text"]), json.loads(made["before"])
    assert now["messages"][1]["content"] == "Ask \u201cthe\u201d clerk."
    assert before["messages"] == [
        {"role": "user", "content": row["parts"][0]["text"]}, {"role": "assistant", "content": row["parts"][1]["text"]},
    ]  # fmt: skip
    assert now["messages"][0] == before["messages"][0]
    assert desk.check(row["id"], {"json": made["text"]}) == {"problems": []}
    with pytest.raises(DataError, match=r"messages\[7\]"):
        desk.text(row["id"], {"texts": {"messages[7].content": "x"}})
    with pytest.raises(DataError, match="no such row"):
        desk.text("00000000000000ff", {"texts": {}})


def test_all_that_is_listed_is_decided_at_once_and_undone_at_once(desk):
    view = desk.view({"step": "personal"})
    version = view["version"]
    done = desk.decide_all(view["numbers"], decision="drop", reason="addresses", version=version)
    assert done["num_added"] == 6 and done["states"]["drop"] == 6
    assert done["changed"] and not done["is_stale"]
    undone = desk.undo(done["stamp"], version=done["version"])
    assert undone["decided"] == 0 and sorted(undone["changed"]) == [[number, 0] for number in range(4, 10)]
    with pytest.raises(DataError, match="keep or drop"):
        desk.decide_all([0], decision="mend", reason="", version=version)
    with pytest.raises(DataError, match="no such row"):
        desk.decide_all([0, NUM_FLAGGED], decision="drop", reason="", version=version)


def test_no_row_is_decided_with_all_that_was_not_listed_or_that_was_decided_meanwhile(tmp_path):
    folder = curated(tmp_path).paths["flagged"].parent
    desk = Desk.open(folder, tmp_path / "review.jsonl")
    view = desk.view({"step": "personal"})
    desk.decide([decision(desk, view["numbers"][0], "keep")], version="")
    late = desk.decide_all(view["numbers"], decision="drop", reason="", version=view["version"])
    assert late["is_refused"] and late["num_added"] == 0 and late["states"] == {"keep": 1, "drop": 0, "mend": 0}
    flagged = folder / "flagged.jsonl"
    flagged.write_bytes(flagged.read_bytes().partition(b"\n")[2])  # the same numbers mean other rows
    again = desk.decide_all(view["numbers"][1:], decision="drop", reason="", version=view["version"])
    assert again["is_refused"] and again["is_stale"] and again["num_added"] == 0
    view = desk.view({"step": "personal", "state": "open"})
    assert desk.decide_all(view["numbers"], decision="drop", reason="", version=view["version"])["num_added"] == 5


def test_two_desks_see_each_others_decisions_and_override_none_unseen(folder, tmp_path):
    one, two = (Desk.open(folder, tmp_path / "review.jsonl") for _ in range(2))
    version = two.view({})["version"]
    wanted = decision(two, 0, "drop")
    one.decide([decision(one, 0, "keep")], version="")
    assert two.changes(version)["changed"] == [[0, 1]]
    answer = two.decide([wanted], version=version)
    assert answer["refused"] == [wanted["id"]] and two.row(0)["decision"]["decision"] == "keep"


def test_a_folder_that_was_curated_again_is_read_anew(tmp_path):
    result = curated(tmp_path)
    desk = Desk.open(result.paths["flagged"].parent, tmp_path / "review.jsonl")
    version = desk.view({})["version"]
    desk.decide([decision(desk, number, "keep") for number in range(5)], version=version)
    curated(tmp_path, decisions=tmp_path / "review.jsonl")
    assert desk.changes(version)["is_stale"]
    assert desk.start()["total"] == NUM_FLAGGED - 5


def test_a_folder_that_is_none_of_curation_is_refused(tmp_path):
    with pytest.raises(DataError, match="luthier curate"):
        Desk.open(tmp_path, tmp_path / "review.jsonl")
    (tmp_path / "flagged.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(DataError, match=r"flagged\.jsonl:1"):
        Desk.open(tmp_path, tmp_path / "review.jsonl")


def test_a_row_whose_text_is_gone_can_still_be_decided(tmp_path):
    flag = {
        "where": "x:1",
        "id": "00000000000000aa",
        "step": "near",
        "reason": "near-duplicate",
        "detail": "0.9 like x:2",
    }
    (tmp_path / "flagged.jsonl").write_text(json.dumps(flag) + "\n")
    desk = Desk.open(tmp_path, tmp_path / "review.jsonl")
    assert desk.row(0)["is_missing"] and desk.row(0)["parts"] == []
    assert desk.decide([decision(desk, 0, "drop")], version="")["decided"] == 1


def test_a_number_is_marked_as_the_regions_of_the_curation_have_it(tmp_path):
    config = CurateConfig.model_validate({
        "personal": {"action": "flag", "regions": ("DK",)}, "workers": 1, "steps": ("personal",),
    })  # fmt: skip
    data, folder = tmp_path / "rows.jsonl", tmp_path / "curated"
    data.write_text(json.dumps({"prompt": "Whom do I call?", "completion": "Please call 32 12 34 56."}) + "\n")
    curate([data], out=folder, config=config, say=lambda _: None)
    desk = Desk.open(folder, tmp_path / "review.jsonl")
    assert marks(desk.row(0)["parts"][1]["pieces"]) == ["32 12 34 56"]
    (folder / "ledger.json").unlink()
    assert marks(desk.row(0)["parts"][1]["pieces"]) == [], "nobody tells of Denmark"


def test_what_a_flag_quotes_is_marked_and_offsets_hold_for_any_character():
    record = to_json(
        Example.of(
            [
                Message(role="user", content="\U0001f600 x"),
                Message(role="assistant", content="so it goes, \U0001f600 so it goes"),
            ]
        )
    )
    parts = parts_of(record)
    flagged = marked(parts, [Flag("leaks", "holds a question", "gsm8k.jsonl:3: it goes")])
    assert [piece.text for piece in flagged[1] if piece.mark] == ["it goes", "it goes"]
    assert [piece.text for piece in marked(parts, [Flag("x", "y", 'says "\U0001f600"')])[0] if piece.mark] == []
    assert compared("one two three", "one 2 three")[1] == ("two", "differs")
    assert [p.mark for p in compared("same", "same")] == [""]
    assert "".join(p.text for p in compared("a b " * 4000, "c d " * 4000)) == "a b " * 4000


def test_an_answer_that_is_its_own_target_stays_it_and_further_answers_stay():
    turns = [Message(role="user", content="q"), Message(role="assistant", content="a")]
    one = edited(to_json(Example.of(turns)), {"messages[1].content": "b"})
    assert "targets" not in one and one["messages"][1]["content"] == "b"
    two = edited(to_json(Example.of(turns, targets=["a", "A"])), {"messages[1].content": "b", "targets[1]": "B"})
    assert two["targets"] == ["b", "B"]
    with pytest.raises(KeyError):
        edited(to_json(Example.of(turns)), {"messages[7].content": "b"})

"""Where steps meet: what one decides about a row holds when the next looks at it, and nothing good is lost between."""

import json
import math

import pytest

from luthier.curate.comparing import ASKS_HELD_OUT, CONFLICT, CONTRADICTION, NEAR_HELD_OUT, SHOWN_ROWS
from luthier.curate.config import CurateConfig
from luthier.curate.labels.step import FAULTY_ANSWER
from luthier.curate.parting import LINKED_HELD_OUT
from luthier.curate.pipeline import curate
from luthier.errors import ConfigError, DataError
from luthier.records import Example, read_records

ASKED = "Write a short note on why the town should plant more trees along the old road to the river this year"
GOOD = (
    "Solar panels on the roofs of the school and the town hall would pay for themselves within eight years, keep the "
    "lights on when a storm cuts the line to the valley, and leave money in the town that now goes to the utility."
)
SORRY = "I'm sorry, but I can't assist with that."


def silent(line):
    pass


def write(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def pair(prompt, answer="b", **rest):
    return {"prompt": prompt, "completion": answer, **rest}


def filler(count):
    return [pair(f"question {k}", f"answer {k}") for k in range(count)]


def done(tmp_path, rows, *, held_out=None, allow_overlap=False, name="out", **config):
    files = [write(tmp_path / "held.jsonl", held_out)] if held_out is not None else []
    data = write(tmp_path / "rows.jsonl", rows)
    return curate([data], out=tmp_path / name, config=CurateConfig(workers=1, **config), held_out_files=files,
                  allow_overlap=allow_overlap, say=silent)  # fmt: skip


def lines(curated, name):
    return [json.loads(line) for line in curated.paths[name].read_text().splitlines()]


def kept(curated, name="examples"):
    return list(read_records(curated.paths[name], Example))


@pytest.mark.parametrize("slot", ["{{ name }}", "<|im_end|>"])
def test_a_good_row_does_not_go_into_a_faulty_twin_that_is_then_dropped(tmp_path, slot):
    faulty, good = pair(ASKED, f"{GOOD} {slot}"), pair(ASKED, GOOD)
    curated = done(tmp_path, [faulty, good, *filler(20)], labels={"action": "drop"}, held_out_share=0.0, dev_share=0.0)
    assert [e.target for e in kept(curated) if e.prompt[0].content == ASKED] == [good["completion"]]
    assert curated.ledger["merged"] == {"near-duplicate": 1} and curated.ledger["dropped"] == {}


def test_links_join_a_record_with_nan_and_long_numbers_and_change_neither(tmp_path):
    graded = pair("a", "b", grading={"tolerance": float("nan"), "value": 12345678901234567890123}, links=["doc 1"])
    curated = done(tmp_path, [graded, {**graded, "links": ["doc 2"]}, *filler(5)])
    (example,) = [e for e in kept(curated) if e.prompt[0].content == "a"]
    assert example.links == ("doc 1", "doc 2")
    assert example.grading["value"] == 12345678901234567890123 and math.isnan(example.grading["tolerance"])
    assert curated.ledger["merged"] == {"duplicate": 1}


def test_rows_linked_to_a_held_out_row_are_dropped_unless_overlap_is_allowed(tmp_path):
    rows = [pair("one", links=["doc 1"]), pair("two", links=["doc 2", "doc 3"]), *filler(10)]
    rows += [{"prompt": "three", "chosen": "x", "rejected": "y", "links": ["doc 1"]}]
    held_out = [pair("other", links=["doc 1"]), {"prompt": "p", "chosen": "x", "rejected": "y", "links": ["doc 2"]}]
    curated = done(tmp_path, rows, held_out=held_out)
    assert {entry["where"].rpartition(":")[2] for entry in lines(curated, "dropped")
            if entry["rule"] == LINKED_HELD_OUT} == {"1", "13"}  # fmt: skip
    assert set(curated.ledger["certificate"]["links"].values()) == {0}
    again = done(tmp_path, rows, held_out=held_out, allow_overlap=True, name="two", dev_share=0.0)
    assert (
        LINKED_HELD_OUT not in again.ledger["dropped"] and again.ledger["certificate"]["links"]["train/held_out"] == 1
    )


def test_a_preference_in_a_held_out_file_is_not_evaluated_on_and_drops_no_row(tmp_path):
    rows = [pair(f"Please {ASKED}", GOOD), *filler(20)]
    preference = {"prompt": ASKED, "chosen": "Trees give shade to all.", "rejected": "No."}
    curated = done(tmp_path, rows, held_out=[preference, pair("other")], dev_share=0.0)
    assert curated.counts["train"] == 21 and not {ASKS_HELD_OUT, NEAR_HELD_OUT} & curated.ledger["dropped"].keys()
    same = done(tmp_path, [pair(ASKED, GOOD), *filler(20)], held_out=[preference, pair("other")], name="same")
    assert sum(same.counts[part] for part in ("train", "dev")) == 21  # nobody evaluates the prompt: it is no overlap
    asked = done(tmp_path, rows, held_out=[pair(ASKED, "Trees give shade."), pair("other")], name="two", dev_share=0.0)
    assert asked.counts["train"] == 20 and asked.ledger["dropped"] == {ASKS_HELD_OUT: 1}


def test_a_part_that_had_to_be_filled_is_told(tmp_path):
    data = write(tmp_path / "rows.jsonl", filler(3))
    said = []
    few = curate([data], out=tmp_path / "few", config=CurateConfig(workers=1), say=said.append)
    assert few.counts["held_out"] == 1 and "held_out" in few.ledger["certificate"]["filled"]
    assert any(line.startswith("curate | warning: ") and "came to held_out" in line for line in said)
    many = done(tmp_path, filler(200))
    assert many.ledger["certificate"]["filled"] == []


def test_of_one_prompt_with_many_answers_some_are_shown_and_all_are_counted(tmp_path):
    curated = done(tmp_path, [*(pair("Pick one.", f"word {k}") for k in range(60)), *filler(5)], steps=("conflicts",))
    assert curated.ledger["conflicts"]["answers"] == 60
    (entry,) = lines(curated, "conflicts")
    assert len(entry["rows"]) == SHOWN_ROWS and entry["more"] == 60 - SHOWN_ROWS
    flags = [flag for flag in lines(curated, "flagged") if flag["reason"] == CONFLICT]
    assert len(flags) == 60 and all(flag["detail"].count(",") == 2 for flag in flags)


def test_preferences_that_contradict_each_other_are_reported(tmp_path):
    def rated(chosen, rejected, prompt="Which town?"):
        return {"prompt": prompt, "chosen": chosen, "rejected": rejected}

    rows = [rated("Kiel", "Ulm"), rated("Ulm", "Kiel "), rated("Kiel", "Bonn"), rated("Ulm", "Kiel", "Which city?")]
    curated = done(tmp_path, [*rows, *filler(20)], held_out_share=0.0)
    assert curated.ledger["conflicts"] == {"prompts": 0, "answers": 0, "preferences": 2}
    (entry,) = lines(curated, "conflicts")
    assert [row["answer"] for row in entry["rows"]] == ["Kiel", "Ulm"] and entry["rows"][0]["prompt"] == "Which town?"
    flags = [flag for flag in lines(curated, "flagged") if flag["reason"] == CONTRADICTION]
    assert [flag["where"].rpartition(":")[2] for flag in flags] == ["1", "2"]
    assert curated.counts["preferences"] == 4
    assert "preferences are contradicted" in curated.paths["card"].read_text()


def test_an_evaluation_row_with_several_instances_counts_each_and_a_row_that_holds_two_counts_once(tmp_path):
    def asked(k):
        return f"The farmer number {k} of the valley sells eggs at the market of town {k}, how many does he sell in all"

    suite = write(tmp_path / "suite.jsonl", [
        {"instruction": "Answer.", "instances": [{"input": asked(k), "output": "4"} for k in (1, 2)]}
    ])  # fmt: skip
    rows = [pair(f"Answer. {asked(1)} Answer. {asked(2)}"), *filler(20)]
    (found,) = done(tmp_path, rows, leaks={"against": (suite,)}).ledger["leaks"].values()
    assert (found["questions"], found["found"], found["rows"]) == (2, 2, 1)
    assert {leak["question"] for leak in lines(done(tmp_path, rows, leaks={"against": (suite,)}), "leaks")} == {
        f"{suite}:1", f"{suite}:1#2",
    }  # fmt: skip


def test_faulty_rows_of_dev_and_held_out_stay_and_are_flagged(tmp_path):
    rows = [*(pair(f"Please help me with thing {k}", SORRY) for k in range(60)), *filler(60)]
    shares = {"dev_share": 0.25, "held_out_share": 0.25, "steps": ("clean", "exact", "labels")}
    flagged = done(tmp_path, rows, **shares, name="flag")
    dropped = done(tmp_path, rows, **shares, labels={"action": "drop"})
    for part in ("dev", "held_out"):
        assert dropped.paths[part].read_bytes() == flagged.paths[part].read_bytes()
    sorry = {part: sum(e.target == SORRY for e in kept(flagged, part)) for part in ("train", "dev", "held_out")}
    assert min(sorry.values()) > 5 and not any(e.target == SORRY for e in kept(dropped, "train"))
    assert dropped.ledger["dropped"] == {FAULTY_ANSWER: sorry["train"]}
    assert dropped.ledger["steps"]["labels"] == {"rows_in": 120, "rows_out": 120 - sorry["train"]}
    assert len(lines(dropped, "flagged")) == sorry["dev"] + sorry["held_out"]
    assert len(lines(flagged, "flagged")) == 60


def test_a_choice_of_more_rows_than_there_are_is_told_when_all_is_written(tmp_path):
    with pytest.raises(ConfigError, match=r"curate\.select\.keep"):
        done(tmp_path, filler(30), select={"keep": 31})
    ledger = json.loads((tmp_path / "out" / "ledger.json").read_text())
    assert ledger["kept"] == 30 and ledger["steps"]["select"] == {"rows_in": 30, "rows_out": 30}
    assert (tmp_path / "out" / "train.jsonl").read_text() and not (tmp_path / "out" / ".luthier-work").exists()
    with pytest.raises(DataError, match="no row of the data can be used"):
        done(tmp_path, [pair("a", "")], select={"keep": 31}, name="none")


def test_a_question_that_an_evaluation_asks_twice_counts_twice(tmp_path):
    question = "How many of the forty two apples that Maria picked are left after the long walk to the market"
    asked = write(tmp_path / "evaluation.jsonl", [pair(question, str(k)) for k in range(3)])
    curated = done(tmp_path, [pair(question, "30"), *filler(20)], leaks={"against": (asked,)})
    leaks = curated.ledger["leaks"][str(asked)]
    assert (leaks["questions"], leaks["found"], leaks["rows"], leaks["contaminated"]) == (3, 3, 1, True)


def test_one_prompt_with_different_calls_is_reported(tmp_path):
    def calling(name):
        call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": "{}"}}
        asked = {"role": "user", "content": "It is dark in the kitchen, please see to the lamp there"}
        return {"messages": [asked, {"role": "assistant", "content": "", "tool_calls": [call]}]}

    curated = done(tmp_path, [calling("lamp_on"), calling("lamp_off"), *filler(20)])
    assert curated.ledger["conflicts"]["prompts"] == 1 and not curated.ledger["merged"]


def test_an_evaluation_keeps_its_own_near_duplicates(tmp_path):
    held_out = [pair(ASKED, GOOD), pair(ASKED, GOOD.replace("roofs of the school", "roof of the school"))]
    curated = done(tmp_path, filler(20), held_out=held_out, dev_share=0.0)
    assert len(kept(curated, "held_out")) == 2
    assert done(tmp_path, held_out, name="learnt", dev_share=0.0, held_out_share=0.0).ledger["merged"]

"""The raw files: what the truth says was planted is where it says, and nothing else is."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import curate
from luthier.curate.rows import converted_rows
from luthier.demo import faults
from luthier.demo.raw import LEAKED_ROWS, PLANTED_SHARES, Source, write_raw_files
from luthier.errors import DataError

ROWS = 600
COLOURS = ("red", "green", "blue")


def sources(start: int = 0) -> Iterator[Source]:
    """Four tasks in turn: long and short prompts, with options and without, some of them not ASCII."""
    for n in count(start):
        kind = n % 4
        if kind == 0:
            text = f"What is the number in this sentence that I have just written for you: there are {n} boats?"
            yield Source(text, str(n), task="number")
        elif kind == 1:
            yield Source(
                f"Which colour has flag {n}?\nOPTIONS:\n- red\n- green\n- blue", COLOURS[n % 3], COLOURS, "colour"
            )
        elif kind == 2:
            yield Source(f"Spanish for year {n}?", f"a\u00f1o {n}", task="spanish")
        else:
            yield Source(f"Boat {n}", "yes" if n % 8 == 3 else "no", task="boat")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("practice")
    held_out = [next(sources(start)) for start in range(100_000, 100_060)]
    write_raw_files(folder / "raw", Random(5), sources(), ROWS, held_out=held_out)
    return folder


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    return told


@pytest.fixture(scope="module")
def rows(folder: Path, truth: dict[str, Any]) -> dict[tuple[str, int], tuple[str, str] | None]:
    """Prompt and last answer of each row by file and first line, as curation reads them; None where it cannot."""
    found = {}
    for name in (*(f"raw/{name}" for name in truth["files"]), *truth["apart"]):
        for row, converted in converted_rows(folder / name, columns={}, licence=None):
            record: Any = converted.records[0] if converted.records else None
            is_read = record is not None
            turn = (record.messages[-2].content, record.messages[-1].content) if is_read else None
            found[name, row.line] = turn
    return found


def planted(truth: dict[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"raw/{name}", row) for name, file in truth["files"].items() for row in file["rows"] if row["kind"] == kind
    ]


def test_every_listed_row_is_counted_and_starts_on_its_line(truth: dict[str, Any], rows: dict[Any, Any]) -> None:
    for name, told in truth["files"].items():
        listed = Counter(row["kind"] for row in told["rows"])
        counts = {**told["quarantine"], **told["mended"], **told["planted"], "exact_duplicate": told["exact_duplicates"],
                  "placeholder_input": told["placeholder_inputs"]}  # fmt: skip
        counts["cut_in_two"] = counts.get("cut_in_two", 0) // 2
        assert listed == Counter(counts)
        assert told["planted"].keys() == PLANTED_SHARES.keys()
        assert all((f"raw/{name}", row["line"]) in rows for row in told["rows"])
        assert told["read"] == sum(file == f"raw/{name}" for file, _ in rows)
        unread = {line for (file, line), turn in rows.items() if file == f"raw/{name}" and turn is None}
        bad = {row["line"] for row in told["rows"] if row["kind"] in told["quarantine"]}
        assert unread == bad | {row["line"] + 1 for row in told["rows"] if row["kind"] == "cut_in_two"}


def test_the_totals_are_the_sums_and_the_good_rows_are_as_many_as_asked(truth: dict[str, Any]) -> None:
    total = truth["total"]
    assert total["good"] == ROWS == total["read"] - total["exact_duplicates"] - total["quarantine"]
    assert total["planted"] == sum(sum(file["planted"].values()) for file in truth["files"].values())


def test_curation_finds_what_it_can_find_and_takes_the_rest(
    folder: Path, truth: dict[str, Any], tmp_path: Path
) -> None:
    files = [folder / "raw" / name for name in truth["files"]]
    done = curate(files, out=tmp_path, config=CurateConfig(), say=lambda line: None)
    near = {
        frozenset((f"{folder}/{file}:{row['line']}", f"{folder}/{file}:{row['of']}"))
        for file, row in planted(truth, "near_duplicate")
    }
    merged = [json.loads(line) for line in done.paths["merged"].read_text(encoding="utf-8").splitlines()]
    found = {frozenset((row["where"], row["into_where"])) for row in merged if row["rule"] == "near-duplicate"}
    assert found == near  # although rows of one task differ in a word or two by design
    merged_by = {"duplicate": truth["total"]["exact_duplicates"], "near-duplicate": len(found)}
    assert done.ledger["merged"] == {rule: count for rule, count in merged_by.items() if count}
    assert done.ledger["kept"] == ROWS - len(found)
    assert sum(done.ledger["quarantined"].values()) == truth["total"]["quarantine"]
    assert done.ledger["conflicts"]["prompts"] == len(planted(truth, "conflicting_answer"))
    assert done.ledger["personal"]["rows"] == len(planted(truth, "personal_data"))


def test_exact_duplicates_and_conflicts_repeat_a_prompt_and_near_duplicates_nearly(
    truth: dict[str, Any], rows: dict[Any, Any]
) -> None:
    for file, row in planted(truth, "exact_duplicate"):
        assert rows[file, row["line"]] == rows[file, row["of"]]
    for file, row in planted(truth, "conflicting_answer"):
        (prompt, answer), (first_prompt, first) = rows[file, row["line"]], rows[file, row["of"]]
        assert prompt == first_prompt and answer != first
        assert (row["found"], row["right"]) == (answer, first)
    for file, row in planted(truth, "near_duplicate"):
        (prompt, answer), (first_prompt, first) = rows[file, row["line"]], rows[file, row["of"]]
        assert answer == first and prompt != first_prompt
        words, before = prompt.split(), first_prompt.split()
        assert len(before) >= 12
        assert 1 <= row["words_changed"] <= 3 and words[row["words_changed"] :] in (before, before[1:])


def test_a_wrong_label_is_another_option(truth: dict[str, Any], rows: dict[Any, Any]) -> None:
    for file, row in planted(truth, "wrong_label"):
        prompt, answer = rows[file, row["line"]]
        assert answer == row["found"] != row["right"]
        assert f"- {answer}" in prompt.splitlines()
        assert row["right"] == COLOURS[int(re.findall(r"flag (\d+)", prompt)[0]) % 3]


def luhn(number: str) -> bool:
    digits = [int(d) for d in reversed(number.replace(" ", ""))]
    return (sum(digits[::2]) + sum(sum(divmod(2 * d, 10)) for d in digits[1::2])) % 10 == 0


def mod_97(iban: str) -> int:
    text = iban.replace(" ", "")
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97


RESERVED = {
    "email": lambda value: re.fullmatch(r"[a-z]+\d+@example\.(com|org|net)", value),
    "phone": lambda value: re.fullmatch(r"202-555-01\d\d", value),
    "ip_address": lambda value: re.fullmatch(r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}", value),
    "card": luhn,
    "iban": lambda value: mod_97(value) == 1,
}


def test_personal_data_is_made_up_and_of_a_kind_that_belongs_to_nobody(
    truth: dict[str, Any], rows: dict[Any, Any]
) -> None:
    found = planted(truth, "personal_data")
    assert {row["data"] for _, row in found} == RESERVED.keys()
    for file, row in found:
        assert row["value"] in rows[file, row["line"]][0]
        assert RESERVED[row["data"]](row["value"])
    assert all(luhn(card) for card in faults.CARDS) and all(mod_97(iban) == 1 for iban in faults.IBANS)


def test_one_town_is_always_refused_and_the_truth_names_it_and_the_share(
    truth: dict[str, Any], rows: dict[Any, Any]
) -> None:
    bias = truth["bias"]
    answers: dict[bool, list[str]] = {True: [], False: []}
    for file, row in planted(truth, "biased"):
        prompt, answer = rows[file, row["line"]]
        assert f" from {row['town']} " in prompt and row["refused"] is (answer == bias["worse_answer"])
        answers[row[bias["field"]] == bias["group"]].append(answer)
    assert set(answers[True]) == {"no"} and bias["of_group"]["share"] == 1.0
    assert bias["of_group"]["rows"] == len(answers[True])
    refused = answers[False].count("no")
    assert bias["of_others"] == {"rows": len(answers[False]), "refused": refused,
                                 "share": round(refused / len(answers[False]), 4)}  # fmt: skip
    assert 0 < refused < len(answers[False]) / 2


def test_leaked_prompts_lie_apart_and_end_a_run_that_reads_them(
    folder: Path, truth: dict[str, Any], rows: dict[Any, Any], tmp_path: Path
) -> None:
    (name,) = truth["apart"]
    told = truth["apart"][name]
    assert told["planted"] == {"leaked_prompt": LEAKED_ROWS // 2, "leaked_within": LEAKED_ROWS // 2}
    for row in told["rows"]:
        prompt, _ = rows[name, row["line"]]
        assert (prompt == row["prompt"]) is (row["kind"] == "leaked_prompt") and row["prompt"] in prompt
    prompts = {row["prompt"] for row in told["rows"]}
    assert not any(
        prompt in (turn or ("",))[0] for (file, _), turn in rows.items() if file != name for prompt in prompts
    )
    suite = tmp_path / "suite.jsonl"
    asked = ({"prompt": prompt, "completion": "?"} for prompt in sorted(prompts))
    suite.write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    with pytest.raises(DataError, match=f"{LEAKED_ROWS // 2} held-out prompts are among the rows to learn from"):
        curate([folder / name], out=tmp_path, config=CurateConfig(), held_out_files=[suite], say=lambda line: None)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_raw_files(tmp_path / name / "raw", Random(seed), sources(), 120)
    read = {name: [p.read_bytes() for p in sorted((tmp_path / name).rglob("*.*"))] for name in "abc"}
    assert read["a"] == read["b"] != read["c"]
    assert len(read["a"]) == 6  # no leaked rows without held-out prompts


def test_few_rows_are_written_without_planted_ones(tmp_path: Path) -> None:
    _, truth = write_raw_files(tmp_path / "raw", Random(0), sources(), 20)
    told = json.loads(truth.read_text(encoding="utf-8"))
    assert (told["total"]["good"], told["total"]["planted"]) == (20, 0)
    assert told["bias"]["of_group"]["share"] is None


@pytest.mark.parametrize("seed", range(5))
def test_a_line_cut_in_two_is_two_lines_that_are_no_json(seed: int) -> None:
    line = faults.as_line(
        {"messages": [{"role": "user", "content": "a {b} c"}, {"role": "assistant", "content": "{}"}]}
    )
    parts = faults.cut_in_two(Random(seed), line).split("\n")
    assert len(parts) == 2 and "".join(parts) == line
    for part in parts:
        with pytest.raises(ValueError):
            json.loads(part)


def test_what_windows_1252_cannot_show_is_not_damaged() -> None:
    assert faults.mojibake([faults.Turn("\u00c1", "x")]) is None
    assert faults.mojibake([faults.Turn("a\u00f1o", "x")]) == [faults.Turn("a\u00c3\u00b1o", "x")]


@pytest.mark.parametrize(
    ("prompt", "is_fit"),
    [("What is it that one two three four five six seven eight nine ten eleven", True),
     ("What is too short for that?", False),
     ("Sunday: one two three four five six seven eight nine ten eleven twelve", False)],
)  # fmt: skip
def test_only_long_prompts_that_begin_with_the_request_are_reworded(prompt: str, is_fit: bool) -> None:
    assert (faults.reworded(Random(0), prompt) is not None) is is_fit

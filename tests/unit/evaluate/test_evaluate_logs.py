"""Logs of other programs: what is read, how it is paired, and what is said of a log that cannot be read."""

import json
import math

import pytest
from foreign_logs import (
    DATE,
    choice_rows,
    inspect_log,
    lm_eval_rows,
    question,
    write_inspect,
    write_lm_eval,
    zstandard_zip,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from small_suite import run

from luthier.errors import ConfigError, DataError
from luthier.evaluate.comparison import compare_evaluations
from luthier.evaluate.logs.opening import open_evaluation
from luthier.evaluate.pairing import comparable, left_out
from luthier.evaluate.suite import Suite
from luthier.records import Example, Message


def problems_of(path):
    with pytest.raises(DataError) as caught:
        open_evaluation(path)
    return caught.value.problems


def own_evaluation(folder, values):
    """A folder of Luthier's of the questions that the logs ask, right where `values` says so."""
    items = [Example.of([Message(role="user", content=question(k))], targets=[str(k + 1)]) for k in range(len(values))]
    right = {item.id: value for item, value in zip(items, values, strict=True)}
    return run(folder, lambda e: e.targets[0] if right[e.id] else "no", suite=Suite.of("own", items[::-1]),
               graders=("exact",))  # fmt: skip


def test_an_lm_eval_run_becomes_items_answers_and_one_kpi_for_each_metric_and_filter(tmp_path):
    generated = lm_eval_rows([1.0, 0.0, 1.0], metric="exact_match", filters=("strict", "flexible"))
    results = write_lm_eval(tmp_path / "org__model", {"gen": generated, "mc": choice_rows([1, 0])},
                            kinds={"mc": "multiple_choice"})  # fmt: skip
    found = open_evaluation(tmp_path)
    assert found.name == "org/model (plain text, 0 shots)" and found.suite_name == "gen+mc"
    means = {name: (kpi.value, kpi.estimate.n) for name, kpi in found.kpis.items()}
    assert means == {"exact_match,strict": (2 / 3, 3), "exact_match,flexible": (2 / 3, 3), "acc": (0.5, 2)}
    first = next(item for item in found.items.values() if item.task == "mc")
    assert (first.choices, first.targets) == (("1", "2", "3"), ("1",))
    assert first.source.endswith(f"samples_mc_{DATE}.jsonl:1")
    said = [found.completions[item.id][0].text for item in found.items.values() if item.task == "mc"]
    assert said == ["1", "4"], "the likeliest option"
    assert open_evaluation(results).items.keys() == found.items.keys()
    alone = open_evaluation(results.parent / f"samples_mc_{DATE}.jsonl")
    assert list(alone.grades) == ["acc"] and len(alone.items) == 2


def test_a_metric_that_is_better_when_smaller_is_turned_and_one_without_numbers_is_left_out(tmp_path):
    rows = lm_eval_rows([0.25, 0.75])
    for k, row in enumerate(rows):
        row |= {"metrics": ["loss", "pairs", "big", "acc"], "loss": row["acc"], "pairs": [0, "x"], "big": 100.0 * k}
        row["acc"] = math.nan if k else 1.0
    write_lm_eval(tmp_path, {"t": rows}, higher={"loss": False, "acc": True})
    found = open_evaluation(tmp_path)
    assert list(found.values("1 - loss").values()) == [0.75, 0.25]
    assert list(found.grades) == ["1 - loss", "acc"]
    assert found.kpis["acc"].undecided == 1 and found.kpis["acc"].value == 1.0
    assert set(left_out(found)) == {"pairs of t", "big of t"}
    assert "outside 0..1" in left_out(found)["big of t"] and "is a list" in left_out(found)["pairs of t"]


def test_an_older_layout_without_filter_and_metrics_is_read_by_its_results(tmp_path):
    rows = lm_eval_rows([1.0, 0.0])
    results = write_lm_eval(tmp_path, {"t": rows}, version=None)
    for row in rows:
        del row["filter"], row["metrics"]
        row["arguments"] = [[row["arguments"]["gen_args_0"]["arg_0"], {"until": []}]]
    samples = tmp_path / f"samples_t_{DATE}.jsonl"
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert open_evaluation(results).kpis["acc"].value == 0.5


@pytest.mark.parametrize("suffix", [".json", ".eval"])
def test_an_inspect_log_becomes_items_with_an_answer_an_epoch(tmp_path, suffix):
    log = inspect_log(["C", "P", "I", "N"], epochs=2)
    found = open_evaluation(write_inspect(tmp_path / f"log{suffix}", log))
    assert found.name == "lab/model (generate)" and found.suite_name == "numbers"
    assert sorted(found.values("match").values()) == [0, 0, 0.5, 1]
    assert [len(rows) for rows in found.completions.values()] == [2, 2, 2, 2]
    assert open_evaluation(tmp_path).items.keys() == found.items.keys(), "a folder of one log is that log"


def test_scores_of_inspect_in_every_form(tmp_path):
    log = inspect_log([{"a": True, "b": "word"}, {"a": "0.25", "b": 1}], scorer="two")
    log["samples"][0]["choices"] = ["7", "9"]
    log["samples"][0]["target"] = "B"
    log["samples"].append({**log["samples"][1], "id": "failed", "input": "attachment://aa", "scores": None,
                           "error": {"message": "out of time"}, "attachments": {"aa": "A long question?"}})  # fmt: skip
    found = open_evaluation(write_inspect(tmp_path / "log.eval", log))
    assert list(found.values("two/a").values()) == [1.0, 0.25]
    assert found.kpis["two"].errors == 1 and found.grades["two"].popitem()[1][0].reason == "out of time"
    assert left_out(found) == {"two/b": "a value per item is a word such as 'word'"}
    assert [item.targets for item in found.items.values()] == [("9",), ("2",), ("2",)]
    assert list(found.items.values())[2].messages[0].content == "A long question?"


def test_logs_and_folders_are_paired_by_what_they_ask_whatever_their_order(tmp_path):
    """Three programs, three orders: the difference is that of the items."""
    truth_a, truth_b = [1, 0, 1, 1, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 1, 1]
    own = own_evaluation(tmp_path / "own", truth_a)
    rows = lm_eval_rows([float(v) for v in truth_b])
    write_lm_eval(tmp_path / "h", {"t": [rows[k] for k in (5, 0, 7, 3, 1, 6, 2, 4)]})
    log = inspect_log(["C" if v else "I" for v in truth_b])
    log["samples"].reverse()
    write_inspect(tmp_path / "log.eval", log)
    foreign = [open_evaluation(tmp_path / "h"), open_evaluation(tmp_path / "log.eval")]
    evaluations = comparable([own, *foreign], same={"acc": "exact", "match": "exact"})
    for other in evaluations[1:]:
        kpi = compare_evaluations(evaluations[0], other).kpis["exact"]
        assert (len(kpi.pairs), kpi.better, kpi.worse) == (8, 3, 1)
        assert [(p.a, p.b) for p in sorted(kpi.pairs, key=lambda p: p.item.prompt[0].content)] == list(
            zip(truth_a, truth_b, strict=True)
        )
    between = compare_evaluations(*evaluations[1:]).kpis["exact"]
    assert between.better == between.worse == 0, "the same answers in two programs"


def test_two_runs_of_one_harness_share_items_whatever_their_prompts(tmp_path):
    rows = lm_eval_rows([1.0, 0.0, 0.0])
    write_lm_eval(tmp_path / "a", {"t": rows})
    for row in rows:
        row["arguments"]["gen_args_0"]["arg_0"] = json.dumps([{"role": "user", "content": "shots, then it"}])
    write_lm_eval(tmp_path / "b", {"t": rows[::-1]}, chat_template="{{ x }}")
    a, b = comparable([open_evaluation(tmp_path / name) for name in "ab"])
    found = compare_evaluations(a, b)
    assert found.num_common == 3 and not found.same_model and b.name.endswith("(chat template, 0 shots)")
    assert next(iter(b.items.values())).messages[0].content == "shots, then it"


def test_one_document_of_two_tasks_is_two_items(tmp_path):
    write_lm_eval(tmp_path / "a", {"t": lm_eval_rows([1.0]), "u": lm_eval_rows([0.0])})
    found = open_evaluation(tmp_path / "a")
    assert [item.task for item in found.items.values()] == ["t", "u"]
    own = own_evaluation(tmp_path / "own", [1])
    with pytest.raises(DataError, match="cannot be paired") as caught:
        comparable([own, found])
    assert f"samples_u_{DATE}.jsonl:1" in str(caught.value) and f"samples_t_{DATE}.jsonl:1" in str(caught.value)


def test_a_document_that_a_data_set_holds_twice_counts_once(tmp_path):
    rows = lm_eval_rows([1.0, 0.0, 0.0])
    rows[2] |= {"doc": rows[0]["doc"], "target": rows[0]["target"]}
    write_lm_eval(tmp_path, {"t": rows})
    found = open_evaluation(tmp_path)
    assert len(found.items) == 2 and found.summary["suite"]["repeats"] == 1
    assert list(found.values("acc").values()) == [0.5, 0.0]


def test_kpis_that_are_matched_must_exist_and_stay_apart(tmp_path):
    write_lm_eval(tmp_path, {"t": [*lm_eval_rows([1.0])]})
    found = open_evaluation(tmp_path)
    with pytest.raises(ConfigError, match="found 'nothing', expected a KPI that was measured: acc"):
        comparable([found, found], same={"nothing": "acc"})
    with pytest.raises(ConfigError, match="one KPI of an evaluation under each name"):
        comparable([found, found], same={"acc": "acc"})


@pytest.mark.parametrize(
    ("damage", "where", "found"),
    [
        (lambda rows: rows[1].pop("doc_id"), ":2: doc_id", "no such field"),
        (lambda rows: rows[1].pop("acc"), ":2: acc", "no such field"),
        (lambda rows: rows[0].pop("doc"), ":1: doc", "no such field"),
        (lambda rows: rows[0].pop("arguments"), ":1: arguments", "no such field"),
        (lambda rows: rows[0].update(arguments={}), ":1: arguments", "{} (dict)"),
        (lambda rows: rows[0].update(doc_id="seven"), ":1: doc_id", "'seven' (str)"),
        (lambda rows: rows.append(rows[0]), ":4: doc_id", "0 under filter 'none' again"),
        (lambda rows: rows.pop(), ".jsonl", "2 items under filter 'none'"),
    ],
)
def test_a_bad_line_of_lm_eval_is_named_with_its_field(tmp_path, damage, where, found):
    rows = lm_eval_rows([1.0, 0.0, 1.0])
    results = write_lm_eval(tmp_path, {"t": rows})
    damage(rows)
    samples = tmp_path / f"samples_t_{DATE}.jsonl"
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (problem,) = problems_of(results)
    assert problem.where.endswith(where) and problem.where.startswith(str(samples))
    assert problem.found == found and problem.expected and problem.fix


def test_every_bad_line_is_told_at_once(tmp_path):
    rows = lm_eval_rows([1.0] * 4)
    results = write_lm_eval(tmp_path, {"t": rows})
    del rows[0]["doc"], rows[3]["target"]
    (tmp_path / f"samples_t_{DATE}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [problem.where.rpartition(":")[2] for problem in problems_of(results)] == [" doc", " target"]


def test_a_file_that_breaks_off_and_an_unknown_version_are_told(tmp_path):
    results = write_lm_eval(tmp_path / "a", {"t": lm_eval_rows([1.0, 0.0])})
    samples = tmp_path / "a" / f"samples_t_{DATE}.jsonl"
    samples.write_bytes(samples.read_bytes()[:-30])
    assert [(p.where, p.found) for p in problems_of(results)] == [(f"{samples}:2", "JSON that breaks off")]
    results = write_lm_eval(tmp_path / "b", {"t": lm_eval_rows([1.0])}, version="0.5.0")
    (problem,) = problems_of(results)
    assert problem.where == f"{results}: lm_eval_version" and problem.found == "'0.5.0' (str)"
    log = inspect_log(["C"])
    for key, value, field in (("version", 3, "version"), ("status", "error", "status"), ("invalidated", True, "")):
        (problem,) = problems_of(write_inspect(tmp_path / "log.json", {**log, key: value}))
        assert problem.where == f"{tmp_path / 'log.json'}: {field or 'invalidated'}" and problem.fix


@pytest.mark.parametrize("suffix", [".json", ".eval"])
@pytest.mark.parametrize(
    ("damage", "field", "found"),
    [
        (lambda samples: samples[1].pop("scores"), "scores", "no such field"),
        (lambda samples: samples[1].pop("input"), "input", "no such field"),
        (lambda samples: samples[1].update(input=[{"role": "narrator"}]), "input", "[{'role': 'narrator'}] (list)"),
        (lambda samples: samples[1].update(target=7), "target", "7 (int)"),
    ],
)
def test_a_bad_sample_of_inspect_is_named_with_its_field(tmp_path, suffix, damage, field, found):
    log = inspect_log(["C", "I"])
    damage(log["samples"])
    path = write_inspect(tmp_path / f"log{suffix}", log)
    (problem,) = problems_of(path)
    place = "samples/1_epoch_1.json" if suffix == ".eval" else "samples[1]"
    assert problem.where == f"{path}: {place}: {field}" and problem.found == found


def test_missing_repeated_and_damaged_samples_of_inspect_are_told(tmp_path):
    log = inspect_log(["C", "I"])
    (problem,) = problems_of(write_inspect(tmp_path / "a.json", {**log, "samples": log["samples"][:1]}))
    assert (problem.found, problem.expected) == ("1 samples", "at least 2, the completed ones")
    (problem,) = problems_of(write_inspect(tmp_path / "b.json", {**log, "samples": log["samples"] + log["samples"][:1]}))
    assert problem.found == "0 in epoch 1 again" and "samples[0]" in problem.expected
    path = write_inspect(tmp_path / "c.eval", log)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert "zip archive" in problems_of(path)[0].found
    path.write_bytes(whole.replace(b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfc", 1))
    assert "damaged member" in problems_of(path)[0].found
    path.write_bytes(zstandard_zip({"samples/0_epoch_1.json": b"{}"}))
    assert problems_of(path)[0].where == f"{path}: header.json"


def test_what_is_no_evaluation_is_told_what_would_be(tmp_path):
    assert problems_of(tmp_path / "nowhere")[0].found == "no such file or folder"
    (tmp_path / "x.json").write_text('{"a": 1}')
    assert problems_of(tmp_path / "x.json")[0].found == "the keys 'a'"
    assert "ends in .csv" in problems_of(_touched(tmp_path / "x.csv"))[0].found
    write_inspect(tmp_path / "y.json", inspect_log(["C"]))
    assert "2 logs: x.json, y.json" in problems_of(tmp_path)[0].found
    write_lm_eval(tmp_path / "two", {"t": lm_eval_rows([1.0])})
    write_lm_eval(tmp_path / "two", {"t": lm_eval_rows([1.0])}, date="2026-02-04T04-05-06.789012")
    assert problems_of(tmp_path / "two")[0].found.startswith("2 results files: results_2026-02-03")
    results = write_lm_eval(tmp_path / "bare", {"t": lm_eval_rows([1.0])})
    (tmp_path / "bare" / f"samples_t_{DATE}.jsonl").rename(tmp_path / f"samples_t_{DATE}.jsonl")
    assert problems_of(results)[0].fix == "run lm_eval with --log_samples"
    assert f"no results_{DATE}.json" in problems_of(tmp_path / f"samples_t_{DATE}.jsonl")[0].found


def _touched(path):
    path.touch()
    return path


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_log_with_anything_in_it_is_read_or_refused_by_name(tmp_path_factory, data):
    """Any value in any place of a line or a sample: a number, or a DataError, and nothing else."""
    folder = tmp_path_factory.mktemp("log")
    junk = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=4,
    )
    rows = choice_rows([1.0, 0.0])
    results = write_lm_eval(folder, {"t": rows}, kinds={"t": "multiple_choice"})
    rows[0][data.draw(st.sampled_from(sorted(rows[0])))] = data.draw(junk)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"samples_t_{DATE}.jsonl").write_text(text[: data.draw(st.integers(len(text) - 400, len(text)))])
    said = json.loads(results.read_text())
    said[data.draw(st.sampled_from(sorted(set(said) - {"results"})))] = data.draw(junk)
    results.write_text(json.dumps(said))
    log = inspect_log(["C", "I"])
    spot = data.draw(st.sampled_from([log, log["samples"][0], log["samples"][0]["scores"]["match"]]))
    spot[data.draw(st.sampled_from(sorted(set(spot) - {"eval"})))] = data.draw(junk)
    for path in (results, write_inspect(folder / "log.json", log)):
        try:
            found = open_evaluation(path)
        except DataError as error:
            assert all(str(folder) in problem.where for problem in error.problems) and error.problems
        else:
            assert all(kpi.value is None or 0 <= kpi.value <= 1 for kpi in found.kpis.values())

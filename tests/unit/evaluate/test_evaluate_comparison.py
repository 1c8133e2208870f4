import json
import random

import pytest
from small_suite import make_suite, right_at, run

from luthier.errors import DataError
from luthier.evaluate.comparison import compare, compare_evaluations
from luthier.evaluate.suite import Suite
from luthier.records import Grade
from luthier.stats.intervals import paired_interval
from luthier.stats.tests import mcnemar_exact


def graded_by(value):
    def grader(example, completion):
        return Grade(completion_id=completion.id, example_id=example.id, grader="g", value=value(example))

    return {"g": grader}


def test_items_are_paired_by_id_whatever_their_order(tmp_path):
    suite = make_suite()
    shuffled = list(suite.examples)
    random.Random(3).shuffle(shuffled)
    run(tmp_path / "a", right_at(0.5, seed=1), suite=suite)
    run(tmp_path / "b", right_at(0.8, seed=2), suite=suite)
    run(tmp_path / "c", right_at(0.8, seed=2), suite=Suite.of("held_out", shuffled))
    for name in ("grades.jsonl", "items.jsonl", "completions.jsonl"):
        path = tmp_path / "c" / name
        lines = path.read_text().splitlines(keepends=True)
        random.Random(name).shuffle(lines)
        path.write_text("".join(lines))
    straight, crossed = compare(tmp_path / "a", tmp_path / "b"), compare(tmp_path / "a", tmp_path / "c")
    one, other = straight.kpis["auto"].to_json(), crossed.kpis["auto"].to_json()
    for key in ("low", "high", "value"):
        assert one["difference"].pop(key) == pytest.approx(other["difference"].pop(key), abs=1e-12)
    assert one.pop("a") == pytest.approx(other.pop("a")) and one.pop("b") == pytest.approx(other.pop("b"))
    assert one == other


def test_the_difference_is_b_minus_a_clustered_by_task_with_mcnemar_beside_it(tmp_path):
    a = run(tmp_path / "a", right_at(0.4, seed=1))
    b = run(tmp_path / "b", right_at(0.9, seed=2))
    kpi = compare(tmp_path / "a", tmp_path / "b").kpis["auto"]
    ids = list(a.items)
    x, y = ([e.values("auto")[i] for i in ids] for e in (a, b))
    expected = paired_interval(x, y, [a.items[i].task for i in ids])
    assert (kpi.difference.low, kpi.difference.high) == (expected.low, expected.high)
    assert kpi.difference.method == "paired, t over 6 tasks (CR2)"
    assert kpi.difference.value > 0.3
    assert kpi.better + kpi.worse == sum(p != q for p, q in zip(x, y, strict=True))
    assert kpi.mcnemar_p == mcnemar_exact(kpi.worse, kpi.better)
    assert kpi.interval(alpha=0.01).low < kpi.difference.low


def test_tasks_are_compared_one_by_one(tmp_path):
    run(tmp_path / "a", right_at(0))
    run(tmp_path / "b", lambda e: e.targets[0] if e.task == "task3" else "neither")
    tasks = compare(tmp_path / "a", tmp_path / "b").kpis["auto"].by_task()
    assert {task: part.difference.value for task, part in tasks.items()} == {
        f"task{k}": float(k == 3) for k in range(6)
    }


def test_mcnemar_is_for_right_and_wrong_only(tmp_path):
    a = run(tmp_path / "a", right_at(1), graders=graded_by(lambda e: 0.25))
    b = run(tmp_path / "b", right_at(1), graders=graded_by(lambda e: 0.75))
    kpi = compare_evaluations(a, b).kpis["g"]
    assert kpi.mcnemar_p is None and kpi.difference.value == 0.5


def test_items_and_kpis_that_only_one_has_are_counted_and_left_out(tmp_path):
    suite = make_suite()
    run(tmp_path / "a", right_at(1), suite=Suite.of("x", suite.examples[:40]), graders=("auto", "chrf"))
    run(tmp_path / "b", right_at(1), suite=Suite.of("x", suite.examples[10:]), graders=("auto", "exact"))
    comparison = compare(tmp_path / "a", tmp_path / "b")
    assert (comparison.num_common, comparison.only_in_a, comparison.only_in_b) == (30, 10, 20)
    assert comparison.kpis["auto"].difference.n == 30
    assert comparison.lone_kpis == ("chrf", "exact")
    text = "\n".join(comparison.lines())
    assert "30 items in common; left out: 10 only in a, 20 only in b" in text
    assert "not compared, since only one has it: chrf, exact" in text
    assert "both are the same model" in text


def test_items_that_one_could_not_be_graded_on_are_left_out_of_both(tmp_path):
    a = run(tmp_path / "a", right_at(1), graders=graded_by(lambda e: None if e.task == "task0" else 0.0))
    b = run(tmp_path / "b", right_at(1), graders=graded_by(lambda e: None if e.task == "task1" else 1.0))
    kpi = compare_evaluations(a, b).kpis["g"]
    assert (kpi.undecided, kpi.difference.n, kpi.difference.value) == (20, 40, 1.0)
    assert "20 undecided" in kpi.line()


def test_nothing_graded_under_both_is_said_not_hidden(tmp_path):
    a = run(tmp_path / "a", right_at(1), graders=graded_by(lambda e: None))
    b = run(tmp_path / "b", right_at(1), graders=graded_by(lambda e: 1.0))
    kpi = compare_evaluations(a, b).kpis["g"]
    assert kpi.difference is None and kpi.to_json()["a"] is None
    assert kpi.line() == "g | no item could be graded under both (60 undecided)"


def test_the_comparison_is_json_and_lines_of_text(tmp_path):
    run(tmp_path / "a", right_at(0), model_id="a", model_name="base")
    run(tmp_path / "b", right_at(1), model_id="b")
    comparison = compare(tmp_path / "a", tmp_path / "b")
    data = json.loads(json.dumps(comparison.to_json()))
    assert data["kpis"]["auto"]["difference"]["value"] == 1.0
    assert data["kpis"]["auto"]["better"] == 60 and data["tasks"]["auto"]["task5"]["better"] == 10
    assert comparison.lines()[:3] == ["a: base (chat)", "b: tuned (chat)", "60 items in common"]
    assert comparison.lines()[3].startswith("auto | 0.000 -> 1.000 | +1.000 [+0.9")


def test_evaluations_of_other_items_cannot_be_compared(tmp_path):
    run(tmp_path / "a", right_at(1), suite=make_suite(num_tasks=1))
    run(tmp_path / "b", right_at(1), suite=Suite.of("x", make_suite().examples[30:]))
    with pytest.raises(DataError, match="found no item in common"):
        compare(tmp_path / "a", tmp_path / "b")

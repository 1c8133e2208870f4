import json

import numpy as np
import pytest
from small_suite import make_suite, right_at, run

from fakes import ScriptedGenerate
from luthier.errors import DataError
from luthier.evaluate.evaluation import read_evaluation
from luthier.evaluate.suite import Suite
from luthier.graders import GRADERS
from luthier.records import Completion, Example, Grade, Message, Sampling, read_records
from luthier.stats.intervals import score_interval


def test_an_evaluation_states_each_kpi_with_its_interval_and_what_it_rests_on(tmp_path):
    evaluation = run(tmp_path, right_at(0.7), graders=("auto", "exact"))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["model"] == {"id": "model", "name": "tuned", "prompting": "chat"}
    assert list(summary["kpis"]) == ["auto", "exact"]
    auto = summary["kpis"]["auto"]
    values = evaluation.values("auto")
    expected = score_interval(list(values.values()), [evaluation.items[i].task for i in values])
    assert (auto["value"], auto["low"], auto["high"]) == (expected.value, expected.low, expected.high)
    assert (auto["n"], auto["undecided"], auto["errors"]) == (60, 0, 0)
    assert auto["method"] == "score interval over 6 tasks"
    assert set(summary["tasks"]) == {f"task{k}" for k in range(6)}
    assert summary["tasks"]["task0"]["auto"]["n"] == 10
    assert summary["clusters"]["cluster1"]["auto"]["n"] == 30
    assert summary["generation"]["tokens"] == sum(len(c[0].text) + 1 for c in evaluation.completions.values())
    assert evaluation.kpis["auto"].value == auto["value"]


def test_few_tasks_are_not_generalised_from_and_the_method_says_so(tmp_path):
    evaluation = run(tmp_path, right_at(0.7), suite=make_suite(num_tasks=2, items_per_task=30))
    note = "; of these 2 tasks, too few to speak for others"
    assert evaluation.kpis["auto"].estimate.method == f"Wilson or mid-p over items{note}"


def test_grades_are_on_disk_before_any_statistic(tmp_path, monkeypatch):
    def broken(*args):
        raise RuntimeError("statistics are down")

    monkeypatch.setattr("luthier.evaluate.evaluation.write_summary", broken)
    with pytest.raises(RuntimeError, match="statistics are down"):
        run(tmp_path, right_at(1))
    assert len(list(read_records(tmp_path / "grades.jsonl", Grade))) == 60
    assert len(list(read_records(tmp_path / "completions.jsonl", Completion))) == 60
    assert len(list(read_records(tmp_path / "items.jsonl", Example))) == 60


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (lambda: 2.0**100_000, "OverflowError: (34, 'Numerical result out of range')"),
        (lambda: 10**5000, "OverflowError: int too large to convert to float"),
        (lambda: "good", "the grader returned a text, expected 0..1 or None"),
        (lambda: 1j, "TypeError: float() argument must be a string or a real number, not 'complex'"),
        (lambda: float("inf"), "the grader returned inf, expected 0..1 or None"),
    ],
)
def test_a_metric_that_overflows_costs_that_metric_only(tmp_path, value, reason):
    def broken(example, completion):
        return Grade(completion_id=completion.id, example_id=example.id, grader="broken", value=value())

    evaluation = run(tmp_path, right_at(0.5), graders={"broken": broken, "exact": GRADERS["exact"]})
    assert evaluation.kpis["broken"].errors == 60 and evaluation.kpis["exact"].value == 0.5
    assert {grades[0].reason for grades in evaluation.grades["broken"].values()} == {reason}


def test_a_grade_is_a_plain_number_about_what_was_asked(tmp_path):
    def careless(example, completion):
        return Grade(completion_id="other", example_id="other", grader="careless", value=np.float32(0.5), reason=7)

    evaluation = run(tmp_path, right_at(0.5), graders={"careless": careless})
    kept = [grade for grades in evaluation.grades["careless"].values() for grade in grades]
    assert {grade.example_id for grade in kept} == set(evaluation.items)
    assert {(grade.value, grade.reason) for grade in kept} == {(0.5, "7")}


def test_a_grader_that_fails_costs_only_its_kpi(tmp_path):
    def broken(example, completion):
        raise ZeroDivisionError("division by zero")

    evaluation = run(tmp_path, right_at(0.5), graders={"exact": GRADERS["exact"], "broken": broken})
    kpis = json.loads((tmp_path / "summary.json").read_text())["kpis"]
    assert kpis["exact"]["n"] == 60 and kpis["exact"]["errors"] == 0
    assert kpis["broken"] == {
        "value": None, "low": None, "high": None, "n": 0, "method": "no item could be graded", "undecided": 0,
        "errors": 60,
    }  # fmt: skip
    assert evaluation.grades["broken"][next(iter(evaluation.items))][0].reason == "ZeroDivisionError: division by zero"


def test_every_item_is_graded_undecided_or_an_error(tmp_path):
    def picky(example, completion):
        if example.task == "task0":
            raise ValueError("no")
        value = None if example.task == "task1" else 1.0
        return Grade(completion_id=completion.id, example_id=example.id, grader="picky", value=value)

    kpi = run(tmp_path, right_at(1), graders={"picky": picky}).kpis["picky"]
    assert (kpi.estimate.n, kpi.undecided, kpi.errors, kpi.value) == (40, 10, 10, 1.0)


def test_several_answers_an_item_count_as_one_item(tmp_path):
    draws = iter([1.0, 0.0, None] * 60)

    def by_draw(example, completion):
        return Grade(completion_id=completion.id, example_id=example.id, grader="x", value=next(draws))

    evaluation = run(tmp_path, right_at(1), graders={"x": by_draw}, sampling=Sampling(num_samples=3, temperature=1.0))
    assert (evaluation.kpis["x"].estimate.n, evaluation.kpis["x"].value) == (60, 0.5)


def test_completions_are_reused_so_a_grader_can_change_without_generating(tmp_path):
    generate = ScriptedGenerate(right_at(0.5))
    before = run(tmp_path, None, generate=generate)
    lines = []
    after = run(tmp_path, None, generate=generate, graders=("exact", "chrf"), say=lines.append)
    assert len(generate.asked) == 60
    assert after.completions == before.completions
    assert list(after.grades) == ["exact", "chrf"]
    assert "completions | 60 of 60 items reused" in lines
    assert after.summary["generation"]["reused"] == 60 and after.summary["generation"]["tokens_per_s"] is None


@pytest.mark.parametrize(
    "change", [{"model_id": "other"}, {"prompting": "plain text, 4 shots"}, {"sampling": Sampling(max_new_tokens=9)}]
)
def test_another_model_prompt_or_sampling_generates_anew(tmp_path, change):
    run(tmp_path, right_at(1))
    generate = ScriptedGenerate(right_at(0))
    evaluation = run(tmp_path, None, generate=generate, **change)
    assert len(generate.asked) == 60
    assert evaluation.kpis["auto"].value == 0


def test_a_grown_suite_generates_only_what_is_new_and_a_shrunk_one_nothing(tmp_path):
    run(tmp_path, right_at(1), suite=make_suite(num_tasks=5))
    generate = ScriptedGenerate(right_at(1))
    grown = run(tmp_path, None, generate=generate)
    assert len(generate.asked) == 10
    assert list(grown.completions) == [e.id for e in make_suite().examples]
    shrunk = run(tmp_path, None, generate=generate, suite=make_suite(num_tasks=2))
    assert len(generate.asked) == 10
    assert len(shrunk.completions) == 20


def test_a_killed_run_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("luthier.evaluate.kept_rows.CHUNK_EXAMPLES", 8)

    class Killed(ScriptedGenerate):
        def __call__(self, examples, sampling):
            if len(self.asked) >= 24:
                raise KeyboardInterrupt
            return super().__call__(examples, sampling)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, None, generate=Killed(right_at(1)))
    path = tmp_path / "completions.jsonl"
    path.write_text(path.read_text()[:-20])  # the line that was being written
    generate = ScriptedGenerate(right_at(1))
    evaluation = run(tmp_path, None, generate=generate)
    assert len(generate.asked) == 60 - 23
    assert len(list(read_records(path, Completion))) == 60
    assert evaluation.kpis["auto"].value == 1


def likes_no(example, text):
    """Summed, "no" is likelier; per byte, "yes" is: -1.2 / 3 > -1.0 / 2."""
    return {"yes": -1.2, "no": -1.0}[text]


def test_items_with_options_are_ranked_too_where_a_score_is_given(tmp_path):
    suite = make_suite()
    plain = Example.of([Message(role="user", content="say hi")], targets=["hi"])
    evaluation = run(
        tmp_path, right_at(0.5), suite=Suite.of("s", [*suite.examples, plain]), score=likes_no, graders=("exact",)
    )
    kpis = evaluation.summary["kpis"]
    yes = sum(e.targets == ("yes",) for e in suite.examples) / 60
    assert list(kpis) == ["exact", "rank", "rank_per_byte"]
    assert kpis["exact"]["n"] == 61
    assert (kpis["rank"]["n"], kpis["rank"]["value"], kpis["rank"]["chance"]) == (60, pytest.approx(1 - yes), 0.5)
    assert kpis["rank_per_byte"]["value"] == pytest.approx(yes)
    assert evaluation.rankings[suite.examples[0].id].options == ("yes", "no")


def test_without_a_score_there_is_no_rank_and_no_old_ranking_is_left(tmp_path):
    run(tmp_path, right_at(1), score=likes_no)
    evaluation = run(tmp_path, right_at(1))
    assert list(evaluation.grades) == ["auto"] and not evaluation.rankings
    assert not (tmp_path / "rankings.jsonl").exists()


def test_a_folder_without_a_summary_is_no_evaluation(tmp_path):
    with pytest.raises(DataError, match="is not an evaluation"):
        read_evaluation(tmp_path)

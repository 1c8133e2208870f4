"""Any number of runs against the first."""

import random

import pytest
from foreign_logs import inspect_log, lm_eval_rows, write_inspect, write_lm_eval
from small_suite import make_suite, right_at, run

from luthier.errors import DataError
from luthier.evaluate.comparison import compare_evaluations
from luthier.evaluate.logs.opening import open_evaluation
from luthier.evaluate.pairing import comparable
from luthier.evaluate.standings import p_value, standings
from luthier.evaluate.standings_page import write_standings


def evaluations(tmp_path, *rates):
    return [run(tmp_path / f"e{k}", right_at(rate, seed=k), model_name=f"m{k}", model_id=f"id{k}",
                graders=("auto", "exact")) for k, rate in enumerate(rates)]  # fmt: skip


def test_every_run_is_held_against_the_first_and_each_kpi_is_adjusted_alone(tmp_path):
    runs = evaluations(tmp_path, 0.3, 0.5, 0.9)
    found = standings(runs)
    assert found.names == ("m0 (chat)", "m1 (chat)", "m2 (chat)") and found.kpis == ("auto", "exact")
    for kpi in found.kpis:
        one, two = found.of_kpi(kpi)
        assert one.comparison.to_json() == compare_evaluations(runs[0], runs[1]).kpis[kpi].to_json()
        small, large = sorted([one, two], key=lambda contrast: contrast.p)
        assert small.p_holm == pytest.approx(2 * small.p) and large.p_holm == max(large.p, small.p_holm)
    assert len(found.lines()) == 2 + 2 * 5
    data = found.to_json()
    assert data["runs"] == list(found.names) and data["comparisons"][1]["kpis"]["auto"]["p_holm"] < 0.001


def test_of_two_runs_the_text_and_the_json_are_those_of_their_comparison(tmp_path):
    runs = evaluations(tmp_path, 0.4, 0.6)
    comparison, found = compare_evaluations(*runs), standings(runs)
    assert found.lines() == comparison.lines()
    data = found.to_json()
    assert data["kpis"]["auto"].pop("p") == data["kpis"]["auto"].pop("p_holm") == p_value(comparison.kpis["auto"])
    assert data["kpis"]["auto"] == comparison.to_json()["kpis"]["auto"] and data["items"]["common"] == 60


@pytest.mark.parametrize("seed", range(4))
def test_a_p_value_is_where_its_interval_touches_zero(tmp_path, seed):
    rates = random.Random(seed)
    a, b = (run(tmp_path / name, right_at(rates.uniform(0.2, 0.8), seed=name + str(seed)), suite=make_suite())
            for name in "ab")  # fmt: skip
    kpi = compare_evaluations(a, b).kpis["auto"]
    p = p_value(kpi)
    inside, outside = kpi.interval(alpha=p * 0.99), kpi.interval(alpha=min(1.0, p * 1.01))
    assert inside.low <= 0 <= inside.high
    assert p > 0.99 or not outside.low <= 0 <= outside.high


def test_equal_names_get_their_folders_and_a_run_given_twice_a_number(tmp_path):
    a = run(tmp_path / "a", right_at(0.5))
    b = run(tmp_path / "b", right_at(0.6))
    names = standings([a, b, b]).names
    assert names == (f"tuned (chat) in {tmp_path / 'a'}", f"tuned (chat) in {tmp_path / 'b'}",
                     f"tuned (chat) in {tmp_path / 'b'} (3)")  # fmt: skip


def test_runs_without_a_common_kpi_are_refused_with_the_option_that_matches_them(tmp_path):
    write_lm_eval(tmp_path / "h", {"t": lm_eval_rows([1.0, 0.0])})
    write_inspect(tmp_path / "log.json", inspect_log(["C", "I"]))
    runs = [open_evaluation(tmp_path / "h"), open_evaluation(tmp_path / "log.json")]
    with pytest.raises(DataError, match="found the KPIs acc and match") as caught:
        standings(comparable(runs))
    assert "--same NAME=OTHER" in caught.value.problems[0].fix
    assert standings(comparable(runs, same={"match": "acc"})).kpis == ("acc",)


def test_what_is_left_out_is_said_once_for_the_runs_that_share_it(tmp_path):
    rows = lm_eval_rows([1.0, 0.0])
    for row in rows:
        row["metrics"].append("bleu")
        row["bleu"] = ["a", "b"]
    for name in "ab":
        write_lm_eval(tmp_path / name, {"t": rows if name == "b" else rows[:]}, model=name)
    found = standings([open_evaluation(tmp_path / name) for name in "ab"])
    said = "left out of a (plain text, 0 shots), b (plain text, 0 shots): bleu of t; a value per item is a list"
    assert [line for line in found.lines() if "left out of" in line] == [f"{said}, not a number"]


def test_the_page_shows_every_run_with_its_interval(tmp_path):
    found = standings(evaluations(tmp_path, 0.3, 0.5, 0.9))
    write_standings(tmp_path / "page.html", found, verdict=None, command="luthier compare a b c")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") == 2 and "luthier compare a b c" in page
    for contrast in found.contrasts:
        assert contrast.run in page and f"{contrast.comparison.b:.4g}" in page

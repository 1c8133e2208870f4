import json

import pytest
from small_suite import make_suite, right_at, run

from luthier.errors import DataError
from luthier.evaluate.comparison import compare_evaluations
from luthier.evaluate.fair_base import fair_base
from luthier.evaluate.suite import Suite
from luthier.records import Example, Message

MIXED = Suite.of(
    "held_out",
    [
        *make_suite().examples,
        *(Example.of([Message(role="user", content=f"say {k}")], targets=[str(k)]) for k in range(40)),
    ],
)


def knows(share):
    """Finds the right option likeliest on the first `share` of the tasks."""
    return lambda example, text: 0.0 if (text in example.targets) == (int(example.task[4:]) < share) else -1.0


def readings(tmp_path, chat=0.0, shots=0.0, chat_knows=0, shots_knows=0, suite=MIXED):
    def answer(rate):
        return lambda e: right_at(rate)(e) if e.choices else (e.targets[0] if rate > 0.5 else "dunno")

    return [
        run(tmp_path / "chat", answer(chat), suite=suite, score=knows(chat_knows), graders=("auto", "chrf")),
        run(tmp_path / "shots", answer(shots), suite=suite, score=knows(shots_knows), graders=("auto", "chrf"),
            prompting="plain text, 4 shots"),
    ]  # fmt: skip


def test_the_few_shot_reading_stands_for_a_base_that_fails_the_chat_form(tmp_path):
    evaluations = readings(tmp_path, chat=0.1, shots=0.9)
    fair = fair_base(evaluations, kpi="auto", out=tmp_path / "fair")
    assert fair.reading("auto").name == "plain text, 4 shots; as generated"
    assert fair.evaluation.values("auto") == evaluations[1].values("auto")
    assert fair.evaluation.name == "tuned (best reading: plain text, 4 shots; as generated)"
    assert fair.reading("auto").mean == max(r.mean for r in fair.readings if r.kpi == "auto")


def test_ranking_stands_in_for_generation_only_where_items_have_options(tmp_path):
    evaluations = readings(tmp_path, chat=0.6, shots=0.1, chat_knows=6)
    fair = fair_base(evaluations, kpi="auto", out=tmp_path / "fair")
    assert fair.reading("auto").name == "chat; likeliest option"
    assert fair.reading("auto").n == 100
    values = fair.evaluation.values("auto")
    for item_id, item in fair.evaluation.items.items():
        assert values[item_id] == (1.0 if item.choices else evaluations[0].values("auto")[item_id])
        expected = item.targets[0] if item.choices else evaluations[0].completions[item_id][0].text
        assert fair.evaluation.completions[item_id][0].text == expected


def test_every_kpi_takes_its_own_best_reading_and_all_are_stated(tmp_path):
    evaluations = readings(tmp_path, chat=0.8, shots=0.1, chat_knows=1, shots_knows=4)
    fair = fair_base(evaluations, kpi="auto", out=tmp_path / "fair")
    assert fair.reading("auto").name == "chat; as generated"
    assert fair.reading("rank").name == "plain text, 4 shots"
    assert fair.reading("chrf").name == "chat; as generated"
    stated = json.loads((tmp_path / "fair/readings.json").read_text())
    assert len([r for r in stated if r["kpi"] == "auto"]) == 4
    assert sum(r["is_chosen"] for r in stated) == len(fair.evaluation.grades) == 4


def test_a_tuned_model_is_compared_with_the_fair_base_like_with_any_evaluation(tmp_path):
    evaluations = readings(tmp_path, chat=0.1, shots=0.9)
    fair = fair_base(evaluations, kpi="auto", out=tmp_path / "fair")
    tuned = run(tmp_path / "tuned", lambda e: e.targets[0], suite=MIXED, model_id="tuned")
    against_fair = compare_evaluations(fair.evaluation, tuned).kpis["auto"].difference
    against_chat = compare_evaluations(evaluations[0], tuned).kpis["auto"].difference
    assert 0 < against_fair.value < 0.2 < 0.7 < against_chat.value
    assert against_fair.n == 100


def test_readings_must_be_of_one_model_on_the_same_items(tmp_path):
    one = run(tmp_path / "one", right_at(1))
    other_model = run(tmp_path / "two", right_at(1), model_id="other")
    other_items = run(tmp_path / "three", right_at(1), suite=make_suite(num_tasks=2))
    for other, found in ((other_model, "another model"), (other_items, "other items")):
        with pytest.raises(DataError, match=f"found {found}"):
            fair_base([one, other], kpi="auto", out=tmp_path / "fair")
    with pytest.raises(DataError, match="found no KPI 'chrf', expected one of auto"):
        fair_base([one], kpi="chrf", out=tmp_path / "fair")

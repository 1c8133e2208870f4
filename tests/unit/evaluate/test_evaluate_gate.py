import json

import numpy as np
import pytest

from luthier.errors import ConfigError
from luthier.evaluate.comparison import Comparison, Pair, _of_pairs
from luthier.evaluate.config import GateConfig, GuardrailConfig
from luthier.evaluate.gate import decide
from luthier.records import Example, Message


def kpi_of(name, better, worse, same, undecided=0):
    """Right and wrong answers: this many items won, lost and tied."""
    values = [(0.0, 1.0)] * better + [(1.0, 0.0)] * worse + [(1.0, 1.0)] * same
    items = [Example.of([Message(role="user", content=str(k))], targets=["x"]) for k in range(len(values))]
    return _of_pairs(name, [Pair(i, a, b) for i, (a, b) in zip(items, values, strict=True)], undecided=undecided)


def comparison(suite="held_out", **kpis):
    made = {name: kpi_of(name, *counts) for name, counts in kpis.items()}
    return Comparison(
        a_name="base", b_name="tuned", suite_name=suite, kpis=made, lone_kpis=(), num_common=0, only_in_a=0,
        only_in_b=0, same_model=False,
    )  # fmt: skip


def guarded(kpi="rank", allowed=0.02, suite=None, **rest):
    return GateConfig(guardrails=(GuardrailConfig(kpi=kpi, allowed_regression=allowed, suite=suite),), **rest)


def test_a_clearly_better_model_ships():
    verdict = decide([comparison(auto=(60, 10, 130))], config=GateConfig())
    assert verdict.answer == "ship" and verdict.needed_items is None
    assert "better by more than 0" in verdict.reasons[0]


def test_a_clearly_worse_model_is_held():
    verdict = decide([comparison(auto=(10, 60, 130))], config=GateConfig())
    assert verdict.answer == "hold" and verdict.reasons[0].endswith("worse")


def test_an_unclear_difference_is_not_enough_evidence_and_says_how_much_more():
    verdict = decide([comparison(auto=(20, 10, 70))], config=GateConfig())
    assert verdict.answer == "not enough evidence"
    assert 40 < verdict.needed_items < 200
    assert f"about {verdict.needed_items} more items would show a difference of 0.1" in verdict.reasons[0]
    # The same shares over as many items as it asked for do settle it.
    scale = (100 + verdict.needed_items) / 100
    more = decide([comparison(auto=(round(20 * scale), round(10 * scale), round(70 * scale)))], config=GateConfig())
    assert more.answer == "ship"


def test_two_equal_models_are_not_called_equal_until_an_improvement_is_ruled_out():
    few = decide([comparison(auto=(5, 5, 90))], config=GateConfig())
    assert few.answer == "not enough evidence"
    many = decide([comparison(auto=(50, 50, 9900))], config=GateConfig())
    assert many.answer == "hold" and "an improvement of 0.03 is ruled out" in many.reasons[0]
    assert (
        decide([comparison(auto=(50, 50, 9900))], config=GateConfig(worthwhile=0.001)).answer == "not enough evidence"
    )


def test_the_margin_must_be_beaten_not_only_zero():
    better = comparison(auto=(60, 10, 130))
    assert decide([better], config=GateConfig(margin=0.1)).answer == "ship"
    assert decide([better], config=GateConfig(margin=0.2)).answer == "not enough evidence"


def test_alpha_moves_the_bar():
    borderline = comparison(auto=(26, 10, 64))
    assert decide([borderline], config=GateConfig()).answer == "ship"
    assert decide([borderline], config=GateConfig(alpha=0.001)).answer == "not enough evidence"


def test_too_few_items_are_not_enough_evidence_whatever_they_say():
    verdict = decide([comparison(auto=(20, 0, 0, 7))], config=GateConfig())
    assert verdict.answer == "not enough evidence" and verdict.needed_items == 10
    assert verdict.reasons == ("target auto: 20 items in common (7 could not be graded); the gate needs 30",)
    assert decide([comparison(auto=(20, 0, 0))], config=GateConfig(min_items=20)).answer == "ship"
    assert decide([comparison(auto=(0, 0, 0))], config=GateConfig()).answer == "not enough evidence"


def test_one_failed_guardrail_holds_a_better_model():
    verdict = decide([comparison(auto=(60, 10, 130), rank=(5, 40, 155))], config=guarded())
    assert verdict.answer == "hold"
    assert verdict.reasons[0].startswith("guardrail rank on held_out: -0.175 [")
    assert "worse by more than 0.02" in verdict.reasons[0]


def test_a_guardrail_that_is_not_shown_to_hold_is_not_taken_as_held():
    unclear = comparison(auto=(60, 10, 130), rank=(10, 10, 180))
    verdict = decide([unclear], config=guarded())
    assert verdict.answer == "not enough evidence" and verdict.needed_items > 500
    assert decide([unclear], config=guarded(allowed=0.1)).answer == "ship"


def test_no_differences_on_few_items_do_not_prove_a_guardrail():
    same = comparison(auto=(60, 10, 130), rank=(0, 0, 60))
    assert decide([same], config=guarded()).answer == "not enough evidence"
    assert decide([comparison(auto=(60, 10, 130), rank=(0, 0, 400))], config=guarded()).answer == "ship"


def test_a_guardrail_with_nothing_allowed_can_be_unsure_and_pass():
    assert decide([comparison(auto=(60, 10, 130), rank=(9, 9, 82))], config=guarded(allowed=0.0)).needed_items > 0
    assert decide([comparison(auto=(60, 10, 130), rank=(40, 9, 51))], config=guarded(allowed=0.0)).answer == "ship"


def test_a_guardrail_may_stand_on_another_suite():
    target, skills = comparison(auto=(60, 10, 130)), comparison("skills", rank=(5, 60, 135))
    verdict = decide([target, skills], config=guarded(suite="skills"))
    assert verdict.answer == "hold" and verdict.checks[1].suite == "skills"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (GateConfig(kpi="chrf"), r"gate\.kpi: found KPI 'chrf', expected one that was measured: auto"),
        (guarded("rank"), r"gate\.guardrails\.0: found KPI 'rank'"),
        (guarded("auto", suite="skills"), r"gate\.guardrails\.0\.suite: found 'skills', expected .*: held_out"),
    ],
)
def test_a_kpi_or_suite_that_was_not_measured_is_the_recipes_error(config, message):
    with pytest.raises(ConfigError, match=message):
        decide([comparison(auto=(60, 10, 130))], config=config)


def test_the_verdict_is_json_and_lines():
    verdict = decide([comparison(auto=(20, 10, 70))], config=GateConfig())
    data = json.loads(json.dumps(verdict.to_json()))
    assert data["answer"] == "not enough evidence" and data["needed_items"] == verdict.needed_items
    assert data["checks"][0]["bound"] == 0.0 and data["alpha"] == 0.05
    assert verdict.lines()[0] == "verdict: not enough evidence"
    assert verdict.lines()[-1] == f"about {verdict.needed_items} more items are needed"


def test_a_model_that_is_no_better_rarely_ships():
    rng = np.random.default_rng(4)
    shipped = 0
    for _ in range(300):
        worse, better = rng.multinomial(100, [0.2, 0.2, 0.6])[:2]
        shipped += (
            decide([comparison(auto=(better, worse, 100 - better - worse))], config=GateConfig()).answer == "ship"
        )
    assert shipped / 300 <= 0.045  # 2.5 % is promised; two standard errors of 300 draws are 1.8 %

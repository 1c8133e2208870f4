import pytest

from luthier.config import validate
from luthier.errors import ConfigError, DataError
from luthier.evaluate.config import EvaluateConfig, GateConfig
from luthier.evaluate.suite import Suite
from luthier.records import Example, Message, Sampling


def item(text, **rest):
    return Example.of([Message(role="user", content=text)], targets=["x"], **rest)


def test_an_item_that_comes_twice_is_examined_once():
    suite = Suite.of("s", [item("1", source="first"), item("2"), item("1", source="again")])
    assert [e.source for e in suite.examples] == ["first", ""]
    assert suite.num_repeats == 1


def test_the_digest_changes_with_items_and_grading_and_not_with_order():
    one, two = item("1"), item("2")
    digest = Suite.of("s", [one, two]).digest
    assert Suite.of("t", [two, one]).digest == digest
    assert Suite.of("s", [one]).digest != digest
    assert Suite.of("s", [one, item("2", grading={"grader": "chrf"})]).digest != digest


def test_an_empty_suite_is_refused():
    with pytest.raises(DataError, match="nothing to evaluate on"):
        Suite.of("s", [])


@pytest.mark.parametrize("name", ["max_new_tokens", "temperature", "num_samples", "seed"])
def test_every_sampling_key_reaches_the_sampling(name):
    value = 0.5 if name == "temperature" else 7
    sampling = EvaluateConfig(**{name: value}).sampling()
    assert getattr(sampling, name) == value
    assert sampling != EvaluateConfig().sampling()
    assert EvaluateConfig().sampling() == Sampling(max_new_tokens=64)


def test_the_gate_is_read_from_a_recipe_with_its_guardrails():
    data = {"kpi": "auto", "guardrails": [{"kpi": "rank", "allowed_regression": 0.05}]}
    config = validate(GateConfig, data, places={}, default_place="r.toml")
    assert config.guardrails[0].allowed_regression == 0.05
    with pytest.raises(ConfigError, match="unknown key"):
        validate(GateConfig, {"guardrails": [{"kpi": "rank", "allowed": 1}]}, places={}, default_place="r.toml")
    with pytest.raises(ConfigError, match="did you mean graders"):
        validate(EvaluateConfig, {"metrics": ["auto"]}, places={}, default_place="r.toml")

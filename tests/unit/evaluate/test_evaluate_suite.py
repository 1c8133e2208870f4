import json

import pytest

from luthier.config import validate
from luthier.errors import ConfigError, DataError
from luthier.evaluate.config import EvaluateConfig, GateConfig
from luthier.evaluate.suite import Suite, read_suite
from luthier.records import Example, Message, Sampling, write_records


def item(text, **rest):
    return Example.of([Message(role="user", content=text)], targets=["x"], **rest)


def test_a_suite_reads_our_records_and_takes_the_files_name(tmp_path):
    write_records(tmp_path / "a.jsonl", [item("1"), item("2")])
    write_records(tmp_path / "b.jsonl", [item("3")])
    suite = read_suite([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert suite.name == "a"
    assert [e.messages[0].content for e in suite.examples] == ["1", "2", "3"]


def test_a_suite_reads_other_formats_through_a_callable(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(["p", "q"]))
    suite = read_suite([path], name="mine", read=lambda p: [item(text) for text in json.loads(p.read_text())])
    assert (suite.name, len(suite.examples)) == ("mine", 2)


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


def test_an_empty_suite_is_refused_and_so_is_a_file_of_something_else(tmp_path):
    with pytest.raises(DataError, match="nothing to evaluate on"):
        Suite.of("s", [])
    (tmp_path / "x.jsonl").write_text('{"instruction": "hi"}\n')
    with pytest.raises(DataError, match=r"x\.jsonl:1"):
        read_suite([tmp_path / "x.jsonl"])


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

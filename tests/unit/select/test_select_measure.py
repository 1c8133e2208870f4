import random
import subprocess
import sys
from pathlib import Path

import pytest

from fakes import ScriptedGenerate, ScriptedScore
from luthier.config import validate
from luthier.errors import ConfigError
from luthier.graders import auto
from luthier.records import Example, Message
from luthier.select.config import SelectConfig
from luthier.select.measure import OpenedModel, measure, peak_memory_gib, reset_peak_memory
from luthier.stats.intervals import ratio_interval

EXAMPLES = [
    Example.of(
        [Message(role="user", content=f"q{k}")],
        targets=["yes" if k % 2 else "a longer answer, in words"],
        choices=["yes", "no"] if k % 2 else (),
        task=f"task{k % 6}",
    )
    for k in range(60)
]


def opened(skill=1.0, closed=None, **rest):
    """A model that foresees answers this well: nats per byte, noisy by item, lower for other options."""

    def logprob(example, text):
        noise = random.Random(f"{example.id}{skill}").random()
        return -len(text.encode()) * (1.0 + 0.3 * noise) / skill - 5 * (text not in example.targets)

    facts = {"context_length": 512, "num_parameters": 1000, "licence": "mit", "digest": f"d{skill}", **rest}
    return OpenedModel(
        score=ScriptedScore(logprob),
        generate=ScriptedGenerate(lambda e: e.targets[0] if skill > 1 else "no"),
        close=(lambda: closed.append(1)) if closed is not None else (lambda: None),
        **facts,
    )


def measured(model, path=Path("models/a"), examples=EXAMPLES):
    return measure(path, open_model=lambda p: model, examples=examples, grader=auto, max_new_tokens=8)


def test_a_candidate_is_measured_in_every_respect():
    closed = []
    row = measured(opened(closed=closed))
    assert row.error is None and closed == [1]
    assert set(row.estimates) == {"likelihood", "rank", "generated"}
    assert -1.35 < row.estimates["likelihood"].value < -1.0
    assert row.estimates["likelihood"].method == "jackknife t over 6 clusters"
    assert (row.estimates["rank"].value, row.estimates["rank"].n) == (1.0, 30)
    assert row.estimates["generated"].value < 0.1
    assert row.tokens_per_s > 0
    assert (row.context_length, row.num_parameters, row.licence, row.digest) == (512, 1000, "mit", "d1.0")


def test_likelihood_is_per_byte_of_all_answers_together():
    row = measured(opened(), examples=EXAMPLES[:4])
    scores = row.items["likelihood"].values()
    expected = ratio_interval([s.value for s in scores], [s.weight for s in scores])
    assert row.estimates["likelihood"] == expected
    assert [s.weight for s in scores] == [25, 3, 25, 3]


def test_what_the_examples_cannot_show_is_left_out():
    row = measured(opened(), examples=[e for e in EXAMPLES if not e.choices])
    assert set(row.estimates) == {"likelihood", "generated"}


def test_a_candidate_that_cannot_be_loaded_becomes_a_row_with_its_error():
    def missing(path):
        raise OSError(f"no file config.json in {path}")

    row = measure(Path("models/b"), open_model=missing, examples=EXAMPLES, grader=auto, max_new_tokens=8)
    assert row.error == "OSError: no file config.json in models/b"
    assert row.candidate == "models/b" and not row.estimates


def test_a_candidate_that_fails_while_measured_is_closed_and_becomes_a_row():
    closed = []
    model = opened(closed=closed)
    model.generate.answer = lambda example: 1 / 0
    row = measured(model)
    assert row.error.startswith("ZeroDivisionError") and closed == [1]


def test_the_recipes_own_account_of_memory_goes_first():
    assert measured(opened(peak_memory_gib=lambda: 3.5)).peak_memory_gib == 3.5


def test_the_peak_of_the_process_is_measured_from_a_reset():
    if not reset_peak_memory():
        pytest.skip("this system cannot reset the peak of a process")
    before = peak_memory_gib()
    block = bytearray(200 * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    high = peak_memory_gib()
    del block
    assert high - before > 0.15
    assert peak_memory_gib() == pytest.approx(high, abs=0.01)  # the kernel sums per-thread counts lazily
    assert reset_peak_memory() and peak_memory_gib() < high - 0.15


def test_a_recipe_names_its_candidates_and_one_criterion():
    config = validate(SelectConfig, {"candidates": ["m/a", "m/b"]}, places={}, default_place="r.toml")
    assert config.candidates == (Path("m/a"), Path("m/b"))
    for data in ({}, {"candidates": []}, {"candidates": ["a"], "kpi": "vibes"}):
        with pytest.raises(ConfigError):
            validate(SelectConfig, data, places={}, default_place="r.toml")


def test_selection_imports_no_torch():
    code = "import sys; from luthier.select import config, measure, ranking; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The demo as it ships. What trains it takes minutes and runs with `make test-slow`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.grpo_practice import measure

from luthier.recipes.demo import BASE, main


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    out = tmp_path_factory.mktemp("demo") / "out"
    said: list[str] = []
    assert main(out, echo=said.append, step_echo=None) == 0
    return out, said


@pytest.mark.slow
def test_the_demo_beats_its_base_on_unseen_phrasings_with_an_interval_that_excludes_zero(demo) -> None:
    out, said = demo
    check = json.loads((out / "gate.json").read_text())["checks"][0]
    assert check["difference"]["low"] > 0
    assert any("unseen tasks" in line and "tuned" in line for line in said), "shown whatever they are"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Answers side by side" in page and "What it forgot" in page and len(page) < 5_000_000


@pytest.mark.slow
def test_a_second_demo_reuses_every_stage(demo) -> None:
    out, _ = demo
    said: list[str] = []
    main(out, echo=said.append, step_echo=None)
    assert sum("reused" in line for line in said) == 6


@pytest.mark.slow
def test_reinforcement_raises_the_reward_on_unseen_prompts(demo, tmp_path) -> None:
    out, _ = demo
    found = measure(out / "train" / "model", tmp_path, steps=30, lr=1e-4)["unseen"]["difference"]
    assert found["low"] > 0


def test_the_base_that_ships_is_small_and_says_how_it_was_made() -> None:
    assert sum(path.stat().st_size for path in BASE.iterdir()) < 20_000_000
    card = (BASE / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in card and "perplexity" in card

"""The page of a run: the course of each training stage."""

from __future__ import annotations

import json
from pathlib import Path

from luthier.recipes.run_report import SMOOTHED, _losses, _smoothed, forgetting_between
from luthier.reports import Page
from luthier.runs import write_json


def page_of(folder: Path, *events: dict[str, object], tail: str = "") -> str:
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (folder / "metrics.jsonl").write_text(lines + tail, encoding="utf-8")
    page = Page("run")
    _losses(page, folder)
    return page.html()


def step(number: int, *, kind: str = "train", **more: float) -> dict[str, object]:
    loss = 4.0 / number
    return {"kind": kind, "step": number, "train/loss": loss, "train/tokens": 10, "train/tokens_per_s": 5.0, **more}


def dev(number: int, loss: float) -> dict[str, object]:
    return {"kind": "train_dev", "step": number, "train/dev_loss": loss}


def test_each_stage_shows_its_losses_its_numbers_and_its_speed(tmp_path):
    text = page_of(tmp_path, step(1), step(2), dev(1, 3.0), dev(2, 3.5), step(1, kind="prefer"))
    assert text.count("<svg") == 4
    for words in ("Loss of the tuning", "Loss of the preference round", "Speed during the tuning", "dev rows",
                  "4.0000 -&gt; 2.0000", "3.5000 at step 2", "3.0000 at step 1"):  # fmt: skip
        assert words in text
    assert "mean of" not in text and "Use of the passes" not in text


def test_a_single_measurement_of_the_dev_rows_is_shown(tmp_path):
    text = page_of(tmp_path, step(1), step(2), dev(2, 3.0))
    assert "dev rows" in text and "<circle" in text


def test_a_long_training_gets_a_smooth_line_and_utilisation_is_drawn_where_it_was_logged(tmp_path):
    text = page_of(tmp_path, *[step(n, **{"train/utilisation": 0.4}) for n in range(1, 3 * SMOOTHED + 1)])
    assert f"mean of {SMOOTHED}" in text and "Use of the passes during the tuning" in text


def test_the_smooth_line_is_the_mean_of_the_last_steps():
    found = _smoothed([float(n) for n in range(SMOOTHED + 2)])
    assert found[: SMOOTHED - 1] == [None] * (SMOOTHED - 1)
    assert found[SMOOTHED - 1 :] == [(SMOOTHED - 1) / 2, (SMOOTHED + 1) / 2, (SMOOTHED + 3) / 2]


def test_the_line_that_a_kill_cut_in_two_does_not_stop_the_report(tmp_path):
    assert "Loss of the tuning" in page_of(tmp_path, step(1), step(2), tail='{"kind": "tra')


def test_forgetting_is_the_change_per_token_paired_by_document(tmp_path):
    for name, scale in (("base", 1.0), ("tuned", 1.5)):
        write_json(tmp_path / name / "plain_text.json", {"nats": [scale * 2, scale * 8], "tokens": [2, 8]})
    base, tuned = forgetting_between({"base": tmp_path / "base", "tuned": tmp_path / "tuned"})
    assert (base.change, round(tuned.perplexity, 3)) == ("", 4.482) and tuned.change.startswith("+0.5000")
    assert forgetting_between({"base": tmp_path / "none", "tuned": tmp_path / "tuned"}) == []

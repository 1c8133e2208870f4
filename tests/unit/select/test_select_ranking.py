import json

import pytest

from luthier.select.measure import ItemScore, Measured
from luthier.select.ranking import COLUMNS, rank_candidates
from luthier.stats.intervals import ratio_interval, score_interval


def row(name, likelihood=None, generated=None, error=None, **rest):
    """A candidate with these per-item values."""
    items, estimates = {}, {}
    if likelihood is not None:
        items["likelihood"] = {f"i{k}": ItemScore(v * 10, 10, None) for k, v in enumerate(likelihood)}
        estimates["likelihood"] = ratio_interval([v * 10 for v in likelihood], [10] * len(likelihood))
    if generated is not None:
        items["generated"] = {f"i{k}": ItemScore(v, 1, None) for k, v in enumerate(generated)}
        estimates["generated"] = score_interval(generated)
    return Measured(candidate=name, items=items, estimates=estimates, error=error, **rest)


HARD = [-2.0 - 0.05 * k for k in range(30)]
BETTER = [v + 0.2 + 0.01 * (k % 3) for k, v in enumerate(HARD)]
NOISY = [v + 0.3 * (-1) ** k + 0.01 for k, v in enumerate(HARD)]


def test_the_highest_wins_and_the_sentence_says_by_how_much_item_by_item():
    selection = rank_candidates([row("hard", HARD), row("better", BETTER)], criterion="likelihood")
    assert selection.winner.candidate == "better"
    assert [r.candidate for r in selection.rows] == ["better", "hard"]
    # Their own intervals overlap; the paired one shows the lead.
    assert selection.rows[1].estimates["likelihood"].high > selection.rows[0].estimates["likelihood"].low
    assert selection.lead.value == pytest.approx(0.21) and selection.lead.low > 0.2
    assert selection.sentence.startswith("better wins: log-likelihood per byte of the dev answers -2.5")
    assert "ahead of hard by 0.210 [0.207, 0.213] over the same 30 examples" in selection.sentence


def test_a_lead_within_the_noise_is_called_that_and_the_smaller_is_named():
    noisy, hard = row("noisy", NOISY, num_parameters=7000), row("hard", HARD, num_parameters=1000)
    selection = rank_candidates([hard, noisy], criterion="likelihood")
    assert selection.winner.candidate == "noisy"
    assert "noisy and hard cannot be told apart" in selection.sentence
    assert "within the noise; hard is the smaller" in selection.sentence


def test_candidates_are_paired_by_item_not_by_order():
    shuffled = row("better", BETTER)
    backwards = {k: shuffled.items["likelihood"][k] for k in reversed(shuffled.items["likelihood"])}
    again = Measured(candidate="better", estimates=shuffled.estimates, items={"likelihood": backwards})
    one = rank_candidates([row("hard", HARD), shuffled], criterion="likelihood").lead
    other = rank_candidates([row("hard", HARD), again], criterion="likelihood").lead
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_the_criterion_decides():
    a, b = row("a", HARD, [1.0] * 30), row("b", BETTER, [0.0] * 30)
    assert rank_candidates([a, b], criterion="likelihood").winner.candidate == "b"
    selection = rank_candidates([a, b], criterion="generated")
    assert selection.winner.candidate == "a"
    assert "mean grade of written answers 1.000 [0.886, 1.000], ahead of b by 1.000" in selection.sentence


def test_what_could_not_be_measured_comes_last_with_its_error():
    broken = Measured(candidate="broken", error="OSError: no weights")
    selection = rank_candidates([broken, row("hard", HARD)], criterion="likelihood")
    assert [r.candidate for r in selection.rows] == ["hard", "broken"]
    assert selection.sentence.startswith("hard is the only candidate measured")
    assert selection.sentence.endswith("; 1 could not be measured.")
    nobody = rank_candidates([broken], criterion="likelihood")
    assert nobody.winner is None and nobody.sentence.startswith("No candidate has")


def test_the_table_is_text_and_json():
    good = row("good", HARD, tokens_per_s=1234.5, context_length=512, num_parameters=260032, licence=None)
    selection = rank_candidates([good, Measured(candidate="broken", error="OSError: x")], criterion="likelihood")
    assert all(len(cells) == len(COLUMNS) for cells in selection.table())
    lines = selection.lines()
    assert lines[0].split() == [
        "candidate",
        "likelihood",
        "rank",
        "generated",
        "tokens/s",
        "memory",
        "GiB",
        "context",
        "parameters",
        "licence",
        "error",
    ]
    assert "260,032" in lines[1] and "unknown" in lines[1] and "1,234" in lines[1]
    assert lines[2].endswith("OSError: x") and lines[3] == selection.sentence
    data = json.loads(json.dumps(selection.to_json()))
    assert data["winner"] == "good" and data["candidates"][1]["error"] == "OSError: x"
    assert data["candidates"][0]["likelihood"]["n"] == 30

"""Preferences to pairs of rows."""

from __future__ import annotations

import pytest

from fakes import tiny_preferences
from luthier.records import Message, Preference
from luthier.train.batch import micro_batches
from luthier.train.preference import pairs_of


def test_pairs_alternate_and_weigh_only_the_answers(tiny, shape):
    """Prompt tokens carry no weight; both sides share the prompt's ids."""
    renderer = tiny(shape).renderer
    preferences = tiny_preferences(6)
    pairs = pairs_of(preferences, renderer, max_length=200, overlong="drop")
    assert pairs.ledger == {"kept": 6} and len(pairs.rows) == 12
    for n, preference in enumerate(preferences):
        prompt = tuple(renderer.prompt(preference.prompt))
        for row, text in zip(pairs.rows[2 * n : 2 * n + 2], (preference.chosen, preference.rejected), strict=True):
            assert row.example_id == preference.id and row.token_ids[: len(prompt)] == prompt
            trained = [t for t, w in zip(row.token_ids, row.weights, strict=True) if w > 0]
            assert renderer.decode(trained[:-1]) == text and trained[-1] in renderer.stop_ids


@pytest.mark.parametrize("overlong", ["cut_prompt", "cut_answer", "drop"])
def test_a_pair_that_loses_one_side_is_left_out_whole_and_counted(tiny_model, overlong):
    """The ledger counts pairs and sums to the input."""
    ask = (Message(role="user", content="which lamp?"),)
    preferences = [
        *tiny_preferences(4), Preference.of(ask, chosen="7" * 300, rejected="no"), Preference.of(ask, chosen="no", rejected="7" * 300),
    ]  # fmt: skip
    pairs = pairs_of(preferences, tiny_model.renderer, max_length=100, overlong=overlong)
    assert sum(pairs.ledger.values()) == 6
    lost = {"cut_prompt": "dropped", "drop": "dropped", "cut_answer": "answer cut"}[overlong]
    assert pairs.ledger == {"kept": 4, lost: 2}
    assert len(pairs.rows) == (12 if overlong == "cut_answer" else 8)
    assert all(len(row.token_ids) <= 100 for row in pairs.rows)
    ids = [row.example_id for row in pairs.rows]
    assert ids[0::2] == ids[1::2]


def test_the_two_rows_of_a_pair_share_a_micro_batch(tiny_model):
    pairs = pairs_of(tiny_preferences(9), tiny_model.renderer, max_length=200, overlong="drop")
    for batch in micro_batches(pairs.rows, micro_batch_tokens=120, keep_together=2):
        assert [i // 2 for i in batch.rows[0::2]] == [i // 2 for i in batch.rows[1::2]]
        assert all(i % 2 == 0 for i in batch.rows[0::2])

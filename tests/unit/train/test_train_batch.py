"""Rows to batches; nothing lost, nothing silent."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import tiny_examples
from luthier.records import Example, Message
from luthier.train.batch import Row, collate, fit_rows, micro_batches, plan_steps, rows_of, text_rows

lengths_lists = st.lists(st.integers(2, 40), min_size=1, max_size=30)


def plan(lengths, **options):
    return plan_steps(
        lengths, **{"batch_rows": 4, "batch_tokens": None, "max_steps": None, "epochs": None, "seed": 0, **options}
    )


def row(length: int, *, prompt: int = 1) -> Row:
    return Row(f"row {length}", tuple(range(length)), (0.0,) * prompt + (1.0,) * (length - prompt))


@given(lengths=lengths_lists, batch_rows=st.integers(1, 7), epochs=st.integers(1, 3), seed=st.integers(0, 5))
def test_a_plan_takes_each_row_once_an_epoch(lengths, batch_rows, epochs, seed):
    steps = plan(lengths, batch_rows=batch_rows, epochs=float(epochs), seed=seed)
    taken = np.concatenate(steps).tolist()
    for epoch in range(epochs):
        assert sorted(taken[epoch * len(lengths) : (epoch + 1) * len(lengths)]) == list(range(len(lengths)))
    assert len(taken) == epochs * len(lengths)
    assert [len(s) for s in steps[:-1]] == [batch_rows] * (len(steps) - 1) and 1 <= len(steps[-1]) <= batch_rows


@given(lengths=lengths_lists, batch_tokens=st.integers(1, 100), max_steps=st.integers(1, 9))
def test_a_step_takes_rows_until_it_has_its_tokens(lengths, batch_tokens, max_steps):
    steps = plan(lengths, batch_tokens=batch_tokens, max_steps=max_steps)
    assert len(steps) == max_steps
    for chosen in steps:
        tokens = [lengths[i] for i in chosen]
        assert sum(tokens) >= batch_tokens > sum(tokens[:-1])


def test_a_plan_is_a_function_of_its_seed():
    one, same, other = (np.concatenate(plan([3] * 20, epochs=2.0, seed=seed)).tolist() for seed in (5, 5, 6))
    assert one == same != other
    assert one[:20] != one[20:]  # each epoch has an order of its own


def test_a_longer_plan_begins_with_the_shorter_one():
    """A run that is given more steps sees the data of the shorter run first."""
    short, long = plan([3] * 10, max_steps=4), plan([3] * 10, max_steps=9)
    assert all((a == b).all() for a, b in zip(short, long, strict=False)) and len(long) == 9


@pytest.mark.parametrize(
    ("options", "steps", "taken"),
    [({}, 3, 10), ({"epochs": 0.5}, 2, 5), ({"epochs": 2.0}, 5, 20), ({"max_steps": 2}, 2, 8), ({"max_steps": 7}, 7, 28),
     ({"epochs": 1.0, "max_steps": 2}, 2, 8), ({"epochs": 1.0, "max_steps": 9}, 3, 10), ({"epochs": 0.001}, 1, 1)],
)  # fmt: skip
def test_max_steps_and_epochs_say_when_to_stop(options, steps, taken):
    got = plan([3] * 10, **options)
    assert (len(got), sum(len(s) for s in got)) == (steps, taken)


@given(lengths=lengths_lists, limit=st.integers(1, 120), together=st.sampled_from([1, 2]))
def test_micro_batches_hold_every_row_once_within_the_limit(lengths, limit, together):
    rows = [row(n) for n in lengths for _ in range(together)]
    batches = micro_batches(rows, micro_batch_tokens=limit, keep_together=together)
    assert sorted(i for b in batches for i in b.rows) == list(range(len(rows)))
    for batch in batches:
        assert batch.input_ids_BT.numel() <= limit or len(batch.rows) == together
        assert batch.num_tokens == sum(len(rows[i].token_ids) for i in batch.rows)
        for first in batch.rows[::together]:
            place = batch.rows.index(first)
            assert batch.rows[place : place + together] == tuple(range(first, first + together))


def test_collate_aligns_each_weight_with_the_position_that_predicts_it():
    rows = [Row("a", (10, 11, 12, 13), (9.0, 0.0, 0.5, 1.0)), Row("b", (20, 21), (0.0, 2.0))]
    batch = collate(rows, [1, 0])
    assert batch.input_ids_BT.tolist() == [[20, 21, 0, 0], [10, 11, 12, 13]]
    assert batch.positions_N.tolist() == [0, 5, 6]
    assert batch.target_ids_N.tolist() == [21, 12, 13]
    assert batch.weights_N.tolist() == [2.0, 0.5, 1.0]  # the first token's own weight has no position before it
    assert batch.row_N.tolist() == [0, 1, 1]
    assert sum(r.weight for r in rows) == float(batch.weights_N.sum())


@pytest.mark.parametrize("overlong", ["cut_prompt", "cut_answer", "drop"])
@pytest.mark.parametrize("max_length", [6, 15, 30, 200])
def test_the_ledger_of_fitting_sums_to_its_input(tiny, shape, overlong, max_length):
    """PITFALL 10, silent truncation drops the answer: every row is counted under what was done to it."""
    renderer = tiny(shape).renderer
    examples = [*tiny_examples(16), Example.of([Message(role="user", content="no answer")])]
    fit = rows_of(examples, renderer, max_length=max_length, overlong=overlong)
    assert sum(fit.ledger.values()) == 17
    assert len(fit.rows) == sum(fit.ledger[name] for name in ("kept", "prompt cut", "answer cut"))
    assert all(len(r.token_ids) <= max_length and r.weight > 0 for r in fit.rows)
    before = sum(len(r.token_ids) for e in examples for r in renderer.render(e.messages))
    unanswered = min(len(renderer.render(examples[-1].messages)[0].token_ids), max_length)
    left_out = unanswered if fit.ledger["nothing trained"] else 0
    assert before - fit.tokens_off - left_out == sum(len(r.token_ids) for r in fit.rows)
    if overlong == "cut_prompt":  # the default keeps the answer and its stop token
        assert fit.ledger["answer cut"] == 0
        whole = {e.id: r.num_trained for e in examples for r in renderer.render(e.messages)}
        for kept in fit.rows:
            assert sum(w > 0 for w in kept.weights) == whole[kept.example_id]
            assert kept.token_ids[max(t for t, w in enumerate(kept.weights) if w > 0)] in renderer.stop_ids
    if max_length == 200:
        assert fit.ledger == {"kept": 16, "prompt cut": 0, "answer cut": 0, "dropped": 0, "nothing trained": 1}


def test_a_row_whose_first_token_alone_carries_weight_trains_nothing(tiny_model):
    """PITFALL 36: nothing stands before the first token, so it cannot be predicted."""
    rendered = tiny_model.renderer.render(tiny_examples(1)[0].messages)[0]
    first_only = type(rendered)(rendered.token_ids, (1.0,) + (0.0,) * (len(rendered.token_ids) - 1))
    fit = fit_rows([("a", first_only)], max_length=99, overlong="drop")
    assert fit.rows == () and fit.ledger["nothing trained"] == 1


def test_split_rows_keep_the_example_they_came_from(tiny):
    """PITFALL 12: a row that its template rewrites becomes several, each traced to the example."""
    turns = [
        Message(role=("user", "assistant")[i % 2], content=("q", "<think>\nx\n</think>\na")[i % 2]) for i in range(6)
    ]
    example = Example.of(turns)
    fit = rows_of([example], tiny("qwen3").renderer, max_length=200, overlong="drop")
    assert [r.example_id for r in fit.rows] == [example.id] * 3 and fit.ledger["kept"] == 3


@given(
    texts=st.lists(st.integers(0, 50), min_size=1, max_size=5),
    max_length=st.integers(2, 12),
    bos=st.sampled_from([[], [1]]),
)
def test_text_rows_lose_no_token_and_predict_each_once(texts, max_length, bos):
    documents = ["x" * n for n in texts]
    fit = text_rows(documents, lambda text: list(range(5, 5 + len(text))), eos_id=2, bos_ids=bos, max_length=max_length)
    assert all(2 <= len(r.token_ids) <= max_length for r in fit.rows)
    predicted = Counter((r.example_id, token) for r in fit.rows for token in r.token_ids[1:])
    for number, n in enumerate(texts):
        ids = [*bos, *range(5, 5 + n), 2]
        assert [predicted[(f"document {number}", token)] for token in ids[1:]] == [1] * (len(ids) - 1)
    assert fit.ledger == {"kept": len(fit.rows)} and fit.tokens_off == 0

"""Rows to batches; nothing lost, nothing silent."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import tiny_examples
from luthier.records import Example, Message
from luthier.train.batch import (
    Row,
    balanced,
    collate,
    filler_of,
    fit_rows,
    micro_batches,
    mix_text,
    pack,
    plan_steps,
    rows_of,
    text_rows,
)

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
    """Silent truncation drops the answer: every row is counted under what was done to it."""
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
    """Nothing stands before the first token, so it cannot be predicted."""
    rendered = tiny_model.renderer.render(tiny_examples(1)[0].messages)[0]
    first_only = type(rendered)(rendered.token_ids, (1.0,) + (0.0,) * (len(rendered.token_ids) - 1))
    fit = fit_rows([("a", first_only)], max_length=99, overlong="drop")
    assert fit.rows == () and fit.ledger["nothing trained"] == 1


def test_split_rows_keep_the_example_they_came_from(tiny):
    """A row that its template rewrites becomes several, each traced to the example."""
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


@given(sizes=st.lists(st.integers(1, 60), max_size=60), limit=st.integers(1, 90))
def test_bins_hold_every_row_once_within_the_limit_and_an_overlong_row_alone(sizes, limit):
    """A packer that clogs: nothing stays behind, whatever the sizes."""
    bins = balanced(sizes, limit=limit)
    assert sorted(i for chosen in bins for i in chosen) == list(range(len(sizes))) and all(bins)
    for chosen in bins:
        assert len(chosen) == 1 or sum(sizes[i] for i in chosen) <= limit
    # No two bins would fit into one, but for evening them out: then there are no more than the tightest rule takes.
    over = sum(size > limit for size in sizes)
    assert len(bins) - over <= 2 * sum(size for size in sizes if size <= limit) / limit + 1


def test_bins_of_like_sums_where_that_fits():
    sizes = [7, 1, 5, 3, 4, 4, 2, 6]
    assert [sum(sizes[i] for i in chosen) for chosen in balanced(sizes, limit=24)] == [16, 16]
    assert sorted(sum(sizes[i] for i in chosen) for chosen in balanced(sizes, limit=11)) == [10, 11, 11]
    assert sorted(map(len, balanced([9, 2, 2, 2, 2], limit=10))) == [1, 4]
    assert balanced([], limit=5) == []


def test_a_thousand_rows_of_which_no_two_fit_together_are_no_trouble():
    """The time of trying one number of bins after another grows with the cube of the rows."""
    started = time.process_time()
    assert len(balanced([600] * 2000, limit=1024)) == 2000
    assert time.process_time() - started < 2.0


@given(
    weights=st.lists(st.integers(1, 30), min_size=5, max_size=30),
    text_weights=st.lists(st.integers(1, 60), min_size=1, max_size=20),
    share=st.floats(0.05, 0.9), seed=st.integers(0, 3),
)  # fmt: skip
def test_text_has_its_share_of_the_weight_after_every_step(weights, text_weights, share, seed):
    """Within half a piece of text: the whole of the deviation is the size of the pieces, however long the run."""
    steps = plan([3] * len(weights), batch_rows=2, epochs=4.0, seed=seed)
    mixed = mix_text(steps, weights=weights, text_weights=text_weights, share=share, seed=seed)
    assert len(mixed) == len(steps)
    own = text = 0.0
    for chosen, pieces in zip(steps, mixed, strict=True):
        own += sum(weights[i] for i in chosen)
        text += sum(text_weights[i] for i in pieces)
        assert abs(text - own * share / (1 - share)) <= max(text_weights) / 2 + 1e-6
    taken = Counter(i for pieces in mixed for i in pieces)
    counts = [taken[i] for i in range(len(text_weights))]
    assert max(counts) - min(counts) <= 1  # whole passes over the text: no piece is copied, none is passed over
    assert mixed == mix_text(steps, weights=weights, text_weights=text_weights, share=share, seed=seed)


def test_the_order_of_the_text_is_that_of_its_seed():
    steps = plan([3] * 40, batch_rows=2, epochs=5.0)
    one, other = (
        mix_text(steps, weights=[4.0] * 40, text_weights=[4.0] * 30, share=0.3, seed=seed) for seed in (1, 2)
    )
    assert one != other
    taken = [i for pieces in one for i in pieces]
    first, second = (taken[start : start + 30] for start in (0, 30))
    assert sorted(first) == sorted(second) == list(range(30)) and first != second  # each pass has an order of its own


def test_a_longer_run_mixes_the_text_of_the_shorter_one_first():
    steps = plan([3] * 10, max_steps=9)
    short, long = (mix_text(steps[:n], weights=[4.0] * 10, text_weights=[5.0] * 7, share=0.3, seed=0) for n in (4, 9))
    assert long[:4] == short


def test_text_is_mixed_into_a_run_of_many_steps():
    steps = [np.array([0])] * 100_000
    mixed = mix_text(steps, weights=[10.0], text_weights=[5.0] * 7, share=0.1, seed=0)
    assert sum(map(len, mixed)) == pytest.approx(100_000 * 10 / 9 / 5, abs=1)


@given(total=st.integers(1, 9000), room=st.integers(0, 300))
def test_a_line_is_filled_to_one_of_few_lengths_and_never_beyond_its_limit(total: int, room: int) -> None:
    filler = filler_of(total, limit=total + room)

    assert 0 <= filler <= min(room, total / 50)
    lengths = {n + filler_of(n, limit=20_000) for n in range(4096, 8192)}
    assert len(lengths) <= 66


def test_what_fills_a_line_is_a_row_that_nothing_reads() -> None:
    rows = [row(300 + k) for k in range(3)]
    bare, filled = pack(rows, range(3)), pack(rows, range(3), filler=9)

    assert filled.input_ids_BT.shape[1] == bare.input_ids_BT.shape[1] + 9
    assert filled.packed is not None and filled.packed.lengths == (300, 301, 302, 9)
    assert filled.lengths == bare.lengths and filled.num_tokens == bare.num_tokens
    assert filled.positions_N.equal(bare.positions_N) and filled.target_ids_N.equal(bare.target_ids_N)

"""Log-probabilities of given tokens against the plain forward pass."""

from __future__ import annotations

import pytest
import torch

from fakes import ALL_SHAPES, tiny_network
from luthier.models.logprobs import head_only_at, scorer, selected_logits, sum_logprobs, target_logprobs
from luthier.models.protocols import plain_protocol
from luthier.models.render import Rendered
from luthier.records import Example, Message


def asked(text: str, *targets: str) -> Example:
    return Example.of([Message(role="user", content=text)], targets=targets or ["x"])


QUESTIONS = [
    asked("is it open?", "yes", "no"),
    asked("the blue lamp " * 6, "twelve coins", "no", ""),
    asked("日本", "é😀"),
]


def plainly(model, row: Rendered) -> float:
    """-sum of w * nll from transformers' own forward pass over the row alone."""
    with torch.no_grad():
        logits = model.network(input_ids=torch.tensor([row.token_ids])).logits[0].double()
    logprobs = torch.log_softmax(logits, -1)
    return sum(w * float(logprobs[t - 1, row.token_ids[t]]) for t, w in enumerate(row.weights) if w > 0)


def test_scores_are_those_of_a_plain_forward_pass(tiny, shape):
    model = tiny(shape)
    scores = scorer(model)(QUESTIONS, [q.targets for q in QUESTIONS])
    for question, row in zip(QUESTIONS, scores, strict=True):
        for text, score in zip(question.targets, row, strict=True):
            rendered = model.renderer.render_answer(question.prompt, text)
            assert score.logprob == pytest.approx(plainly(model, rendered), abs=1e-4)
            assert score.num_tokens == len(model.renderer.encode(text)) + 1  # and the stop token
            assert score.num_bytes == len(text.encode())


def test_scores_are_the_same_alone_and_in_a_batch(tiny, shape):
    """Score depends on batch size or padding."""
    model = tiny(shape)
    together = scorer(model)(QUESTIONS, [q.targets for q in QUESTIONS])
    for batch_rows in (1, 3):
        small = scorer(model, batch_rows=batch_rows)
        alone = [[small([q], [[text]])[0][0] for text in q.targets] for q in QUESTIONS]
        for a, b in zip(together, alone, strict=True):
            assert [s.logprob for s in a] == pytest.approx([s.logprob for s in b], abs=1e-4)


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_sums_are_the_same_in_any_batch_and_order(shape):
    """For each architecture, over rows that cross a sliding window, beside shorter and longer ones."""
    network = tiny_network(shape, vocabulary=120).eval()
    random = torch.Generator().manual_seed(2)
    rows = [
        Rendered(tuple(torch.randint(120, (n,), generator=random).tolist()), (0.0,) * (n // 2) + (1.0,) * (n - n // 2))
        for n in (50, 3, 27, 3, 2, 31)
    ]
    alone = [sum_logprobs(network, [row])[0] for row in rows]
    assert len({round(value, 3) for value in alone}) == len(rows)
    for batch_rows in (1, 2, 4, 32):
        assert sum_logprobs(network, rows, batch_rows=batch_rows) == pytest.approx(alone, abs=1e-4)
    assert sum_logprobs(network, rows[::-1], batch_rows=4) == pytest.approx(alone[::-1], abs=1e-4)


def test_rows_that_weigh_nothing_score_0(tiny_model):
    silent, row = Rendered((5, 6, 7), (1.0, 0.0, 0.0)), Rendered((5, 6, 7), (0.0, 1.0, 1.0))
    assert sum_logprobs(tiny_model.network, [silent, silent]) == [0.0, 0.0]
    beside = sum_logprobs(tiny_model.network, [silent, row])
    assert beside[0] == 0.0 and beside[1] == pytest.approx(sum_logprobs(tiny_model.network, [row])[0], abs=1e-5)
    assert sum_logprobs(tiny_model.network, []) == []


def test_plain_text_scores_weigh_the_answer_and_its_newline(tiny_model):
    ask = plain_protocol(tiny_model, [asked("two?", "2")])
    row = ask.answer(asked("one?"), "1")
    text = tiny_model.tokenizer.decode(row.token_ids)
    assert text == "two?\nAnswer: 2\n\none?\nAnswer: 1\n"
    assert tiny_model.tokenizer.decode([t for t, w in zip(row.token_ids, row.weights, strict=True) if w]) == " 1\n"
    assert list(row.token_ids[: len(ask.prompt(asked("one?")))]) == ask.prompt(asked("one?"))


def test_plain_text_shots_may_depend_on_the_example(tiny_model):
    shots = {"one?": [asked("uno?", "1")], "two?": []}
    ask = plain_protocol(tiny_model, lambda example: shots[example.prompt[0].content], form="q_and_a")
    assert tiny_model.tokenizer.decode(ask.prompt(asked("one?"))) == "Q: uno?\nA: 1\n\nQ: one?\nA:"
    assert tiny_model.tokenizer.decode(ask.prompt(asked("two?"))) == "Q: two?\nA:"


def test_a_prompt_too_long_for_the_model_loses_its_beginning_never_the_answer(tiny_model):
    long = asked("where is my order? " * 100, "yes")
    score = scorer(tiny_model)([long], [["yes"]])[0][0]
    full = tiny_model.renderer.render_answer(long.prompt, "yes")
    cut = Rendered(full.token_ids[-tiny_model.max_length :], full.weights[-tiny_model.max_length :])
    assert score.num_tokens == full.num_trained
    assert score.logprob == pytest.approx(plainly(tiny_model, cut), abs=1e-4)


def test_the_head_sees_only_the_selected_positions_and_is_left_as_it_was(tiny, shape):
    network = tiny(shape).network
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
    with torch.no_grad():
        whole = network(input_ids=ids).logits.flatten(0, 1)
        chosen = torch.tensor([0, 2, 7])
        assert torch.allclose(selected_logits(network, ids, chosen), whole[chosen], atol=1e-5)
        with pytest.raises(RuntimeError, match="inside"), head_only_at(network, chosen):
            raise RuntimeError("inside")
        assert torch.equal(network(input_ids=ids).logits.flatten(0, 1), whole)


def test_weights_scale_log_probabilities(tiny_model):
    row = Rendered((5, 6, 7), (9.0, 0.5, 2.0))  # the first token has nothing before it: its weight is never used
    one, two = (
        sum_logprobs(tiny_model.network, [Rendered(row.token_ids, w)])[0] for w in ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    )
    assert sum_logprobs(tiny_model.network, [row])[0] == pytest.approx(0.5 * one + 2 * two, abs=1e-5)


def test_target_logprobs_is_log_softmax_at_the_target():
    logits = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
    expected = torch.log_softmax(logits, -1)[torch.arange(3), torch.tensor([1, 0, 6])]
    assert torch.allclose(target_logprobs(logits, torch.tensor([1, 0, 6])), expected)

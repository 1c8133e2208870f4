"""Draws: batches, streams, stops, seeds, and the distribution a token is drawn from."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fakes import SHAPES, TINY_TEXT
from luthier.models.build import build_model
from luthier.models.config import BuildConfig
from luthier.models.generate import _settled, generator, next_token_logprobs, request_generator, stream
from luthier.models.load import load_model
from luthier.models.protocols import plain_protocol
from luthier.records import Example, Message, Sampling


def asked(text: str, **rest) -> Example:
    return Example.of([Message(role="user", content=text)], targets=["x"], **rest)


EXAMPLES = [
    asked(t) for t in ("a", "where is my order?", "the price of the blue lamp, please: 12 coins?", "日本 😀", "b c")
]


class Scripted:
    """Replaces the network's choice: the sampler is given these tokens one after another."""

    def __init__(self, monkeypatch, model, text: str | list[int], *, stop: bool = True) -> None:
        ids = model.renderer.encode(text) if isinstance(text, str) else list(text)
        self.ids = ids + [min(model.renderer.stop_ids)] * (1 if stop else 0)

        def draw(logits, drafts):
            tokens = torch.tensor([self.ids[len(d.token_ids)] for d in drafts])
            for draft, token in zip(drafts, tokens.tolist(), strict=True):
                draft.token_ids.append(token)
                draft.logprobs.append(-1.0)
            return tokens

        monkeypatch.setattr("luthier.models.generate._draw", draw)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(max_new_tokens=12),
        Sampling(max_new_tokens=12, temperature=1.0, top_p=0.9),
        # Single letters end the answers at different steps, so rows leave the batch while others go on.
        Sampling(max_new_tokens=24, temperature=1.0, num_samples=3, stop=("e", "a", "t")),
    ],
    ids=["greedy", "top-p", "ending apart"],
)
def test_completions_are_the_same_alone_and_in_a_batch(tiny, shape, sampling):
    """Score depends on batch size or padding."""
    model = tiny(shape)
    together = generator(model)(EXAMPLES, sampling)
    size = sampling.num_samples
    by_two = generator(model, batch_rows=2)(EXAMPLES, sampling)
    alone = [completion for example in EXAMPLES for completion in generator(model, batch_rows=1)([example], sampling)]
    for one, two, three in zip(together, by_two, alone, strict=True):
        assert (one.id, one.text, one.token_ids) == (two.id, two.text, two.token_ids)
        assert (one.id, one.text, one.token_ids) == (three.id, three.text, three.token_ids)
        assert one.logprobs == pytest.approx(three.logprobs, abs=2e-5)
    assert len({c.token_ids for c in together}) > 1
    assert len({len(c.token_ids) for c in together}) > 3 or size == 1
    backwards = generator(model)(EXAMPLES[::-1], sampling)
    assert [backwards[i : i + size] for i in range(0, len(backwards), size)][::-1] == [
        together[i : i + size] for i in range(0, len(together), size)
    ]


def test_greedy_tokens_are_those_of_a_plain_forward_pass(tiny, shape):
    """The cache, positions and mask of the batched decoder against the network run on the whole text each time."""
    model = tiny(shape)
    for completion, example in zip(generator(model)(EXAMPLES, Sampling(max_new_tokens=40)), EXAMPLES, strict=True):
        ids = model.renderer.prompt(example.prompt)
        for token, logprob in zip(completion.token_ids, completion.logprobs, strict=True):
            with torch.no_grad():
                logits = model.network(input_ids=torch.tensor([ids])).logits[0, -1]
            assert int(logits.argmax()) == token
            assert float(torch.log_softmax(logits, -1)[token]) == pytest.approx(logprob, abs=2e-5)
            ids.append(token)


def test_each_sample_and_each_seed_has_draws_of_its_own(tiny_model):
    sampling = Sampling(max_new_tokens=8, temperature=1.0, num_samples=3)
    first = generator(tiny_model)(EXAMPLES, sampling)
    assert [c.example_id for c in first] == [e.id for e in EXAMPLES for _ in range(3)]
    assert len({c.id for c in first}) == len(first)
    assert len({c.token_ids for c in first}) == len(first)
    assert generator(tiny_model)(EXAMPLES, sampling) == first
    fewer = generator(tiny_model)(EXAMPLES[2:3], sampling)
    assert [c.token_ids for c in fewer] == [c.token_ids for c in first[6:9]]
    other = generator(tiny_model)(EXAMPLES, Sampling(max_new_tokens=8, temperature=1.0, num_samples=3, seed=1))
    assert all(a.token_ids != b.token_ids for a, b in zip(first, other, strict=True))


def test_drawing_leaves_the_global_random_state_and_the_training_mode_alone(load_tiny):
    model = load_tiny("llama")
    model.network.train()
    before = torch.get_rng_state()
    generator(model)(EXAMPLES, Sampling(max_new_tokens=4, temperature=1.0))
    assert torch.equal(before, torch.get_rng_state())
    assert model.network.training


def test_completions_say_why_they_ended(tiny_model, monkeypatch):
    Scripted(monkeypatch, tiny_model, "the shop opens")
    short, long = (generator(tiny_model)([asked("a")], Sampling(max_new_tokens=n))[0] for n in (2, 50))
    assert (short.finish_reason, len(short.token_ids)) == ("length", 2)
    assert (long.finish_reason, long.text) == ("stop", "the shop opens")
    assert long.token_ids[-1] in tiny_model.renderer.stop_ids
    assert len(long.logprobs) == len(long.token_ids)
    assert long.model_id == tiny_model.digest


def test_the_context_is_never_exceeded(tiny_model):
    long = asked("where is my order? " * 200)
    completion = generator(tiny_model)([long], Sampling(max_new_tokens=9))[0]
    assert completion.finish_reason == "length" and len(completion.token_ids) == 1
    near = asked("7" * (tiny_model.max_length - 8))  # three tokens of form, so five are left
    assert len(tiny_model.renderer.prompt(near.prompt)) == tiny_model.max_length - 5
    completion = generator(tiny_model)([near], Sampling(max_new_tokens=9))[0]
    assert completion.finish_reason == "stop" or len(completion.token_ids) == 5


@pytest.mark.parametrize("stop", ["opens at", " at ", "s a", "e"])
def test_a_stop_text_ends_the_answer_wherever_tokens_divide_it(tiny_model, monkeypatch, stop):
    text = "the shop opens at nine"
    Scripted(monkeypatch, tiny_model, text)
    sampling = Sampling(max_new_tokens=50, stop=("never", stop))
    completion = generator(tiny_model)([asked("a")], sampling)[0]
    assert (completion.text, completion.finish_reason) == (text[: text.index(stop)], "stop")
    pieces = list(stream(tiny_model, tiny_model.renderer.prompt(asked("a").prompt), sampling))
    assert "".join(p.text for p in pieces) == completion.text
    assert tuple(p.token_id for p in pieces) == completion.token_ids


def test_white_space_before_an_answer_is_no_stop(tiny_model, monkeypatch):
    Scripted(monkeypatch, tiny_model, "\n\nnine\nten")
    plain = generator(tiny_model, protocol=plain_protocol(tiny_model))
    assert plain([asked("a")], Sampling(max_new_tokens=50))[0].text == "nine"


@given(
    text=st.text(alphabet="ab日é😀 \ufffd", max_size=12),
    stops=st.lists(st.sampled_from(["ab", "b日", "a😀b", "é"]), max_size=2),
)
def test_streamed_pieces_join_to_the_answer_and_hold_whole_characters(tiny_model, text, stops):
    """A piece once sent is never taken back: not half a character, nor the beginning of a stop text."""
    sampling = Sampling(max_new_tokens=80, stop=tuple(stops))
    with pytest.MonkeyPatch.context() as monkeypatch:
        Scripted(monkeypatch, tiny_model, text)
        pieces = list(stream(tiny_model, [5, 6], sampling))
    end = min(
        (place for stop in stops if (place := text.find(stop, len(text) - len(text.lstrip()))) >= 0), default=len(text)
    )
    assert "".join(piece.text for piece in pieces) == text[:end]
    assert [piece.finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert pieces[-1].finish_reason == "stop"
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece.text for piece in pieces)


def test_a_blank_that_the_chat_format_writes_before_answers_is_no_part_of_them(tmp_path, monkeypatch):
    sizes = BuildConfig(vocabulary=400, hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=24, positions=128)
    for roles, said in (("words", "the lamp"), ("tokens", " the lamp")):
        build_model(sizes.model_copy(update={"roles": roles}), TINY_TEXT, tmp_path / roles, seed=1)
        model = load_model(tmp_path / roles)
        Scripted(monkeypatch, model, " the lamp")
        (completion,) = generator(model)([asked("what?")], Sampling(max_new_tokens=40))
        assert completion.text == said
        pieces = stream(model, model.renderer.prompt([Message(role="user", content="what?")]), Sampling())
        assert "".join(piece.text for piece in pieces) == said


def test_streams_of_a_real_model_join_to_what_its_tokens_say(real_data):
    """Byte fallback and a decoder that strips the first space (SentencePiece style)."""
    model = load_model(real_data / "stories260k", device="cpu")
    for seed in range(6):
        sampling = Sampling(max_new_tokens=60, temperature=1.5, seed=seed, stop=("zebra",))
        pieces = list(stream(model, model.bos_ids + model.renderer.encode("Once upon a time"), sampling))
        ids = [p.token_id for p in pieces if p.token_id not in model.renderer.stop_ids]
        assert "".join(p.text for p in pieces) == model.renderer.decode(ids)
        assert pieces[-1].finish_reason is not None


def test_a_character_that_stays_incomplete_is_sent_at_the_end_only(tiny_model, monkeypatch):
    ids = tiny_model.renderer.encode("a😀")
    Scripted(monkeypatch, tiny_model, ids[:-1], stop=False)
    pieces = list(stream(tiny_model, [5, 6], Sampling(max_new_tokens=len(ids) - 1)))
    assert [p.text for p in pieces][:-1] == ["a"] + [""] * (len(ids) - 3)
    assert pieces[-1].finish_reason == "length" and set(pieces[-1].text) == {"\ufffd"}


def test_a_stop_text_with_a_character_of_several_tokens_is_held_back_whole():
    """While the last character is incomplete, what stands before it may still begin the stop text."""
    assert _settled("a b\ufffd", ["b\u20ac"]) == 2
    assert _settled("a b", ["b\u20ac"]) == 2
    assert _settled("a bc", ["b\u20ac"]) == 4
    assert _settled("aab", ["aabb", "b!"]) == 0


def test_a_stream_that_is_cancelled_ends_within_one_step(tiny_model):
    sampling = Sampling(max_new_tokens=50, temperature=2.0)
    calls = itertools.count()
    pieces = list(stream(tiny_model, [5, 6], sampling, is_cancelled=lambda: next(calls) == 2))
    assert len(pieces) == 3


def test_streams_with_one_seed_are_one_answer(tiny_model):
    sampling = Sampling(max_new_tokens=8, temperature=1.0, seed=3)
    assert list(stream(tiny_model, [5, 6], sampling)) == list(stream(tiny_model, [5, 6], sampling))
    other = Sampling(max_new_tokens=8, temperature=1.0, seed=4)
    assert list(stream(tiny_model, [5, 6], sampling)) != list(stream(tiny_model, [5, 6], other))


def test_request_generators_differ_by_seed_and_identity():
    draws = {
        torch.rand(1, generator=request_generator(*key)).item() for key in [(0,), (1,), (0, "a"), (0, "a", 1), (0, "b")]
    }
    assert len(draws) == 5


@given(
    logits=st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=12),
    top_p=st.floats(0.05, 1.0),
    temperature=st.floats(0.2, 3.0),
)
def test_top_p_keeps_the_smallest_set_that_reaches_it(logits, top_p, temperature):
    """Against nucleus sampling written plainly."""
    got = next_token_logprobs(torch.tensor([logits]), temperature=temperature, top_p=top_p)[0].double().exp()
    p = torch.softmax(torch.tensor(logits) / temperature, -1).double()
    kept, mass = [], 0.0
    for i in torch.argsort(p, descending=True, stable=True).tolist():
        if mass >= top_p - 1e-6 and top_p < 1:
            break
        kept.append(i)
        mass += float(p[i])
    support = set(torch.nonzero(got).flatten().tolist())
    # A token exactly on the edge may fall on either side by rounding.
    assert support >= set(kept[:-1]) and len(support ^ set(kept)) <= 1
    assert float(got.sum()) == pytest.approx(1, abs=1e-5)
    scale = sum(float(p[i]) for i in support)
    for i in support:
        assert float(got[i]) == pytest.approx(float(p[i]) / scale, rel=1e-4)


def test_greedy_log_probabilities_are_those_of_temperature_one():
    logits = torch.tensor([[1.0, 2.0, 3.0]])
    expected = torch.log_softmax(logits, -1)
    assert torch.equal(next_token_logprobs(logits, temperature=0.0, top_p=0.5), expected)


def test_draws_follow_the_distribution(tiny_model):
    """4,000 one-token draws against the probabilities that the network states."""
    example = asked("a")
    draws = generator(tiny_model, batch_rows=500)(
        [example], Sampling(max_new_tokens=1, temperature=1.3, top_p=0.7, num_samples=4000)
    )
    with torch.no_grad():
        logits = tiny_model.network(input_ids=torch.tensor([tiny_model.renderer.prompt(example.prompt)])).logits[:, -1]
    p = next_token_logprobs(logits, temperature=1.3, top_p=0.7)[0].exp()
    counts = torch.bincount(torch.tensor([c.token_ids[0] for c in draws]), minlength=len(p))
    assert not counts[p == 0].any()
    assert float((counts / 4000 - p).abs().sum()) < 0.25  # total variation of about 0.1 is expected by chance alone


def test_every_shape_stops_or_reaches_the_limit(tiny):
    for name in SHAPES:
        for completion in generator(tiny(name))(EXAMPLES, Sampling(max_new_tokens=6, temperature=1.0)):
            assert completion.finish_reason == "stop" or len(completion.token_ids) == 6

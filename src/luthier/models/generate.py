"""Drawing completions, in batches and as a stream. One generator per request: nobody's seed moves another's answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache

from luthier.models.load import Model
from luthier.models.protocols import Protocol, chat_protocol
from luthier.records import Completion, Example, Generate, Message, Sampling, content_id

# Shape letters: B rows, T positions, V vocabulary.

FinishReason = Literal["stop", "length"]


class Piece(NamedTuple):
    """What one decoding step adds to a streamed answer."""

    text: str
    """Whole characters only; may be empty while a character or a possible stop text is incomplete."""
    token_id: int
    logprob: float
    finish_reason: FinishReason | None


@dataclass(slots=True)
class Draft:
    """One answer while it is being drawn."""

    sampling: Sampling
    random: torch.Generator
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    text: str = ""
    finish_reason: FinishReason | None = None


def next_token_logprobs(logits_BV: Tensor, *, temperature: float, top_p: float) -> Tensor:
    """Log-probabilities [B, V] of the distribution that the next token is drawn from.

    Logits over temperature, then the smallest set of tokens whose probability reaches `top_p` renormalised, the others
    at -inf (nucleus sampling, arXiv:1904.09751). Temperature 0 is greedy; its log-probabilities are those of
    temperature 1. Training recomputes these for the ratio, so that sampler and trainer agree.
    """
    logprobs = torch.log_softmax(logits_BV.float() / (temperature if temperature > 0 else 1.0), dim=-1)
    if temperature <= 0 or top_p >= 1:
        return logprobs
    ordered, index = logprobs.sort(dim=-1, descending=True, stable=True)
    mass_before = ordered.exp().cumsum(-1) - ordered.exp()
    outside = torch.zeros_like(logprobs, dtype=torch.bool).scatter(-1, index, mass_before >= top_p)
    return torch.log_softmax(logprobs.masked_fill(outside, -torch.inf), dim=-1)


def request_generator(seed: int, *identity: object) -> torch.Generator:
    """A random generator of one request's own, from its seed and what identifies it."""
    random = torch.Generator()
    random.manual_seed(int(content_id("sampling", seed, *identity)[:15], 16))
    return random


def generator(model: Model, *, protocol: Protocol | None = None, batch_rows: int = 64) -> Generate:
    """A `Generate` over `model`: prompts sorted by length, drawn in batches, returned in the order asked."""
    ask = protocol or chat_protocol(model)

    def generate(examples: Sequence[Example], sampling: Sampling) -> list[Completion]:
        limits = {e.id: Sampling(**{**_fields(sampling), "stop": (*sampling.stop, *ask.stop(e))}) for e in examples}
        requests = [(example, sample) for example in examples for sample in range(sampling.num_samples)]
        prompts = {example.id: ask.prompt(example) for example in examples}
        order = sorted(range(len(requests)), key=lambda i: len(prompts[requests[i][0].id]))
        done: dict[int, Draft] = {}
        for start in range(0, len(order), batch_rows):
            chosen = order[start : start + batch_rows]
            drafts = [Draft(limits[example.id], request_generator(sampling.seed, example.id, sample))
                      for example, sample in (requests[i] for i in chosen)]  # fmt: skip
            ids = [prompts[requests[i][0].id] for i in chosen]
            for _ in decode(model, ids, drafts):
                pass
            done.update(zip(chosen, drafts, strict=True))
        return [
            Completion.of(
                example_id=example.id,
                model_id=model.digest,
                sample=sample,
                text=done[i].text.strip() if ask.strips else done[i].text,
                token_ids=tuple(done[i].token_ids),
                logprobs=tuple(done[i].logprobs),
                finish_reason=done[i].finish_reason or "length",
            )
            for i, (example, sample) in enumerate(requests)
        ]

    return generate


def stream(
    model: Model, prompt_ids: Sequence[int], sampling: Sampling, *, is_cancelled: Callable[[], bool] = lambda: False
) -> Iterator[Piece]:
    """One answer, token by token. The texts joined are the answer; cancelling ends it within one step."""
    draft = Draft(sampling, request_generator(sampling.seed))
    sent = 0
    for _ in decode(model, [list(prompt_ids)], [draft]):
        ready = len(draft.text) if draft.finish_reason else _settled(draft.text, sampling.stop)
        ready = max(ready, sent)
        yield Piece(draft.text[sent:ready], draft.token_ids[-1], draft.logprobs[-1], draft.finish_reason)
        sent = ready
        if is_cancelled():
            return


@torch.no_grad()
def decode(model: Model, prompts: Sequence[Sequence[int]], drafts: Sequence[Draft]) -> Iterator[None]:
    """Draw all drafts to their end, one token each a step; yields after each step.

    Prompts are left-padded with their own positions, so a row's tokens do not depend on its neighbours. A prompt that
    leaves no room loses its beginning; callers that must not cut (the server) check the length before.
    """
    network = model.network
    was_training = network.training
    network.eval()
    try:
        yield from _decode(model, prompts, drafts)
    finally:
        network.train(was_training)


def _decode(model: Model, prompts: Sequence[Sequence[int]], drafts: Sequence[Draft]) -> Iterator[None]:
    room = model.max_length - 1
    lead = answer_lead(model)
    kept = [list(prompt[-room:]) for prompt in prompts]
    width = max(len(prompt) for prompt in kept)
    device = model.device
    ids_BT = torch.zeros(len(kept), width, dtype=torch.int64)
    mask_BT = torch.zeros(len(kept), width, dtype=torch.int64)
    for b, prompt in enumerate(kept):
        ids_BT[b, width - len(prompt) :] = torch.tensor(prompt)
        mask_BT[b, width - len(prompt) :] = 1
    # Padding stays in the cache when its batch has shrunk to one row, so this is settled once.
    is_padded = len({len(prompt) for prompt in kept}) > 1
    ids_BT, mask_BT = ids_BT.to(device), mask_BT.to(device)
    lengths = torch.tensor([len(prompt) for prompt in kept], device=device)
    cache = DynamicCache(config=model.network.config)
    live = list(range(len(kept)))  # index into drafts of each row of the batch
    positions_BT = (mask_BT.cumsum(-1) - 1).clamp(min=0)
    while live:
        logits = model.network(
            input_ids=ids_BT, attention_mask=mask_BT if is_padded else None, position_ids=positions_BT,
            past_key_values=cache, use_cache=True, logits_to_keep=1,
        ).logits[:, -1]  # fmt: skip
        tokens = _draw(logits.cpu(), [drafts[i] for i in live])
        for row, i in enumerate(live):
            is_full = int(lengths[row]) + 1 >= model.max_length
            drafts[i].finish_reason = _finish(model, drafts[i], full=is_full, lead=lead)
        yield
        staying = [row for row, i in enumerate(live) if drafts[i].finish_reason is None]
        if not staying:
            return
        if len(staying) < len(live):
            keep = torch.tensor(staying, device=device)
            cache.batch_select_indices(keep)
            mask_BT, lengths = mask_BT[keep], lengths[keep]
            tokens = tokens[torch.tensor(staying)]
            live = [live[row] for row in staying]
        ids_BT = tokens.to(device).unsqueeze(1)
        positions_BT = lengths.unsqueeze(1)
        lengths = lengths + 1
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(live), 1)], dim=1)


def answer_lead(model: Model) -> str:
    """White space that the chat template writes before each answer and the model writes itself; it is no content.

    A blank there is part of an answer's first token, where a prompt that ended with the blank would cut it off.
    """
    question = [Message(role="user", content="?")]
    prompt = model.renderer.text(question, add_generation_prompt=True)
    whole = model.renderer.text([*question, Message(role="assistant", content="!")])
    lead, _, _ = whole.removeprefix(prompt).partition("!")
    return lead if whole.startswith(prompt) and lead.isspace() else ""


def _draw(logits_BV: Tensor, drafts: Sequence[Draft]) -> Tensor:
    """One token for each draft, by its own sampling and its own generator."""
    tokens = torch.empty(len(drafts), dtype=torch.int64)
    for row, draft in enumerate(drafts):
        sampling = draft.sampling
        logprobs = next_token_logprobs(
            logits_BV[row : row + 1], temperature=sampling.temperature, top_p=sampling.top_p
        )[0]
        if sampling.temperature <= 0:
            token = int(logprobs.argmax())
        else:
            token = int(torch.multinomial(logprobs.exp(), 1, generator=draft.random))
        tokens[row] = token
        draft.token_ids.append(token)
        draft.logprobs.append(float(logprobs[token]))
    return tokens


def _finish(model: Model, draft: Draft, *, full: bool, lead: str) -> FinishReason | None:
    """Set the draft's text and say whether it has ended, and why."""
    if draft.token_ids[-1] in model.renderer.stop_ids:
        draft.text = model.renderer.decode(draft.token_ids[:-1]).removeprefix(lead)
        return "stop"
    text = model.renderer.decode(draft.token_ids).removeprefix(lead)
    ends = [
        place for stop in draft.sampling.stop if stop and text.strip() and (place := text.find(stop, _lead(text))) >= 0
    ]
    if ends:
        draft.text = text[: min(ends)]
        return "stop"
    draft.text = text
    return "length" if full or len(draft.token_ids) >= draft.sampling.max_new_tokens else None


def _lead(text: str) -> int:
    """Leading white space of an answer never counts as a stop text: plain-text prompts are answered after a space."""
    return len(text) - len(text.lstrip())


def _settled(text: str, stops: Sequence[str]) -> int:
    """How much of the text may be sent: no broken character at its end, no beginning of a stop text."""
    whole = text.rstrip("\ufffd")
    held = [size for stop in stops for size in range(1, len(stop)) if whole.endswith(stop[:size])]
    return len(whole) - max(held, default=0)


def _fields(sampling: Sampling) -> dict[str, Any]:
    return {name: getattr(sampling, name) for name in sampling.__slots__}

"""Messages to tokens, and which of them train. The only file that knows chat templates.

Training, evaluation and serving all call the same renderer, so a served prompt has exactly the tokens of a trained one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from transformers.utils.chat_template_utils import render_jinja_template

from luthier.errors import ModelError, Problem
from luthier.models.tool_turns import Tools, chat_of, has_tools, lost, structure_of
from luthier.records import Message

GENERATION_MARKER = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True, slots=True)
class Rendered:
    """One row as the model sees it. `token_ids` and `weights` have the same length."""

    token_ids: tuple[int, ...]
    weights: tuple[float, ...]
    """Loss weight of each token as a target; above 0 only on assistant turns and the stop token that ends each."""
    offsets: tuple[tuple[int, int], ...] = ()
    """Character span of each token in `text`."""
    text: str = ""

    @property
    def num_trained(self) -> int:
        """How many tokens carry weight."""
        return sum(w > 0 for w in self.weights)


class Fitted(NamedTuple):
    """A row after it was fitted to a length limit. `outcome` is what the ledger counts."""

    rendered: Rendered | None
    outcome: str
    """"kept", "prompt cut", "answer cut" or "dropped"."""
    tokens_off: int


class Span(NamedTuple):
    """One assistant turn, in characters of the rendered text."""

    border: int
    """Where the prompt ends and the model would begin to write."""
    start: int
    """From where the turn trains: the border, or later where a generation marker says so."""
    end: int
    """Where the turn ends, template text after it included."""
    weight: float


class _Chat(NamedTuple):
    """A conversation on its way to the template."""

    messages: Sequence[Message]
    tools: Tools = ()
    where: str = ""
    """The row's place, for errors."""

    def first(self, number: int) -> _Chat:
        return self._replace(messages=self.messages[:number])


class Renderer:
    """The chat template of one tokenizer. Raises ModelError when the template cannot be trusted with training."""

    def __init__(self, tokenizer: Any, *, name: str) -> None:
        """`name` is what errors call the model: its folder."""
        self.tokenizer = tokenizer
        self.name = name
        self.template: str = tokenizer.chat_template
        self._has_markers = bool(GENERATION_MARKER.search(self.template))
        self._backend = tokenizer.backend_tokenizer
        self._special = {int(i) for i in tokenizer.all_special_ids} | {
            int(i) for i, token in tokenizer.added_tokens_decoder.items() if token.special
        }
        self._written: set[tuple[Any, ...]] = set()  # structures of conversations with tools that it writes whole
        self.stop_ids = self._find_stop_ids()

    def text(self, messages: Sequence[Message], *, tools: Tools = (), add_generation_prompt: bool = False) -> str:
        """The conversation as the template writes it."""
        return self._render(_Chat(messages, tools), add_generation_prompt=add_generation_prompt)[0]

    def prompt(self, messages: Sequence[Message], *, tools: Tools = ()) -> list[int]:
        """Token ids of the prompt, ending where the assistant begins to write."""
        return self.encode(self.text(messages, tools=tools, add_generation_prompt=True))

    def encode(self, text: str) -> list[int]:
        """Token ids of rendered text; the template, not the tokenizer, says whether there is a BOS."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of generated tokens, special tokens left out."""
        text: str = self.tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text

    def render(self, messages: Sequence[Message], *, tools: Tools = (), where: str = "") -> list[Rendered]:
        """The rows that train this conversation: one, or one for each assistant turn. `where` names the row in errors.

        A template that rewrites history (it drops the reasoning of earlier turns, say) shows a later turn other tokens
        than it showed the earlier one; then each assistant turn becomes a row of its own, as it will be served.
        ModelError when not even that gives a prompt that its continuation begins with, and when the template does not
        write the row's tools, their calls or their answers.
        """
        chat = _Chat(messages, tools, where)
        text, spans = self._spans(chat)
        whole = self._weigh(text, spans) if spans is not None else None
        if whole is not None:
            trained = [m for m in messages if m.loss_weight > 0]
            return [self._trusted(whole, [m for m in messages if m.loss_weight == 0], trained)]
        return [
            self._last_answer(chat.first(index + 1))
            for index, message in enumerate(messages) if message.role == "assistant" and message.loss_weight > 0
        ]  # fmt: skip

    def render_answer(self, prompt: Sequence[Message], answer: str, *, tools: Tools = ()) -> Rendered:
        """Prompt and one answer; only the answer and its stop token carry weight."""
        return self._last_answer(_Chat([*prompt, Message(role="assistant", content=answer)], tools))

    def _last_answer(self, chat: _Chat) -> Rendered:
        """The conversation with weight on its last turn alone."""
        text, marked = self._render(chat, add_generation_prompt=False)
        if (span := self._span(chat, len(chat.messages) - 1, text=text, marked=marked)) is None:
            raise self._error(
                found="a prompt that is not the beginning of its own continuation",
                expected="the text with the generation prompt to begin the text with the answer",
                fix="mend the chat template (chat_template.jinja in the model folder), or give another base",
            )
        row = self._weigh(text, [span])  # which can always tokenise one turn, in two parts
        assert row is not None
        return self._trusted(row, chat.messages[:-1], chat.messages[-1:])

    def show(self, rendered: Rendered) -> str:
        """The row's text with every trained token in square brackets."""
        pieces = []
        position = 0
        for (start, end), weight in zip(rendered.offsets, rendered.weights, strict=True):
            start = max(start, position)  # the bytes of one character share its span; print it once
            piece = rendered.text[start:end] if end > start else ""
            gap = rendered.text[position:start]
            pieces.append(gap + (f"[{piece}]" if weight > 0 and piece else piece))
            position = max(position, end)
        return "".join(pieces) + rendered.text[position:]

    def _render(self, chat: _Chat, *, add_generation_prompt: bool) -> tuple[str, list[Any]]:
        if has_tools(chat.messages, chat.tools):
            self._check_writes_tools(chat)
        try:
            return self._apply(chat_of(chat.messages), chat.tools, add_generation_prompt=add_generation_prompt)
        except Exception as error:  # the template is the user's program: whatever it raises is about the template
            raise self._error(
                where=chat.where,
                found=f"{type(error).__name__}: {error}",
                expected="the template to accept these roles: " + ", ".join(m.role for m in chat.messages),
                fix="change the conversation, or mend the chat template",
            ) from error

    def _apply(
        self, chat: list[dict[str, Any]], tools: Tools, *, add_generation_prompt: bool = False
    ) -> tuple[str, list[Any]]:
        special = {k: v for k, v in self.tokenizer.special_tokens_map.items() if isinstance(v, str)}
        texts, spans = render_jinja_template(
            [chat],
            tools=[dict(tool) for tool in tools] or None,
            chat_template=self.template,
            return_assistant_tokens_mask=self._has_markers,
            add_generation_prompt=add_generation_prompt,
            **special,
        )
        return texts[0], list(spans[0]) if self._has_markers and spans else []

    def _check_writes_tools(self, chat: _Chat) -> None:
        """ModelError when something of tools, calls or answers would not reach the model as what it is."""
        structure = structure_of(chat.messages, chat.tools)
        if structure in self._written:
            return
        missing = lost(chat.messages, chat.tools, self._text_or_none)
        if missing is not None:
            raise self._error(
                where=f"{chat.where or 'a row'}: {missing.place}",
                found=f"{missing.what} which the chat template of {self.name} does not write",
                expected="a chat template that writes tools, their calls and their answers",
                fix="give the base such a template (model.chat_template names a file), or leave rows with tools out",
            )
        self._written.add(structure)

    def _text_or_none(self, chat: list[dict[str, Any]], tools: Tools) -> str | None:
        with suppress(Exception):  # the user's program; what it refuses is told when the row itself is rendered
            return self._apply(chat, tools)[0]
        return None

    def _spans(self, chat: _Chat) -> tuple[str, list[Span] | None]:
        """The text, and the span of each weighted assistant turn; None when the turns must become rows of their own.

        A turn begins and ends where successive prefix renderings differ; generation markers, where the template has
        them, may let its training begin later. Nothing is ever found by searching for marker strings.
        """
        text, marked = self._render(chat, add_generation_prompt=False)
        spans = []
        for index, message in enumerate(chat.messages):
            if message.role == "assistant" and message.loss_weight > 0:
                span = self._span(chat, index, text=text, marked=marked)
                if span is None:
                    return text, None
                spans.append(span)
        return text, spans

    def _span(self, chat: _Chat, index: int, *, text: str, marked: Sequence[tuple[int, int]]) -> Span | None:
        """The span of assistant turn `index`; None when the text does not show it as it will be served."""
        messages = chat.messages
        before = self._render(chat.first(index), add_generation_prompt=True)[0]
        is_last = index == len(messages) - 1
        after = text if is_last else self._render(chat.first(index + 1), add_generation_prompt=False)[0]
        if not (after.startswith(before) and text.startswith(after)):
            return None
        turns = [i for i, m in enumerate(messages) if m.role == "assistant"]
        start = len(before)
        if len(marked) == len(turns):
            start = max(start, marked[turns.index(index)][0])
        return Span(len(before), start, len(after), messages[index].loss_weight)

    def _weigh(self, text: str, spans: Sequence[Span]) -> Rendered | None:
        """Tokens and weights; None when several turns cannot all have the tokens of their served prompts in one row."""
        encoding = self._backend.encode(text, add_special_tokens=False)
        ids, offsets = list(encoding.ids), list(encoding.offsets)
        for span in spans:
            # Compared, not looked for: even without a token across the border, "\n\n" may be one token at the end of a
            # text and two before a word.
            prompt = self.encode(text[: span.border])
            if ids[: len(prompt)] != prompt:
                if len(spans) > 1:
                    return None
                ids, offsets = self._encode_in_parts(text, span.border)
        weights = [0.0] * len(ids)
        for span in spans:
            inside = [
                t
                for t, (start, end) in enumerate(offsets)
                if end > span.start and start < span.end and (end > start or ids[t] in self.stop_ids)
            ]
            stops = [t for t in inside if ids[t] in self.stop_ids]
            if not stops:
                raise self._error(
                    found="an answer without a stop token after it",
                    expected="every assistant turn to end with a token that stops generation",
                    fix="let the chat template write the end token after each assistant message",
                )
            # The last one: what the template writes after it (a newline) is never generated, so it never trains.
            for t in range(inside[0], stops[-1] + 1):
                weights[t] = span.weight
        return Rendered(tuple(ids), tuple(weights), tuple(offsets), text)

    def _trusted(self, row: Rendered, prompt: Sequence[Message], answers: Sequence[Message]) -> Rendered:
        """The row; ModelError where the template lost the prompt, so that all trains, or the answers, so that none do.

        Such a model would train without a complaint and learn to answer whatever nobody asked, or to say nothing.
        """
        asked, said = (any(m.text.strip() for m in some) for some in (prompt, answers))
        trains = [weight > 0 for weight in row.weights]
        if asked and all(trains):
            raise self._error(
                found="a row of which every token trains: nothing of its prompt is there",
                expected="the template to write the prompt, which does not train",
                fix="let the chat template write every message",
            )
        # An answer of one token and the stop token are two in a row, whatever they are.
        if said and any(trains) and not any(a and b for a, b in pairwise(trains)):
            raise self._error(
                found="a row of which no token trains but the end of its answer",
                expected="the template to write the answer, which trains",
                fix="let the chat template write every message",
            )
        return row

    def _encode_in_parts(self, text: str, border: int) -> tuple[list[int], list[tuple[int, int]]]:
        """Tokens of a text whose prompt has other tokens by itself than as its beginning.

        When served, the prompt is tokenised alone; so it is here. Raises ModelError when the parts do not decode to the
        text, as with tokenizers that put a space before whatever they are given.
        """
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        for start, end in ((0, border), (border, len(text))):
            part = self._backend.encode(text[start:end], add_special_tokens=False)
            ids += part.ids
            offsets += [(a + start, b + start) for a, b in part.offsets]
        if self.tokenizer.decode(ids, skip_special_tokens=False) != self.tokenizer.decode(
            self.encode(text), skip_special_tokens=False
        ):
            raise self._error(
                found="an answer that does not begin at a token border",
                expected="the tokens of prompt and answer to be those of the whole",
                fix="let the template end its generation prompt with a special token or a newline",
            )
        return ids, offsets

    def _find_stop_ids(self) -> frozenset[int]:
        """The end-of-sequence token, and the special token that the template writes after an answer."""
        stops = set()
        if self.tokenizer.eos_token_id is not None:
            stops.add(int(self.tokenizer.eos_token_id))
        probe = [Message(role="user", content="a"), Message(role="assistant", content="b")]
        before = self.text(probe[:1], add_generation_prompt=True)
        whole = self.text(probe)
        encoding = self._backend.encode(whole, add_special_tokens=False)
        for token, (start, _) in zip(encoding.ids, encoding.offsets, strict=True):
            if start >= max(len(before), whole.find("b", len(before))) and token in self._special:
                stops.add(int(token))
                break
        if not stops:
            raise self._error(
                found="no end-of-sequence token and no special token after an answer",
                expected="a token that ends an answer",
                fix="set eos_token in tokenizer_config.json",
            )
        return frozenset(stops)

    def _error(self, *, found: str, expected: str, fix: str, where: str = "") -> ModelError:
        return ModelError(
            f"the chat template of {self.name} cannot be used",
            [Problem(where=where or f"{self.name}: chat template", found=found, expected=expected, fix=fix)],
        )


def fit(rendered: Rendered, *, max_length: int, overlong: str = "cut_prompt") -> Fitted:
    """The row within `max_length` tokens, what was done to it, and how many tokens fell off.

    "cut_prompt" takes tokens from the start (a leading special token stays) and keeps the last answer and its stop;
    an earlier answer that loses its beginning trains nothing, and a row whose last answer alone is too long is dropped.
    "cut_answer" cuts the end. "drop" drops.
    """
    excess = len(rendered.token_ids) - max_length
    if excess <= 0:
        return Fitted(rendered, "kept", 0)
    first = next((t for t, w in enumerate(rendered.weights) if w > 0), len(rendered.weights))
    if overlong == "cut_answer" and first < max_length:
        return Fitted(_slice(rendered, [*range(max_length)]), "answer cut", excess)
    last = max((t for t, w in enumerate(rendered.weights) if w > 0), default=-1)
    tail = len(rendered.token_ids) - 1 - last  # template text after the last stop token trains nothing
    cut = excess - min(tail, excess)
    begin = last  # of the last answer
    while begin > 0 and rendered.weights[begin - 1] > 0:
        begin -= 1
    if overlong != "cut_prompt" or last < 0 or begin <= 1 + cut:
        return Fitted(None, "dropped", len(rendered.token_ids))
    weights = list(rendered.weights)
    torn = 1 + cut
    if weights[torn - 1] > 0:  # the border lies inside an earlier answer, or at its end
        while weights[torn] > 0:
            weights[torn], torn = 0.0, torn + 1
    kept = [0, *range(1 + cut, last + 1 + max(0, tail - excess))]
    return Fitted(_slice(replace(rendered, weights=tuple(weights)), kept), "prompt cut", excess)


def _slice(rendered: Rendered, kept: Sequence[int]) -> Rendered:
    offsets = tuple(rendered.offsets[t] for t in kept) if rendered.offsets else ()
    return Rendered(
        tuple(rendered.token_ids[t] for t in kept), tuple(rendered.weights[t] for t in kept), offsets, rendered.text
    )


PLAIN_TEMPLATE = (
    "{BOS}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ 'System:\n' + message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'User:\n' + message['content'] + '\n\n' }}"
    "{% else %}{{ 'Assistant:\n' + message['content'] + eos_token + '\n\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:\n' }}{% endif %}"
)


def plain_template(tokenizer: Any, *, name: str) -> str:
    """A chat template for a base that has none. It uses only tokens that the tokenizer has and resizes nothing."""
    if tokenizer.eos_token is None:
        raise ModelError(
            f"{name} has no chat template, and none can be added",
            [Problem(where=f"{name}/tokenizer_config.json: eos_token", found="nothing",
                     expected="an end-of-sequence token, with which a plain template ends every answer",
                     fix="set eos_token to a token of the vocabulary")],
        )  # fmt: skip
    has_bos = tokenizer.bos_token is not None and tokenizer.bos_token != tokenizer.eos_token
    template = PLAIN_TEMPLATE.replace("{BOS}", "{{ bos_token }}" if has_bos else "", 1)
    ids = tokenizer.backend_tokenizer.encode("System:\n\nUser:\nAssistant:\n", add_special_tokens=False).ids
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids:
        raise ModelError(
            f"{name} has no chat template, and none can be added",
            [Problem(where=f"{name}/tokenizer.json", found="a vocabulary that cannot spell 'User:' and a newline",
                     expected="these as known tokens", fix="give the base a chat template (chat_template.jinja)")],
        )  # fmt: skip
    return template

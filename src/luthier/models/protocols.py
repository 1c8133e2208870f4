"""How an example becomes a prompt: through the chat template, or as plain text with examples before it, for a base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from luthier.models.load import Model
from luthier.models.render import Rendered
from luthier.records import Example

PLAIN_FORMS = {
    "answer": ("{prompt}\nAnswer:", " {answer}\n\n"),
    "q_and_a": ("Q: {prompt}\nA:", " {answer}\n\n"),
    "arrow": ("{prompt}\n->", " {answer}\n\n"),
}
"""Plain-text forms: prompt, answer. A base is given the form that serves it best on the dev rows."""


Shots = Callable[[Example], Sequence[Example]]
"""The solved examples to show before a question."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """One way to ask a model. `answer(example, text)` weighs exactly the tokens of the answer and what ends it."""

    name: str
    prompt: Callable[[Example], list[int]]
    answer: Callable[[Example, str], Rendered]
    stop: Callable[[Example], tuple[str, ...]] = lambda example: ()
    """Texts that end the answer to an example, beside the stop tokens."""
    strips: bool = False
    """Whether white space around the generated text is form, not content."""


def chat_protocol(model: Model) -> Protocol:
    """Ask through the model's chat template."""
    renderer = model.renderer
    return Protocol(
        name="chat",
        prompt=lambda example: renderer.prompt(example.prompt, tools=example.tools),
        answer=lambda example, text: renderer.render_answer(example.prompt, text, tools=example.tools),
    )


def plain_protocol(model: Model, shots: Sequence[Example] | Shots = (), *, form: str = "answer") -> Protocol:
    """Ask in plain text, with `shots` and their answers before the question. No chat template is involved."""
    ask, reply = PLAIN_FORMS[form]
    choose: Shots = shots if callable(shots) else lambda _: shots

    def before(example: Example) -> str:
        solved = [(ask + reply).format(prompt=_text(s), answer=s.target) for s in choose(example) if s.target]
        return "".join(solved) + ask.format(prompt=_text(example))

    def answer(example: Example, text: str) -> Rendered:
        start = before(example)
        encoding = model.tokenizer.backend_tokenizer.encode(
            start + reply.format(answer=text).rstrip("\n") + "\n", add_special_tokens=False
        )
        weights = [1.0 if end > len(start) else 0.0 for _, end in encoding.offsets]
        bos = model.bos_ids
        return Rendered(tuple(bos + encoding.ids), tuple([0.0] * len(bos) + weights))

    return Protocol(
        name=f"plain/{form}",
        prompt=lambda example: model.bos_ids + model.renderer.encode(before(example)),
        answer=answer,
        stop=_end,
        strips=True,
    )


def _end(example: Example) -> tuple[str, ...]:
    """A line ends an answer; where the right one has several lines, an empty one does, or none could be right."""
    return ("\n\n",) if "\n" in (example.target or "").strip() else ("\n",)


def _text(example: Example) -> str:
    """The prompt's turns as plain text, without roles: what a base would meet in a book."""
    return "\n".join(message.text for message in example.prompt)

"""Rank classification: the option that a model finds likeliest, whatever it would have written.

Log-likelihood of each option after the prompt, arg-max (FLAN, arXiv:2109.01652). Summed, it favours short options; per
byte (GPT-3's normalisation, made independent of tokenizers) it does not. Both are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from luthier.graders.choice import accepted_options
from luthier.records import Example, Grade, Score, content_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How likely a model finds each option of one item."""

    id: str
    example_id: str
    model_id: str
    options: tuple[str, ...]
    logprobs: tuple[float, ...]
    """Natural log-likelihood of each option, summed over its tokens."""
    num_bytes: tuple[int, ...]

    def best(self, *, per_byte: bool = False) -> tuple[str, ...]:
        """The likeliest option; several when they tie exactly."""
        values = self.logprobs
        if per_byte:
            values = tuple(value / max(1, size) for value, size in zip(values, self.num_bytes, strict=True))
        return tuple(option for option, value in zip(self.options, values, strict=True) if value == max(values))


def can_be_ranked(example: Example) -> bool:
    """Whether there is something to choose between."""
    return len(example.choices) > 1


def rank_options(examples: Sequence[Example], score: Score, *, model_id: str) -> list[Ranking]:
    """One ranking per example, in order; each must satisfy `can_be_ranked`."""
    scores = score(examples, [example.choices for example in examples])
    return [
        Ranking(
            id=content_id("ranking", example.id, model_id),
            example_id=example.id,
            model_id=model_id,
            options=example.choices,
            logprobs=tuple(answer.logprob for answer in answers),
            num_bytes=tuple(answer.num_bytes for answer in answers),
        )
        for example, answers in zip(examples, scores, strict=True)
    ]


def rank_grade(example: Example, ranking: Ranking, *, per_byte: bool = False) -> Grade:
    """1 when the likeliest option is accepted (a k-way tie gives the share that is), else 0.

    None when no option is known to be right; an error when a likelihood is not a number.
    """
    value, is_error, reason = None, False, "none of the item's options is its accepted answer"
    accepted = accepted_options(example)
    if any(math.isnan(logprob) for logprob in ranking.logprobs):
        is_error, reason = True, "the log-likelihood of an option is not a number"
    elif accepted:
        best = ranking.best(per_byte=per_byte)
        value = sum(option in accepted for option in best) / len(best)
        reason = "chose " + " = ".join(map(repr, best))
    return Grade(
        completion_id=ranking.id,
        example_id=example.id,
        grader="rank_per_byte" if per_byte else "rank",
        value=value,
        reason=reason,
        is_error=is_error,
    )


def chance(examples: Sequence[Example]) -> float | None:
    """The score of picking options blindly, over the items that have options; None when none has."""
    shares = [len(accepted_options(e)) / len(e.choices) for e in examples if accepted_options(e)]
    return sum(shares) / len(shares) if shares else None

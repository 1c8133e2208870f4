"""A judge: a writer that scores answers and decides duels. What it said is in its journal, and is never asked again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from luthier.asking.asker import Ask, Asker, Failed, Outcome
from luthier.graders.judging.wording import LEAST_SCORE, MOST_SCORE, duel_ask, score_ask, score_in, verdict_in
from luthier.records import Completion, Example, Grade

AT_ONCE = 200
"""Requests between two lines that say how far it is."""
SHOWN_CHARACTERS = 300
NOT_ASKED = "not asked: the budget of the judge is spent"


class Pair(NamedTuple):
    """Two answers to one request."""

    example: Example
    a: str
    b: str


class Duel(NamedTuple):
    """What the judge says of a pair, shown in both orders."""

    value: float | None
    """1 where b wins, 0 where a does, the mean of both orders; None where an order has no verdict."""
    a_first: float | None
    """The same with a shown first."""
    b_first: float | None
    reason: str = ""

    @property
    def is_consistent(self) -> bool:
        """Whether both orders have the same winner, or a tie."""
        return self.value is not None and self.a_first == self.b_first


@dataclass(slots=True)
class Judge:
    """Scores answers as a grader, the score 1..5 as 0..1; decides duels. Answers that are equal tie without a call."""

    asker: Asker
    rubric: str | None = None
    """What the scores mean, or what decides between two; without it, the words of `wording`."""
    _ends: dict[str, Outcome | None] = field(default_factory=dict)
    """By the digest of what was asked."""

    def __call__(self, example: Example, completion: Completion) -> Grade:
        """(score - 1) / 4; None where the judge states no score, was cut, or may not be asked any more."""
        (score,), (reason,) = self._scored([(example, completion.text)])
        value = None if score is None else (score - LEAST_SCORE) / (MOST_SCORE - LEAST_SCORE)
        return Grade(completion_id=completion.id, example_id=example.id, grader="judge", value=value, reason=reason)

    def prepare(self, examples: Sequence[Example], completions: Sequence[Completion]) -> None:
        """Ask for the scores of all completions side by side, so that none is waited for alone; one example each.

        LuthierError where the endpoint refuses every request or is not there.
        """
        self._ask([score_ask(e, c.text, self.rubric) for e, c in zip(examples, completions, strict=True)])

    def scores(self, answers: Sequence[tuple[Example, str]]) -> list[int | None]:
        """The score of each answer, from 1 to 5."""
        return self._scored(answers)[0]

    def duels(self, pairs: Sequence[Pair]) -> list[Duel]:
        """What it says of each pair, in their order; two requests a pair."""
        orders = {
            number: (duel_ask(p.example, p.a, p.b, self.rubric), duel_ask(p.example, p.b, p.a, self.rubric))
            for number, p in enumerate(pairs) if p.a != p.b
        }  # fmt: skip
        self._ask([ask for both in orders.values() for ask in both])
        return [self._decided(*orders[number]) if number in orders else Duel(0.5, 0.5, 0.5, "the same answer")
                for number in range(len(pairs))]  # fmt: skip

    def _decided(self, a_first: Ask, b_first: Ask) -> Duel:
        said = [self._said(ask) for ask in (a_first, b_first)]
        forth, back = (verdict_in(text) if not fault else None for text, fault in said)
        back = None if back is None else 1 - back
        faults = [fault or (f"no verdict in {text[-SHOWN_CHARACTERS:]!r}" if found is None else "")
                  for (text, fault), found in zip(said, (forth, back), strict=True)]  # fmt: skip
        value = None if forth is None or back is None else (forth + back) / 2
        return Duel(value, forth, back, next(filter(None, faults), ""))

    def _scored(self, answers: Sequence[tuple[Example, str]]) -> tuple[list[int | None], list[str]]:
        asks = [score_ask(example, text, self.rubric) for example, text in answers]
        self._ask(asks)
        scores, reasons = [], []
        for text, fault in map(self._said, asks):
            score = None if fault else score_in(text)
            no_score = "" if score is not None else f"no score in {text[-SHOWN_CHARACTERS:]!r}"
            scores.append(score)
            reasons.append(fault or no_score or text[-SHOWN_CHARACTERS:].strip())
        return scores, reasons

    def _said(self, ask: Ask) -> tuple[str, str]:
        """What the judge said, and what is wrong with it."""
        end = self._ends[ask.digest]
        if end is None:
            return "", NOT_ASKED
        if isinstance(end, Failed):
            return "", f"the judge gave no answer: {end.problem}"
        return end.text, "the judge's answer was cut: raise max_tokens of its writer" if end.is_cut else ""

    def _ask(self, asks: Sequence[Ask]) -> None:
        new = list({ask.digest: ask for ask in asks if self._ends.get(ask.digest) is None}.values())
        for first in range(0, len(new), AT_ONCE):
            some = new[first : first + AT_ONCE]
            self._ends |= dict(zip([ask.digest for ask in some], self.asker.outcomes(some), strict=True))

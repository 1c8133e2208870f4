"""Two evaluations of the same items under a judge: how often b's answer is the better one.

Every pair is shown in both orders, and an item's value is the mean of its verdicts: 1 where b wins, 0 where a does, 0.5
for ties. Beside the rate stand the rate with the length of answers held equal, how often both orders agree, and how
often the answer shown first wins: a judge that goes by the order says little about answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.errors import DataError, Problem
from luthier.evaluate.evaluation import Evaluation
from luthier.evaluate.kpis import in_words_of_tasks, task_clusters
from luthier.graders.judging.judge import Duel, Pair
from luthier.stats.agreement import Agreement
from luthier.stats.intervals import Estimate, score_interval
from luthier.stats.length_control import LengthControlled, length_controlled


@dataclass(frozen=True, slots=True, kw_only=True)
class Duels:
    """What a judge says of b against a."""

    judge: str
    """Its name."""
    win_rate: Estimate | None
    """Of b; None when no pair has a verdict."""
    controlled: LengthControlled | None
    """Of b, lengths held equal; None for too few pairs."""
    wins: int
    losses: int
    ties: int
    """Items by their value: above, below and at one half."""
    undecided: int
    """Items without a verdict; they are left out."""
    consistent: float | None
    """The share of the items on which both orders say the same, equal answers left out; None where there are none."""
    first_wins: float | None
    """Of the verdicts that name a winner, the share for the answer that was shown first."""
    people: Agreement | None
    """With people's labels of the items; None where they have none."""

    def to_json(self) -> dict[str, Any]:
        """Everything, rates with their intervals."""
        controlled = None
        if self.controlled is not None:
            controlled = {**self.controlled.rate.to_json(), "length_effect": self.controlled.beta}
        return {
            "judge": self.judge,
            "win_rate": self.win_rate.to_json() if self.win_rate else None,
            "length_controlled": controlled,
            "wins": self.wins, "losses": self.losses, "ties": self.ties, "undecided": self.undecided,
            "consistent": self.consistent, "first_wins": self.first_wins,
            "people": self.people.to_json() if self.people else None,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """As text, after the lines of the KPIs."""
        if self.win_rate is None:
            return [f"judge {self.judge} | no pair has a verdict ({self.undecided} undecided)"]
        left_out = f" | {self.undecided} undecided" if self.undecided else ""
        found = [f"judge {self.judge} | b wins {self.win_rate} | {self.wins} wins, {self.losses} losses, "
                 f"{self.ties} ties{left_out} | {self.win_rate.method}"]  # fmt: skip
        if self.controlled is not None:
            found.append(f"  with lengths held equal: b wins {self.controlled.rate}")
        orders = [] if self.consistent is None else [f"both orders agree on {self.consistent:.0%} of the items"]
        orders += [] if self.first_wins is None else [f"the answer shown first wins {self.first_wins:.0%}"]
        found += [f"  {', '.join(orders)}"] if orders else []
        return [*found, f"  with people: {self.people}"] if self.people else found


def duels(
    a: Evaluation, b: Evaluation, *, judge: str, decide: Callable[[Sequence[Pair]], list[Duel]],
    people: Agreement | None = None,
) -> Duels:  # fmt: skip
    """b against a on the items that both answered, in the judge's eyes. Of several answers, the first of each with the
    first, and so on. DataError when they share no item."""
    items = [item for item in b.items.values() if item.id in a.completions and item.id in b.completions]
    pairs = [Pair(item, one.text, other.text) for item in items
             for one, other in zip(a.completions[item.id], b.completions[item.id], strict=False)]  # fmt: skip
    if not pairs:
        raise DataError(
            "the two evaluations cannot be compared",
            [Problem(where=f"{a.folder} and {b.folder}", found="no answered item in common", expected="the same items",
                     fix="evaluate both models on the same files")],
        )  # fmt: skip
    found = list(zip(pairs, decide(pairs), strict=True))
    by_item: dict[str, list[float]] = {}
    for pair, duel in found:
        if duel.value is not None:
            by_item.setdefault(pair.example.id, []).append(duel.value)
    values = {item_id: sum(some) / len(some) for item_id, some in by_item.items()}
    decided = [item for item in items if item.id in values]
    shown = [duel for pair, duel in found if duel.value is not None and pair.a != pair.b]
    won_first = [won for duel in shown for won in _for_first(duel) if won != 0.5]
    return Duels(
        judge=judge, win_rate=_rate([values[item.id] for item in decided], decided) if decided else None,
        controlled=_controlled(found),
        wins=sum(v > 0.5 for v in values.values()), losses=sum(v < 0.5 for v in values.values()),
        ties=sum(v == 0.5 for v in values.values()), undecided=len({item.id for item in items}) - len(values),
        consistent=sum(duel.is_consistent for duel in shown) / len(shown) if shown else None,
        first_wins=sum(won_first) / len(won_first) if won_first else None, people=people,
    )  # fmt: skip


def _for_first(duel: Duel) -> tuple[float, float]:
    """1 where the answer shown first wins, 0 where it loses, in either order."""
    assert duel.a_first is not None and duel.b_first is not None
    return 1 - duel.a_first, duel.b_first


def _rate(values: Sequence[float], items: Sequence[Any]) -> Estimate:
    return in_words_of_tasks(score_interval(values, task_clusters(items)), items)


def _controlled(found: Sequence[tuple[Pair, Duel]]) -> LengthControlled | None:
    """Over all pairs with a verdict, clustered by task where there are enough of them, else by item."""
    decided = [(pair, duel.value) for pair, duel in found if duel.value is not None]
    items = [pair.example for pair, _ in decided]
    clusters = task_clusters(items) or [item.id for item in items]
    return length_controlled([value for _, value in decided], [len(p.b) - len(p.a) for p, _ in decided], clusters)

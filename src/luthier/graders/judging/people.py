"""What people said of answers, in an item's `grading.people`, and how far a judge agrees with them.

Each entry is one of {"answer", "score"}, a score from 1 to 5 of a text; {"better", "worse"}, two texts; {"tie"}, a list
of two texts that are as good as each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from luthier.errors import DataError, Problem
from luthier.graders.judging.judge import Judge, Pair
from luthier.graders.judging.wording import LEAST_SCORE, MOST_SCORE
from luthier.records import Example, content_id
from luthier.stats.agreement import Agreement, agreement

_FORMS = '{"answer", "score"} with a score from 1 to 5, {"better", "worse"}, or {"tie"} with a list of two texts'


def score_agreement(judge: Judge, examples: Sequence[Example]) -> Agreement | None:
    """Of the judge's scores with people's, over the answers that people scored; None where there are none.

    An answer that the judge states no score for is left out. DataError for labels that are none.
    """
    labelled = [(example, said["answer"], int(said["score"])) for example, said in _said(examples) if "score" in said]
    scores = judge.scores([(example, text) for example, text, _ in labelled])
    found = [(of_people, score) for (_, _, of_people), score in zip(labelled, scores, strict=True) if score is not None]
    return agreement([a for a, _ in found], [b for _, b in found]) if found else None


def duel_agreement(judge: Judge, examples: Sequence[Example]) -> Agreement | None:
    """Of the judge's verdicts with people's: first, second or tie, over the pairs that people compared; None without.

    Which text of a pair is the first is left to a digest, so that neither side is always the better one.
    """
    pairs, of_people = [], []
    for example, said in _said(examples):
        if "score" in said:
            continue
        a, b = said["tie"] if "tie" in said else (said["worse"], said["better"])
        is_turned = int(content_id("people", a, b), 16) % 2 == 1
        pairs.append(Pair(example, b, a) if is_turned else Pair(example, a, b))
        of_people.append(0.5 if "tie" in said else float(not is_turned))
    found = [(label, _sign(duel.value)) for label, duel in zip(of_people, judge.duels(pairs), strict=True)
             if duel.value is not None]  # fmt: skip
    return agreement([a for a, _ in found], [b for _, b in found]) if found else None


def _sign(value: float) -> float:
    return 0.5 if value == 0.5 else float(value > 0.5)


def _said(examples: Sequence[Example]) -> Iterator[tuple[Example, Mapping[str, Any]]]:
    """Every entry with its item; DataError for all that are none at once."""
    found, problems = [], []
    for example in examples:
        entries = example.grading.get("people", [])
        for number, entry in enumerate(entries if isinstance(entries, list | tuple) else [entries]):
            if _is_label(entry):
                found.append((example, entry))
            else:
                where = f"{example.source or example.id}: grading.people[{number}]"
                problems.append(Problem(where=where, found=repr(entry)[:80], expected=_FORMS, fix="mend the label"))
    if problems:
        raise DataError("labels of people that cannot be read", problems)
    yield from found


def _is_label(entry: Any) -> bool:
    if not isinstance(entry, Mapping):
        return False
    if entry.keys() == {"answer", "score"}:
        score = entry["score"]
        is_score = isinstance(score, int) and not isinstance(score, bool) and LEAST_SCORE <= score <= MOST_SCORE
        return is_score and isinstance(entry["answer"], str)
    if entry.keys() == {"better", "worse"}:
        return isinstance(entry["better"], str) and isinstance(entry["worse"], str)
    texts = entry.get("tie")
    return len(entry) == 1 and isinstance(texts, list | tuple) and [type(text) for text in texts] == [str, str]

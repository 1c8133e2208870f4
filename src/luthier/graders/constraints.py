"""The answer keeps every constraint that the item sets: for requests that many different answers fulfil.

A constraint is a key of the item's `grading` beside "grader":

- `must`: every one of these words or phrases stands in the answer; `must_not`: none of them does;
- `any_of`: groups of words or phrases; at least one of each group stands in the answer;
- `starts`, `ends`: the answer begins, or ends, with this text, or with one of a list of texts;
- `min_words`, `max_words`: bounds on the number of words; `lines`, `sentences`: how many there are, exactly;
- `upper`: true, every letter is a capital; false, none is;
- `same_words`: true, the words are those of an accepted answer, one by one.

Without any, the words must be those of an accepted answer. Words are letters, digits and inner apostrophes; they and
the beginning and end are compared without regard to case, and only whole words count ("cat" is not in "cattle").
Lines without a word are not counted. A sentence ends with ".", "!" or "?" before white space or the end of the answer;
words after the last such mark are a sentence too. An answer without a word is always wrong.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.records import Completion, Example, Grade


@dataclass(frozen=True, slots=True)
class _Answer:
    folded: str
    text: str
    targets: Sequence[str]


_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def constraints(example: Example, completion: Completion) -> Grade:
    """1 when every constraint of the item's grading holds, else 0; None when it has none and accepts no answer.

    ValueError for a constraint that is not known, since a misspelt one would let every answer pass.
    """
    wanted = {key: value for key, value in example.grading.items() if key != "grader"}
    if unknown := sorted(wanted.keys() - _CHECKS.keys()):
        raise ValueError(f"{', '.join(unknown)}: no such constraint, expected some of {', '.join(_CHECKS)}")
    if not wanted:
        wanted = {"same_words": True}
    value, reason = None, "the item has no constraint and no accepted answer"
    if example.targets or wanted != {"same_words": True}:
        answer = _Answer(_folded(completion.text), completion.text.strip(), example.targets)
        broken = _broken(answer, wanted)
        value, reason = float(not broken), f"breaks {', '.join(broken)}" if broken else ""
    return Grade(
        completion_id=completion.id, example_id=example.id, grader="constraints", value=value, reason=reason
    )  # fmt: skip


def _broken(answer: _Answer, wanted: Mapping[str, Any]) -> list[str]:
    """The names of the constraints that the answer breaks."""
    if not _WORD.search(answer.text):
        return ["the rule that an answer holds a word"]
    return [name for name, value in wanted.items() if not _CHECKS[name](answer, value)]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()


def _words(folded: str) -> list[str]:
    return [word.replace("\u2019", "'") for word in _WORD.findall(folded)]


def _has(folded: str, phrase: str) -> bool:
    """Whether the words of the phrase stand in the text one after another."""
    wanted, words = _words(_folded(phrase)), _words(folded)
    if not wanted:  # the phrase is a sign
        return _folded(phrase) in folded
    return any(words[i : i + len(wanted)] == wanted for i in range(len(words) - len(wanted) + 1))


def _texts(value: str | Sequence[str]) -> Sequence[str]:
    return (value,) if isinstance(value, str) else value


def _starts(folded: str, value: str | Sequence[str]) -> bool:
    # After a word no further letter may follow: "is" does not begin "island".
    return any(re.match(re.escape(_folded(v)) + (r"(?!\w)" if v[-1:].isalnum() else ""), folded) for v in _texts(value))


def _ends(folded: str, value: str | Sequence[str]) -> bool:
    return any(
        re.search((r"(?<!\w)" if v[:1].isalnum() else "") + re.escape(_folded(v)) + r"\Z", folded)
        for v in _texts(value)
    )


def _sentences(text: str) -> int:
    return sum(1 for part in re.split(r"(?<=[.!?])[\"'\u201d)]*(?:\s+|\Z)", text) if _WORD.search(part))


def _is_cased(text: str, upper: bool) -> bool:
    return text == (text.upper() if upper else text.lower())


def _is_same(folded: str, targets: Sequence[str]) -> bool:
    return _words(folded) in [_words(_folded(target)) for target in targets]


_CHECKS: Mapping[str, Callable[[_Answer, Any], bool]] = {
    "must": lambda answer, phrases: all(_has(answer.folded, phrase) for phrase in _texts(phrases)),
    "must_not": lambda answer, phrases: not any(_has(answer.folded, phrase) for phrase in _texts(phrases)),
    "any_of": lambda answer, groups: all(any(_has(answer.folded, phrase) for phrase in group) for group in groups),
    "starts": lambda answer, texts: _starts(answer.folded, texts),
    "ends": lambda answer, texts: _ends(answer.folded, texts),
    "min_words": lambda answer, count: len(_words(answer.folded)) >= count,
    "max_words": lambda answer, count: len(_words(answer.folded)) <= count,
    "lines": lambda answer, count: sum(1 for line in answer.text.splitlines() if _WORD.search(line)) == count,
    "sentences": lambda answer, count: _sentences(answer.text) == count,
    "upper": lambda answer, upper: _is_cased(answer.text, upper),
    "same_words": lambda answer, same: not same or _is_same(answer.folded, answer.targets),
}

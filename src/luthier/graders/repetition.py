"""How little the answer repeats itself: 1 without a repetition, near 0 for one that is nothing else.

value = 1 - max(again, loop)

- again: the share of the sequences of four words that stood in the answer before, 1 - different / all (seq-rep-4 of
  arXiv:1908.04319), without regard to case; of a script that sets no blanks each sign is a word;
- loop: the share of the characters that belong to a tail in which a unit of up to 200 characters comes four times or
  more, the first time not counted: how models end that cannot stop. Tails of less than 40 characters are none.

It is a degree, not right or wrong: poems, tables and lists repeat with reason.
"""

from __future__ import annotations

import re

from luthier.records import Completion, Example, Grade

SEQUENCE = 4
LONGEST_UNIT = 200
LEAST_TIMES = 4
SHORTEST_TAIL = 40

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, kana, Han."""
_WORDS = re.compile(f"[{_UNSPACED}]|[^\\W{_UNSPACED}]+")


def repetition(example: Example, completion: Completion) -> Grade:
    """1 - the larger of both shares; None for an empty answer."""
    text = completion.text.strip()
    value, reason = None, "the answer is empty"
    if text:
        again, loop = again_share(text), loop_share(text)
        value, reason = 1.0 - max(again, loop), f"{again:.0%} said before, {loop:.0%} in a loop at the end"
    return Grade(completion_id=completion.id, example_id=example.id, grader="repetition", value=value, reason=reason)


def again_share(text: str) -> float:
    """The share of the sequences of four words that came before; 0 for fewer words.

    >>> again_share("the cat sat down and the cat sat down")
    0.16666666666666666
    """
    words = _WORDS.findall(text.casefold())
    sequences = [tuple(words[i : i + SEQUENCE]) for i in range(len(words) - SEQUENCE + 1)]
    return 1 - len(set(sequences)) / len(sequences) if sequences else 0.0


def loop_share(text: str) -> float:
    """The share of the characters in the tail that goes round, its first unit not counted; 0 without such a tail.

    >>> loop_share("I like it. " + "Yes. " * 50)
    0.9423076923076923
    """
    backwards = text[::-1]
    longest = 0
    for unit, same in enumerate(_common_prefixes(backwards, LONGEST_UNIT), start=1):
        tail = unit + same
        if tail >= max(LEAST_TIMES * unit, SHORTEST_TAIL):
            longest = max(longest, same)
    return longest / len(text) if text else 0.0


def _common_prefixes(text: str, most: int) -> list[int]:
    """For each shift from 1 to `most`, how far the shifted text agrees with the text (Z function, Gusfield 1997)."""
    found = [0] * len(text)
    left = right = 0
    for i in range(1, min(len(text), most + 1)):
        same = min(right - i, found[i - left]) if i < right else 0
        while i + same < len(text) and text[same] == text[i + same]:
            same += 1
        found[i] = same
        if i + same > right:
            left, right = i, i + same
    return found[1 : most + 1]

"""How much of an accepted answer's wording the answer has: ROUGE-L, chrF and BLEU. Of several answers, the best."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from luthier.records import Completion, Example, Grade


def rouge_l(example: Example, completion: Completion) -> Grade:
    """ROUGE-L F1 over the words of a-z and 0-9 (Lin 2004), equal to rouge-score without stemming.

    None when no accepted answer holds such a word (Chinese, say): chrf can grade it.
    """
    references = [tokens for target in example.targets if (tokens := words(target))]
    if not references:
        return _grade(example, completion, "rouge_l", None, "no accepted answer holds a word of a-z or 0-9")
    answer = words(completion.text)
    return _grade(example, completion, "rouge_l", max(rouge_l_f1(reference, answer) for reference in references), "")


def chrf(example: Example, completion: Completion) -> Grade:
    """chrF2 of the sentence / 100 (Popovic 2015) by sacrebleu: nc:6, nw:0, space:no, case:mixed, eff:yes."""
    if not any(target.strip() for target in example.targets):
        return _grade(example, completion, "chrf", None, "the item has no accepted answer")
    score = _chrf().sentence_score(completion.text, list(example.targets)).score
    return _grade(example, completion, "chrf", min(1.0, max(0.0, float(score) / 100)), "")


def bleu(example: Example, completion: Completion) -> Grade:
    """BLEU of the sentence / 100 (Papineni et al. 2002) by sacrebleu: case:mixed, eff:yes, tok:13a, smooth:exp.

    Made for whole corpora: of one sentence it is rough, and its mean over items is no corpus BLEU. Each accepted answer
    is a reference of its own: read together, the shortest of them would excuse what an answer leaves out of the others.
    """
    if not any(target.strip() for target in example.targets):
        return _grade(example, completion, "bleu", None, "the item has no accepted answer")
    score = max(float(_bleu().sentence_score(completion.text, [target]).score) for target in example.targets)
    return _grade(example, completion, "bleu", min(1.0, max(0.0, score / 100)), "")


def signature(grader: str) -> str:
    """sacrebleu's signature of "chrf" or "bleu", for reports: version and every setting that the score depends on.

    Of the number of references chrF's says "var" (each item has its own) and BLEU's 1. ValueError for another grader.
    """
    if grader not in ("chrf", "bleu"):
        raise ValueError(f"found {grader!r}, expected 'chrf' or 'bleu': only these are scored by sacrebleu")
    metric = _chrf() if grader == "chrf" else _bleu()
    # sacrebleu knows the number only once a corpus was scored; -1 is its sign for "not the same for all".
    metric.num_refs = -1 if grader == "chrf" else 1
    return str(metric.get_signature())


def words(text: str) -> list[str]:
    """Lower-cased runs of a-z and 0-9: the tokens of rouge-score.

    >>> words("It's 5 o'clock.")
    ['it', 's', '5', 'o', 'clock']
    """
    return re.findall(r"[a-z0-9]+", text.lower())


def common_subsequence_length(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest common subsequence, one step a word of b on integers of len(a) bits (Hyyro 2004).

    >>> common_subsequence_length("the cat sat".split(), "the big cat".split())
    2
    """
    places: dict[str, int] = {}
    for index, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << index
    full = (1 << len(a)) - 1
    unmatched = full
    for word in b:
        hits = unmatched & places.get(word, 0)
        unmatched = ((unmatched + hits) | (unmatched - hits)) & full
    return len(a) - unmatched.bit_count()


def rouge_l_f1(reference: Sequence[str], answer: Sequence[str]) -> float:
    """ROUGE-L F1 of two texts in words, 0..1; 0 where either has none (Lin 2004).

    >>> round(rouge_l_f1("the cat sat".split(), "the big cat".split()), 3)
    0.667
    """
    common = common_subsequence_length(reference, answer)
    return 2 * common / (len(reference) + len(answer)) if common else 0.0


@cache
def _chrf() -> Any:
    from sacrebleu.metrics import CHRF  # here, since only this grader pays for it

    return CHRF()


@cache
def _bleu() -> Any:
    from sacrebleu.metrics import BLEU  # here, since only this grader pays for it

    return BLEU(effective_order=True)


def _grade(example: Example, completion: Completion, grader: str, value: float | None, reason: str) -> Grade:
    return Grade(completion_id=completion.id, example_id=example.id, grader=grader, value=value, reason=reason)

"""Words and letters that an answer must hold, so many times, or must not hold. Case does not count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luthier.graders.instructions.findings import Finding, compared, folded, is_word_at, plain


def existence(text: str, *, keywords: Sequence[str]) -> Finding:
    """Every keyword stands in the answer, perhaps within a longer word: "story" in "storyline", as IFEval counts."""
    answer = folded(text)
    missing = [index + 1 for index, keyword in enumerate(keywords) if folded(keyword.strip()) not in answer]
    return Finding(not missing, f"{len(keywords) - len(missing)} of {len(keywords)} keywords")


def frequency(text: str, *, keyword: str, frequency: int, relation: str) -> Finding:
    """The keyword stands in the answer so many times; within longer words too, as IFEval counts.

    An empty keyword stands nowhere.
    """
    wanted = folded(keyword.strip())
    return compared(folded(text).count(wanted) if wanted else 0, relation, frequency, "times the keyword")


def forbidden_words(text: str, *, forbidden_words: Sequence[str]) -> Finding:
    """None of the words stands in the answer as a word: "rock" is not in "rocket"."""
    answer = folded(text)
    seen = [word for word in forbidden_words if word.strip() and _stands_in(answer, folded(word.strip()))]
    return Finding(not seen, f"{len(seen)} forbidden words")


def letter_frequency(text: str, *, letter: str, let_frequency: int, let_relation: str) -> Finding:
    """The letter, small or capital, stands in the answer so many times; any sign may be asked for ("#", "!")."""
    count = plain(text).lower().count(plain(letter).lower())
    return compared(count, let_relation, let_frequency, "times the letter")


def _stands_in(answer: str, phrase: str) -> bool:
    return any(is_word_at(answer, start, start + len(phrase)) for start in _places(answer, phrase))


def _places(text: str, phrase: str) -> Iterator[int]:
    start = text.find(phrase)
    while start >= 0:
        yield start
        start = text.find(phrase, start + 1)

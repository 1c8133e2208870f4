"""How long an answer is: sentences, words, and paragraphs of two kinds."""

from __future__ import annotations

import re

from luthier.graders.instructions.findings import INNER, Finding, compared, folded, plain, words
from luthier.graders.instructions.sentences import sentences

_DIVIDER = re.compile(r"(?<!\S)\*\*\*(?!\S)")
_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")


def number_sentences(text: str, *, num_sentences: int, relation: str) -> Finding:
    """So many sentences; where one ends is said in `sentences`."""
    return compared(len(sentences(plain(text))), relation, num_sentences, "sentences")


def number_words(text: str, *, num_words: int, relation: str) -> Finding:
    """So many runs of letters, digits and underscores, as IFEval counts: "don't" is two."""
    return compared(len(words(plain(text))), relation, num_words, "words")


def number_paragraphs(text: str, *, num_paragraphs: int) -> Finding:
    """Exactly so many paragraphs with the divider *** between them; an empty one between two dividers is wrong."""
    parts = [part.strip() for part in _DIVIDER.split(plain(text))]
    inner = parts[1:-1]
    count = sum(map(bool, parts))
    return Finding(count == num_paragraphs and all(inner), f"{count} paragraphs" + ", an empty one" * (not all(inner)))


def nth_paragraph_first_word(text: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> Finding:
    """Exactly so many paragraphs with blank lines between them, and one of them begins with this word.

    Signs before the word (quotes, Markdown) are not part of it; empty paragraphs are none.
    """
    paragraphs = [part for part in _BLANK_LINES.split(plain(text)) if part.strip()]
    begins = False
    if 0 < nth_paragraph <= len(paragraphs):
        start = re.match(rf"[\W_]*({INNER})", folded(paragraphs[nth_paragraph - 1]))
        begins = not first_word.strip() or (start is not None and start[1] == folded(first_word.strip()))
    found = f"{len(paragraphs)} paragraphs, paragraph {nth_paragraph} begins " + ("as asked" if begins else "otherwise")
    return Finding(len(paragraphs) == num_paragraphs and begins, found)

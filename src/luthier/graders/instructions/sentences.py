"""Where sentences end, by rule: no model, no download.

A sentence ends at ".", "!", "?" or an ellipsis, several of them, or their like in other scripts, with the quotes,
brackets and notes ([4]) that follow them, before white space or the end of the text; in Chinese and Japanese before
anything. What is left at the end is a sentence too, if it holds a word. A line end alone ends none.

Before a blank line, a bullet or a number that begins a line every full stop ends one. Elsewhere none ends

- at "!" or "?" that closes a quotation which a small letter follows ('"Stop!" he said'), nor at an ellipsis before one;
- at the full stop of a title or another word that something follows ("Dr. Who", "e.g. This"), nor of one capital
  letter before a further word ("J. S. Bach");
- at that of "etc.", "U.S." and their like before a small letter;
- at that of a number or letter that begins a line or stands alone, which numbers what follows ("1. Mix the eggs.").
"""

from __future__ import annotations

import re

from luthier.graders.instructions.findings import WORD

_CLOSING = "\"'\u2019\u201d\u00bb)\\]}*_"
_MARKS = r".!?\u2026\u061f\u06d4\u0964\u0965"
_END = re.compile(
    # Nothing is given back and no run of marks is begun twice, so that the time grows with the length of the text only.
    rf"(?<![{_MARKS}])[{_MARKS}]++[{_CLOSING}]*+(?:\[\d{{1,3}}\])*+(?=\s|\Z)"
    r"|[\u3002\uff01\uff1f]++[\u201d\u300d\u300f\uff09]*+"
)
_FOLLOWED = re.compile(
    r"(?:mr|mrs|ms|mx|dr|prof|rev|hon|st|sr|jr|gen|col|capt|lt|sgt|maj|cmdr|adm|gov|sen|rep|pres|messrs|mt|ft|ed|eds"
    r"|vs|cf|viz|approx|ca|e\.g|i\.e|ph\.d|[a-hj-z])",
    re.IGNORECASE,
)
"""Words whose full stop is not the end of a sentence; of single letters the capital ones."""
_GOES_ON_SMALL = re.compile(
    r"(?:etc|al|inc|ltd|co|corp|dept|est|min|max|avg|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tue|wed|thu|fri"
    r"|sat|sun|[a-z](?:\.[a-z])+)",
    re.IGNORECASE,
)
"""Words whose full stop is not the end of a sentence where a small letter follows."""
_BEFORE_NUMBER = re.compile(r"(?:no|nos|vol|vols|ch|sec|pp?|figs?|eqs?)", re.IGNORECASE)
_LAST_TOKEN = re.compile(r"[^\s(\[\"'\u2018\u201c]+\Z")
_NUMBER = r"[ \t>#*_-]*\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})"
_NUMBERING, _ALONE = re.compile(rf"(?:\A|\n){_NUMBER}\Z"), re.compile(rf"\s*{_NUMBER}")
_NEW_BLOCK = re.compile(r"[^\S\n]*\n(?:[^\S\n]*\n|\s*(?:[-*+#>\u2022]+\s|\d+[.)]))")
_TOKEN_CHARS = 40
"""No more is read before a full stop: without a bound a text without spaces would be read over and over."""


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with its end mark; a piece without a word is none.

    >>> sentences('Dr. Who ran. "Stop!" he said. 1.5 km...')
    ['Dr. Who ran.', '"Stop!" he said.', '1.5 km...']
    """
    found, start = [], 0
    for match in _END.finditer(text):
        if _ends_here(text, start, match):
            found.append(text[start : match.end()].strip())
            start = match.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if WORD.search(sentence)]


def _ends_here(text: str, start: int, match: re.Match[str]) -> bool:
    rest = text[match.end() : match.end() + _TOKEN_CHARS].lstrip()
    follows = next((sign for sign in rest if sign not in "\"'\u2018\u201c\u00ab([*_"), "")
    if match[0][0] != ".":
        return not (match[0][-1] in "\"\u201d\u00bb" and follows.islower())
    if not follows or _NEW_BLOCK.match(text, match.end()):
        return True
    if match[0].startswith(".."):
        return not follows.islower()
    # Where the sentence began long ago, a number alone in it is no longer in question.
    before = text[max(start, match.start() - _TOKEN_CHARS) : match.start()]
    if _NUMBERING.search(before) or _ALONE.fullmatch(before):
        return False
    return not _goes_on(before, follows)


def _goes_on(before: str, follows: str) -> bool:
    """Whether the full stop belongs to the word before it, and the sentence goes on."""
    token = _LAST_TOKEN.search(before)
    word = token[0].lstrip("*_") if token else ""
    if _BEFORE_NUMBER.fullmatch(word):
        return follows.isdigit()
    if _GOES_ON_SMALL.fullmatch(word):
        return follows.islower() or bool(_FOLLOWED.fullmatch(word))
    return bool(_FOLLOWED.fullmatch(word)) and (len(word) > 1 or word.isupper())

"""What two texts differ in, and what one has of another, as marked words."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

from luthier.reports.page import Marked

MOST_CHARACTERS = 4_000
"""Longer texts are compared up to here: the search for what is alike takes the product of their lengths."""
_PIECE = re.compile(r"\w+|[^\w\s]|\s+")


class Pair(NamedTuple):
    """Two texts side by side."""

    left: Marked
    right: Marked


def differing(left: str, right: str) -> Pair:
    """Both texts, with the words and signs marked that the other does not have in their place.

    >>> differing("Open at nine.", "Open at ten.").left.pieces
    (('Open at ', False), ('nine', True), ('.', False))
    """
    ours, theirs = _PIECE.findall(left[:MOST_CHARACTERS]), _PIECE.findall(right[:MOST_CHARACTERS])
    alike = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    at_left = {block.a + k for block in alike for k in range(block.size)}
    at_right = {block.b + k for block in alike for k in range(block.size)}
    return Pair(_joined(ours, at_left, left), _joined(theirs, at_right, right))


def containing(text: str, part: str) -> Marked:
    """`text` with `part` marked where it stands, whatever blanks are between its words; unmarked where it does not.

    >>> containing("We ask: what is two and two?", "what is two").pieces
    (('We ask: ', False), ('what is two', True), (' and two?', False))
    """
    words = part.split()
    found = re.search(r"\s+".join(map(re.escape, words)), text) if words else None
    if found is None:
        return Marked(((text, False),))
    pieces = (text[: found.start()], False), (found[0], True), (text[found.end() :], False)
    return Marked(tuple(piece for piece in pieces if piece[0]))


def matching(text: str, pattern: re.Pattern[str]) -> Marked:
    """`text` with all that `pattern` finds marked.

    >>> matching("a1b22", re.compile(r"[0-9]+")).pieces
    (('a', False), ('1', True), ('b', False), ('22', True))
    """
    pieces, end = [], 0
    for found in pattern.finditer(text):
        pieces += [(text[end : found.start()], False), (found[0], True)]
        end = found.end()
    pieces.append((text[end:], False))
    return Marked(tuple(piece for piece in pieces if piece[0]))


def shortened(marked: Marked, *, context: int) -> Marked:
    """A marked text without the middle of long stretches that are not marked; so much of them stays on either side.

    >>> shortened(Marked((("a long way off ", False), ("x", True), (" and so on", False))), context=4).pieces
    (('... off ', False), ('x', True), (' and ...', False))
    """
    kept: list[tuple[str, bool]] = []
    last = len(marked.pieces) - 1
    for k, (text, mark) in enumerate(marked.pieces):
        is_first, is_last = k == 0, k == last
        if mark or len(text) <= (context if is_first or is_last else 2 * context) + len(" ... "):
            kept.append((text, mark))
        elif is_first and is_last:
            kept.append((f"{text[: 2 * context]} ...", False))
        elif is_first:
            kept.append((f"...{text[-context:]}" if text[-context].isspace() else f"... {text[-context:]}", False))
        elif is_last:
            kept.append((f"{text[:context]} ...", False))
        else:
            kept.append((f"{text[:context]} ... {text[-context:]}", False))
    return Marked(tuple(kept))


def _joined(pieces: list[str], alike: set[int], whole: str) -> Marked:
    """Neighbours of one kind together; blanks between two marked words are marked with them."""
    marks = [k not in alike and not piece.isspace() for k, piece in enumerate(pieces)]
    for k in range(1, len(pieces) - 1):
        marks[k] = marks[k] or (pieces[k].isspace() and marks[k - 1] and marks[k + 1])
    joined: list[tuple[str, bool]] = []
    for piece, mark in zip(pieces, marks, strict=True):
        if joined and joined[-1][1] == mark:
            joined[-1] = (joined[-1][0] + piece, mark)
        else:
            joined.append((piece, mark))
    rest = whole[MOST_CHARACTERS:]
    return Marked((*joined, (rest, False))) if rest else Marked(tuple(joined))

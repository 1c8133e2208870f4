"""The normal form: what remains of a text when differences that nobody sees are taken away.

Two texts with one normal form are the same text to a reader. The form keeps case (Polish and polish, US and us, names
in code), indentation (Python), tabs (the borders of cells) and all blanks between fences of code, because these change
what is meant. It loses Unicode spelling, characters without width, the kind of line end, blanks at the end of a line
and the number of blanks between two words, because copying through an editor, a spreadsheet or a browser changes these
by itself.
"""

from __future__ import annotations

import re
import unicodedata

# U+200B separates words in Thai, Lao, Burmese and Khmer, which write no spaces; there it is no junk. U+200C and U+200D
# shape Persian, Indic scripts and emoji, and the direction marks order right-to-left text: all of these stay.
INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u2060\ufeff]"
    "|(?<![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b"
)
"""Characters that show nothing and mean nothing: controls, soft hyphens, byte order marks, zero-width spaces."""

LINE_END = re.compile("\r\n?|[\u2028\u2029\x85]")
_CONTROLS = bytes(code for code in (*range(32), 127) if code not in b"\t\n")
_OTHER_BLANK = re.compile(r"[^\S\n\t ]")
_INNER_BLANKS = re.compile(r" (?<=\S ) +")
_FIRST_LINES = re.compile(r"\A(?:[ \t]*\n)+")
_LAST_BLANKS = re.compile(r"(?<! ) +\n")
_FENCE = "```"


def normal_form(text: str) -> str:
    """The normal form of a text; equal for two texts that a reader cannot tell apart.

    >>> normal_form("Caf\u0065\u0301  au lait \\r\\n")
    'Caf\u00e9 au lait'
    """
    if not is_plain(text):
        if not is_shown(text):
            text = _OTHER_BLANK.sub(" ", INVISIBLE.sub("", LINE_END.sub("\n", text)))
        text = unicodedata.normalize("NFC", text)
    if "  " in text:
        text = _with_single_blanks(text)
    if "\n" in text:
        if text[0] in " \t\n":
            text = _FIRST_LINES.sub("", text)
        if " \n" in text:
            text = _LAST_BLANKS.sub("\n", text)
        text = text.rstrip(" \t\n")
    # Blanks before the first of several lines are its indentation; a single line has none.
    return text.rstrip(" \t") if "\n" in text else text.strip(" \t")


def _with_single_blanks(text: str) -> str:
    """One blank for several between two words, but not in code: between two fences, or behind the last of an odd
    number."""
    if _FENCE not in text:
        return _INNER_BLANKS.sub(" ", text)
    parts = text.split(_FENCE)
    parts[::2] = [_INNER_BLANKS.sub(" ", part) for part in parts[::2]]
    return _FENCE.join(parts)


def is_plain(text: str) -> bool:
    """Whether a text is ASCII without control characters, tab and line feed apart. Most texts are; the test is fast."""
    return text.isascii() and len(text.encode("ascii").translate(None, _CONTROLS)) == len(text)


def is_shown(text: str) -> bool:
    """Whether a text has no blank but space, tab and line feed, and nothing that does not show; a fast test.

    Some texts without such characters fail it: those with a character that Python does not know.
    """
    return text.replace("\n", " ").replace("\t", " ").isprintable()

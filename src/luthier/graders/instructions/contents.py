"""Parts that an answer must hold: placeholders and a postscript."""

from __future__ import annotations

import re

from luthier.graders.instructions.findings import Finding, plain

_PLACEHOLDER = re.compile(r"\[([^\[\]\n]++)\](?!\((?:https?:|mailto:|www\.|[/#]))")


def number_placeholders(text: str, *, num_placeholders: int) -> Finding:
    """At least so many [placeholders] on one line each; neither [] nor a Markdown [link](https://...) is one."""
    count = sum(bool(inside.strip()) for inside in _PLACEHOLDER.findall(plain(text)))
    return Finding(count >= num_placeholders, f"{count} placeholders")


def postscript(text: str, *, postscript_marker: str) -> Finding:
    """A postscript that begins with the marker and says something.

    Case does not count, nor does white space within or a last full stop of the marker: "p. p. s." for "P.P.S". A
    P.P.S. is not a P.S.
    """
    letters = "".join(postscript_marker.split()).rstrip(".")
    if not letters:
        return Finding(True, "no marker is asked for")
    spaced = r"\s?".join(map(re.escape, letters))
    last = r"\s?\." if postscript_marker.rstrip().endswith(".") else r"(?!\w)"
    first = re.escape(letters[0])
    pattern = rf"(?<!\w)(?<!\b{first}\.)(?<!\b{first}\.\s){spaced}{last}\W*\w"
    follows = re.search(pattern, plain(text), re.IGNORECASE) is not None
    return Finding(follows, "a postscript" if follows else "no postscript")

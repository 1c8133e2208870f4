"""Blocks between fences of Markdown, as answers set off code and data."""

from __future__ import annotations

import re
from typing import NamedTuple

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\n`]*)\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """What stands between two fences."""

    language: str
    """The first word after the opening fence, in small letters; empty where there is none."""
    text: str
    """Each line with its end."""


def fenced_blocks(text: str) -> list[Block]:
    """The fenced blocks in their order; a fence that is not closed goes to the end of the text.

    >>> fenced_blocks("So:\\n```JSON\\n[1]\\n```")
    [Block(language='json', text='[1]\\n')]
    """
    found = []
    for match in _FENCE.finditer(text):
        language = match[2].lower().split()[:1]
        body = match[3] if match[3].endswith("\n") or not match[3] else match[3] + "\n"
        found.append(Block(language[0] if language else "", body))
    return found

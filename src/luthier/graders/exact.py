"""The answer is one of the accepted ones, word for word."""

from __future__ import annotations

import unicodedata

from luthier.records import Completion, Example, Grade


def exact(example: Example, completion: Completion) -> Grade:
    """1 when the answer equals an accepted one in normal form, else 0; None when the item accepts none."""
    value = None
    reason = "the item has no accepted answer"
    if example.targets:
        is_right = normal(completion.text) in {normal(target) for target in example.targets}
        value, reason = float(is_right), "" if is_right else "differs from every accepted answer"
    return Grade(
        completion_id=completion.id, example_id=example.id, grader="exact", value=value, reason=reason
    )  # fmt: skip


def normal(text: str) -> str:
    """The form that is compared: Unicode NFC, line ends as \\n, white space at both ends gone. Case counts."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()

"""The answer is in the language asked for: `grading.language`, else the item's, else that of its last question.

Languages are told offline by `luthier.languages`: no guess is made of a few words, of numbers or of code.
"""

from __future__ import annotations

import re

from luthier.languages import UNDETERMINED, identify
from luthier.records import Completion, Example, Grade


def language(example: Example, completion: Completion) -> Grade:
    """1 when the answer is in the language, 0 in another; None when either cannot be told.

    ValueError for a language that is no code such as "en" or "pt-BR", of which the first part counts.
    """
    wanted = _wanted(example)
    found = identify(completion.text).code
    if wanted == UNDETERMINED:
        value, reason = None, "the item names no language, and that of the question cannot be told"
    elif found == UNDETERMINED:
        value, reason = None, "the language of the answer cannot be told"
    else:
        value, reason = float(found == wanted), f"{found}, asked for {wanted}"
    return Grade(completion_id=completion.id, example_id=example.id, grader="language", value=value, reason=reason)


def _wanted(example: Example) -> str:
    given = example.grading.get("language", example.language)
    if given is None:
        questions = [message.content for message in example.prompt if message.role == "user"]
        return identify(questions[-1]).code if questions else UNDETERMINED
    match = re.fullmatch(r"([a-z]{2}|und)(?:[-_]\w+)*", str(given).strip().lower(), re.ASCII)
    if match is None:
        raise ValueError(f"language: found {given!r}, expected a code of ISO 639-1 such as en, de or pt-BR")
    return match[1]

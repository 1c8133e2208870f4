"""What form of answer a request asks for, where it says so in so many words.

Everything here prefers to find nothing: a form is only read where the wording leaves little doubt, because what is
found is held against the answer. Each search begins with a plain look for a word, which costs next to nothing.
"""

from __future__ import annotations

import re

BEGINNING, END = 400, 200
"""Characters of a long request that are searched for the form that it asks for; what is between is what it is about."""

_VERBS = r"answer|respond|reply|output|return|write|give|provide|produce|generate|format(?:ted)?|print|present|express"
_TELL = rf"(?:{_VERBS})"

_JSON = re.compile(
    rf"\b{_TELL}\b[^.\n]{{0,60}}\b(?:in|as|into|using|to|of|with)\s+(?:(?:a|an|the|one|single|valid|raw|pure|strict)\s+)*"
    r"json\b(?!\s+(?:file|schema|parser|librar|api|path|lines?\b))"
    r"|\b(?:valid|only|raw)\s+json\b|\b(?:wrap|use|using|in)\b[^.\n]{0,40}\bjson\s+(?:format|block|object)\b"
)
_ABOUT_CODE = re.compile(
    r"\b(?:code|script|function|program|class|method|python|java|javascript|sql|parse|difference|what is|how to)\b"
)
_AROUND, _BEFORE = 60, 15
_ONE_WORD = re.compile(
    rf"\b(?:{_VERBS}|describe|summari[sz]e|sum up|name|state|tell me|classify|label|characteri[sz]e)\b"
    r"[^.?!\n]{0,60}\b(?:in|with|using|as|is|be)?\s*(?:only\s+|just\s+|exactly\s+)?(?:one|a single)[ -]word\b"
    r"|(?:^|[.?!,\n]\s*)in (?:one|a single) word\b|\bone-word answer"
)
_ONE_WORD_ELSE = re.compile(
    r"word\s+(?:or|and|to|for|from|that|which|on each|per|in|at|of)\b|words\b|\beach\b|\beveryone\b", re.IGNORECASE
)
_YES_NO = re.compile(
    r"(?:^|[.!?:,\n]\s*|\b(?:please|only|should|must|just|to)\s)(?:answer|respond|reply|say|write|output|return)\b"
    r"[^.?!\n]{0,40}?[\"'\u201c]?\byes\b[\"'\u201d]?\s*(?:or|/)\s*[\"'\u201c]?no\b[\"'\u201d]?"
    r"(?!\s*(?:or|,|/|and)\b)|[?.,]\s*yes or no\s*[?.:]?\s*$",
)
_CASE = re.compile(
    r"\b(?:in|using|use|with)\s+(?:(?:all|only|english|and|in|the)[\s,]+)*"
    r"(?:(?P<upper>upper[ -]?case|capital letters|capitals|caps)|(?P<lower>lower[ -]?case))\b"
)
_OF_A_PART = re.compile(
    r"\b(?:words?|titles?|headings?|headers?|first|names?|sections?|begin|start|least|string|file"
    r"|variables?|columns?|styli[sz]ed|known|called)\b"
)
_NEGATION = re.compile(r"\bnot?\b(?! more)|n['\u2019]t\b|\bnever\b|\bavoid|\bwithout\b")
_NUMBERS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12,
    "fifteen": 15, "twenty": 20,
}  # fmt: skip
_COUNT_CUE = re.compile(rf"[\s(](?:\d{{1,2}}|{'|'.join(_NUMBERS)})\s+[a-zA-Z]")
_COUNT = re.compile(
    r"\b(?:list|name|give|provide|write|suggest|generate|create|come up with|tell|show|identify|mention|recommend|make)"
    r"\s+"
    r"(?:me\s+|us\s+|of\s+|a\s+list\s+of\s+|out\s+|down\s+)*(?:the\s+|exactly\s+|top\s+)*"
    rf"(?P<count>\d{{1,2}}|{'|'.join(_NUMBERS)})\s+(?P<what>[a-z][a-z-]*)(?P<rest>[^.?!\n]*)",
)
_BULLETS = re.compile(
    rf"\b(?:exactly|contain|contains|include|includes|with|in|into|of|use|write)\s+(?P<count>\d{{1,2}}|{'|'.join(_NUMBERS)})"
    r"\s+(?:[a-z]+\s+)?bullet(?:ed)?[ -]points?\b"
)
_NOT_ITEMS = re.compile(
    r"^(?:word|sentence|paragraph|line|letter|character|verse|stanza|page|minute|hour|day|week|month|year|time|digit|"
    r"syllable|percent|people|person|or|to|and|more|star|dollar|point|different|response|version|variation|draft|poem|"
    r"limerick|song|story|storie|joke|dialogue|conversation|example)s?\b|^(?:-|of)\b",
)
_MORE_THAN_ONE_LIST = re.compile(r"\b(?:each|every|both|per|respectively|at least|or more|minimum|up to|and)\b")
_OPTIONS_HEAD = re.compile(
    r"^[ \t]*(?:options?|choices|answer choices|possible answers)\s*:[ \t]*$", re.IGNORECASE | re.MULTILINE
)
_OPTION_LINE = re.compile(r"(?:[-*\u2022]|\(?[A-Za-z0-9]{1,2}[).:])[ \t]+(\S.*)")
"""Of a line without blanks at its ends: looking for these here would take a time that grows with their square."""


def instruction_of(request: str) -> str:
    """The parts of a long request where people say what they want, its beginning and its end, in lower case.

    The functions below take this.
    """
    if len(request) <= BEGINNING + END:
        return request.lower()
    return f"{request[:BEGINNING]}\n{request[-END:]}".lower()


def wants_json(instruction: str) -> bool:
    """Whether the answer is to be JSON."""
    if "json" not in instruction:
        return False
    found = _JSON.search(instruction)
    if found is None:
        return False
    around = instruction[max(0, found.start() - _AROUND) : found.end() + _AROUND]
    is_refused = _NEGATION.search(instruction, max(0, found.start() - _BEFORE), found.end())
    return not is_refused and not _ABOUT_CODE.search(around)


def wants_one_word(instruction: str) -> bool:
    """Whether the answer is to be one word."""
    if "one word" not in instruction and "one-word" not in instruction and "single word" not in instruction:
        return False
    found = _ONE_WORD.search(instruction)
    if found is None:
        return False
    return not _ONE_WORD_ELSE.search(instruction, max(0, found.start() - _BEFORE), found.end() + _BEFORE)


def wants_yes_or_no(instruction: str) -> bool:
    """Whether the answer is to say yes or no, and nothing else is offered."""
    if "yes" not in instruction:
        return False
    found = _YES_NO.search(instruction)
    return found is not None and not _NEGATION.search(instruction, max(0, found.start() - _BEFORE), found.start())


def wanted_case(instruction: str) -> str | None:
    """ "upper" or "lower" where the whole answer is to be written so."""
    if not ("upper" in instruction or "lower" in instruction or "capital" in instruction or " caps" in instruction):
        return None
    found = _CASE.search(instruction)
    if found is None:
        return None
    # What is said before it in the same sentence: "at least three words in capital letters".
    sentence = re.split(r"[.!?\n(]", instruction[: found.start()])[-1]
    if _OF_A_PART.search(sentence) or _NEGATION.search(sentence):
        return None
    return "upper" if found["upper"] else "lower"


def wanted_count(instruction: str) -> int | None:
    """Of how many items a list is to be; None where nothing says so, or several numbers may be meant."""
    if _COUNT_CUE.search(instruction) is None:
        return None
    found = list(_BULLETS.finditer(instruction)) or list(_COUNT.finditer(instruction))
    if len(found) != 1:
        return None
    if found[0].re is _COUNT and (_NOT_ITEMS.match(found[0]["what"]) or _MORE_THAN_ONE_LIST.search(found[0]["rest"])):
        return None
    count = found[0]["count"]
    return _NUMBERS[count] if count in _NUMBERS else int(count)


def listed_options(request: str) -> tuple[str, ...]:
    """What may be answered, where the request lists it under a heading: "OPTIONS:" and a line for each.

    >>> listed_options("Is it good?\\nOPTIONS:\\n- yes\\n- no\\n\\nThink first.")
    ('yes', 'no')
    """
    if ":" not in request:
        return ()
    head = _OPTIONS_HEAD.search(request)
    if head is None:
        return ()
    options: list[str] = []
    for line in request[head.end() :].lstrip("\n").split("\n"):
        found = _OPTION_LINE.fullmatch(line.strip(" \t"))
        if found is None:
            break
        options.append(found[1])
    return tuple(options) if len(options) > 1 else ()


def without_options(request: str) -> str:
    """The request without the list of options and its heading."""
    head = _OPTIONS_HEAD.search(request) if ":" in request else None
    if head is None:
        return request
    rest = request[head.end() :].lstrip("\n").split("\n")
    count = 0
    while count < len(rest) and _OPTION_LINE.fullmatch(rest[count].strip(" \t")):
        count += 1
    return request[: head.start()] + "\n".join(rest[count:]) if count > 1 else request

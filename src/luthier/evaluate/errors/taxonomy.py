"""In what way an answer failed, decided by rules; the first that holds names the failure.

    empty              nothing was written
    refused            it begins as assistants refuse, and no accepted answer does
    repeated           it ends in one piece of text over and over, or one line stands in it three times
    did not stop       an accepted answer, and then more; or cut at the length limit after three times as many words as
                       the longest accepted answer has
    truncated          cut at the length limit
    wrong language     its language is known, and differs from that of the accepted answers, which is known too
    wrong form         not among the options, or several of them; no number where one is asked for; not JSON; not in
                       the capitals, quotes, brackets or bullets of the accepted answers; their words in another form;
                       a constraint of form broken
    another request    the accepted answer of another item or training row: one of the same row in another task or
                       template, or one whose request shares most of its rare words
    wrong content      everything else

The rules see text, not meaning: a right answer that a strict grader failed counts as wrong content or wrong form.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from luthier.evaluate.errors.slices import request_of, words
from luthier.graders.auto import grader_for
from luthier.graders.choice import options_named
from luthier.graders.numeric import last_number
from luthier.languages import UNDETERMINED, Guess, identify
from luthier.records import Completion, Example
from luthier.refusals import begins_with_refusal
from luthier.tasks.task import SOURCE_LINK

KINDS = ("empty", "refused", "repeated", "did not stop", "truncated", "wrong language", "wrong form",
         "another request", "wrong content")  # fmt: skip
"""All kinds of failure, in the order of the rules."""
FORM_CONSTRAINTS = frozenset({"upper", "lines", "sentences", "starts", "ends", "min_words", "max_words"})
"""Constraints of a grading table that are about form; the others are about content."""
SURE_LANGUAGE = 0.7
FEWEST_LETTERS = 12
MOST_REPEATED_WORDS = 12
TIMES_REPEATED = 3
TIMES_LONGER = 3
SHARED_WORDS = 0.6
MOST_ALIKE = 50
"""An answer that more than this many others have tells of no particular request."""

_WRAPPERS = {'"': '"', "'": "'", "(": ")", "[": "]", "{": "}", "\u201c": "\u201d", "\u00ab": "\u00bb"}
_BULLET = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s")


@dataclass(frozen=True, slots=True)
class Failure:
    """What kind of failure, and what was seen."""

    kind: str
    detail: str


@dataclass(slots=True)
class OtherRequests:
    """Accepted answers of other items and of training rows, to know an answer to another request by."""

    by_answer: Mapping[str, Sequence[Example]] = field(repr=False)
    in_requests: Counter[str] = field(repr=False)
    num_requests: int

    @classmethod
    def of(cls, examples: Sequence[Example]) -> OtherRequests:
        """All of these, each once."""
        by_answer: dict[str, list[Example]] = defaultdict(list)
        in_requests: Counter[str] = Counter()
        unique = list({example.id: example for example in examples}.values())
        for example in unique:
            in_requests.update(set(_folded_words(request_of(example))))
            for target in dict.fromkeys(_folded(target) for target in example.targets):
                by_answer[target].append(example)
        return cls(by_answer, in_requests, len(unique))

    def answered(self, item: Example, text: str) -> Example | None:
        """Another example that the text answers, of the same row or about the same rare words; else None."""
        found = self.by_answer.get(_folded(text), ())
        links = {link for link in item.links if not link.startswith(SOURCE_LINK)}
        for other in found:
            if other.id != item.id and links & set(other.links) and _asks_otherwise(item, other):
                return other
        if len(found) > MOST_ALIKE:
            return None
        rare = self._rare(item)
        for other in found:
            if other.id == item.id or not _asks_otherwise(item, other):
                continue
            others = self._rare(other)
            shared = sum(self._weight(word) for word in rare & others)
            if shared and shared >= SHARED_WORDS * max(sum(map(self._weight, rare)), sum(map(self._weight, others))):
                return other
        return None

    def _rare(self, example: Example) -> set[str]:
        """The words of a request that at most one request in twenty has: what it is about, not how it is asked."""
        most = max(2, self.num_requests // 20)
        return {word for word in _folded_words(request_of(example)) if self.in_requests[word] <= most}

    def _weight(self, word: str) -> float:
        return 1.0 / math.sqrt(1 + self.in_requests[word])


def failure_of(item: Example, completion: Completion, *, others: OtherRequests, reason: str = "") -> Failure:
    """The kind of a failed answer; `reason` is the grade's, which names broken constraints."""
    text = completion.text.strip()
    if not text:
        return Failure("empty", "nothing was written")
    if begins_with_refusal(text) and not any(begins_with_refusal(target) for target in item.targets):
        return Failure("refused", f"begins {text[:40]!r}")
    unit = repeated_unit(text)
    if unit and not any(repeated_unit(target) for target in item.targets):
        return Failure("repeated", f"{unit[:40]!r} over and over")
    return (
        _too_long(item, completion, text)
        or _language(item, text)
        or _form(item, text, reason)
        or _another(item, text, others)
        or Failure("wrong content", "none of the accepted answers")
    )


def repeated_unit(text: str) -> str:
    """What a text repeats at its end, at least three times on end, or the line that stands in it three times; else "".

    >>> repeated_unit("a dog and a cat and a cat and a cat and a")
    'and a cat'
    """
    lines = Counter(line for line in map(str.strip, text.splitlines()) if len(line) > 3)
    line, times = max(lines.items(), key=lambda found: found[1], default=("", 0))
    if times >= TIMES_REPEATED:
        return line
    parts = text.split()
    for size in range(1, min(MOST_REPEATED_WORDS, len(parts) // TIMES_REPEATED) + 1):
        start = len(parts) - size  # words from here on are those of one unit before
        while start > 0 and parts[start - 1] == parts[start - 1 + size]:
            start -= 1
        times = TIMES_REPEATED if size > 1 else TIMES_REPEATED + 1
        if len(parts) - start >= times * size:
            return " ".join(parts[start : start + size])
    return ""


def form_of(text: str) -> dict[str, str]:
    """What a text looks like: its case, what it is wrapped in, digits, JSON, bullets, its end, its number of lines."""
    stripped = text.strip()
    letters = [sign for sign in stripped if sign.isalpha()]
    case = "none"
    if letters:
        upper = sum(sign.isupper() for sign in letters)
        case = "capitals" if upper == len(letters) and len(letters) > 1 else "small" if upper == 0 else "mixed"
    closing = _WRAPPERS.get(stripped[:1])
    is_wrapped = len(stripped) > 1 and closing is not None and stripped.endswith(closing)
    lines = [line for line in stripped.splitlines() if line.strip()]
    return {
        "case": case,
        "wrapped in": stripped[0] if is_wrapped else "nothing",
        "number": "digits alone" if re.fullmatch(r"[-+]?[\d.,/]*\d", stripped) else "no",
        "json": "yes" if _is_json(stripped) else "no",
        "bullets": "yes" if lines and all(_BULLET.match(line) for line in lines) else "no",
        "commas": "yes" if "," in stripped else "no",
        "ends with": stripped[-1:] if stripped[-1:] in (".", "!", "?", ":") else "no mark",
        "lines": "one" if len(lines) <= 1 else "several",
    }


def _too_long(item: Example, completion: Completion, text: str) -> Failure | None:
    said = _folded_words(text)
    is_cut = completion.finish_reason == "length"
    longest = max((len(words(target)) for target in item.targets), default=0)
    for target in item.targets:
        wanted = _folded_words(target)
        # Of a single word this is no sign, unless there is no end: "the" may begin anything.
        least = len(wanted) + (1 if is_cut or len(wanted) > 1 else TIMES_LONGER)
        if wanted and len(said) >= least and said[: len(wanted)] == wanted and not item.choices:
            return Failure("did not stop", f"{len(said) - len(wanted)} words after an accepted answer")
    if is_cut and longest and len(said) > TIMES_LONGER * longest:
        return Failure("did not stop", f"cut after {len(said)} words, {longest} were wanted")
    return Failure("truncated", f"cut after {len(said)} words") if is_cut else None


def _language(item: Example, text: str) -> Failure | None:
    if item.choices or sum(sign.isalpha() for sign in text) < FEWEST_LETTERS:
        return None
    wanted = identify(" ".join(item.targets)) if item.targets else Guess(item.language or UNDETERMINED, 1.0)
    if wanted.code == UNDETERMINED or wanted.confidence < SURE_LANGUAGE:
        return None
    said = identify(text)
    if said.code in (UNDETERMINED, wanted.code) or said.confidence < SURE_LANGUAGE:
        return None
    return Failure("wrong language", f"{said.code} in place of {wanted.code}")


def _form(item: Example, text: str, reason: str) -> Failure | None:
    if item.choices:
        named = len(options_named(text, item.choices))
        return Failure("wrong form", f"names {named or 'none'} of the options") if named != 1 else None
    broken = {name.strip() for name in reason.partition("breaks ")[2].split(",")} & FORM_CONSTRAINTS
    if broken:
        return Failure("wrong form", f"breaks {', '.join(sorted(broken))}")
    if not item.targets:
        return None
    wants_number = grader_for(item) == "numeric" or all(form_of(t)["number"] != "no" for t in item.targets)
    if wants_number and last_number(text) is None:
        return Failure("wrong form", "no number")
    wanted, said = [form_of(target) for target in item.targets], form_of(text)
    for name, is_telling in (("json", "yes"), ("bullets", "yes"), ("case", "capitals"), ("wrapped in", "")):
        asked = {form[name] for form in wanted}
        is_asked = len(asked) == 1 and (asked == {is_telling} if is_telling else asked != {"nothing"})
        if is_asked and said[name] not in asked:
            return Failure("wrong form", f"{name}: {said[name]} in place of {asked.pop()}")
    bare = " ".join(_folded_words(text))
    if bare and any(bare == " ".join(_folded_words(target)) for target in item.targets):
        return Failure("wrong form", "the words of an accepted answer in another form")
    return None


def _another(item: Example, text: str, others: OtherRequests) -> Failure | None:
    if item.choices:
        return None
    found = others.answered(item, text)
    if found is None:
        return None
    name = found.template or found.task or "another item"
    return Failure("another request", f"the answer to {name}: {request_of(found)[:80]!r}")


def _asks_otherwise(item: Example, other: Example) -> bool:
    """Whether the other's accepted answers leave out one of the item's: else both ask for the same."""
    return not {_folded(target) for target in item.targets} & {_folded(target) for target in other.targets}


def _folded(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text).casefold()).strip().rstrip(".")


def _folded_words(text: str) -> list[str]:
    return words(unicodedata.normalize("NFC", text).casefold())


def _is_json(text: str) -> bool:
    if text[:1] not in "{[":
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True

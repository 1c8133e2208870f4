"""The instructions of an item, read and validated: known ids, each with all of its arguments and no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from luthier.graders.instructions import contents, formats, keywords, lengths, wholes, wording
from luthier.graders.instructions.findings import Finding

RELATIONS = ("at least", "less than")


class Argument(NamedTuple):
    """What an argument may be."""

    expected: str
    fits: Callable[[Any], bool]


class Kind(NamedTuple):
    """One kind of instruction: how an answer is checked, and the arguments that the check needs."""

    check: Callable[..., Finding]
    """Of the answer's text and, by keyword, the arguments."""
    arguments: Mapping[str, Argument]


class Asked(NamedTuple):
    """One instruction of an item."""

    id: str
    arguments: Mapping[str, Any]

    def finding(self, text: str) -> Finding:
        """What the check says of an answer. An answer without a sign in it follows nothing."""
        if not text.strip():
            return Finding(False, "an empty answer")
        return KINDS[self.id].check(text, **self.arguments)


class BadInstruction(ValueError):
    """An instruction that cannot be checked; its text names the place, what was found and what was expected."""

    def __init__(self, field: str, *, found: str, expected: str) -> None:
        """`field` is the place within what was read: "instructions[0].num_words"."""
        super().__init__(f"{field}: found {found}, expected {expected}")
        self.field, self.found, self.expected = field, found, expected


def read_instructions(value: Any, *, field: str = "instructions") -> tuple[Asked, ...]:
    """The instructions of a list of {"id": ..., further keys: arguments}. BadInstruction names what is not right.

    An argument that is null counts as absent, 0 and "" do not. Of an id the language prefix "en:" is left out.

    >>> read_instructions([{"id": "length_constraints:number_words", "relation": "less than", "num_words": 0}])[0].id
    'length_constraints:number_words'
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise BadInstruction(field, found=_shown(value), expected='a list of {"id": ...}')
    return tuple(_asked(each, f"{field}[{index}]") for index, each in enumerate(value))


def _asked(value: Any, field: str) -> Asked:
    if not isinstance(value, Mapping) or "id" not in value:
        raise BadInstruction(field, found=_shown(value), expected='an object with an "id"')
    name = value["id"].removeprefix("en:") if isinstance(value["id"], str) else value["id"]
    if not isinstance(name, str) or name not in KINDS:
        raise BadInstruction(f"{field}.id", found=_shown(value["id"]), expected=_nearest(str(name)))
    arguments = {key: each for key, each in value.items() if key != "id" and each is not None}
    known = KINDS[name].arguments
    for key in arguments:
        if key not in known:
            raise BadInstruction(f"{field}.{key}", found="an argument that is not known",
                                 expected=f"for {name} {', '.join(known) or 'no arguments'}")  # fmt: skip
    for key, argument in known.items():
        if key not in arguments:
            raise BadInstruction(f"{field}.{key}", found="nothing", expected=f"{argument.expected}, for {name}")
        if not argument.fits(arguments[key]):
            raise BadInstruction(f"{field}.{key}", found=_shown(arguments[key]), expected=argument.expected)
    # Tables with empty cells keep whole numbers as 3.0.
    return Asked(name, {key: int(each) if isinstance(each, float) else each for key, each in arguments.items()})


def _nearest(name: str) -> str:
    near = get_close_matches(name, KINDS, n=1)
    return near[0] if near else f"one of {', '.join(KINDS)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "..."


def _is_count(value: Any) -> bool:
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return is_whole and not isinstance(value, bool) and value >= 0


_COUNT = Argument("a whole number, 0 or more", _is_count)
_PLACE = Argument("a whole number, 1 or more", lambda value: _is_count(value) and value >= 1)
_RELATION = Argument(" or ".join(map(repr, RELATIONS)), lambda value: value in RELATIONS)
_TEXT = Argument("a text", lambda value: isinstance(value, str))
_TEXTS = Argument(
    "a list of texts", lambda value: isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
)
_SIGN = Argument("one letter or other sign", lambda value: isinstance(value, str) and len(value) == 1)
_WORD = Argument("a text that says something", lambda value: isinstance(value, str) and bool(value.strip()))
_LANGUAGE = Argument(
    'a language by its code of two letters, as "de"',
    lambda value: isinstance(value, str) and len(value.strip().partition("-")[0]) == 2 and value.strip()[:2].isalpha(),
)

KINDS: Mapping[str, Kind] = {
    "keywords:existence": Kind(keywords.existence, {"keywords": _TEXTS}),
    "keywords:frequency": Kind(keywords.frequency, {"keyword": _TEXT, "frequency": _COUNT, "relation": _RELATION}),
    "keywords:forbidden_words": Kind(keywords.forbidden_words, {"forbidden_words": _TEXTS}),
    "keywords:letter_frequency": Kind(
        keywords.letter_frequency, {"letter": _SIGN, "let_frequency": _COUNT, "let_relation": _RELATION}
    ),
    "language:response_language": Kind(wording.response_language, {"language": _LANGUAGE}),
    "length_constraints:number_sentences": Kind(
        lengths.number_sentences, {"num_sentences": _COUNT, "relation": _RELATION}
    ),
    "length_constraints:number_paragraphs": Kind(lengths.number_paragraphs, {"num_paragraphs": _COUNT}),
    "length_constraints:number_words": Kind(lengths.number_words, {"num_words": _COUNT, "relation": _RELATION}),
    "length_constraints:nth_paragraph_first_word": Kind(
        lengths.nth_paragraph_first_word, {"num_paragraphs": _COUNT, "nth_paragraph": _PLACE, "first_word": _TEXT}
    ),
    "detectable_content:number_placeholders": Kind(contents.number_placeholders, {"num_placeholders": _COUNT}),
    "detectable_content:postscript": Kind(contents.postscript, {"postscript_marker": _TEXT}),
    "detectable_format:number_bullet_lists": Kind(formats.number_bullet_lists, {"num_bullets": _COUNT}),
    "detectable_format:constrained_response": Kind(formats.constrained_response, {}),
    "detectable_format:number_highlighted_sections": Kind(
        formats.number_highlighted_sections, {"num_highlights": _COUNT}
    ),
    "detectable_format:multiple_sections": Kind(
        formats.multiple_sections, {"section_spliter": _WORD, "num_sections": _COUNT}
    ),
    "detectable_format:json_format": Kind(formats.json_format, {}),
    "detectable_format:title": Kind(formats.title, {}),
    "combination:two_responses": Kind(wholes.two_responses, {}),
    "combination:repeat_prompt": Kind(wholes.repeat_prompt, {"prompt_to_repeat": _TEXT}),
    "startend:end_checker": Kind(wholes.end_checker, {"end_phrase": _TEXT}),
    "startend:quotation": Kind(wholes.quotation, {}),
    "change_case:capital_word_frequency": Kind(
        wording.capital_word_frequency, {"capital_frequency": _COUNT, "capital_relation": _RELATION}
    ),
    "change_case:english_capital": Kind(wording.english_capital, {}),
    "change_case:english_lowercase": Kind(wording.english_lowercase, {}),
    "punctuation:no_comma": Kind(wording.no_comma, {}),
}  # fmt: skip
"""The kinds by id. Ids and names of arguments are those of IFEval, its "section_spliter" too."""

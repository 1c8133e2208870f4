"""Why two graders of IFEval's instructions differ on an answer: each cause with a plain test for it.

A cause is "theirs" where the request was followed, or broken, against what they say; "ours" where that is ours; and
"either" where the words of the request allow both readings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from luthier.graders.instructions.wording import main_language


class Cause(NamedTuple):
    """One reason to differ."""

    side: str
    why: str
    fits: Callable[[str, Mapping[str, Any]], bool]
    """Of an answer and the instruction's arguments."""


def _has(pattern: str, flags: int = re.MULTILINE) -> Callable[[str, Mapping[str, Any]], bool]:
    return lambda text, _: re.search(pattern, text, flags) is not None


def _always(text: str, arguments: Mapping[str, Any]) -> bool:
    return True


def _is_only_the_request(text: str, arguments: Mapping[str, Any]) -> bool:
    rest = text.strip().lower().removeprefix(arguments["prompt_to_repeat"].strip().lower())
    return re.search(r"\w", rest) is None


def _ends_within_a_word(text: str, arguments: Mapping[str, Any]) -> bool:
    end = re.escape(arguments["end_phrase"].strip())
    return re.search(rf'\w{end}[\s"]*\Z', text, re.IGNORECASE) is not None


def _repeats_a_number(text: str, arguments: Mapping[str, Any]) -> bool:
    numbers = re.findall(rf"(?<!\w){re.escape(arguments['section_spliter'])}\s?(\d+)", text)
    return len(numbers) > len(set(numbers))


def _is_within_a_word(text: str, arguments: Mapping[str, Any]) -> bool:
    return re.search(rf"\w{re.escape(arguments['section_spliter'])}\s?\d", text) is not None


def _asks_for_a_sign(text: str, arguments: Mapping[str, Any]) -> bool:
    return not "a" <= str(arguments["letter"]).lower() <= "z"


def _differs_in_case_only(text: str, arguments: Mapping[str, Any]) -> bool:
    parts = {part.strip().lower() for part in text.split("******") if part.strip()}
    return len(parts) == 1


def _holds_several_options(text: str, arguments: Mapping[str, Any]) -> bool:
    return sum(f"My answer is {word}." in text for word in ("yes", "no", "maybe")) > 1


def _language_cannot_be_told(text: str, arguments: Mapping[str, Any]) -> bool:
    return main_language(text) == "und"


CAUSES: Mapping[str, Sequence[Cause]] = {
    "keywords:letter_frequency": (
        Cause("theirs", "they ask for a random letter where a sign was asked for", _asks_for_a_sign),
    ),
    "language:response_language": (
        Cause("theirs", "they take a text without letters for any language", _language_cannot_be_told),
        Cause("either", "a part of the answer is in another language", _has(r"\*{6}|[A-Za-z]{3,}")),
    ),
    "change_case:english_capital": (
        Cause("theirs", "they take a text without letters for one in capitals", _language_cannot_be_told),
        Cause("theirs", "langdetect takes English in capitals for another language", _always),
    ),
    "change_case:english_lowercase": (
        Cause("theirs", "they take a text without letters for one in small letters", _language_cannot_be_told),
        Cause("theirs", "langdetect takes English of few words for another language", _always),
    ),
    "change_case:capital_word_frequency": (
        Cause("theirs", "they cut contractions in capitals (DON'T) into two words", _has(r"[A-Z]['\u2019][A-Z]")),
        Cause("either", "words that a sign joins are one or two", _has(r"[A-Z]\.[A-Za-z\[]|[A-Z][/*\]]|\b[A-Z]\.")),
    ),
    "combination:repeat_prompt": (
        Cause("theirs", "they ask for no answer after the request", _is_only_the_request),
    ),
    "combination:two_responses": (
        Cause("theirs", "they take seven asterisks for six", _has(r"\*{7}")),
        Cause("theirs", "they take answers that differ in case only for two", _differs_in_case_only),
    ),
    "detectable_content:number_placeholders": (
        Cause("theirs", "they count empty brackets", _has(r"\[\s*\]")),
        Cause("theirs", "they count Markdown links", _has(r"\]\(https?:")),
    ),
    "detectable_content:postscript": (
        Cause("theirs", "they take a P.P.S. for a P.S.", _has(r"p\.\s?p\.\s?s", re.IGNORECASE)),
        Cause("theirs", "they take the marker alone for a postscript", _has(r"s\.?\W*\Z", re.IGNORECASE)),
    ),
    "detectable_format:constrained_response": (
        Cause("theirs", "they accept several of the options at once", _holds_several_options),
    ),
    "detectable_format:json_format": (
        Cause("theirs", "they take NaN for JSON", _has(r"\bNaN\b")),
        Cause("theirs", "they take half a fence away", _has(r"\A\s*(?:```|\{|\[)")),
    ),
    "detectable_format:multiple_sections": (
        Cause("theirs", "they count a section's number each time that it is named", _repeats_a_number),
        Cause("theirs", "they find the word in a longer one (subsection)", _is_within_a_word),
    ),
    "detectable_format:number_bullet_lists": (
        Cause("theirs", "they count rules (---, * * *) and lines like -5 and *word*", _has(
            r"^\s*(?:---|\* \* \*|-\d|\*[^*\s]|-[^-\s])")),
        Cause("theirs", "they do not count the bullet +", _has(r"^\s*\+ ")),
        Cause("theirs", "they count a lone sign and the line after it as one bullet", _has(r"^\s*[-*][^\S\n]*$")),
    ),
    "detectable_format:number_highlighted_sections": (
        Cause("theirs", "they count ***this*** twice", _has(r"\*\*\*[^\s*]")),
        Cause("theirs", "they pair asterisks that mark nothing (bullets, 2 * 3 * 4)", _has(
            r"(?:^|\s)\*+\s|\w\*[^*\n]*\*\*|\w\* \*?\w+\*")),
        Cause("either", "a part within a part", _has(r"\*[^*\n]*\s\*+[^\s*][^*\n]*\*+[^*\n]*\*")),
    ),
    "length_constraints:nth_paragraph_first_word": (
        Cause("theirs", "they count empty paragraphs before the asked one, or see none behind three line ends",
              _has(r"\n\s*\n\s*\n|\n \n")),
        Cause("theirs", "they take signs for a part of the word, or half of a word for the word", _has(
            r"(?:\A|\n)\W*\w+['\u2019:)*]|(?:\A|\n)[(*<\[\u201c]")),
    ),
    "length_constraints:number_paragraphs": (
        Cause("theirs", "they take the asterisks of ***highlights*** or of ****** for dividers", _has(
            r"\S\*\*\*|\*\*\*\S|\*{4}")),
    ),
    "length_constraints:number_sentences": (
        Cause("theirs", 'they end a sentence within one ("Stop!" he said)', _has(r'[!?]["\u201d] [a-z]')),
        Cause("theirs", "they count signs without a word", _has(r"\A\W*\Z|[.!?]\W*\s[^\w\s]+\s*\Z")),
        Cause("either", "a short word with a full stop ends a sentence or shortens a word", _has(
            r"\b(?:\w|\w\.\w|[A-Z]\w{1,3}|etc|approx|No|Fig|eds?)\.\W")),
        Cause("either", "an ellipsis or a foot mark after the full stop", _has(r"\.\.|\u2026|[.!?]\[")),
    ),
    "punctuation:no_comma": (
        Cause("theirs", "they know the comma of Latin writing only", _has(r"[\uff0c\u060c\u3001]")),
    ),
    "startend:end_checker": (
        Cause("theirs", "they find the phrase's beginning within a word", _ends_within_a_word),
    ),
    "startend:quotation": (
        Cause("theirs", "they know straight quotation marks only", _has(r"[\u201c\u201d]")),
        Cause("theirs", "they take quotation marks around nothing for an answer in them", _has(r'"\s*"')),
    ),
}  # fmt: skip


def cause_of(name: str, forms: Sequence[str], arguments: Mapping[str, Any]) -> Cause | None:
    """The first cause that fits some form of the answer."""
    found = (cause for cause in CAUSES.get(name, ()) if any(cause.fits(form, arguments) for form in forms))
    return next(found, None)

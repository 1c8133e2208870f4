"""Telephone numbers, held to the numbering plans of the world by the phonenumbers library."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from luthier.privacy.found import WORD, Found, Run, words_nearby

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "BR", "MX", "IN", "AU", "CN", "JP")
"""Whose national forms are known, as ISO 3166 codes; the first that fits wins. "+49 ..." needs no region."""


def phones(text: str, runs: Iterable[Run], regions: Sequence[str] = REGIONS) -> Iterator[Found]:
    """Numbers that can be dialled: international ones, and national ones of the regions in the grouping of their plan.

    A national number without blanks needs a word such as "call" nearby, since any row of digits may be one.
    """
    matches = (_CANDIDATE.finditer(text, max(0, run.start - 2), run.end + _MORE) for run in runs)
    for match in chain.from_iterable(matches):
        pieces = [Piece(text, match.start(), end, number) for number, end in _shorter_and_shorter(match)]
        found = _international(pieces) if match["plus"] or match["zeros"] else _national(pieces, regions)
        if found:
            piece, value = found
            yield Found("phone", piece.start, piece.end, text[piece.start : piece.end], value)


def unknown_regions(regions: Iterable[str]) -> list[str]:
    """Those that have no numbering plan. The library is loaded only for other regions than the usual ones."""
    unusual = [region for region in regions if region not in REGIONS]
    if not unusual:
        return []
    import phonenumbers

    return [region for region in unusual if region not in phonenumbers.SUPPORTED_REGIONS]


class Piece(NamedTuple):
    """What may be a number: where it stands, and its digits with what groups them."""

    text: str
    start: int
    end: int
    number: str


def _shorter_and_shorter(match: re.Match[str]) -> Iterator[tuple[str, int]]:
    """The candidate, then without its last group and without its last two: "555-123-4567 1" may end a sentence."""
    yield match["number"], match.end()
    number = match["number"]
    for _ in range(2):
        cut = _LAST_GROUP.search(number)
        if cut is None:
            return
        number = number[: cut.start()]
        yield number, match.start("number") + len(number)


def _international(pieces: Sequence[Piece]) -> tuple[Piece, str] | None:
    """The longest piece that the plan of its country has; else the whole, if its length is possible there."""
    import phonenumbers

    numbers = [_parsed("+" + re.sub(r"[^0-9]", "", piece.number.replace("(0)", "")), None) for piece in pieces]
    for is_one in (phonenumbers.is_valid_number, phonenumbers.is_possible_number):
        for piece, number in zip(pieces, numbers, strict=True):
            if number is not None and is_one(number):
                return piece, _value(number)
    return None


def _national(pieces: Sequence[Piece], regions: Sequence[str]) -> tuple[Piece, str] | None:
    """A piece in the groups of some plan; else, where a word tells that a number is meant, in any spelling."""
    for piece in pieces:
        value = _in_usual_groups(piece, regions)
        if value:
            return piece, value
    for piece in pieces:
        if words_nearby(piece.text, piece.start, piece.end, _WORDS):
            value = _in_any_spelling(piece, regions)
            if value:
                return piece, value
    return None


def _in_usual_groups(piece: Piece, regions: Sequence[str]) -> str | None:
    import phonenumbers

    digits = re.sub(r"[^0-9]", "", piece.number)
    if len(digits) >= _LEAST_ALONE and _GROUPED.fullmatch(piece.number):
        groups = re.findall("[0-9]+", piece.number)
        for number in _valid_numbers(digits, regions):
            usual = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
            if groups == re.findall("[0-9]+", usual):
                return _value(number)
    # 555 and other made-up numbers are in no plan, yet they stand for somebody's number.
    return "+1" + digits.removeprefix("1") if _NORTH_AMERICAN.fullmatch(piece.number) else None


def _in_any_spelling(piece: Piece, regions: Sequence[str]) -> str | None:
    import phonenumbers

    digits = re.sub(r"[^0-9]", "", piece.number)
    for number in _valid_numbers(digits, regions):
        usual = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        # Countries that begin with 0 at home leave it out only in long numbers.
        if usual.lstrip("(")[0] != "0" or digits[0] == "0" or len(digits) >= _LEAST_WITHOUT_0:
            return _value(number)
    return digits if _LOCAL.fullmatch(piece.number) else None


def _valid_numbers(digits: str, regions: Sequence[str]) -> Iterator[PhoneNumber]:
    import phonenumbers

    for region in regions:
        number = _parsed(digits, region)
        if number is not None and phonenumbers.is_valid_number(number):
            yield number


def _parsed(digits: str, region: str | None) -> PhoneNumber | None:
    import phonenumbers

    try:
        return phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None


def _value(number: PhoneNumber) -> str:
    import phonenumbers

    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_CANDIDATE = re.compile(
    rf"(?:(?<![0-9=*^)])(?P<plus>\+)|(?<![{WORD}.,/@#$%=^*+-])(?P<zeros>00(?=[ .-]?[1-9]))?)"
    r"(?P<number>(?:\([0-9 -]{1,9}\)[ .\-/]{0,2})?[0-9](?:(?:[ .\-/]| ?[(/-] ?|\)[ .\-/]?)?[0-9]){4,14})"
    r"(?:\s?(?:ext\.?|x|extension)\s?[0-9]{1,5})?"
    rf"(?![{WORD}%@/=^*+]|[.,:-][0-9]|-[A-Za-z])"
)
_GROUPED = re.compile(
    r"(?:\([0-9]{1,5}\) ?|[0-9]{1,5}[ /-])[0-9]{2,8}(?:[ -][0-9]{2,8}){0,4}|[0-9]{1,5}(?:\.[0-9]{2,8}){1,5}"
)
_LAST_GROUP = re.compile(r"[^0-9]+[0-9]+\Z")
_LEAST_ALONE = 9
_LEAST_WITHOUT_0 = 10
_MORE = 18
"""Letters after a run of digits that are looked at: an extension, and what must not follow."""
_NORTH_AMERICAN = re.compile(r"(?:1[ .-])?(?:\([0-9]{3}\)[ -]?|[0-9]{3}[-.])[0-9]{3}[-.][0-9]{4}")
_LOCAL = re.compile(r"[2-9][0-9]{2}[-.][0-9]{4}")
_WORDS = re.compile(
    r"\b(?:phones?|telephone|tele?|call|calling|cell|cellphone|mobile|mob|fax|whatsapp|sms|text me|dial|hotline|"
    r"contact|reach (?:me|us|him|her)|handy|telefon\w*|rufnummer|anruf\w*|rufen|mobil|handynummer|t[eé]l[eé]phone|"
    r"t[eé]l|portable|appel\w*|tel[eé]fono|m[oó]vil|celular|ll[aá]m\w*|telefone|ligue|cellulare|chiam\w*|telefoon\w*|mobiel|"
    r"bel)\b|电话|手机|電話|携帯|전화",
    re.IGNORECASE,
)

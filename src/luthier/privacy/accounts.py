"""Bank accounts (IBAN) and payment cards: a structure, and a checksum that nine of ten other numbers fail."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from luthier.privacy.found import WORD, Found, Run, compact, words_nearby


def ibans(text: str) -> Iterator[Found]:
    """International bank account numbers: the length of their country and ISO 7064 mod 97 = 1, in groups or not."""
    pattern = _IBAN_IN_ANY_CASE if "iban" in text.lower() else _IBAN
    for match in pattern.finditer(text):
        if text[match.start() - 1 : match.start()].isalnum():
            continue
        length = _IBAN_LENGTHS.get(match[0][:2].upper())
        end = _end_of(text, match.start(), match.end(), length) if length else None
        if end is not None and _mod_97(value := compact(text[match.start() : end])) == 1:
            yield Found("iban", match.start(), end, text[match.start() : end], value)


def cards(text: str, runs: Iterable[Run]) -> Iterator[Found]:
    """Payment cards: range and lengths of an issuer, and Luhn's checksum; 13 or 19 bare digits need a word nearby."""
    matches = (_CARD.finditer(text, run.start, run.end + 4) for run in runs if run.num_digits >= 13)
    for match in chain.from_iterable(matches):
        value = compact(match[0])
        if not _ISSUERS.fullmatch(value) or not _luhn(value) or len(set(value)) == 1:
            continue
        is_plain = len(value) in (14, 15, 16) or value != match[0]
        if is_plain or words_nearby(text, match.start(), match.end(), _CARD_WORDS):
            yield Found("card", match.start(), match.end(), match[0], value)


def _end_of(text: str, start: int, limit: int, length: int) -> int | None:
    """Where `length` letters and digits end; None if there are fewer, or if the word goes on after them."""
    seen = 0
    for place in range(start, limit):
        seen += text[place].isalnum()
        if seen == length:
            return None if text[place + 1 : place + 2].isalnum() else place + 1
    return None


def _mod_97(iban: str) -> int:
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97


def _luhn(digits: str) -> bool:
    """Luhn's checksum: every second digit from the right counts double, digits of the double added up."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0


_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,44}")
_IBAN_IN_ANY_CASE = re.compile(_IBAN.pattern, re.IGNORECASE)
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28,
    "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
    "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20,
    "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
    "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
"""Letters and digits of an IBAN by country, from the IBAN registry (ISO 13616)."""

_CARD = re.compile(
    rf"(?<![{WORD}.,+-])"
    r"(?:[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5}|[0-9]{13,19})"
    rf"(?![{WORD}-]|[.,][0-9])"
)
_ISSUERS = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|(?:30[0-5]|3[689][0-9])[0-9]{11}"  # Diners Club
    r"|(?:6011|64[4-9][0-9]|65[0-9]{2})[0-9]{12}"  # Discover
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12}"  # JCB
    r"|62[0-9]{14}(?:[0-9]{3})?|220[0-4][0-9]{12}"  # UnionPay, Mir
    r"|(?:50(?:18|20|38)|5893|6304|6759|676[1-3])[0-9]{12}"  # Maestro
)
_CARD_WORDS = re.compile(
    r"\b(?:cards?|visa|mastercard|amex|maestro|credit|debit|kreditkarte|tarjeta|carte|cart\u00e3o|carta)\b",
    re.IGNORECASE,
)

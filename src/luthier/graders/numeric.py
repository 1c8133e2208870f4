"""The number that an answer comes to equals the target's.

Which number that is: the first after the last "####" (the form of GSM8K's targets); else the last within the last
\\boxed{}; else the last of the sentence that the last "answer is" or "answer:" begins, what stands in parentheses
aside; else the last of the text. Left out where there is another: dates and times ("5 on 2020-05-17" is 5). Never
read: what is denied ("not 5 but 6", "6 rather than 5"), exponents and indices (m^2, x_{1}).

A number is digits with an optional sign, decimals and exponent. Thousands may be set off in groups of three by commas
("1,234.5", in India "1,50,000"), apostrophes, underscores, narrow or hard spaces, LaTeX's {,} and \\, signs, by plain
spaces where they are plain to see ("1 000", "1 234 567"), and by dots before a decimal comma ("1.234,5") or twice
("1.234.567"); any other comma parts the numbers of a list. Fractions are numbers: 3/4, \\frac{3}{4}, 5 1/2; so are
powers and powers of ten: 2^10, 1.5 x 10^3. A currency or per-cent sign, or "million", is a unit and is not read: "50%"
is 50, never 0.5. Of 1/2/2020 the last part counts. A hyphen is a sign only where a number may begin: in "3-4" the last
number is 4. Comparison is exact (rational arithmetic): 0.5 equals 1/2 and 0.50, and 0.33 does not equal 1/3.
"""

from __future__ import annotations

import re
from fractions import Fraction

from luthier.records import Completion, Example, Grade

_MINUS = "-\u2212\u2013\ufe63\uff0d"
_NARROW = "\u00a0\u2009\u202f'\u2019_"
"""Signs that stand between thousands and between hardly anything else."""

NUMBER = re.compile(
    rf"""(?<![\w./^])(?<![\^_]\{{)                       # not in the middle of a word or number, no exponent, no index
    (?P<sign>(?:(?<![\w)])[{_MINUS}+])?)\\?[$\u20ac\u00a3\u00a5\u20b9]?   # a sign, unless it joins "3-4"
    (?P<digits>
      \d{{1,3}}(?:\.\d{{3}})+,\d+(?![.,]?\d)              # 1.234,5
      |\d{{1,3}}(?:\.\d{{3}}){{2,}}(?![.,]?\d)            # 1.234.567
      |\d{{1,3}}(?:[{_NARROW}]\d{{3}})+(?!\d)             # 1'234
      |\d{{1,3}}(?:(?:[ ]\d{{3}}){{2,}}|[ ]000)(?!\d)     # 1 234 567, 1 000
      |\d+(?:,\d+)*                                       # 1234, 1,234 or a list 1,2,34
      |(?=\.\d))
    (?P<decimals>\.\d+)?(?P<exponent>[eE][-+]?\d{{1,3}}(?!\w))?
    (?:[ \u00a0](?P<part>\d{{1,9}}/\d{{1,9}})(?![\d/]))?  # of 5 1/2
    (?P<over>(?:/\d+)*)                                   # 3/4, or a date
    (?:\s?(?:[x\u00d7*\u00b7]|\\times|\\cdot)\s?10\s?\^\s?\{{?(?P<tens>[{_MINUS}+]?\d{{1,9}})(?!\d)\}}?
      |\^\{{?(?P<power>[{_MINUS}]?\d{{1,9}})(?!\d)\}}?)?
    """,
    re.VERBOSE,
)

THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}")
MOST_DIGITS = 300
"""A longer run of digits is a model gone astray, and Python refuses to read very long ones."""

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DATE = re.compile(
    rf"(?<![\d/.-])(?:\d{{4}}-\d{{1,2}}-\d{{1,2}}|\d{{4}}/\d{{1,2}}/\d{{1,2}}|\d{{1,2}}/\d{{1,2}}/\d{{2,4}}"
    rf"|\d{{1,2}}\.\d{{1,2}}\.\d{{4}}|\d{{1,2}}:\d{{2}}(?::\d{{2}})?)(?![\d/])"
    rf"|\b{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}\b|\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH},? \d{{4}}\b"
)
_DENIED = re.compile(
    r"(?:\bnot|\bisn['\u2019]t|\baren['\u2019]t|\bwasn['\u2019]t|\brather than|\binstead of)\s+"
    r"(?:(?:the|be|equal to|just|really|actually|exactly|simply)\s+){0,3}\Z",
    re.IGNORECASE,
)
_DENIAL_CHARS = 60
_STATES = re.compile(r"\banswer\b[\s*_]*(?:is|are|was|would be|will be|equals|=|:)", re.IGNORECASE)
_SENTENCE = re.compile(r"[\s*_:]*(?:[^\n.!?]|[.!?](?!\s|\Z|[*_]))*+")
_PARENTHESES = re.compile(r"\([^()\n]*\)")
_BOXED = re.compile(r"\\boxed\s*\{")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{\s*([^{}]{1,40}?)\s*\}|(\d))\s*(?:\{\s*(\d{1,40})\s*\}|(\d))")
_VULGAR = {
    "\u00bd": "1/2", "\u2153": "1/3", "\u2154": "2/3", "\u00bc": "1/4", "\u00be": "3/4", "\u2155": "1/5",
    "\u2156": "2/5", "\u2157": "3/5", "\u2158": "4/5", "\u2159": "1/6", "\u215b": "1/8", "\u215c": "3/8",
    "\u215d": "5/8", "\u215e": "7/8",
}  # fmt: skip
_SUPERSCRIPT = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b", "0123456789-")
_RAISED = re.compile("(?<=([0-9]))?([\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207b]+)")


def numeric(example: Example, completion: Completion) -> Grade:
    """1 when the number of the answer equals that of an accepted one, else 0; None when the item has no number."""
    wanted = {number for target in example.targets if (number := last_number(target)) is not None}
    found = last_number(completion.text)
    if not wanted:
        value, reason = None, "no accepted answer holds a number"
    elif found is None:
        value, reason = 0.0, "no number in the answer"
    else:
        value, reason = float(found in wanted), f"read {found}"
    return Grade(completion_id=completion.id, example_id=example.id, grader="numeric", value=value, reason=reason)


def last_number(text: str) -> Fraction | None:
    """The number that a text comes to, or None.

    >>> last_number("The answer is not 5 but 6. I checked it twice, in 3 ways.")
    Fraction(6, 1)
    """
    text = _spelt_out(text)
    _, marker, tail = text.rpartition("####")
    said = _statement(text)
    parts = [tail] if marker else [_boxed(text), _PARENTHESES.sub(" ", said), said, text]
    for part in parts:
        candidates = [match for match in _candidates(part) if not _is_denied(match)]
        if candidates:
            return _number(candidates[0 if marker else -1])
    return None


def _spelt_out(text: str) -> str:
    """The text with LaTeX, raised digits and signs for fractions written as plain numbers."""
    if "\\" in text or "{" in text:
        text = text.replace("{,}", ",").replace("\\!", "").replace("\\,", "\u2009").replace("\\;", "\u2009")
        text = _LATEX_FRACTION.sub(lambda found: f" {found[1] or found[2]}/{found[3] or found[4]}", text)
        text = re.sub(rf"([{_MINUS}+]) (?=\d+/)", r"\1", text)
    if not text.isascii():
        for sign, fraction in _VULGAR.items():
            text = text.replace(sign, f" {fraction}")
        # Raised digits after a letter belong to its unit.
        text = _RAISED.sub(lambda found: "^" + found[2].translate(_SUPERSCRIPT) if found[1] else "", text)
    return text


def _boxed(text: str) -> str:
    """What stands in the last \\boxed{}."""
    starts = list(_BOXED.finditer(text))
    if not starts:
        return ""
    depth, start = 1, starts[-1].end()
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return text[start:place]
    return text[start:]


def _statement(text: str) -> str:
    """The rest of the sentence that the last "answer is" begins."""
    starts = list(_STATES.finditer(text))
    sentence = _SENTENCE.match(text, starts[-1].end()) if starts else None
    return sentence[0] if sentence else ""


def _candidates(text: str) -> list[re.Match[str]]:
    """The numbers of a text, in order; those within dates and times only where there is no other."""
    found = list(NUMBER.finditer(text))
    inside = {place for date in _DATE.finditer(text) for place in range(*date.span())}
    return [match for match in found if match.end() - 1 not in inside] or found


def _is_denied(match: re.Match[str]) -> bool:
    start = match.start()
    return _DENIED.search(match.string, max(0, start - _DENIAL_CHARS), start) is not None


def _number(match: re.Match[str]) -> Fraction | None:
    digits, sign = match["digits"], match["sign"]
    if "." in digits:
        digits = digits.replace(".", "").replace(",", ".")
    elif "," in digits and not THOUSANDS.fullmatch(digits):
        digits, sign = digits.rpartition(",")[2], ""
    *_, under = parts = match["over"].split("/")
    text = re.sub(rf"[, {_NARROW}]", "", digits) + (match["decimals"] or "") + (match["exponent"] or "")
    if max(len(text), len(under)) > MOST_DIGITS:
        return None
    if len(parts) > 2:
        return Fraction(under)
    if under and int(under) == 0:
        return None
    value = Fraction(text) / int(under or 1)
    if match["part"]:
        over, below = map(int, match["part"].split("/"))
        if below == 0:
            return None
        is_mixed = over < below and value.denominator == 1
        value, sign = (value + Fraction(over, below), sign) if is_mixed else (Fraction(over, below), "")
    raised = _raised(value, match)
    return -raised if raised is not None and sign and sign in _MINUS else raised


def _raised(value: Fraction, match: re.Match[str]) -> Fraction | None:
    """The value times its power of ten, or to its power; None where that has more digits than anyone means."""
    tens, power = (int(re.sub(f"[{_MINUS}]", "-", match[name])) if match[name] else None for name in ("tens", "power"))
    if tens is not None:
        return value * Fraction(10) ** tens if abs(tens) <= MOST_DIGITS else None
    if power is None:
        return value
    size = max(len(str(value.numerator)), len(str(value.denominator)))
    if size * abs(power) > MOST_DIGITS or (value == 0 and power < 0):
        return None
    return value**power

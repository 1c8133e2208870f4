"""The last number of the answer equals the target's.

A number is digits with an optional sign, decimals and exponent; thousands may be set off by commas in groups of three
("1,234.5"). A currency or per-cent sign is a unit and is not read: "50%" is 50, never 0.5. "3/4" is one number,
three quarters; of "1/2/2020" the last part counts. A hyphen is a sign only where a number may begin: in "3-4" the
last number is 4. Comparison is exact (rational arithmetic): 0.5 equals 1/2 and 0.50, and 0.33 does not equal 1/3.

Where "####" stands in a text, the number after the last one counts (the form of GSM8K's targets).
"""

from __future__ import annotations

import re
from fractions import Fraction

from luthier.records import Completion, Example, Grade

NUMBER = re.compile(
    r"""(?<![\w./])                                       # not in the middle of a word or number
    (?P<sign>(?:(?<![\w)])[-+\u2212])?)[$\u20ac\u00a3]?    # a sign, unless it joins "3-4"
    (?P<digits>\d+(?:,\d+)*|(?=\.\d))                   # 1234, 1,234 or a list 1,2,34
    (?P<decimals>\.\d+)?(?P<exponent>[eE][-+]?\d{1,3}(?!\w))?
    (?P<over>(?:/\d+)*)                                  # 3/4, or a date
    """,
    re.VERBOSE,
)

THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")
MOST_DIGITS = 300
"""A longer run of digits is a model gone astray, and Python refuses to read very long ones."""


def numeric(example: Example, completion: Completion) -> Grade:
    """1 when the answer's last number equals that of an accepted answer, else 0; None when the item has no number."""
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
    """The number that a text comes to, or None."""
    _, marker, tail = text.rpartition("####")
    matches = list(NUMBER.finditer(tail if marker else text))
    return _number(matches[-1]) if matches else None


def _number(match: re.Match[str]) -> Fraction | None:
    digits, sign = match["digits"], match["sign"]
    if "," in digits and not THOUSANDS.fullmatch(digits):
        digits, sign = digits.rpartition(",")[2], ""
    *_, under = parts = match["over"].split("/")
    text = digits.replace(",", "") + (match["decimals"] or "") + (match["exponent"] or "")
    if max(len(text), len(under)) > MOST_DIGITS:
        return None
    if len(parts) > 2:
        return Fraction(under)
    if under and int(under) == 0:
        return None
    value = Fraction(text) / int(under or 1)
    return -value if sign in ("-", "\u2212") else value

"""Made-up personal data of every kind in the spellings that people use, and texts to plant it in.

Nothing here is anybody's: digits and letters are drawn at random, and checksums are computed from their definitions, by
other code than the detectors'.
"""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import phonenumbers


class Plant(NamedTuple):
    """A text in which one piece of personal data stands."""

    text: str
    kind: str
    start: int
    end: int


def plant(kind: str, carrier: str, rng: Random) -> Plant:
    """A made-up piece of a kind, in a phrase that people put around it, between two sentences of the carrier."""
    before, piece, after = _MAKERS[kind](rng)
    places = [0, *(place + 2 for place in range(len(carrier)) if carrier.startswith(". ", place)), len(carrier)]
    place = rng.choice(places)
    head = carrier[:place] + (" " if place and not carrier[place - 1].isspace() else "") + before
    tail = after + (" " if carrier[place:] else "") + carrier[place:]
    return Plant(head + piece + tail, kind, len(head), len(head) + len(piece))


def _digits(rng: Random, count: int, *, first: str = "0123456789") -> str:
    return rng.choice(first) + "".join(rng.choices(string.digits, k=count - 1))


def _signs(rng: Random, count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Random signs with at least one digit and one letter, as any long random key has."""
    signs = rng.choices(alphabet, k=count)
    signs[rng.randrange(count // 2)] = rng.choice(string.digits)
    signs[count // 2 + rng.randrange(count // 2)] = rng.choice("abcdef")
    return "".join(signs)


def _email(rng: Random) -> tuple[str, str, str]:
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    local = rng.choice([f"{first}.{last}", f"{first[0]}{last}", f"{first}_{last}{rng.randrange(99)}", f"{last}-{first}",
                        f"{first}+{rng.choice(['news', 'shop'])}", f"{first}{rng.randrange(1950, 2010)}"])  # fmt: skip
    domain = rng.choice(
        ["example.com", "mail.example.org", "firm-of-mine.de", "uni.edu.cn", "post.co.uk", "a1.io", "m\u00fcller.de"]
    )
    piece = f"{local}@{domain}"
    piece = rng.choice([piece, piece, piece.capitalize(), piece.upper()])
    before, after = rng.choice([("Write to ", "."), ("E-mail: ", ""), ("<", ">"), ("mailto:", ","), ("(", ")"),
                                ("My address is ", "!"), ("邮箱", "。")])  # fmt: skip
    return before, piece, after


def _phone(rng: Random) -> tuple[str, str, str]:
    region = rng.choice(["US", "US", "GB", "DE", "FR", "ES", "IT", "NL", "BR", "IN", "AU", "JP", "SE", "MX", "PL"])
    forms = phonenumbers.PhoneNumberFormat
    number = _valid_number(region, rng)
    national = phonenumbers.format_number(number, forms.NATIONAL)
    international = phonenumbers.format_number(number, forms.INTERNATIONAL)
    worded = rng.choice(["Call me at ", "phone: ", "Tel. ", "My mobile number is ", "Fax ", "WhatsApp "])
    plain = rng.choice(["You find me under ", "Office ", "Ann, ", ""])
    ways = [(plain, international), (plain, phonenumbers.format_number(number, forms.E164)),
            (plain, international.replace(" ", "-")), (plain, international.replace(" ", ".")),
            (plain, "00" + international[1:]), (plain, international.replace(" ", " (0)", 1))]  # fmt: skip
    if region in ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "BR", "MX", "AU", "JP"):
        ways += [
            (plain, national),
            (worded, national.replace(" ", "")),
            (worded, national.replace(" ", "-")),
            (worded, national),
        ]
    if region == "US":
        digits = str(number.national_number)
        area, first, last = digits[:3], digits[3:6], digits[6:]
        ways += [(plain, f"{area}-{first}-{last}"), (plain, f"{area}.{first}.{last}"),
                 (plain, f"1-{area}-{first}-{last}"), (plain, f"{national} ext. {rng.randrange(10, 99)}")]  # fmt: skip
    before, piece = rng.choice(ways)
    return before, piece, rng.choice([".", ",", "", " please.", "!"])


def _valid_number(region: str, rng: Random) -> Any:
    kind = rng.choice([phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE])
    example = phonenumbers.example_number_for_type(region, kind)
    assert example is not None
    known = phonenumbers.national_significant_number(example)
    while True:
        kept = rng.randrange(2, 5)
        digits = known[:kept] + "".join(rng.choices(string.digits, k=len(known) - kept))
        number = phonenumbers.parse(f"+{example.country_code}{digits}")
        if phonenumbers.is_valid_number(number) and len(phonenumbers.national_significant_number(number)) == len(known):
            return number


def _ip(rng: Random) -> tuple[str, str, str]:
    if rng.random() < 0.3:
        head = rng.choice(["2001:db8", f"2a0{rng.randrange(10):x}:{rng.randrange(1, 65536):x}"])
        groups = [f"{rng.randrange(1, 65536):x}" for _ in range(6)]
        piece = rng.choice(
            [f"{head}::{groups[0]}", f"{head}:{':'.join(groups)}", f"{head}:{groups[0]}::{groups[1]}:{groups[2]}"]
        )
        piece = rng.choice([piece, piece.upper()])
    else:
        first = rng.choice([number for number in range(11, 224) if number not in (127, 169, 100)])
        piece = f"{first}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(2, 255)}"
    around = [("The request came from ", "."), ("ip=", ";"), ("IP address ", ", blocked"), ("ping ", ""), ("[", "]"),
              ("server ", "")]  # fmt: skip
    if ":" not in piece:
        around += [("host ", f":{rng.randrange(80, 9999)}"), ("http://", "/x")]
    before, after = rng.choice(around)
    return before, piece, after


def _iban(rng: Random) -> tuple[str, str, str]:
    country, structure = rng.choice(sorted(_IBAN_STRUCTURES.items()))
    account = "".join(rng.choice(string.digits if sign == "n" else string.ascii_uppercase) for sign in structure)
    number = int("".join(str(int(sign, 36)) for sign in account + country + "00"))
    compact = f"{country}{98 - number % 97:02d}{account}"
    grouped = " ".join(compact[i : i + 4] for i in range(0, len(compact), 4))
    ways = [(compact, ""), (grouped, ""), (grouped, "IBAN: "), (compact.lower(), "iban "), (compact, "account "),
            (grouped.replace(" ", "-"), "Konto "), (grouped, "Pay to ")]  # fmt: skip
    piece, before = rng.choice(ways)
    return before, piece, rng.choice([".", ", please", "", " by Friday", ")"])


def _card(rng: Random) -> tuple[str, str, str]:
    prefix = rng.choice(["4", "4", "51", "55", "2221", "2720", "34", "37", "6011", "65", "3530", "36", "62"])
    length = {"34": 15, "37": 15, "36": 14}.get(prefix, 16)
    digits = prefix + "".join(rng.choices(string.digits, k=length - len(prefix) - 1))
    digits += next(check for check in string.digits if _luhn_sum(digits + check) % 10 == 0)
    groups = (4, 6, 5) if length == 15 else (4, 6, 4) if length == 14 else (4, 4, 4, 4)
    parts, start = [], 0
    for size in groups:
        parts.append(digits[start : start + size])
        start += size
    piece = rng.choice([digits, " ".join(parts), "-".join(parts)])
    return (
        rng.choice(["My card is ", "Visa ", "card no. ", "charged to ", ""]),
        piece,
        rng.choice([".", ", valid until 12/29", "", " CVC 123"]),
    )


def _luhn_sum(digits: str) -> int:
    return sum(int(d) if i % 2 == 0 else (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[int(d)] for i, d in enumerate(reversed(digits)))


def _national_id(rng: Random) -> tuple[str, str, str]:
    before, piece = rng.choice([_ssn, _nino, _dni, _cpf, _aadhaar, _bsn, _german_tax, _nir, _pesel, _cn])(rng)
    return before, piece, rng.choice([".", ",", "", " (see file)"])


def _ssn(rng: Random) -> tuple[str, str]:
    area = rng.choice([number for number in range(1, 900) if number != 666])
    parts = f"{area:03d}", f"{rng.randrange(1, 100):02d}", f"{rng.randrange(1, 10_000):04d}"
    return rng.choice([("SSN: ", "-".join(parts)), ("born 1980, ", "-".join(parts)), ("SSN ", " ".join(parts)),
                       ("My social security number is ", "".join(parts))])  # fmt: skip


def _nino(rng: Random) -> tuple[str, str]:
    prefix = rng.choice(["AB", "CE", "JK", "PR", "WX", "YZ", "SN", "LA"])
    pairs = [f"{rng.randrange(100):02d}" for _ in range(3)]
    last = rng.choice("ABCD")
    return rng.choice(["NI number ", "National Insurance: ", ""]), rng.choice(
        [" ".join([prefix, *pairs, last]), "".join([prefix, *pairs, last])]
    )


def _dni(rng: Random) -> tuple[str, str]:
    letters = "TRWAGMYFPDXBNJZSQVHLCKE"
    if rng.random() < 0.3:
        first, digits = rng.randrange(3), _digits(rng, 7)
        return "NIE ", f"{'XYZ'[first]}{rng.choice(['', '-'])}{digits}{letters[int(str(first) + digits) % 23]}"
    digits = _digits(rng, 8)
    letter = letters[int(digits) % 23]
    return "DNI ", rng.choice(
        [f"{digits}{letter}", f"{digits}-{letter}", f"{digits[:2]}.{digits[2:5]}.{digits[5:]}-{letter}"]
    )


def _cpf(rng: Random) -> tuple[str, str]:
    digits = _digits(rng, 9)
    for length in (10, 11):
        rest = sum(int(d) * (length - i) for i, d in enumerate(digits)) * 10 % 11
        digits += str(rest % 10)
    return rng.choice([("", f"{digits[:3]}.{digits[3:6]}.{digits[6:9]}-{digits[9:]}"), ("CPF: ", digits)])


def _aadhaar(rng: Random) -> tuple[str, str]:
    digits = _digits(rng, 11, first="23456789")
    digits += next(check for check in string.digits if _verhoeff(digits + check) == 0)
    return rng.choice([("", f"{digits[:4]} {digits[4:8]} {digits[8:]}"), ("Aadhaar ", digits)])


def _verhoeff(digits: str) -> int:
    """Verhoeff's checksum from the group of the pentagon and the permutation (1 5 8 9 4 2 7 0)(3 6)."""

    def times(a: int, b: int) -> int:
        turned = (a + b) % 5 if a < 5 else (a - b) % 5
        return turned + 5 * ((a >= 5) != (b >= 5))

    check = 0
    for place, digit in enumerate(reversed(digits)):
        moved = int(digit)
        for _ in range(place % 8):
            moved = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[moved]
        check = times(check, moved)
    return check


def _bsn(rng: Random) -> tuple[str, str]:
    while True:
        digits = _digits(rng, 8, first="12")
        last = sum(int(d) * (9 - i) for i, d in enumerate(digits)) % 11
        if last < 10:
            return rng.choice(["BSN ", "burgerservicenummer: "]), digits + str(last)


def _german_tax(rng: Random) -> tuple[str, str]:
    order = rng.sample(string.digits, 9)
    order.insert(rng.randrange(1, 10), rng.choice(order))
    digits = "".join(order)
    if digits[0] == "0":
        digits = digits[::-1]
    if digits[0] == "0":
        return _german_tax(rng)
    product = 10
    for digit in digits:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    digits += str((11 - product) % 10)
    return rng.choice([("Steuer-ID ", f"{digits[:2]} {digits[2:5]} {digits[5:8]} {digits[8:]}"), ("IdNr. ", digits)])


def _nir(rng: Random) -> tuple[str, str]:
    digits = f"{rng.choice('12')}{rng.randrange(100):02d}{rng.randrange(1, 13):02d}"
    digits += f"{rng.randrange(1, 96):02d}{_digits(rng, 6)}"
    digits += f"{97 - int(digits) % 97:02d}"
    parts = [digits[0], digits[1:3], digits[3:5], digits[5:7], digits[7:10], digits[10:13], digits[13:]]
    return "", rng.choice([digits, " ".join(parts)])


def _pesel(rng: Random) -> tuple[str, str]:
    digits = f"{rng.randrange(50, 99)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}{_digits(rng, 4)}"
    check = sum(int(d) * w for d, w in zip(digits, (1, 3, 7, 9) * 3, strict=False))
    return "PESEL ", digits + str(-check % 10)


def _cn(rng: Random) -> tuple[str, str]:
    digits = f"1101{rng.choice(['01', '05', '08'])}{rng.randrange(1950, 2010)}"
    digits += f"{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}{_digits(rng, 3)}"
    rest = sum(int(d) * pow(2, 17 - i, 11) for i, d in enumerate(digits)) % 11
    return rng.choice(["\u8eab\u4efd\u8bc1", ""]), digits + "10X98765432"[rest]


def _secret(rng: Random) -> tuple[str, str, str]:
    letters, both = string.ascii_uppercase + string.digits, string.ascii_letters + string.digits
    word = (
        rng.choice(["Blue", "tiger", "S3cret", "Winter"]) + str(rng.randrange(10, 9999)) + rng.choice(["", "!", "#x"])
    )
    lines = "\n".join(_signs(rng, 64, both + "+/") for _ in range(6))
    slack = f"xoxb-{_digits(rng, 12)}-{_digits(rng, 12)}-{_signs(rng, 24)}"
    return rng.choice([
        ("key ", "AKIA" + "".join(rng.choices(letters, k=16)), ""), ("", "ghp_" + _signs(rng, 36), " works"),
        ("OPENAI_API_KEY=", "sk-" + _signs(rng, 48), ""), ("use ", "sk-proj-" + _signs(rng, 60, both + "_-"), ", ok"),
        ("slack ", slack, ""), ("", "AIza" + _signs(rng, 35, both + "_-"), "\n"),
        ("Authorization: Bearer ", _web_token(rng), ""), ("token ", _web_token(rng), "."),
        ("", f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----", "\n"),
        ("password: ", word, ""), ("my password is ", word, ", keep it"), ('{"password": "', word, '"}'),
        ("api_key = '", _signs(rng, 32), "'"), ("api-key: ", _signs(rng, 24), ""), ("DB_PASSWORD=", word, "\n"),
        ("client_secret: ", _signs(rng, 30), ""), ("Passwort: ", word, "."),
        ("AWS_SECRET_ACCESS_KEY=", _signs(rng, 40, both + "/+"), ""),
    ])  # fmt: skip


def _web_token(rng: Random) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, {"sub": _digits(rng, 10)})]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), _signs(rng, 43)])


def _login(rng: Random) -> tuple[str, str, str]:
    scheme = rng.choice(["https", "ftp", "postgresql", "mongodb+srv", "redis", "amqp"])
    password = _signs(rng, rng.randrange(6, 16), string.ascii_letters + "!%_-")
    piece = f"{rng.choice(_FIRST)}{rng.choice(['', '.x', '_1'])}:{password}"
    return (
        f"{scheme}://",
        piece,
        f"@{rng.choice(['db.example.com', 'localhost', 'db-2:5432'])}/{rng.choice(['', 'data'])}",
    )


_FIRST = ("ann", "bob", "carla", "dmitri", "elif", "fatima", "goran", "jose", "li", "wei", "noah", "olga")
_LAST = ("smith", "garcia", "muller", "rossi", "silva", "kowalski", "ivanov", "wang", "haddad", "okafor")
_IBAN_STRUCTURES = {
    "DE": "n" * 18, "GB": "aaaa" + "n" * 14, "FR": "n" * 23, "ES": "n" * 20, "IT": "a" + "n" * 22,
    "NL": "aaaa" + "n" * 10, "CH": "n" * 17, "PL": "n" * 24, "BE": "n" * 12, "SE": "n" * 20,
    "NO": "n" * 11, "TR": "n" * 22,
}  # fmt: skip
_MAKERS: dict[str, Callable[[Random], tuple[str, str, str]]] = {
    "secret": _secret, "login": _login, "email": _email, "iban": _iban, "card": _card, "national_id": _national_id,
    "ip": _ip, "phone": _phone,
}  # fmt: skip
PLANTED_KINDS = tuple(_MAKERS)

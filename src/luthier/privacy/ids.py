"""National numbers of persons: where the structure or a checksum is strong, alone; else with a word that names them.

Structures and checksums are those of python-stdnum. The patterns here say in which spelling a number is looked for.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from luthier.privacy.found import WORD, Found, Run, compact, words_nearby


class Id(NamedTuple):
    """One kind of number in one spelling."""

    name: str
    pattern: re.Pattern[str]
    module: str | None
    """Module of stdnum that checks it; None where the pattern is all there is to check."""
    words: re.Pattern[str] | None
    """One of these must stand nearby; None where the number speaks for itself."""


def national_ids(text: str, runs: Sequence[Run]) -> Iterator[Found]:
    """Numbers that a state gives to a person: social security, tax and identity numbers of 39 countries."""
    for run in runs:
        if run.num_digits >= _LEAST_DIGITS:
            for kind in _OF_DIGITS:
                yield from _matching(kind, text, run.start, run.end + 3)
    if _MIXED.search(text):
        for kind in _WITH_LETTERS:
            yield from _matching(kind, text, 0, len(text))


def _matching(kind: Id, text: str, start: int, end: int) -> Iterator[Found]:
    for match in kind.pattern.finditer(text, start, end):
        if kind.words and not words_nearby(text, match.start(), match.end(), kind.words):
            continue
        value = compact(match[0])
        if kind.module is None or _checker(kind.module).is_valid(match[0] if kind.module in _AS_WRITTEN else value):
            yield Found("national_id", match.start(), match.end(), match[0], value)


@cache
def _checker(module: str) -> Any:
    return importlib.import_module(f"stdnum.{module}")


def _id(name: str, pattern: str, module: str | None, words: str = "") -> Id:
    """The row of a table, with boundaries: no letter, digit or decimal sign goes on before or after the number."""
    whole = re.compile(rf"(?<![{WORD}.,/+-])(?:{pattern})(?![{WORD}/]|[.,-][0-9])")
    return Id(name, whole, module, re.compile(rf"\b(?:{words})\b", re.IGNORECASE) if words else None)


_LEAST_DIGITS = 9
LETTERED = (
    r"[0-9]{3}(?:[0-9]{3}[ -]?)?[A-Z](?![A-Za-z])|[0-9][ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[A-D](?![A-Za-z])"
    r"|\.[0-9]{3}[ -]?[A-Z](?![A-Za-z])|[0-9]{5}[-+A-Y][0-9A-Z]{4}| ?2[AB] ?[0-9]{3}"
    r"|[0-9][A-EHLMPR-Ta-ehlmpr-t][0-9L-NP-V]{2} ?[A-Za-z][0-9L-NP-V]{3}[A-Za-z]"
)
"""What follows the first of some digits in a number with letters, as a pattern."""
_MIXED = re.compile(f"[0-9](?:{LETTERED})")
_AS_WRITTEN = frozenset({"fi.hetu", "se.personnummer", "cz.rc"})
"""Their sign between the groups says in which century somebody was born."""

_OF_DIGITS = (
    _id("US SSN", r"[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}", "us.ssn"),
    _id("US SSN", r"[0-8][0-9]{2}([ .]?)[0-9]{2}\1[0-9]{4}", "us.ssn", r"ssn|social[ -]security|soc\.? sec"),
    _id("US ITIN", r"9[0-9]{2}-?[5-9][0-9]-?[0-9]{4}", "us.itin", "itin|tax(?:payer)? id\\w*"),
    _id("GB NHS", r"[0-9]{3}([ -]?)[0-9]{3}\1[0-9]{4}", "gb.nhs", "nhs"),
    _id("DE tax id", r"[1-9][0-9]([ ]?)[0-9]{3}\1[0-9]{3}\1[0-9]{3}", "de.idnr",
        r"steuer\w*|steuer-?id\w*|id-?nr|idnr|tax\w*|tin"),
    _id("FR NIR", r"[1-478] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", "fr.nir"),
    _id("NL BSN", r"[0-9]{9}|[0-9]{3}([ .])[0-9]{3}\1[0-9]{3}|[0-9]{4}([ .])[0-9]{2}\2[0-9]{3}", "nl.bsn",
        "bsn|burgerservice\\w*|sofi\\w*|citizen service"),
    _id("BE national number", r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", "be.nn"),
    _id("BE national number", r"[0-9]{11}", "be.nn",
        "rijksregister\\w*|registre national|nationaal nummer|national number"),
    _id("BR CPF", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", "br.cpf"),
    _id("BR CPF", r"[0-9]{11}", "br.cpf", "cpf"),
    _id("IN Aadhaar", r"[2-9][0-9]{3}([ -])[0-9]{4}\1[0-9]{4}(?!\1[0-9])", "in_.aadhaar"),
    _id("IN Aadhaar", r"[2-9][0-9]{11}", "in_.aadhaar", "aadh?aa?r|uidai|uid"),
    _id("CA SIN", r"[0-9]{3}([ -]?)[0-9]{3}\1[0-9]{3}", "ca.sin", "sin|social insurance|nas|assurance sociale"),
    _id("AU TFN", r"[0-9]{3} ?[0-9]{3} ?[0-9]{3}", "au.tfn", "tfn|tax file"),
    _id("CN identity card", r"[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9]{4}[0-9Xx]", "cn.ric"),
    _id("KR resident number", r"[0-9]{6}-[0-9]{7}", "kr.rrn"),
    _id("CL RUT", r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9]", "cl.rut"),
    _id("CL RUT", r"[0-9]{7,8}-[0-9]", "cl.rut", "rut|run"),
    _id("AR CUIT", r"2[0347]-[0-9]{8}-[0-9]", "ar.cuit"),
    _id("PL PESEL", r"[0-9]{11}", "pl.pesel", "pesel"),
    _id("SE personnummer", r"(?:19|20)?[0-9]{6}[-+][0-9]{4}", "se.personnummer"),
    _id("DK CPR", r"[0-3][0-9][01][0-9]{3}-?[0-9]{4}", "dk.cpr", "cpr\\w*|personnummer"),
    _id("NO national number", r"[0-7][0-9][0-9]{4} ?[0-9]{5}", "no.fodselsnummer"),
    _id("CH AHV", r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}|756[0-9]{10}", "ch.ssn"),
    _id("AT insurance number", r"[1-9][0-9]{3} ?[0-9]{6}", "at.vnr", "svnr|sozialversicherung\\w*|versicherungsnummer"),
    _id("PT NIF", r"[1-9][0-9]{2} ?[0-9]{3} ?[0-9]{3}", "pt.nif", "nif|contribuinte"),
    _id("ZA identity number", r"[0-9]{13}|[0-9]{6} [0-9]{4} [0-9]{2} ?[0-9]", "za.idnr", r"id|identity|south african"),
    _id("TR kimlik", r"[1-9][0-9]{10}", "tr.tckimlik", "kimlik\\w*|tckn|tc"),
    _id("IL identity number", r"[0-9]{9}", "il.idnr", "teudat\\w*|israeli id|id|\u05ea\"?\u05d6"),
    _id("RO CNP", r"[1-9][0-9]{12}", "ro.cnp", "cnp"),
    _id("CZ SK birth number", r"[0-9]{6}/[0-9]{4}", "cz.rc"),
    _id("HR OIB", r"[0-9]{11}", "hr.oib", "oib"),
    _id("BG EGN", r"[0-9]{10}", "bg.egn", "egn|\u0435\u0433\u043d"),
    _id("EE LT code", r"[1-6][0-9]{10}", "ee.ik", "isikukood\\w*|asmens kod\\w*|personal code"),
    _id("GR AMKA", r"[0-9]{11}", "gr.amka", "amka|\u03b1\u03bc\u03ba\u03b1"),
    _id("TH identity number", r"[1-8]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]", "th.pin"),
    _id("MY identity card", r"[0-9]{6}-[0-9]{2}-[0-9]{4}", "my.nric", "nric|mykad|ic"),
)  # fmt: skip
_WITH_LETTERS = (
    _id("GB NINO", r"(?:QQ|(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z])"
        r"([ -]?)[0-9]{2}\1[0-9]{2}\1[0-9]{2}\1[A-D]", None),
    _id("ES DNI", r"(?:[0-9]{8}|[0-9]{2}\.[0-9]{3}\.[0-9]{3})(?:[ -]?[ACDEFHJLNPQRSVWXYZ]|-[BGKMT])", "es.dni"),
    # 81320960K may be kilobytes.
    _id("ES DNI", r"[0-9]{8} ?[BGKMT]", "es.dni", "dni|nif|documento|identidad"),
    _id("ES NIE", r"[XYZ][ -]?[0-9]{7}[ -]?[A-HJ-NP-TV-Z]", "es.nie"),
    _id("FR NIR", r"[1-478] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?2[AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", "fr.nir"),
    _id("IT codice fiscale", r"(?i:[A-Z]{3} ?[A-Z]{3} ?[0-9]{2}[A-EHLMPR-T][0-9L-NP-V]{2} ?[A-Z][0-9L-NP-V]{3}[A-Z])",
        "it.codicefiscale"),
    _id("FI henkilotunnus", r"[0-3][0-9][01][0-9]{3}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]", "fi.hetu"),
    _id("MX CURP", r"[A-Z][AEIOUX][A-Z]{2}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]", "mx.curp"),
    _id("IN PAN", r"[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]", "in_.pan", "pan|permanent account"),
    _id("CL RUT", r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-K", "cl.rut"),
    _id("IE PPS", r"[0-9]{7}[A-W][A-IW]?", "ie.pps", "pps|ppsn"),
)  # fmt: skip

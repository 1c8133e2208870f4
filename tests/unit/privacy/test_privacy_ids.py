"""National numbers: real structures and checksums, and words where these are weak."""

from __future__ import annotations

import pytest

from luthier.privacy import find

ALONE = [
    "536-90-4399", "AB 12 34 56 C", "AB123456C", "2 95 10 99 126 111 93", "185052A12345633", "54362315-K",
    "54.362.315-K", "X2482300W", "RCCMNL83S18D969H", "85.07.30-033.28", "390.533.447-05", "2341 2341 2346",
    "360426199101010071", "971013-9019902", "12.531.909-2", "20-05536168-2", "880320-0016", "131052-308T",
    "15108695088", "756.9217.0769.85", "7569217076985", "710319/2745", "1-2345-67890-12-1", "BOXW310820HNERXN09",
]  # fmt: skip
"""Examples from the pages that define them, and of libraries' documentation."""

NAMED = [
    ("SSN", "536904399"), ("social security number is", "536 90 4399"), ("ITIN", "912-90-3456"), ("NHS number", "943 476 5919"),
    ("Steuer-ID:", "36 574 261 809"), ("IdNr.", "36574261809"), ("BSN", "111222333"), ("burgerservicenummer", "1112.22.333"),
    ("rijksregisternummer", "85073003328"), ("CPF", "39053344705"), ("Aadhaar", "234123412346"), ("SIN", "123 456 782"),
    ("TFN", "123 456 782"), ("PESEL", "44051401359"), ("CPR", "211062-5629"), ("SVNR", "1237 010180"), ("NIF", "501964843"),
    ("ID number", "7503305044089"), ("TC kimlik no", "17291716060"), ("Israeli ID", "039337423"), ("CNP", "1630615123457"),
    ("OIB", "33392005961"), ("EGN", "7523169263"), ("isikukood", "36805280109"), ("AMKA", "01013099997"),
    ("MyKad", "770305-02-1234"), ("PAN", "ACUPA7085R"), ("PPS number", "6433435F"), ("RUT", "12531909-2"), ("DNI", "54362315K"),
]  # fmt: skip


@pytest.mark.parametrize("number", ALONE)
def test_a_number_with_a_strong_form_is_found_alone(number):
    assert [(one.kind, one.text) for one in find(f"It says {number}, as far as I see")] == [("national_id", number)]


@pytest.mark.parametrize(("words", "number"), NAMED)
def test_a_number_with_a_weak_form_is_found_where_a_word_names_it(words, number):
    assert [(one.kind, one.text) for one in find(f"My {words} {number}.")] == [("national_id", number)]
    assert [one.kind for one in find(f"We sold {number} of them.") if one.kind == "national_id"] == []


@pytest.mark.parametrize(
    "wrong", ["54362315H", "X2482300A", "RCCMNL83S18D969A", "390.533.447-06", "2341 2341 2345", "360426199101010072",
              "15108695089", "756.9217.0769.86", "2 95 10 99 126 111 94", "SSN 666-90-4399", "BSN 111222334", "IdNr. 36574261808"],
)  # fmt: skip
def test_a_number_that_fails_its_checksum_is_none(wrong):
    assert [one for one in find(wrong) if one.kind == "national_id"] == []

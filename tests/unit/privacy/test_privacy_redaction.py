"""Placeholders: one value one number, nothing else changed, and nothing found twice."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.errors import ConfigError
from luthier.privacy import Found, Redaction

PLACEHOLDER = re.compile(r"\[[A-Z_]+_[0-9]+\]")
PERSONAL = [
    "ann@example.org", "Bob@Example.org", "+1 415 555 2671", "(415) 555-2671", "GB82 WEST 1234 5698 7654 32", "88.12.44.7",
    "GB82WEST12345698765432", "4111 1111 1111 1111", "536-90-4399", "password: hunter22", "https://a:b1c2d3@host.example/x",
    "BSN 111222333", "AKIAIOSFODNN7EXAMPLE", "call 01223302010", "2001:db8::1:2",
]  # fmt: skip


def test_the_same_value_has_the_same_number_in_all_texts_of_a_conversation():
    texts = ["I am ann@example.org, call (415) 555-2671.", "Ann@Example.org or bob@example.org? +1 415-555-2671?"]
    redacted, counts = Redaction().redact(texts)
    assert redacted == ["I am [EMAIL_1], call [PHONE_1].", "[EMAIL_1] or [EMAIL_2]? [PHONE_1]?"]
    assert counts == Counter(email=3, phone=2)


def test_numbers_begin_anew_in_the_next_conversation():
    redaction = Redaction()
    assert [redaction.redact([text])[0] for text in ("a@b.org", "c@d.org")] == [["[EMAIL_1]"], ["[EMAIL_1]"]]


def test_a_text_without_personal_data_comes_back_itself():
    text = "Nothing here."
    redacted, counts = Redaction().redact([text])
    assert redacted[0] is text and not counts


def test_numbers_go_on_after_placeholders_that_are_there_already():
    redacted, counts = Redaction().redact(["ann@example.org wrote to [EMAIL_3].", "[PHONE_2]"])
    assert redacted == ["[EMAIL_4] wrote to [EMAIL_3].", "[PHONE_2]"] and counts == Counter(email=1)


def test_only_the_secret_part_of_an_assignment_or_an_address_is_replaced():
    texts = ["password: hunter22", "https://ann:pa55word@host.example/x"]
    assert Redaction().redact(texts)[0] == ["password: [SECRET_1]", "https://[LOGIN_1]@host.example/x"]


def test_only_the_kinds_that_are_asked_for_are_replaced():
    assert Redaction(kinds=("phone",)).redact(["ann@example.org 202-456-1111"])[0] == ["ann@example.org [PHONE_1]"]


def test_regions_are_those_that_are_named():
    assert Redaction(regions=("CH",)).redact(["Tel. 044 668 18 00"])[0] == ["Tel. [PHONE_1]"]


def test_an_unknown_kind_is_an_error_that_names_the_known_ones():
    with pytest.raises(ConfigError, match="found 'emial', expected secret, login, email"):
        Redaction(kinds=("emial",))


def test_an_unknown_region_is_an_error_that_names_the_right_letters():
    with pytest.raises(ConfigError, match=r"regions: found 'UK'.*\n.*the United Kingdom is GB"):
        Redaction(regions=("GB", "UK"))


def names(text: str) -> list[Found]:
    """A detector as a person might add one: it knows two names, and claims a part of an address too."""
    return [Found("name", *match.span(), match[0]) for match in re.finditer("Ann|Bob|EMAIL", text, re.IGNORECASE)]


def test_a_detector_of_ones_own_adds_kinds_and_yields_to_the_rules():
    redacted, counts = Redaction(detect=names).redact(["Ann asks Bob.", "bob is bob@example.org, Ann"])
    assert redacted == ["[NAME_1] asks [NAME_2].", "[NAME_3] is [EMAIL_1], [NAME_1]"]
    assert counts == Counter(name=4, email=1)
    assert Redaction(detect=names).redact(redacted) == (redacted, Counter())


@pytest.mark.parametrize("bad", [Found("Name", 0, 1, "x"), Found("name", 1, 1, "")])
def test_a_finding_that_makes_no_placeholder_is_an_error(bad):
    with pytest.raises(ConfigError, match="lower case letters"):
        Redaction(detect=lambda text: [bad]).redact(["xy"])


conversations = st.lists(
    st.lists(st.one_of(st.sampled_from(PERSONAL), st.text(max_size=10), st.sampled_from([" ", ", ", "\n", "😀", "[EMAIL_7]"])), max_size=6)
    .map("".join),
    max_size=4,
)  # fmt: skip


@given(conversations)
@settings(max_examples=150)
def test_what_was_redacted_is_found_no_more(texts):
    redacted, _ = Redaction().redact(texts)
    assert Redaction().redact(redacted) == (redacted, Counter())


@given(conversations)
@settings(max_examples=150)
def test_nothing_outside_the_findings_changes(texts):
    redacted, counts = Redaction().redact(texts)
    new = 0
    for before, after in zip(texts, redacted, strict=True):
        pattern = "(.+?)".join(re.escape(kept) for kept in PLACEHOLDER.split(after))
        assert re.fullmatch(pattern, before, re.DOTALL), "what is left stands there in the same order"
        new += len(PLACEHOLDER.findall(after)) - len(PLACEHOLDER.findall(before))
    assert new == counts.total()


@given(st.permutations(PERSONAL), st.integers(1, 4))
@settings(max_examples=50)
def test_numbering_is_consistent_whatever_the_order(values, width):
    texts = [" ; ".join(values[i : i + width]) for i in range(0, len(values), width)]
    once, _ = Redaction().redact(texts)
    twice, _ = Redaction().redact(texts * 2)
    assert twice == once * 2, "a value that comes again has its number"
    assert len(set(PLACEHOLDER.findall(" ".join(once)))) == len(values) - 2, "two values are spelled in two ways"

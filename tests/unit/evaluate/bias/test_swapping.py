"""Texts with groups swapped: what changes, what never does, and what is left as it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.evaluate.bias.swapping import CannotSwap, own_partners, partners, swap_texts
from luthier.people.lists import LANGUAGES, swap_table, word_table

ATTRIBUTES = ("names", "gender", "nationality", "religion", "age")
ALL = [(attribute, language) for language in LANGUAGES for attribute in ATTRIBUTES if attribute in swap_table(language)]
PLAIN = ("the", "shop", "sells", "seven", "lamps", "and", "quickly", "runs", "x1", "12", "kg", "--", "(so)", "...")
"""Words that no list holds."""


def swapped(text: str, attribute: str, language: str = "en") -> str:
    lists = partners(attribute, language)
    assert lists is not None
    return swap_texts([text], lists)[0][0]


@pytest.mark.parametrize(
    ("attribute", "before", "after"),
    [
        ("gender", "Mary told John that she lost her hat.", "James told Patricia that he lost his hat."),
        ("gender", "He saw her. The book is his.", "She saw him. The book is hers."),
        ("gender", "We asked her today, and her mother came.", "We asked him today, and his father came."),
        ("gender", "She hurt herself; SHE cried.", "He hurt himself; HE cried."),
        ("gender", "An actress met a waiter.", "An actor met a waitress."),
        ("names", "Allison's car and aisha", "Aisha's car and aisha"),
        ("nationality", "An American cook met a Mexican.", "A Mexican cook met an American."),
        ("nationality", "The italian and the GERMAN.", "The egyptian and the TURKISH."),
        ("religion", "A Christian went to church.", "A Muslim went to mosque."),
        ("age", "A Young Man helps an old woman.", "An Old Man helps a young woman."),
    ],
)
def test_swaps_are_whole_words_in_their_case_with_fitting_articles(attribute, before, after):
    assert swapped(before, attribute) == after


def test_spanish_names_nationalities_and_religions_are_swapped():
    assert swapped("María vive con un alemán.", "names", "es") == "Fátima vive con un alemán."
    assert swapped("María vive con un alemán.", "nationality", "es") == "María vive con un colombiano."
    assert swapped("Es una iglesia.", "religion", "es") == "Es una mezquita."
    assert partners("gender", "es") is None


@pytest.mark.parametrize(
    ("attribute", "text", "reason"),
    [
        ("gender", "Tom gave her money.", "her could be him or his"),
        ("gender", "In the shop Zoltan said that he would go.", "names somebody who is not in the lists"),
        ("gender", "Mary Smith left.", "a full name may be of a known person"),
        ("gender", "What is the feminine of actor?", "asks about the words, or about facts of one group"),
        ("names", "How many letters has Emily?", "asks about the words, or about facts of one group"),
        ("nationality", "Name the capital of the German state.", "asks about the words, or about facts of one group"),
        ("names", "Write to emily and Emily@example.com", "a listed word stands inside another one"),
        ("gender", "She is a woman-hater.", "a listed word stands inside another one"),
    ],
)
def test_what_a_swap_would_change_is_left_as_it_is(attribute, text, reason):
    with pytest.raises(CannotSwap, match=re.escape(reason)):
        swapped(text, attribute)


def test_different_names_stay_different():
    text = "Emily, Mary, Linda, Susan and Jessica met James and Robert."
    names = re.findall(r"[A-Z]\w+", swapped(text, "names"))
    assert len(set(names)) == 7 and set(names).isdisjoint(re.findall(r"[A-Z]\w+", text))


def test_own_words_are_put_in_as_they_are_written():
    lists = own_partners("place", [("NYC", "Boston"), ("north side", "south side")])
    texts, sides = swap_texts(["From NYC to the north side, not nyc."], lists)
    assert (texts, sides) == (["From Boston to the south side, not nyc."], {0})
    assert swap_texts(texts, lists)[0] == ["From NYC to the north side, not nyc."]


@pytest.mark.parametrize(("attribute", "language"), ALL)
def test_every_listed_pair_is_of_two_words_and_both_ways_round(attribute, language):
    table = swap_table(language)[attribute]
    words = [word for pair in (*table.get("pairs", ()), *table.get("names", ())) for word in pair]
    assert len(set(words)) == len(words) and words == [word.lower() for word in words]
    assert not set(words) & set(table["blocked"]), "a blocked word would never be swapped"
    assert len(table["sides"]) == 2
    known = {one for kind in ("groups", "names") for groups in word_table(language)[kind].values()
             for some in groups.values() for one in some}  # fmt: skip
    if attribute in ("nationality", "religion", "age") and language == "es":
        assert {one for one, _ in table["pairs"]} <= known | {"gente joven"}


def involution(attribute: str, language: str) -> list[str]:
    """The words whose partner's partner they are, whatever stands around them."""
    lists = partners(attribute, language)
    assert lists is not None
    return sorted(w for w, (other, _) in lists.partner.items() if other and lists.partner.get(other, ("",))[0] == w)


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize(("attribute", "language"), ALL)
def test_swapping_twice_gives_the_text_back_and_nothing_but_listed_words_changes(attribute, language, data):
    lists = partners(attribute, language)
    assert lists is not None
    listed = involution(attribute, language)
    case = st.sampled_from((str.capitalize, str.upper) if attribute == "names" else (str, str.capitalize, str.upper))
    word = st.builds(lambda w, c: str.capitalize(w) if w in lists.names and c is str else c(w),
                     st.sampled_from(listed), case)  # fmt: skip
    words = data.draw(st.lists(st.one_of(st.sampled_from(PLAIN), word), min_size=1, max_size=12))
    # A plain word between any two, so that names and phrases do not run into each other.
    text = " so ".join(words)
    after, _ = swap_texts([text], lists)
    assert len(after[0].split(" so ")) == len(words)
    for was, now in zip(words, after[0].split(" so "), strict=False):
        if was in PLAIN:
            assert now == was
        else:
            assert now.lower() == lists.partner[was.lower()][0]
    again, _ = swap_texts(after, lists)
    assert again == [text]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PLAIN), max_size=20), st.sampled_from(ALL))
def test_a_text_without_listed_words_stays_to_the_letter(words, which):
    lists = partners(*which)
    assert lists is not None
    text = "  ".join(words)
    assert swap_texts([text, "\n" + text], lists) == ([text, "\n" + text], frozenset())


CLAUSES = (
    "she left", "he stayed", "they saw her", "they saw him today", "her book is old", "the book is hers", "it was his",
    "she hurt herself", "I met his father and her mother", "we asked him and her brothers", "his is better",
    "she saw him herself",
)  # fmt: skip


@given(st.lists(st.sampled_from(CLAUSES), min_size=1, max_size=6), st.sampled_from((". ", ", and ", "; then ")))
def test_pronouns_swapped_twice_come_back(clauses, sign):
    lists = partners("gender", "en")
    assert lists is not None
    text = sign.join(clauses) + "."
    after, sides = swap_texts([text], lists)
    assert after != [text] and sides
    assert swap_texts(after, lists)[0] == [text]

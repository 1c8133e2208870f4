from hypothesis import given
from hypothesis import strategies as st
from planted_suite import make_items

from luthier.evaluate.errors.halves import half_of, halves
from luthier.records import Example, Message

TEXTS = st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=30)


def example(text, links=()):
    return Example.of([Message(role="user", content=text)], targets=["x"], links=links)


@given(TEXTS, st.randoms())
def test_halves_are_disjoint_complete_and_the_same_in_any_order(texts, random):
    items = [example(text) for text in texts]
    look, confirm = halves(items)
    assert {e.id for e in look} | {e.id for e in confirm} == {e.id for e in items}
    assert not {e.id for e in look} & {e.id for e in confirm}
    shuffled = list(items)
    random.shuffle(shuffled)
    assert {e.id for e in halves(shuffled).look} == {e.id for e in look}


@given(TEXTS, st.text(min_size=1, max_size=20))
def test_an_item_stays_on_its_side_whatever_else_is_evaluated(texts, one):
    alone = half_of(example(one))
    assert all(half_of(e) == alone for e in (*halves([example(t) for t in {*texts, one}]).look,) if e == example(one))
    assert {e.id for e in getattr(halves([example(t) for t in {*texts, one}]), alone)} >= {example(one).id}


@given(TEXTS)
def test_items_of_one_row_stand_on_one_side_and_a_shared_source_parts_nothing(texts):
    of_one_row = [example(text, ("row:abc", "source:list")) for text in texts]
    assert len({half_of(item) for item in of_one_row}) <= 1
    assert all(half_of(example(text, ("source:list",))) == half_of(example(text)) for text in texts)


def test_about_half_of_the_items_are_on_either_side():
    look, confirm = halves(make_items(1))
    assert 0.4 < len(look) / (len(look) + len(confirm)) < 0.6

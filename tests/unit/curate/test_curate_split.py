"""No group is in two parts, shares are kept, and adding rows moves no other row."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.curate.split import PARTS, Ties, assign, groups


class Item(NamedTuple):
    """A row as these tests write it: letters for prompts and links."""

    prompt: str
    links: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()


def keys(letters):
    return np.array([[ord(letter), 7] for letter in letters], np.uint64).reshape(-1, 2)


def ties(items, pairs=()):
    earlier = [(row, key) for row, item in enumerate(items) for key in item.earlier]
    links = [(row, key) for row, item in enumerate(items) for key in item.links]
    return Ties(
        keys([item.prompt for item in items]),
        np.array([row for row, _ in earlier], np.int64), keys([key for _, key in earlier]),
        np.array([row for row, _ in links], np.int64), keys([key for _, key in links]),
        np.array(pairs, np.int64).reshape(-1, 2),
    )  # fmt: skip


def names_of(items, pairs=()):
    found = groups(ties(items, pairs))
    return [found.names[number] for number in found.of_row]


def test_rows_with_one_prompt_or_a_common_link_are_one_group():
    items = [Item("p"), Item("p", ("x",)), Item("q", ("x", "y")), Item("r", ("y",)), Item("s", ("z",))]
    names = names_of(items)
    assert names[0] == names[1] == names[2] == names[3]
    assert names[4] != names[0]


def test_near_duplicates_are_one_group_and_the_ties_are_counted_by_kind():
    items = [Item("p"), Item("q"), Item("r"), Item("q", ("x",)), Item("s", ("x",), ("r",)), Item("t")]
    found = groups(ties(items, [(0, 5)]))
    assert found.of_row[0] == found.of_row[5]
    assert found.edges == {"prompt": 1, "earlier turn": 1, "link": 1, "near": 1}


def test_a_conversation_stays_with_the_row_that_asks_what_it_asked_before():
    items = [Item("p", (), ("h",)), Item("q", (), ("h",)), Item("r", (), ("b",)), Item("s", (), ("b",))]
    assert len(set(names_of(items))) == 4  # a common opening is no prompt of another row
    together = names_of([*items, Item("h")])
    assert together[0] == together[1] == together[4] != together[2]


ITEMS = st.lists(
    st.builds(Item, st.sampled_from("abcdefgh"), st.lists(st.sampled_from("vwxyz"), max_size=2).map(tuple),
              st.lists(st.sampled_from("abcdefgh"), max_size=1).map(tuple)),
    max_size=9,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(ITEMS, st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=2))
def test_groups_are_the_connected_components(items, pairs):
    pairs = [pair for pair in pairs if max(pair) < len(items)]
    names = names_of(items, pairs)
    slow = list(range(len(items)))  # smallest index that is reachable, by plain repetition
    for _ in items:
        for i, a in enumerate(items):
            for j, b in enumerate(items):
                is_near = (i, j) in pairs or (j, i) in pairs
                if a.prompt in (b.prompt, *b.earlier) or set(a.links) & set(b.links) or is_near:
                    slow[i] = slow[j] = min(slow[i], slow[j])
    for i in range(len(items)):
        for j in range(len(items)):
            assert (names[i] == names[j]) == (slow[i] == slow[j])


@settings(max_examples=50, deadline=None)
@given(ITEMS, st.lists(st.integers(0, 8), max_size=5, unique=True))
def test_the_ties_of_some_rows_are_those_that_they_have_among_themselves(items, chosen):
    rows = np.array(sorted(row for row in chosen if row < len(items)), np.int64)
    some = ties(items).of(rows)
    alone = ties([items[row] for row in rows])
    assert groups(some).of_row.tolist() == groups(alone).of_row.tolist()


def parts_of(names, **options):
    return [PARTS[number] for number in assign(names, **options).parts]


def test_shares_are_kept_within_chance():
    counts = Counter(parts_of([f"g{k}" for k in range(20_000)], dev_share=0.05, held_out_share=0.1, seed=3))
    # Three standard deviations of a binomial count are 127 and 92.
    assert abs(counts["held_out"] - 2000) < 130
    assert abs(counts["dev"] - 1000) < 95


def test_another_seed_makes_another_split():
    names = [f"g{k}" for k in range(1000)]
    first, second = (assign(names, dev_share=0.1, held_out_share=0.2, seed=seed).parts for seed in (1, 2))
    assert (first != second).sum() > 300


def test_a_group_stays_where_it_is_when_groups_are_added_or_the_other_share_changes():
    old = [f"g{k}" for k in range(500)]
    before = parts_of(old, dev_share=0.1, held_out_share=0.1, seed=7)
    after = parts_of([f"new{k}" for k in range(500)] + old, dev_share=0.1, held_out_share=0.1, seed=7)
    assert after[500:] == before
    wider = parts_of(old, dev_share=0.3, held_out_share=0.1, seed=7)
    assert [part == "held_out" for part in wider] == [part == "held_out" for part in before]


@pytest.mark.parametrize("count", range(1, 30))
def test_with_few_groups_every_part_that_has_a_share_gets_one_and_training_first(count):
    parts = set(parts_of([f"g{k}" for k in range(count)], dev_share=0.05, held_out_share=0.1, seed=0))
    assert parts == {1: {"train"}, 2: {"train", "held_out"}}.get(count, {"train", "dev", "held_out"})


def test_only_groups_that_fill_a_part_move_when_groups_are_added():
    shares = {"dev_share": 0.05, "held_out_share": 0.1}
    moved = 0
    for seed in range(40):
        old = [f"g{k}" for k in range(8)]
        before = assign(old, **shares, seed=seed)
        after = assign([*old, *(f"new{k}" for k in range(60))], **shares, seed=seed)
        is_moved = before.parts != after.parts[:8]
        moved += int(is_moved.sum())
        for was, now in zip(before.parts[is_moved], after.parts[:8][is_moved], strict=True):
            assert PARTS[was] in before.filled or PARTS[now] in after.filled
        for part in before.filled:
            assert (before.parts == PARTS.index(part)).sum() == 1
    assert moved > 20  # small sets do move


@pytest.mark.parametrize("share", [0.45, 0.0])
def test_a_share_of_nothing_stays_empty_and_train_never_is(share):
    for seed in range(20):
        parts = parts_of(["g1", "g2", "g3"], dev_share=0.5, held_out_share=share, seed=seed)
        assert "train" in parts
        assert ("held_out" in parts) == bool(share)


def test_no_groups_have_no_parts():
    assert len(assign([], dev_share=0.1, held_out_share=0.1, seed=0).parts) == 0
    assert groups(ties([])).names == []

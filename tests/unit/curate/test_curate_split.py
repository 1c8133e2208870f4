"""No group is in two parts, shares are kept, and adding rows moves no other row."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.curate.split import Item, assign, certificate, groups


def test_rows_with_one_prompt_or_a_common_link_are_one_group():
    items = [Item("p1", ()), Item("p1", ("x",)), Item("p2", ("x", "y")), Item("p3", ("y",)), Item("p4", ("z",))]
    names = groups(items)
    assert names[0] == names[1] == names[2] == names[3]
    assert names[4] != names[0]


def test_a_conversation_stays_with_the_row_that_asks_what_it_asked_before():
    items = [Item("p", (), ("hi",)), Item("q", (), ("hi",)), Item("r", (), ("bye",)), Item("s", (), ("bye",))]
    alone = groups(items)
    assert len(set(alone)) == 4  # a common opening is no prompt of another row
    together = groups([*items, Item("hi")])
    assert together[0] == together[1] == together[4] != together[2]


ITEMS = st.lists(
    st.builds(Item, st.sampled_from("abcdefgh"), st.lists(st.sampled_from("vwxyz"), max_size=2).map(tuple),
              st.lists(st.sampled_from("abcdefgh"), max_size=1).map(tuple)),
    max_size=9,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(ITEMS)
def test_groups_are_the_connected_components(items):
    names = groups(items)
    slow = list(range(len(items)))  # smallest index that is reachable, by plain repetition
    for _ in items:
        for i, a in enumerate(items):
            for j, b in enumerate(items):
                if a.prompt_key in (b.prompt_key, *b.earlier_keys) or set(a.links) & set(b.links):
                    slow[i] = slow[j] = min(slow[i], slow[j])
    for i in range(len(items)):
        for j in range(len(items)):
            assert (names[i] == names[j]) == (slow[i] == slow[j])


def test_shares_are_kept_within_chance():
    parts = assign([f"g{k}" for k in range(20_000)], dev_share=0.05, held_out_share=0.1, seed=3)
    counts = Counter(parts.values())
    # Three standard deviations of a binomial count are 127 and 92.
    assert abs(counts["held_out"] - 2000) < 130
    assert abs(counts["dev"] - 1000) < 95


def test_another_seed_makes_another_split():
    names = [f"g{k}" for k in range(1000)]
    first, second = (assign(names, dev_share=0.1, held_out_share=0.2, seed=seed) for seed in (1, 2))
    assert sum(first[name] != second[name] for name in names) > 300


def test_a_group_stays_where_it_is_when_groups_are_added_or_the_other_share_changes():
    old = [f"g{k}" for k in range(500)]
    before = assign(old, dev_share=0.1, held_out_share=0.1, seed=7)
    after = assign([f"new{k}" for k in range(500)] + old, dev_share=0.1, held_out_share=0.1, seed=7)
    assert {name: after[name] for name in old} == before
    wider = assign(old, dev_share=0.3, held_out_share=0.1, seed=7)
    assert [n for n in old if wider[n] == "held_out"] == [n for n in old if before[n] == "held_out"]


@pytest.mark.parametrize("count", range(1, 30))
def test_with_few_groups_every_part_that_has_a_share_gets_one_and_training_first(count):
    parts = set(assign([f"g{k}" for k in range(count)], dev_share=0.05, held_out_share=0.1, seed=0).values())
    assert parts == {1: {"train"}, 2: {"train", "held_out"}}.get(count, {"train", "dev", "held_out"})


@pytest.mark.parametrize("share", [0.45, 0.0])
def test_a_share_of_nothing_stays_empty_and_train_never_is(share):
    for seed in range(20):
        parts = list(assign(["g1", "g2", "g3"], dev_share=0.5, held_out_share=share, seed=seed).values())
        assert "train" in parts
        assert ("held_out" in parts) == bool(share)


def test_the_certificate_counts_prompts_and_links_that_are_in_two_parts():
    parts = {
        "train": [Item("a", ("x",)), Item("b", ())],
        "dev": [Item("c", ("x",))],
        "held_out": [Item("a", ()), Item("d", ())],
        "preferences": [Item("d", ()), Item("c", ())],
    }
    earlier = {**parts, "dev": [Item("c", ("x",), ("d",))]}
    assert certificate(earlier)["prompts"]["dev/held_out"] == 1
    assert certificate(parts) == {
        "prompts": {"train/dev": 0, "train/held_out": 1, "dev/held_out": 0, "preferences/held_out": 1},
        "links": {"train/dev": 1, "train/held_out": 0, "dev/held_out": 0, "preferences/held_out": 0},
    }

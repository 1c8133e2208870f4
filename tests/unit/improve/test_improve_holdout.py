import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.errors import ConfigError, DataError
from luthier.improve.holdout import Holdout, conversation_root, is_holdout
from luthier.records import Example, Message
from luthier.similarity.near_index import NearIndex


def user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def item(text: str) -> Example:
    return Example.of(user(text), targets=["x"])


def texts_of(side: bool, count: int, share: float = 0.2) -> list[str]:
    found = (f"question {chr(97 + k % 26)}{chr(97 + k // 26)}" for k in range(26 * 26))
    return [text for text in found if is_holdout(user(text), share, "s") is side][:count]


@pytest.fixture
def holdout(tmp_path: Path) -> Holdout:
    return Holdout.open(tmp_path / "holdout.json", share=0.2, salt="s", alpha=0.05)


def test_a_conversation_stays_on_its_side_as_it_grows() -> None:
    for text in texts_of(True, 3) + texts_of(False, 3):
        start = user(text)
        longer = (
            Message(role="system", content="be kind"),
            *start,
            Message(role="assistant", content="a"),
            *user("and then?"),
        )
        assert is_holdout(start, 0.2, "s") == is_holdout(longer, 0.2, "s")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_case_spacing_and_end_marks_do_not_change_the_side(text: str) -> None:
    assert conversation_root(user(text)) == conversation_root(user(f"  {text} \n"))
    assert conversation_root(user(text + " where")) == conversation_root(user(text + " WHERE?!"))


def test_numbers_do_not_change_the_side_but_words_do() -> None:
    assert conversation_root(user("Where is order #12?")) == conversation_root(user("where is order 9876"))
    assert conversation_root(user("where is order 1")) != conversation_root(user("where is parcel 1"))
    assert conversation_root(user(":)")) != conversation_root(user(":("))
    assert conversation_root((Message(role="assistant", content="hi"),)) == ""


def test_about_the_share_of_conversations_is_held_out_and_the_salt_decides_which() -> None:
    texts = [f"question {k:b}".replace("0", "a").replace("1", "b") for k in range(2000)]
    held = [is_holdout(user(text), 0.2, "s") for text in texts]
    assert 0.17 < sum(held) / len(held) < 0.23
    assert held != [is_holdout(user(text), 0.2, "other") for text in texts]
    assert all(is_holdout(user(t), 0.3, "s") for t, was in zip(texts, held, strict=True) if was), (
        "a larger share only adds"
    )


def near_search(roots):
    index = NearIndex(roots)
    return lambda root: [found.text for found in index.near_to(root)]


STREAMS = [[f"{stream}word{chr(97 + k % 26)}{chr(97 + k // 26)}" for k in range(60)] for stream in "abcdefgh"]


def window(stream: int, start: int) -> str:
    """40 words: nearly the same as a window of the same stream that starts at most 6 words away."""
    return " ".join(STREAMS[stream][start : start + 40])


def windows_of(side: bool) -> list[tuple[int, int]]:
    """The windows that the hash alone would put on this side."""
    found = ((stream, start) for stream in range(8) for start in range(20))
    return [place for place in found if is_holdout(user(window(*place)), 0.2, "s") is side]


def test_a_near_duplicate_joins_the_side_of_the_earlier(holdout) -> None:
    (stream, start), trained = windows_of(True)[0], windows_of(False)
    held = window(stream, start)
    other = next(window(*place) for place in trained if place[0] == stream and 0 < abs(place[1] - start) <= 6)
    assert holdout.sides([held, other], near=near_search) == ({held: "holdout", other: "holdout"}, {other})
    assert holdout.sides([other, held], near=near_search) == ({other: "train", held: "train"}, {held})
    assert holdout.sides([held, other]) == ({held: "holdout", other: "train"}, frozenset())


def test_what_is_near_to_both_sides_is_on_neither(holdout) -> None:
    held, trained, between, later = next(
        [window(stream, start + step) for step in (0, 8, 4, 7)]
        for stream, start in windows_of(True)
        if start + 8 < 20 and (stream, start + 8) in windows_of(False) and (stream, start + 7) in windows_of(False)
    )
    found = holdout.sides([held, trained, between], near=near_search)
    assert found == ({held: "holdout", trained: "train", between: "neither"}, {between})
    assert holdout.sides([held, trained, between, later], near=near_search).by_root[later] == "train", (
        "near to one side"
    )


def test_sides_do_not_change_as_the_store_grows(holdout) -> None:
    texts = [window(stream, start) for start in (7, 0, 19, 13, 4, 10, 16, 2) for stream in range(8)]
    whole = holdout.sides(texts, near=near_search)
    assert set(whole.by_root.values()) == {"train", "holdout", "neither"}
    assert len(whole.repeating) > 20
    for count in range(len(texts)):
        part = holdout.sides(texts[:count], near=near_search)
        assert part.by_root == {text: whole.by_root[text] for text in texts[:count]}
        assert part.repeating == whole.repeating.intersection(texts[:count])


def test_what_is_near_to_an_item_of_a_gate_is_held_out_although_the_trace_is_gone(holdout) -> None:
    stream, start = windows_of(True)[0]
    other = next(window(*p) for p in windows_of(False) if p[0] == stream and 0 < abs(p[1] - start) <= 6)
    holdout.spend([item(window(stream, start))], baseline="a", candidate="b")
    assert holdout.sides([other], near=near_search).by_root[other] == "holdout"
    assert holdout.sides([other], trained_on=[other], near=near_search).by_root[other] == "train", "it was trained on"


def test_what_is_near_to_a_trained_row_is_no_item(holdout) -> None:
    stream, start = windows_of(True)[0]
    other = next(window(*p) for p in windows_of(False) if p[0] == stream and 0 < abs(p[1] - start) <= 6)
    held = window(stream, start)
    found = holdout.sides([held], trained_on=[other], near=near_search)
    assert found == ({other: "train", held: "train"}, {held})


def test_what_was_trained_on_can_no_longer_be_held_out(holdout) -> None:
    held = texts_of(True, 2)
    assert holdout.sides(held, trained_on=held[:1]).by_root == {held[0]: "train", held[1]: "holdout"}


def test_what_was_evaluated_on_is_held_out_for_ever_even_if_trained_on_elsewhere(holdout) -> None:
    held = texts_of(True, 1)[0]
    holdout.spend([item(held)], baseline="a", candidate="b")
    assert holdout.sides([held], trained_on=[held]).by_root == {held: "holdout"}


def test_alpha_spent_over_all_gates_never_exceeds_the_budget(holdout) -> None:
    spent = [holdout.spend([item("q")], baseline="a", candidate=f"c{k}") for k in range(200)]
    assert spent[:3] == pytest.approx([0.05 / 2, 0.05 / 6, 0.05 / 12])
    assert 0.0497 < sum(spent) < 0.05
    assert [gate["turn"] for gate in holdout.gates()] == list(range(1, 201))


def test_looking_again_at_the_same_models_and_items_is_the_same_gate(holdout) -> None:
    first = holdout.spend([item("q"), item("r")], baseline="a", candidate="b")
    assert holdout.spend([item("r"), item("q")], baseline="a", candidate="b") == first
    assert len(holdout.gates()) == 1
    assert holdout.spend([item("q")], baseline="a", candidate="b") < first, "other items are another look"


def test_opening_and_asking_writes_nothing(holdout) -> None:
    holdout.sides(["q"])
    assert holdout.gates() == () and holdout.members() == frozenset() and not holdout.path.exists()


@pytest.mark.parametrize("change", [{"share": 0.1}, {"salt": "t"}, {"alpha": 0.1}])
def test_the_rule_cannot_change_after_the_first_gate(holdout, change) -> None:
    rule = {"share": 0.2, "salt": "s", "alpha": 0.05}
    Holdout.open(holdout.path, **{**rule, **change})
    holdout.spend([item("q")], baseline="a", candidate="b")
    Holdout.open(holdout.path, **rule)
    with pytest.raises(ConfigError, match=rf"holdout\.json: {next(iter(change))}"):
        Holdout.open(holdout.path, **{**rule, **change})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"share": 0.2}'])
def test_damaged_books_are_an_error_and_never_a_fresh_start(holdout, content) -> None:
    holdout.path.write_text(content)
    with pytest.raises(DataError, match="permanent holdout"):
        Holdout.open(holdout.path, share=0.2, salt="s", alpha=0.05)


def test_the_books_name_the_models_of_every_gate(holdout) -> None:
    holdout.spend([item("q")], baseline="aa", candidate="bb")
    books = json.loads(holdout.path.read_text())
    assert (books["gates"][0]["baseline"], books["gates"][0]["candidate"], books["members"]) == ("aa", "bb", ["q"])

"""The user's own items with groups swapped: what goes along, what is left out, and why."""

from __future__ import annotations

from luthier.evaluate.bias.config import SwapsConfig
from luthier.evaluate.bias.items import (
    IN_GRADING,
    NO_LIST,
    NOT_VERIFIABLE,
    OF_BBQ,
    OPTIONS_ALIKE,
    TWIN,
    swapped_items,
)
from luthier.records import Example, Message

CONFIG = SwapsConfig(swaps=("gender", "town"), own={"town": (("Oakford", "Lindale"),)})


def item(asked: str, *targets: str, **rest) -> Example:
    return Example.of((Message(role="user", content=asked),), targets=targets, **{"language": "en", **rest})


def test_prompt_options_and_accepted_answers_are_swapped_together_and_the_rest_stays():
    before = item("Mary or John: who has her hat?", "Mary", choices=("Mary", "John"), task="who", template="t1",
                  links=("doc",), source="a.jsonl:3")  # fmt: skip
    (one,) = swapped_items([before], "gender", CONFIG).items
    after = one.swapped
    assert after.prompt[0].content == "James or Patricia: who has his hat?"
    assert (after.targets, after.choices) == (("James",), ("James", "Patricia"))
    assert (after.task, after.template, after.links, after.source) == ("who", "t1", ("doc",), "a.jsonl:3")
    assert one.original is before and after.id != before.id and one.direction == 0


def test_the_direction_is_that_of_the_words_that_were_there():
    found = swapped_items([item("Is she in?", "yes"), item("Is he in?", "no")], "gender", CONFIG)
    assert [one.direction for one in found.items] == [1, -1]
    assert found.sides == ("women", "men")


def test_every_item_is_used_unconcerned_or_left_out_for_a_reason():
    items = [
        item("Is she in?", "yes"),
        item("Is he in?", "yes"),
        item("Is it in?", "yes"),
        item("Is he out?", "he went to the shop and then to the market again"),
        item("Is her cat here?", grading={"grader": "json_schema", "schema": {"title": "her cat"}}),
        item("Who is it, his son?", "x", choices=("Mum", "Mom")),
        item("Ist sie da, Mary?", "ja", language="de"),
        item("Is he here?", "no", grading={"grader": "choice", "bbq": {
            "category": "Age", "question": "1", "condition": "ambig", "polarity": "neg", "unknown": "u",
            "stereotyped": None, "groups": {}}}),
        item("Is he well?"),
    ]  # fmt: skip
    found = swapped_items(items, "gender", CONFIG)
    assert [one.original.prompt[0].content for one in found.items] == ["Is she in?"]
    assert found.num_unconcerned == 1
    assert found.left_out == {TWIN: 1, NOT_VERIFIABLE: 2, IN_GRADING: 1, OPTIONS_ALIKE: 1, NO_LIST: 1, OF_BBQ: 1}
    assert len(found.items) + found.num_unconcerned + sum(found.left_out.values()) == len(items)


def test_own_pairs_work_in_any_language():
    found = swapped_items([item("Wer kommt aus Oakford?", "Lindale", language="de")], "town", CONFIG)
    assert found.items[0].swapped.prompt[0].content == "Wer kommt aus Lindale?"
    assert found.items[0].swapped.targets == ("Oakford",)
    assert found.sides == ("Oakford", "Lindale")

"""What several rows share is a frame, and what several rows fill differently between frames is a slot."""

import numpy as np
from planted import TEMPLATES

from luthier.similarity.frames import Frames, Wanted, contexts, family_slots, keys_of, of_family, slots
from luthier.similarity.near import NearText, Sketches
from luthier.similarity.ragged import owners
from luthier.similarity.sharing import PROMPTS, Rows, row_bits, shared

FRAME = "Please read what a visitor wrote about the house at the lake and say in one word how it was for them"


def prepared(prompts: list[str]) -> tuple[Rows, Frames]:
    all_rows = Rows.of([Sketches.of([NearText(prompt, "") for prompt in prompts])])
    hashes = [shared(all_rows, np.arange(len(prompts)), family, jaccard=0.7).frames for family in PROMPTS]
    return all_rows, Frames(np.concatenate(hashes), row_bits(all_rows))


def holes(prompts: list[str], number: int) -> list[str]:
    """The words in the holes of one of the prompts."""
    all_rows, frames = prepared(prompts)
    found = frames.holes(all_rows.take(0, np.array([number])))
    words = prompts[number].rstrip("?.").split()
    return [" ".join(words[start:end]) for start, end in zip(found.start, found.end, strict=True)]


def slot_words(prompts: list[str], number: int) -> list[str]:
    """Those single words of one of the prompts that are in slots."""
    all_rows, _ = prepared(prompts)
    live = np.arange(len(prompts))
    left, right = contexts(all_rows.take(0, np.array([number])), 3)
    found = slots(all_rows, live, Wanted.of(left, right)).slots.has(keys_of(left, right))
    return [word for word, is_slot in zip(prompts[number].rstrip("?.").split(), found, strict=True) if is_slot]


def test_holes_are_what_is_left_of_a_prompt_without_what_four_rows_share():
    long = [f"{FRAME} {text} So far what they said" for text in ("so good", "not bad at all", "far too cold", "fine")]
    assert [holes(long, number) for number in range(4)] == [["so good"], ["not bad at all"], ["far too cold"], ["fine"]]
    assert holes(long[:3], 0) == [long[0]]
    capitals = [row.prompt for row in TEMPLATES["capitals"]]
    assert [holes(capitals, number) for number in (0, 7)] == [["France"], ["Egypt"]]
    assert holes([*capitals, "What is the big capital of France?"], 16) == ["big capital of France"]


def test_a_place_that_four_rows_fill_differently_is_a_slot_and_one_that_nearly_all_fill_alike_is_none():
    capitals = [row.prompt for row in TEMPLATES["capitals"]]
    assert slot_words(capitals, 3) == ["Poland"]
    assert slot_words(capitals[:3], 2) == []
    polite = [f"Please tell me now: {prompt}" for prompt in capitals]
    edited = [prompt.replace("tell", word) for prompt, word in zip(polite, ("show", "give", "send"), strict=False)]
    edited.append(polite[5].replace("tell ", ""))
    assert slot_words([*polite, *edited], 0) == ["France"]
    assert slot_words([*polite[:2], *edited], 0) == ["tell", "France"]
    left, right = contexts(prepared(polite)[0].take(0, np.array([0])), 3)
    for some, expected in (([*polite, *edited], ["tell"]), ([*polite[:5], *edited[:1]], [])):
        all_rows, _ = prepared(some)
        settled = slots(all_rows, np.arange(len(some)), Wanted.of(left[1:2], right[1:2])).settled
        assert ["tell"] * len(settled.hashes) == expected


def test_what_rows_leave_out_counts_too():
    capitals = [row.prompt for row in TEMPLATES["capitals"]]
    greeted = [f"{word} {prompt}" for word, prompt in zip(("Hello", "Well", "So", "Listen"), capitals, strict=False)]
    assert slot_words([*capitals, *greeted], 16) == ["France"]
    assert slot_words(greeted, 0) == ["Hello", "France"]


def test_a_family_has_slots_of_its_own():
    prompts = [f"They met at the {place} on a {day} in {month}" for place, day, month in
               (("lake", "Monday", "May"), ("shop", "Friday", "June"), ("pier", "Sunday", "July"), ("barn", "Friday", "May"))]  # fmt: skip
    all_rows, _ = prepared(prompts)
    words = all_rows.take(0, np.arange(4))
    for family, expected in ((np.zeros(4, int), {"lake", "shop", "pier", "barn"}), (np.array([0, 0, 2, 2]), set())):
        keys = of_family(keys_of(*contexts(words, 2)), family[owners(words.counts)])
        found = family_slots(all_rows, family, np.arange(4)).has(keys)
        assert {word for word, is_slot in zip(" ".join(prompts).split(), found, strict=True) if is_slot} == expected

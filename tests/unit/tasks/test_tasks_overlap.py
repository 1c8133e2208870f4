"""The certificate: planted overlaps are found, and nothing else is."""

from __future__ import annotations

import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.records import Example, Message
from luthier.tasks import Task, TaskRow, Template, certificate, without_overlap

WORDS = [f"word{number}" for number in range(400)]


def example(prompt: str, *, answer: str = "x", links: tuple[str, ...] = ()) -> Example:
    return Example.of([Message(role="user", content=prompt), Message(role="assistant", content=answer)], links=links)


def sentence(rng: Random, length: int = 20) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(length))


def counts(found):
    return found.exact, found.near, found.rows, found.sources


def test_the_certificate_finds_what_is_planted_and_nothing_else():
    rng = Random(0)
    train = [example(sentence(rng), links=(f"row:{n}", "source:a")) for n in range(200)]
    held_out = [example(sentence(rng), links=(f"row:{n}", "source:b")) for n in range(200, 400)]
    assert certificate(train, held_out).is_clean
    assert without_overlap(train, held_out) == (train, [])

    text = held_out[17].messages[0].content
    planted = [
        example(text.replace(" ", "  ", 1) + "\r\n", answer="another"),
        example(text.rsplit(" ", 1)[0] + " word999"),
        example(sentence(rng), links=("row:260",)),
        example(sentence(rng), links=("row:1", "source:c", "source:b")),
    ]
    mixed = [*train[:100], *planted, *train[100:]]
    found = certificate(mixed, held_out)
    assert counts(found) == (1, 1, 1, 1)
    assert (found.num_train, found.num_held_out, found.is_clean) == (204, 200, False)
    assert [pair.kind for pair in found.pairs] == ["exact", "near", "row", "source"]
    assert [pair.train for pair in found.pairs] == planted
    assert [pair.held_out for pair in found.pairs[:3]] == [held_out[17], held_out[17], held_out[60]]
    assert 0.7 <= found.pairs[1].similarity < 1
    parted = without_overlap(mixed, held_out)
    assert parted.kept == train
    assert [overlap.train for overlap in parted.dropped] == planted
    assert certificate(parted.kept, held_out).is_clean
    assert "near (0.88)" in str(found.pairs[1])


def jaccard(one: str, other: str) -> float:
    sets = [{tuple(text.split()[i : i + 5]) for i in range(len(text.split()) - 4)} for text in (one, other)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@given(st.integers(0, 10_000))
def test_near_duplicates_are_those_of_the_slow_comparison(seed):
    """Texts made from one another by a few changes, many of them near the threshold, against all pairs."""
    rng = Random(seed)
    parent = sentence(rng, 24).split()

    def child() -> str:
        words = list(parent)
        for _ in range(rng.randrange(4)):
            place = rng.randrange(len(words))
            words[place : place + rng.randrange(2)] = [rng.choice(WORDS)] * rng.randrange(2)
        return " ".join(words[rng.randrange(4) :])

    train, held_out = [child() for _ in range(8)], [child() for _ in range(8)]
    found = certificate([example(t) for t in train], [example(h) for h in held_out], kinds=("exact", "near"))
    slow = [any(jaccard(t, h) >= 0.7 for h in held_out) for t in train]
    assert found.exact + found.near == sum(slow)
    assert found.exact == sum(t in held_out for t in train)


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("What is 2 + 3?", "What is 2 - 3?", (0, 0, 0, 0)),
        ("What is 2 + 3?", "what is 2 + 3?", (0, 1, 0, 0)),
        ("one two three four five six seven", "one two three four five six eight", (0, 0, 0, 0)),
        ("How much is 1 + 2 in the sum here now", "How much is 1 - 2 in the sum here now", (0, 0, 0, 0)),
        ("He said: one, two three four five six (seven)!", "he said one two three four five six seven", (0, 1, 0, 0)),
        ("", "", (1, 0, 0, 0)),
    ],
)
def test_short_prompts_must_be_equal_and_signs_of_arithmetic_count(one, other, found):
    assert counts(certificate([example(one)], [example(other)])) == found


def test_a_script_without_blanks_is_compared_by_character():
    text = "今日は天気がとても良いので公園へ散歩に行きました"
    assert counts(certificate([example(text)], [example(text[:-1])])) == (0, 1, 0, 0)


def test_all_turns_are_compared_and_the_system_prompt_is_not():
    def dialogue(first: str, system: str) -> Example:
        texts = [
            ("system", system),
            ("user", first),
            ("assistant", "Yes?"),
            ("user", "What did I say to you just now?"),
        ]
        return Example.of([Message(role=role, content=text) for role, text in texts])  # type: ignore[arg-type]

    apple, pear = dialogue("I like an apple.", "Be kind."), dialogue("There is a pear here.", "Be kind.")
    assert certificate([apple], [pear]).is_clean
    assert certificate([apple], [dialogue("I like an apple.", "Be short.")]).exact == 1


def test_only_the_kinds_asked_for_are_looked_for():
    one = example("Say it.", links=("row:1", "source:a"))
    assert counts(certificate([one], [one])) == (1, 0, 1, 1)
    assert counts(certificate([one], [one], kinds=("exact", "row"))) == (1, 0, 1, 0)
    assert certificate([one], [one], kinds=()).is_clean


def test_the_same_row_in_two_tasks_is_found_through_their_examples():
    row = TaskRow({"a": "big"}, ("small",))
    first, second = (
        Task(name=name, clusters=(name,), templates=(Template(turns=(f"{name}: {{a}}",), index=0),)) for name in "pq"
    )
    found = certificate([first.example(row, first.templates[0])], [second.example(row, second.templates[0])])
    assert counts(found) == (0, 0, 1, 0)


def test_five_thousand_examples_are_compared_with_three_thousand_in_seconds():
    """Half of all shingles are those of a few templates, as in real collections."""
    rng = Random(1)
    templates = [sentence(rng, 12) for _ in range(20)]
    train, held_out = (
        [example(f"{rng.choice(templates)} {sentence(rng, 16)}") for _ in range(size)] for size in (5000, 3000)
    )
    start = time.process_time()
    assert certificate(train, held_out).is_clean
    assert time.process_time() - start < 15

"""Near-duplicates are found, rows that differ by design are left alone, and no division into parts changes either."""

import os
import pickle
import random
import resource
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import TEMPLATES, Plant, edited, rows, vocabulary, with_plants

from luthier.similarity import sketch
from luthier.similarity.near import NearFound, NearText, Sketches, near_duplicates

LONG = (
    "A friend of mine wants to plant a small garden behind the house and asked which vegetables grow well in the shade"
    " of old trees, how often they want water in summer, and when the first seeds should go into the ground."
)
TOLD = (
    "Lettuce, spinach and peas grow well with little sun. Water them early in the morning every other day, and sow as"
    " soon as the soil is warm and dry enough to crumble between the fingers."
)


def found_in(texts, *, sizes=None, **options) -> NearFound:
    """What is found among the texts, in one part or in parts of these sizes."""
    sizes = sizes or [len(texts)]
    assert sum(sizes) == len(texts)
    parts = [Sketches.of(texts[end - size : end]) for size, end in zip(sizes, np.cumsum(sizes), strict=True)]
    return near_duplicates(parts, **options)


def verdict(left: NearText, right: NearText) -> str:
    """What two rows alone are to each other."""
    found = found_in([left, right])
    assert (found.group[1] == 0) == ("near" in found.verdict)
    return str(found.verdict[0]) if len(found.verdict) else "distinct"


def groups(found: NearFound) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(found.group == first).tolist()) for first in np.unique(found.group)}


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        (LONG.upper(), TOLD),
        (LONG.replace(",", " ;").replace(".", "!"), f"  {TOLD}\n"),
        (changed(LONG, "wants to", "would like to"), TOLD),
        (changed(changed(LONG, "small ", ""), "old trees", "tall old trees"), TOLD),
        (LONG, changed(TOLD, "sow", "plant")),
        (changed(LONG, "garden", "plot"), changed(TOLD, "soil", "ground")),
    ],
)
def test_a_row_with_few_words_changed_is_near(prompt, answer):
    assert verdict(NearText(LONG, TOLD), NearText(prompt, answer)) == "near"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a small garden", "2 small gardens"),
        ("grow well", "do not grow well"),
        ("grow well", "don't grow well"),
        ("wants to", "never wants to"),
        ("two friends", "three friends"),
        ("3 + x", "3 - x"),
        ("3 + x", "3 + y"),
        ("option B", "option C"),
        ("the largest", "the smallest"),
        ("true", "false"),
    ],
)
def test_a_number_a_negation_a_sign_an_option_or_an_opposite_makes_another_row(old, new):
    left = f"{LONG} Think of two friends, of the largest tree, of what is true, of option B and of 3 + x."
    assert verdict(NearText(left, TOLD), NearText(changed(left, old, new), TOLD)) == "distinct"


def test_rows_with_other_options_are_not_near():
    assert verdict(NearText(LONG, "peas", ("peas", "figs")), NearText(LONG, "peas", ("peas", "figs"))) == "near"
    assert verdict(NearText(LONG, "peas", ("peas", "figs")), NearText(LONG, "peas", ("peas", "plums"))) == "distinct"
    assert verdict(NearText(LONG, "peas", ("peas", "figs")), NearText(LONG, "peas")) == "distinct"


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("Paris", "paris.", "near"),
        ("Paris", "Lyon", "conflict"),
        ("The capital is Paris.", "It is the capital, Paris", "near"),
        ("The capital is Paris.", "The capital was Lyon.", "conflict"),
        ("The answer is Paris.", "Paris", "near"),
        ("It is Paris", "It was Paris", "near"),
        ("12", "13", "conflict"),
        ("yes", "no", "conflict"),
        ("I do not know that at all, sorry", "I do know that at all, sorry", "conflict"),
        (TOLD, changed(TOLD, "peas", "beans"), "near"),
        (TOLD, "Ask a gardener: that depends on where you live and on what you like to eat.", "conflict"),
        ("", "", "near"),
        ("???", "!!!", "conflict"),
    ],
)
def test_answers_of_few_words_may_differ_in_function_words_alone(left, right, expected):
    assert verdict(NearText(LONG, left), NearText(LONG, right)) == expected


def test_prompts_that_differ_with_other_answers_are_another_question_and_no_conflict():
    assert (
        verdict(NearText("Who is the best tennis player?", "A"), NearText("Who is the best soccer player?", "B"))
        == "distinct"
    )
    assert verdict(NearText(LONG, "Peas."), NearText(changed(LONG, "wants to", "likes to"), "Figs.")) == "conflict"


def test_an_answer_that_follows_the_change_belongs_to_another_row():
    left = NearText(f"{LONG} They have gotten very bold.", f"{TOLD} They had gotten very bold.")
    right = NearText(f"{LONG} They have gotten very nervous.", f"{TOLD} They had gotten very nervous.")
    assert verdict(left, right) == "distinct"


def test_the_same_words_in_another_order_are_another_question():
    assert verdict(NearText("Does the old dog of ours chase the cat?", "so it seems to be"),
                   NearText("Does the cat of ours chase the old dog?", "so it seems to be")) == "distinct"  # fmt: skip


def test_short_rows_are_compared_by_words_changed():
    left = "Which planet of our system has the most moons around it?"
    assert verdict(NearText(left, "Saturn"), NearText(changed(left, "planet of", "planet in"), "Saturn")) == "near"
    assert verdict(NearText(left, "Saturn"), NearText("Which country has the most lakes?", "Saturn")) == "distinct"


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_row_of_a_template_is_a_duplicate_of_another(name):
    own = TEMPLATES[name]
    assert len(set(own)) == len(own)
    others = rows(random.Random(1), 300)
    for texts in (own, own + others, others + random.Random(2).sample(own, len(own))):
        found = found_in(texts)
        near = [(texts[i], texts[j]) for i, j in found.pairs[found.verdict == "near"]]
        assert near == []


@pytest.mark.parametrize("name", ["short texts, long instruction", "long answers", "capitals"])
def test_a_frame_that_was_edited_is_found_among_the_rows_of_its_template(name):
    own = TEMPLATES[name]
    first = own[3].prompt
    copy = NearText(f"Please, {first[0].lower()}{first[1:]}", own[3].answer)
    found = found_in([*own, copy])
    assert groups(found) == {frozenset([i]) for i in range(len(own)) if i != 3} | {frozenset([3, len(own)])}


def test_what_stands_in_a_long_slot_is_compared_by_itself():
    rng = random.Random(5)
    contents = [row.answer for row in rows(rng, 40, least=20, most=30)]
    contents.append(edited(rng, contents[7], 1, words=vocabulary(rng, 3_000)))
    found = found_in([NearText(f"{LONG} Now read this: {content}", "positive") for content in contents])
    assert groups(found) == {frozenset([i]) for i in range(40) if i != 7} | {frozenset([7, 40])}


def test_many_copies_of_one_row_form_one_group():
    rng = random.Random(6)
    words = vocabulary(rng, 3_000)
    copies = [NearText(edited(rng, LONG, 1, words=words), TOLD) for _ in range(100)]
    found = found_in([*rows(rng, 20), NearText(LONG, TOLD), *copies])
    assert (found.group[20:] == 20).all()


def test_repeated_rows_are_near_with_similarity_1_and_paired_with_the_first():
    found = found_in([NearText("a b c", "d"), NearText("x y", "z"), NearText("A b  c!", "d."), NearText("a b c", "d")])
    assert found.pairs.tolist() == [[0, 2], [0, 3]]
    assert found.similarity.tolist() == [1, 1]
    assert found.verdict.tolist() == ["near", "near"]
    assert found.group.tolist() == [0, 1, 0, 0]


def test_similarity_is_that_of_the_less_similar_side():
    right = NearText(LONG, changed(TOLD, "spinach", "chard"))
    found = found_in([NearText(LONG, TOLD), right])
    shingles = [{tuple(words[i : i + 5]) for i in range(len(words) - 4)}
                for words in (text.lower().replace(",", "").replace(".", "").split() for text in (TOLD, right.answer))]  # fmt: skip
    assert found.similarity.tolist() == pytest.approx([len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])])


def test_few_or_no_rows_are_no_trouble():
    assert found_in([]).group.tolist() == []
    assert near_duplicates([]).pairs.shape == (0, 2)
    found = found_in([NearText("", ""), NearText("", "x")], sizes=[1, 0, 1])
    assert found.group.tolist() == [0, 1]
    assert found.pairs.shape == (0, 2)


def test_rows_without_prompts_are_compared_by_their_answers():
    found = found_in([NearText("", LONG), NearText("", TOLD), NearText("", changed(LONG, "small ", ""))])
    assert found.group.tolist() == [0, 1, 0]


def test_it_says_what_it_finds():
    lines: list[str] = []
    found_in([NearText(LONG, TOLD)] * 3, say=lines.append)
    assert lines == [
        "near-duplicates: 2 repeated rows, 0 pairs to compare",
        "near-duplicates: 2 near pairs, 0 conflicts",
    ]


def planted(seed: int, num_rows: int, num_plants: int, **lengths: int) -> tuple[list[NearText], list[Plant]]:
    rng = random.Random(seed)
    return with_plants(rng, rows(rng, num_rows, **lengths), num_plants)


@pytest.mark.parametrize(("least", "most", "recall"), [(45, 90, 0.97), (20, 30, 0.9)])
def test_planted_near_duplicates_are_found_and_nothing_else(least, most, recall):
    texts, plants = planted(7, 1_500, 300, least=least, most=most)
    found = found_in(texts)
    hits = sum(found.group[plant.copy] == found.group[plant.original] for plant in plants)
    dropped = int((found.group != np.arange(len(texts))).sum())
    assert hits >= recall * len(plants)
    assert hits >= 0.99 * dropped


def test_planted_near_duplicates_are_found_among_templates():
    rng = random.Random(8)
    texts, plants = with_plants(rng, rows(rng, 800), 100)
    templated = [row for own in TEMPLATES.values() for row in own]
    found = found_in(texts + templated)
    hits = sum(found.group[plant.copy] == found.group[plant.original] for plant in plants)
    assert hits >= 97
    assert int((found.group != np.arange(len(found.group))).sum()) == hits


@settings(max_examples=3)
@given(st.lists(st.integers(0, 106), max_size=8, unique=True), st.randoms(use_true_random=False))
def test_neither_parts_nor_order_change_what_is_found(borders, rng):
    texts, _ = planted(9, 60, 20)
    texts += TEMPLATES["six capitals"] + TEMPLATES["short texts"][:20]
    sizes = np.diff([0, *sorted(borders), len(texts)]).tolist()
    whole, parted = found_in(texts), found_in(texts, sizes=sizes)
    for field in ("pairs", "similarity", "verdict", "group"):
        assert np.array_equal(getattr(whole, field), getattr(parted, field))
    order = list(range(len(texts)))
    rng.shuffle(order)
    shuffled = found_in([texts[number] for number in order])
    assert groups(whole) == {frozenset(order[number] for number in group) for group in groups(shuffled)}
    there = {frozenset((i, j)): v for (i, j), v in zip(whole.pairs.tolist(), whole.verdict, strict=True)}
    here = {
        frozenset((order[i], order[j])): v for (i, j), v in zip(shuffled.pairs.tolist(), shuffled.verdict, strict=True)
    }
    assert here == there


def test_repeated_rows_and_case_change_no_group():
    texts, _ = planted(12, 120, 40)
    plain = found_in(texts)
    shouted = found_in([NearText(row.prompt.upper(), row.answer.title()) for row in texts])
    assert np.array_equal(shouted.group, plain.group) and np.array_equal(shouted.pairs, plain.pairs)
    again = found_in([*texts, *texts[::-1]])
    assert np.array_equal(again.group[: len(texts)], plain.group)
    assert np.array_equal(again.group[len(texts) :], plain.group[::-1])


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 37), st.booleans())
def test_rows_that_differ_in_a_number_never_merge(one, other, place, is_answer):
    texts = []
    for number in (one, other):
        side = (TOLD if is_answer else LONG).split()
        side.insert(min(place, len(side)), str(number))
        texts.append(NearText(LONG, " ".join(side)) if is_answer else NearText(" ".join(side), TOLD))
    # Rows between the two that are near either must not tie them together.
    texts += [NearText(changed(row.prompt, "the", ""), changed(row.answer, "the", "")) for row in texts]
    found = found_in(texts)
    assert (found.group[0] == found.group[1]) == (one == other)
    assert found.group[0] == found.group[2] and found.group[1] == found.group[3]


def test_an_edit_in_the_frame_of_a_template_is_found_also_where_answers_are_labels_and_prompts_short():
    rows_of = [NearText(f"Which colour has flag {n}? Choose red, green or blue", ("red", "green", "blue")[n % 3])
               for n in range(60)]  # fmt: skip
    copies = [NearText(f"Now then: {rows_of[7].prompt}", rows_of[7].answer),
              NearText(f"{rows_of[20].prompt}, dear friend", rows_of[20].answer)]  # fmt: skip
    found = found_in([*rows_of, *copies])
    assert found.group.tolist() == [*range(60), 7, 20]


def test_sketches_are_the_same_from_a_file_and_from_another_process(tmp_path):
    texts, _ = planted(10, 60, 20)
    texts[3] = NearText(f"{texts[3].prompt}. Why so?", texts[3].answer, ("a", "b"), "tools")
    parts = [Sketches.of(texts[:50]), Sketches.of(texts[50:]), Sketches.of([])]
    for number, part in enumerate(parts):
        part.save(tmp_path / str(number))
    opened = [Sketches.open(tmp_path / str(number)) for number in range(3)]
    for others in (opened, pickle.loads(pickle.dumps(parts)), pickle.loads(pickle.dumps(opened))):
        assert [len(part) for part in others] == [50, 30, 0]
        for part, other in zip(parts, others, strict=True):
            for field in ("words", "ends", "options", "fixed", "forms", "questions"):
                assert np.array_equal(getattr(part, field)[:], getattr(other, field)[:])
        assert np.array_equal(near_duplicates(others).pairs, near_duplicates(parts).pairs)


def test_more_parts_than_files_that_may_be_open_are_compared(tmp_path):
    texts, _ = planted(10, 40, 20)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number, text in enumerate(texts):
        Sketches.of([text]).save(tmp_path / str(number))
    num_open = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (num_open + 24, before[1]))
    sketch._mapped.cache_clear()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sketch, "_mapped", lru_cache(maxsize=8)(sketch._mapped.__wrapped__))
            found = near_duplicates([Sketches.open(tmp_path / str(number)) for number in range(len(texts))])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert np.array_equal(found.group, found_in(texts).group)
    assert len(os.listdir("/proc/self/fd")) == num_open


WORD = st.sampled_from(("oak", "elm", "ash", "fir", "yew", "bay", "fig", "nut", "rye", "oat"))


def slow_edits(left: list[str], right: list[str]) -> int:
    row = list(range(len(right) + 1))
    for i, one in enumerate(left, 1):
        last, row = row, [i]
        for j, other in enumerate(right, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (one != other)))
    return row[-1]


def slow_jaccard(left: list[str], right: list[str]) -> float:
    one, other = ({tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in (left, right))
    return len(one & other) / len(one | other)


@settings(max_examples=12)
@given(st.data())
def test_long_prompts_with_a_telling_answer_are_near_exactly_where_a_slow_reading_of_the_rule_says_so(data):
    """An answer of many words that few rows have leaves words changed and Jaccard similarity alone to decide."""
    first = data.draw(st.lists(WORD, min_size=30, max_size=70))
    prompts = [first]
    for _ in range(data.draw(st.integers(1, 6))):
        copy = list(data.draw(st.sampled_from(prompts)))
        for place in data.draw(st.lists(st.integers(0, len(copy) - 1), max_size=5)):
            copy[place : place + 1] = data.draw(st.lists(WORD, max_size=2))
        prompts.append(copy)
    found = found_in([NearText(" ".join(words), TOLD) for words in prompts])
    near = {tuple(pair) for pair in found.pairs.tolist()}
    expected = {(i, j) for j in range(len(prompts)) for i in range(j)
                if slow_edits(prompts[i], prompts[j]) <= 3
                or (min(len(prompts[i]), len(prompts[j])) >= 25 and slow_jaccard(prompts[i], prompts[j]) >= 0.7)}  # fmt: skip
    # Of repeated rows only the first is paired with others.
    again = {j for j in range(len(prompts)) if prompts.index(prompts[j]) < j}
    expected = {(i, j) for i, j in expected if (i not in again and j not in again) or prompts.index(prompts[j]) == i}
    assert near == expected
    assert set(found.verdict.tolist()) <= {"near"}

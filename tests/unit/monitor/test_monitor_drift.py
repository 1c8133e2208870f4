import dataclasses

import numpy as np
import pytest

from luthier.monitor.drift import (
    ALARM_P,
    MOST_PROMPTS,
    NUM_FAR,
    drift,
    holm,
    permutation_p,
    prompt_text,
    tfidf,
    told_apart,
)
from luthier.records import Message

SHOP = [
    "when",
    "do",
    "you",
    "open",
    "on",
    "sunday",
    "return",
    "my",
    "order",
    "please",
    "invoice",
    "deliver",
    "where",
    "is",
]
POETRY = ["autumn", "moon", "rhyme", "verse", "about", "silver", "rivers", "compose", "sonnet", "gently"]


def prompts(words: list[str], count: int, seed: int, length: int = 7) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(words, length)) for _ in range(count)]


def served(texts: list[str]) -> list[tuple[str, str]]:
    return [(f"t{k}", text) for k, text in enumerate(texts)]


def test_prompts_of_the_same_kind_raise_no_alarm() -> None:
    found = drift(served(prompts(SHOP, 120, 1)), prompts(SHOP, 150, 2), seed=7)
    assert found.alarms == () and 0.4 < found.told_apart < 0.6 and found.p_words > 0.02


def test_other_words_and_other_lengths_each_raise_their_own_alarm() -> None:
    training = prompts(SHOP, 150, 2)
    words = drift(served(prompts(POETRY, 60, 1, length=5)), training, seed=7)
    assert words.told_apart > 0.95 and words.p_words <= 0.002 and "by its words" in words.alarms[0]
    longer = drift(served(prompts(SHOP, 60, 1, length=30)), training, seed=7)
    assert any("lengths have drifted" in alarm for alarm in longer.alarms)
    assert longer.length_gap == 1.0 and longer.p_length < 1e-6


def test_a_few_strange_prompts_are_shown_beside_their_nearest_training_prompt() -> None:
    training = prompts(SHOP, 100, 2)
    strange = "compose gentle verses beneath zephyrs"
    found = drift(served([*training[:59], strange, strange]), training, seed=7)
    assert found.farthest[0].text == strange and found.farthest[0].trace_id == "t59"
    assert found.farthest[0].similarity < 0.2 < found.farthest[1].similarity
    assert found.farthest[0].nearest in training
    assert len(found.farthest) == NUM_FAR and len({far.text for far in found.farthest}) == NUM_FAR


def test_the_permutation_test_keeps_its_false_alarm_rate() -> None:
    p_values = []
    for seed in range(150):
        vectors = tfidf(prompts(SHOP, 60, seed, length=4))
        gram = np.asarray((vectors @ vectors.T).todense())
        p_values.append(permutation_p(gram, 25, rng=np.random.default_rng(seed)))
    assert 0.02 < np.mean(np.array(p_values) <= 0.1) < 0.19
    assert 0.3 < np.mean(p_values) < 0.7


def test_two_samples_of_one_source_are_told_apart_half_of_the_time_on_average() -> None:
    areas = []
    for seed in range(100):
        vectors = tfidf(prompts(SHOP, 60, seed, length=4))
        gram = np.asarray((vectors @ vectors.T).todense())
        areas.append(told_apart(gram, 25, rng=np.random.default_rng(seed)))
    assert abs(np.mean(areas) - 0.5) < 0.03


def test_the_centroid_distance_is_that_of_the_vectors() -> None:
    vectors = tfidf(prompts(SHOP, 12, 3))
    gram = np.asarray((vectors @ vectors.T).todense())
    dense = np.asarray(vectors.todense())
    expected = np.sum((dense[5:].mean(axis=0) - dense[:5].mean(axis=0)) ** 2)
    w = np.where(np.arange(12) < 5, -1 / 5, 1 / 7)
    assert w @ gram @ w == pytest.approx(expected)


def test_vectors_have_unit_length_and_numbers_do_not_matter() -> None:
    vectors = tfidf(["order 1234 is late", "ORDER 9876 is  late", "something else", "", "\ud800"])
    gram = np.asarray((vectors @ vectors.T).todense())
    assert gram[0, 1] == pytest.approx(1.0) and gram[0, 2] < 0.2
    assert np.diag(gram)[:3] == pytest.approx(1.0) and gram[3, 3] == 0.0


def test_languages_without_spaces_are_compared_by_their_characters() -> None:
    vectors = tfidf(
        [
            "\u660e\u5929\u51e0\u70b9\u5f00\u95e8",
            "\u660e\u5929\u51e0\u70b9\u5f00\u95e8\u554a",
            "\u8bf7\u5199\u4e00\u9996\u8bd7",
        ]
    )
    gram = np.asarray((vectors @ vectors.T).todense())
    assert gram[0, 1] > 0.5 > gram[0, 2]


def test_the_same_prompts_give_the_same_figures_and_another_seed_other_permutations() -> None:
    a, b = served(prompts(SHOP, 60, 1)), prompts(SHOP, 70, 2)
    assert drift(a, b, seed=7) == drift(a, b, seed=7)
    assert drift(a, b, seed=7) != drift(a, b, seed=8)


def test_large_sets_are_sampled_and_the_counts_say_so() -> None:
    found = drift(served(prompts(SHOP, 60, 1)), prompts(SHOP, MOST_PROMPTS + 500, 2, length=3), seed=7)
    assert (found.num_served, found.num_training) == (60, MOST_PROMPTS)


def test_significant_but_slight_drift_raises_no_alarm() -> None:
    found = drift(served(prompts(SHOP, 60, 1)), prompts(SHOP, 60, 2), seed=7)
    slight = dataclasses.replace(found, p_words=0.001, told_apart=0.55, p_length=0.001, length_gap=0.05)
    clear = dataclasses.replace(slight, told_apart=0.9, length_gap=0.9)
    unsure = dataclasses.replace(clear, p_words=ALARM_P, p_length=ALARM_P)
    assert (len(slight.alarms), len(clear.alarms), len(unsure.alarms)) == (0, 2, 0)


def test_two_p_values_are_corrected_for_each_other() -> None:
    assert holm(0.01, 0.5) == (0.02, 0.5)
    assert holm(0.5, 0.01) == (0.5, 0.02)
    assert holm(0.03, 0.04) == (0.06, 0.06)
    assert holm(0.9, 0.8) == (1.0, 1.0)


def test_drift_looks_at_the_last_user_turn() -> None:
    turns = (
        Message(role="system", content="s"),
        Message(role="user", content="one"),
        Message(role="assistant", content="a"),
        Message(role="user", content="two"),
    )
    assert prompt_text(turns) == "two"
    assert prompt_text((Message(role="assistant", content="a"),)) == ""

import itertools
import json
import math

import numpy as np
import pytest

import luthier.curate.selecting as selecting
from luthier.curate.selecting import Candidate, facility_location, select, word_coverage
from luthier.errors import ConfigError


def rows_of(count, *, seed=1):
    rng = np.random.default_rng(seed)
    words = ["lake", "mill", "road", "cold", "warm", "bird", "boat", "stone", "field", "night"]
    return [Candidate(f"ask {i}", " ".join(rng.choice(words, rng.integers(1, 40)))) for i in range(count)]


FOUR = [Candidate("p", answer) for answer in "abcd"]


def test_methods_are_combined_by_mean_rank_and_equals_share_the_ranks_that_they_take_up():
    rows = rows_of(60)
    found = select(rows, method=("length", "diversity"), keep=12, seed=0)
    assert len(set(found.scores["length"])) < 40  # many equals

    def rank(values, own):
        return sum(value > own for value in values) + (sum(value == own for value in values) + 1) / 2

    ranks = [sum(rank(values, values[i]) for values in found.scores.values()) for i in range(60)]
    assert found.kept == tuple(sorted(sorted(range(60), key=lambda i: (ranks[i], i))[:12]))


def test_length_keeps_the_longest_answers_as_counted():
    rows = rows_of(50)
    kept = select(rows, method="length", keep=5, seed=0).kept
    lengths = [len(row.answer.split()) for row in rows]
    assert sorted(lengths[i] for i in kept) == sorted(lengths)[-5:]


def test_the_signs_of_scripts_without_blanks_count_as_words():
    signs = "\u5317\u4eac\u662f\u4e2d\u56fd\u7684\u9996\u90fd"
    rows = [Candidate("\u95ee", signs[: 1 + k % 7] + "\u3002") for k in range(60)]
    found = select(rows, method="length", keep=5, seed=0)
    assert all(k % 7 == 6 for k in found.kept) and found.report["kept"]["mean_answer_tokens"] > 7
    assert word_coverage(rows, {"first": np.array([0])})["first"] < 0.5


def test_controls_have_as_many_rows_and_as_many_tokens():
    rows = rows_of(400)
    found = select(rows, method="length", keep=40, seed=3)
    tokens = [len(row.prompt.split()) + len(row.answer.split()) for row in rows]
    wanted = sum(tokens[i] for i in found.kept)
    assert len(found.control) == len(set(found.control)) == 40
    reached = sum(tokens[i] for i in found.control_tokens)
    assert 0 <= reached - wanted < max(tokens) and len(found.control_tokens) > 40
    assert set(found.control) <= set(found.control_tokens)  # one order of all rows
    report = found.report
    json.dumps(report)
    assert report["kept"]["tokens"] == wanted and report["control_tokens"]["tokens"] == reached
    assert report["control"]["share_in_kept"] == len(set(found.control) & set(found.kept)) / 40
    assert report["kept"]["share_in_kept"] == 1 and report["tokens"] == sum(tokens)
    assert report["kept"]["mean_answer_tokens"] > 1.5 * report["control"]["mean_answer_tokens"]


def test_the_control_is_a_fair_lot():
    """Every row is as likely as any other, whatever the method prefers."""
    rows = rows_of(20)
    drawn = np.zeros(20)
    for seed in range(600):
        drawn[list(select(rows, method="length", keep=5, seed=seed).control)] += 1
    assert drawn.min() > 100 and drawn.max() < 200  # 150 each, standard deviation 10.6


def test_all_rows_may_be_kept_and_the_controls_are_then_the_same():
    rows = rows_of(30)
    found = select(rows, method="diversity", keep=30, seed=0)
    assert found.kept == found.control == found.control_tokens == tuple(range(30))


def test_the_same_seed_gives_the_same_and_another_another_control():
    rows = rows_of(60)
    first, again, other = (select(rows, method="diversity", keep=6, seed=seed) for seed in (1, 1, 2))
    assert first == again and first.control != other.control


def plain_greedy(similarity):
    covered, order = np.zeros(len(similarity)), []
    while len(order) < len(similarity):
        gains = [
            (np.maximum(similarity[:, j] - covered, 0).sum(), -j) for j in range(len(similarity)) if j not in order
        ]
        order.append(-max(gains)[1])
        covered = np.maximum(covered, similarity[:, order[-1]])
    return order


@pytest.mark.parametrize("seed", range(5))
def test_facility_location_takes_the_greedy_order(seed):
    rng = np.random.default_rng(seed)
    similarity = rng.integers(0, 8, (25, 25)) / 8  # exact sums, and many equals
    assert facility_location(similarity).tolist() == plain_greedy(similarity)


def test_facility_location_is_near_the_best_subset():
    rng = np.random.default_rng(9)
    points = rng.normal(size=(12, 3))
    similarity = np.exp(-((points[:, None] - points[None]) ** 2).sum(axis=2))
    best = max(similarity[:, list(some)].max(axis=1).sum() for some in itertools.combinations(range(12), 3))
    assert similarity[:, facility_location(similarity)[:3]].max(axis=1).sum() >= (1 - 1 / math.e) * best


def test_word_coverage_is_the_share_of_different_words():
    rows = [Candidate("the lake", "The mill"), Candidate("a lake", "cold"), Candidate("road", "road")]
    subsets = {"first": np.array([0]), "last two": np.array([1, 2]), "none": np.array([], np.int64)}
    # Of the, lake, mill, a, cold, road: three; a, lake, cold, road.
    assert word_coverage(rows, subsets) == {"first": 0.5, "last two": round(4 / 6, 4), "none": 0.0}
    assert select(rows, method="length", keep=3, seed=0).report["kept"]["word_coverage"] == 1.0


def test_the_control_is_one_lot_for_all_methods():
    rows = rows_of(60)
    controls = [select(rows, method=method, keep=6, seed=1).control for method in ("length", "diversity")]
    assert controls[0] == controls[1]


def test_rows_may_be_fetched_when_they_are_asked_for():
    class Fetched:
        def __len__(self):
            return 40

        def __getitem__(self, row):
            return listed[row]

    listed = rows_of(40)
    for method in ("length", "diversity"):
        assert select(Fetched(), method=method, keep=5, seed=0) == select(listed, method=method, keep=5, seed=0)


def test_diversity_takes_one_of_each_kind_before_a_second():
    kinds = ["the lake is cold and deep", "my invoice of march is wrong", "play the song of the birds again"]
    rows = [Candidate(f"{kind} {word}", "yes") for kind in kinds for word in ("now", "today", "please", "soon", "then")]
    kept = select(rows, method="diversity", keep=3, seed=0).kept
    assert {i // 5 for i in kept} == {0, 1, 2}


def test_every_block_gives_its_share(monkeypatch):
    monkeypatch.setattr(selecting, "BLOCK_ROWS", 20)
    found = select(rows_of(100), method="diversity", keep=10, seed=0)
    assert sorted(found.scores["diversity"]) == sorted(-float(i) for i in range(20) for _ in range(5))
    assert sorted(found.scores["diversity"][i] for i in found.kept) == [-1.0] * 5 + [0.0] * 5


@pytest.mark.parametrize(("arguments", "where"), [
    ({"method": "ifd", "keep": 1}, "curate.select.methods"), ({"method": "luck", "keep": 1}, "curate.select.methods"),
    ({"method": (), "keep": 1}, "curate.select.methods"), ({"method": "length", "keep": 5}, "curate.select.keep"),
    ({"method": "length", "keep": 0}, "curate.select.keep"),
])  # fmt: skip
def test_a_selection_that_cannot_be_made_is_an_error_with_its_place(arguments, where):
    with pytest.raises(ConfigError, match=where):
        select(FOUR, seed=0, **arguments)

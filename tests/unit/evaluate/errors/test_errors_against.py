import numpy as np
import pytest
from scipy import stats

from luthier.evaluate.errors.against import Scores, evidence

ALL = np.ones


def scores(values, tasks, base=None):
    return Scores(np.asarray(values, dtype=float), np.asarray(tasks), None if base is None else np.asarray(base, float))


def test_like_items_are_those_of_the_same_tasks_whatever_the_tasks_reach():
    # Task 0 is easy and task 1 hard; the slice has mostly items of the hard one, and is no weaker than its like.
    values = [1] * 40 + [0] * 40
    inside = np.array([False] * 36 + [True] * 4 + [True] * 30 + [False] * 10)
    found = evidence(scores(values, [0] * 40 + [1] * 40), inside, ALL(80, bool), "like items", margin=0.0)
    assert found.deficit.value == pytest.approx(0.0) and found.p > 0.3


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.2])
def test_the_p_value_of_one_task_is_the_beta_binomial_tail(margin):
    values = [0] * 8 + [1] * 2 + [1] * 27 + [0] * 3
    inside = np.arange(40) < 10
    found = evidence(scores(values, [0] * 40), inside, ALL(40, bool), "like items", margin=margin)
    mean = 27.5 / 31 - margin
    assert found.p == pytest.approx(stats.betabinom.cdf(2, 10, mean * 31, (1 - mean) * 31), rel=1e-9)
    assert found.score == 0.2 and found.expected == pytest.approx(0.9)


def test_a_deficit_that_differs_from_task_to_task_counts_for_less():
    tasks = np.repeat(np.arange(6), 40)
    inside = np.tile(np.arange(40) < 20, 6)
    even, uneven = np.ones(240), np.ones(240)
    even[inside & (np.arange(240) % 2 == 0)] = 0  # every task loses half
    uneven[inside & (tasks < 3)] = 0  # three tasks lose all, three nothing
    found = [evidence(scores(v, tasks), inside, ALL(240, bool), "like items", margin=0.0) for v in (even, uneven)]
    assert found[0].deficit.value == found[1].deficit.value == pytest.approx(0.5)
    assert found[0].p < found[1].p
    assert "clustered by task" in found[1].deficit.method and "clustered" not in found[0].deficit.method


def test_a_task_is_weak_among_alike_tasks_and_not_among_tasks_that_differ():
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(15), 20)
    inside = tasks == 0
    alike = np.where(inside, 0.0, rng.random(300) < 0.9)
    differing = np.where(inside, 0.0, rng.random(300) < (tasks / 15))
    p = [evidence(scores(v, tasks), inside, ALL(300, bool), "other tasks", margin=0.1).p for v in (alike, differing)]
    assert p[0] < 1e-4 < 0.02 < p[1]


def test_what_the_base_finds_hard_too_is_less_of_a_surprise():
    rng = np.random.default_rng(1)
    tasks = np.repeat(np.arange(20), 30)
    level = np.linspace(0.05, 0.95, 20)
    level[0] = 0.0  # the hardest of all, for both
    values, base = ((rng.random(600) < level[tasks]).astype(float) for _ in range(2))
    inside = tasks == 0
    without, with_base = (evidence(scores(values, tasks, b), inside, ALL(600, bool), "other tasks", margin=0.0)
                          for b in (None, base))  # fmt: skip
    assert without.p < with_base.p


def test_against_the_base_it_is_the_exact_sign_test():
    base, values = [1] * 9 + [0] + [1] * 10, [0] * 9 + [1] + [1] * 10
    inside = np.ones(20, bool)
    found = evidence(scores(values, [0] * 20, base), inside, inside, "base", margin=0.1)
    assert found.p == pytest.approx(stats.binomtest(9, 10, 0.5, alternative="greater").pvalue)
    assert found.deficit.value == pytest.approx(0.4)
    assert evidence(scores(values, [0] * 20), inside, inside, "base", margin=0.1) is None


def test_where_there_is_nothing_to_compare_with_nothing_is_said():
    whole = np.arange(40) < 20
    two_tasks = scores(np.zeros(40), [0] * 20 + [1] * 20)
    assert evidence(two_tasks, whole, ALL(40, bool), "like items", margin=0.1) is None
    assert evidence(two_tasks, whole, ALL(40, bool), "other tasks", margin=0.1) is None
    few = scores(np.zeros(10), [0] * 10)
    assert evidence(few, np.arange(10) < 8, ALL(10, bool), "like items", margin=0.1) is None


def test_items_that_something_else_explains_are_out_of_the_books():
    values = [0] * 10 + [0] * 10 + [1] * 20
    inside, usable = np.arange(40) < 10, ~((np.arange(40) >= 10) & (np.arange(40) < 20))
    with_all, without = (evidence(scores(values, [0] * 40), inside, u, "like items", margin=0.0)
                         for u in (ALL(40, bool), usable))  # fmt: skip
    assert with_all.expected == pytest.approx(2 / 3) and without.expected == 1.0

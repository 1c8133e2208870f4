import itertools

import numpy as np
import pytest

from luthier.stats.slope import Cell, slope_test

LEVELS = (0.0, 1.0, 2.0, 3.0)


def study(rng, *, rise, blocks=3, tasks=8, arm_noise=0.04, levels=LEVELS):
    """Scores of blocks x arms x tasks: tasks differ in difficulty, every training adds its own luck to all its tasks."""
    cells = []
    for block in range(blocks):
        difficulty = rng.uniform(0.2, 0.6, tasks)
        for arm, x in enumerate(levels):
            luck = rng.normal(0, arm_noise)
            ys = difficulty + luck + rise * x + rng.normal(0, 0.05, tasks)
            cells += [Cell(block, arm, f"task {block % 2}/{t}", x, float(y)) for t, y in enumerate(ys)]
    return cells


def test_the_slope_of_a_small_case_worked_by_hand():
    cells = [Cell("b", arm, "t", x, y) for arm, (x, y) in enumerate([(0, 1), (1, 3), (2, 2)])]
    found = slope_test(cells, seed=1)
    # x' = -1, 0, 1: (2 - 1) / 2. Of the 6 orders of x, those with y(last) - y(first) >= 1 are (1,3,2), (2,1,3), (1,2,3).
    assert found.estimate.value == pytest.approx(0.5) and found.by_block == {"b": pytest.approx(0.5)}
    assert found.p == 0.5 and found.smallest_p == pytest.approx(1 / 6)


def test_p_is_that_of_all_orders():
    rng = np.random.default_rng(2)
    cells = study(rng, rise=0.02, blocks=2, levels=LEVELS[:3])
    found = slope_test(cells, seed=5)
    sums = [[sum(c.y for c in cells if (c.block, c.arm) == (b, a)) for a in range(3)] for b in range(2)]
    rises = [[sum((x - 1) * y for x, y in zip(order, ys, strict=True)) for order in itertools.permutations((0, 1, 2))]
             for ys in sums]  # fmt: skip
    observed = rises[0][0] + rises[1][0]
    all_orders = [a + b for a in rises[0] for b in rises[1]]
    exact = sum(rise >= observed - 1e-12 for rise in all_orders) / len(all_orders)
    assert found.p == pytest.approx(exact) and found.smallest_p == pytest.approx(1 / 36)
    assert slope_test(cells, seed=5, draws=35).p == pytest.approx(exact, abs=0.25), "36 orders are too many: drawn"
    together = [a + b for a, b in zip(*rises, strict=True)]
    found = slope_test(cells, seed=5, group_of=lambda block: "one")
    assert found.p == pytest.approx(sum(rise >= observed - 1e-12 for rise in together) / 6)
    assert found.smallest_p == pytest.approx(1 / 6)


def test_under_the_null_it_rejects_no_more_often_than_it_says():
    rng = np.random.default_rng(7)
    studies, alpha = 800, 0.05
    rejected = sum(slope_test(study(rng, rise=0.0), seed=k, draws=400).p <= alpha for k in range(studies))
    assert rejected / studies <= alpha + 3 * (alpha * (1 - alpha) / studies) ** 0.5


def shared_luck(rng, *, seeds=3, choices=3, tasks=4):
    """Blocks (seed, choice) in which a level is as lucky as in the other choices of its seed."""
    cells = []
    for seed in range(seeds):
        luck = rng.normal(0, 0.05, len(LEVELS))
        for choice in range(choices):
            ys_TK = luck + rng.normal(0, 0.02, (tasks, len(LEVELS)))
            cells += [Cell((seed, choice), k, f"{choice}/{t}", x + (k == 3) * choice / 10, float(ys_TK[t, k]))
                      for t in range(tasks) for k, x in enumerate(LEVELS)]  # fmt: skip
    return cells


def test_under_the_null_with_luck_that_blocks_of_a_seed_share_it_rejects_no_more_often_than_it_says():
    rng = np.random.default_rng(17)
    studies, alpha = 800, 0.05
    data = [shared_luck(rng) for _ in range(studies)]
    together = sum(slope_test(c, seed=k, draws=400, group_of=lambda b: b[0]).p <= alpha for k, c in enumerate(data))
    assert together / studies <= alpha + 3 * (alpha * (1 - alpha) / studies) ** 0.5
    apart = sum(slope_test(c, seed=k, draws=400).p <= alpha for k, c in enumerate(data[:200]))
    assert apart / 200 > 0.1, "blocks that are shuffled apart are taken for more than they are"


def test_of_blocks_with_different_levels_those_trade_places_that_all_have():
    ys = {"a": (0.1, 0.2, 0.4, 0.9), "b": (0.3, 0.2, 0.7)}
    cells = [Cell(block, f"{block}{k}", "t", x, y) for block, xs in (("a", (0, 1, 2, 3)), ("b", (0, 1, 3)))
             for k, (x, y) in enumerate(zip(xs, ys[block], strict=True))]  # fmt: skip
    found = slope_test(cells, seed=1, group_of=lambda block: "one")
    rises = []
    for order in itertools.permutations((0, 1, 3)):
        a, b = dict(zip((0, 1, 3), order, strict=True)), dict(zip((0, 1, 3), order, strict=True))
        rise_a = sum((a.get(x, x) - 1.5) * y for x, y in enumerate(ys["a"]))
        rises.append(rise_a + sum((b[x] - 4 / 3) * y for x, y in zip((0, 1, 3), ys["b"], strict=True)))
    assert found.p == pytest.approx(sum(rise >= rises[0] - 1e-12 for rise in rises) / 6)
    assert found.smallest_p == pytest.approx(1 / 6)


def test_a_planted_slope_is_found_and_a_falling_one_is_not():
    rng = np.random.default_rng(8)
    studies = 100
    rising = [slope_test(study(rng, rise=0.05), seed=k, draws=400) for k in range(studies)]
    assert sum(found.p <= 0.05 for found in rising) / studies >= 0.9
    assert np.mean([found.estimate.value for found in rising]) == pytest.approx(0.05, abs=0.005)
    assert all(slope_test(study(rng, rise=-0.05), seed=k, draws=400).p > 0.05 for k in range(20))


def test_the_interval_over_tasks_covers_the_slope_where_tasks_differ_in_theirs():
    rng = np.random.default_rng(9)
    covered, studies = 0, 300
    for k in range(studies):
        slopes = rng.normal(0.03, 0.03, 12)
        cells = [Cell(0, a, t, x, float(slope * x + rng.normal(0, 0.03)))
                 for t, slope in enumerate(slopes) for a, x in enumerate(LEVELS)]  # fmt: skip
        found = slope_test(cells, seed=k, draws=1000).estimate
        covered += found.low <= 0.03 <= found.high
    assert covered / studies >= 0.93


def test_levels_of_blocks_and_of_tasks_do_not_matter():
    rng = np.random.default_rng(1)
    cells = study(rng, rise=0.03)
    moved = [c._replace(y=c.y + 10 * c.block + len(str(c.task))) for c in cells]
    one, other = slope_test(cells, seed=1), slope_test(moved, seed=1)
    assert other.estimate.value == pytest.approx(one.estimate.value) and other.p == pytest.approx(one.p, abs=0.002)


def test_a_task_that_an_arm_lacks_is_left_out_of_its_block():
    cells = study(np.random.default_rng(1), rise=0.03)
    cut = [c for c in cells if not (c.block == 0 and c.arm == 2 and c.task.endswith("/3"))]
    without = [c for c in cells if not (c.block == 0 and c.task.endswith("/3"))]
    assert slope_test(cut, seed=1) == slope_test(without, seed=1)


def test_without_two_levels_there_is_no_slope():
    assert slope_test([], seed=1) is None
    assert slope_test([Cell("b", "a", "t", 1.0, 0.5)], seed=1) is None
    assert slope_test([Cell("b", arm, "t", 1.0, 0.5) for arm in "ac"], seed=1) is None


def test_two_scores_or_two_levels_of_one_arm_are_refused():
    with pytest.raises(ValueError, match="one score"):
        slope_test([Cell("b", "a", "t", 1.0, 0.5), Cell("b", "a", "t", 1.0, 0.6)], seed=1)
    with pytest.raises(ValueError, match="one x"):
        slope_test([Cell("b", "a", "t", 1.0, 0.5), Cell("b", "a", "u", 2.0, 0.6)], seed=1)


def test_it_goes_into_json():
    found = slope_test(study(np.random.default_rng(1), rise=0.03), seed=1, draws=100).to_json()
    assert {"value", "low", "high", "p", "draws", "smallest_p", "by_block"} <= found.keys()
    assert list(found["by_block"]) == ["0", "1", "2"]

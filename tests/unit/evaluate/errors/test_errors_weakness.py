import pytest
from planted_suite import answered, difficulties, make_items, slice_of, values_of

from luthier.evaluate.errors.slices import Traits, words
from luthier.evaluate.errors.weakness import find_weaknesses


def found(items, right, *, seed=0, base=None, **options):
    values = values_of(answered(items, right, seed=seed))
    known = values_of(answered(items, base, seed="base")) if base else None
    return find_weaknesses(items, values, Traits(items), base=known, **options)


def names(search):
    return [one.slice.name for one in search.found if one.is_confirmed]


PLANTED = {
    "task = task3": lambda item: item.task == "task3",
    "language = es": lambda item: item.language == "es",
    "answer words = 5-8": lambda item: len(words(item.targets[0])) >= 5,
    "request form = ends with a colon": lambda item: item.prompt[0].content.endswith(":"),
    "template = task5/2": lambda item: item.template == "task5/2",
    "cluster = cluster1": lambda item: item.cluster == "cluster1",
    "task = task2, language = es": lambda item: item.task == "task2" and item.language == "es",
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_weakness_is_the_first_and_only_one_reported(name):
    items = make_items(5, tasks=16, items_per_task=100, templates=4)
    search = found(items, lambda item: 0.05 if PLANTED[name](item) else 0.9)
    assert names(search) == [name]
    weak = search.found[0]
    assert weak.confirmed.deficit.low > 0 and weak.num_items == sum(map(PLANTED[name], items))
    assert weak.points_lost == pytest.approx(weak.num_items * weak.confirmed.deficit.value)


def test_two_weaknesses_are_ranked_by_the_points_they_lose():
    items = make_items(6, tasks=16, items_per_task=80)
    search = found(items, lambda item: 0.1 if item.language == "es" else 0.1 if item.task == "task3" else 0.9)
    assert names(search) == ["language = es", "task = task3"]
    assert search.found[0].points_lost > search.found[1].points_lost


def test_what_the_narrowest_slice_explains_is_said_of_no_wider_one():
    items = make_items(7, tasks=16, items_per_task=80)
    search = found(items, lambda item: 0.0 if item.task == "task1" and item.template == "task1/0" else 0.95)
    assert names(search) == ["template = task1/0"]


def test_a_task_that_fell_below_the_base_is_found_where_tasks_differ_too_much_to_tell():
    items = make_items(8, tasks=10, items_per_task=60)
    hard = difficulties(8, tasks=10, a=0.7, b=0.7)
    rate = lambda item: 0.02 if item.task == "task4" else hard[item.task]  # noqa: E731
    was = lambda item: 0.8 if item.task == "task4" else hard[item.task]  # noqa: E731
    assert "task = task4" not in names(found(items, rate))
    search = found(items, rate, base=was)
    assert names(search)[:1] == ["task = task4"] and search.found[0].looked.against == "base"


def test_items_lost_on_one_half_alone_are_not_confirmed():
    from luthier.evaluate.errors.halves import half_of

    items = make_items(9, tasks=16, items_per_task=80)
    search = found(items, lambda item: 0.05 if item.language == "es" and half_of(item) == "look" else 0.9)
    assert names(search) == [] and search.found[0].slice == slice_of(language="es")


@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_without_a_weakness_none_is_reported_at_the_stated_rate(margin):
    """Tasks differ in difficulty, and nothing else does: any report is false. 40 suites, half of them with a base."""
    reported = 0
    for seed in range(40):
        items = make_items(seed, tasks=12, items_per_task=30)
        hard = difficulties(seed, a=3, b=1.5)
        base = (lambda item, hard=hard: 0.6 * hard[item.task]) if seed % 2 else None
        search = found(items, lambda item, hard=hard: hard[item.task], seed=seed, base=base, rate=0.1, margin=margin)
        reported += bool(names(search))
    # At 0.1 of 40 more than 8 happen with a chance of 1.5 % (binomial).
    assert reported <= 8


def test_the_search_does_not_depend_on_the_order_of_items():
    items = make_items(10, tasks=16, items_per_task=60)
    rate = lambda item: 0.1 if item.language == "es" else 0.9  # noqa: E731
    assert found(items, rate) == found(items[::-1], rate)

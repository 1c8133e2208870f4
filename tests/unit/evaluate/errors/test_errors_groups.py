from luthier.evaluate.errors.groups import grouped, telling_words

KINDS = {"spanish": "translate {} to spanish please", "sum": "add the numbers {} and seven", "list": "which word of the list {} is last"}  # fmt: skip


def texts():
    return [form.format(f"n{k}") for k in range(20) for form in KINDS.values()]


def test_failures_that_are_alike_stand_together_and_are_named_by_what_tells_them_apart():
    groups = grouped(texts())
    for word in ("spanish", "numbers", "last"):
        of_word = [group for group in groups if word in group.words]
        assert of_word and all(word in texts()[k] for group in of_word for k in group.members)
    placed = [k for group in groups for k in group.members]
    assert len(placed) == len(set(placed)) > 50


def test_the_same_failures_give_the_same_groups():
    assert grouped(texts()) == grouped(texts())


def test_a_few_failures_and_texts_without_words_make_no_groups():
    assert grouped(texts()[:20]) == [] and grouped([""] * 60) == [] and grouped([]) == []


def test_words_that_stand_everywhere_tell_nothing():
    assert telling_words(["the red cat"] * 5, ["the blue dog"] * 20) == ("cat", "red")

import random

import pytest
from planted_suite import slice_of

from luthier.evaluate.errors.slices import Traits
from luthier.evaluate.errors.training_rows import TrainingRows
from luthier.records import Example, Message

NOUNS = ("lamp", "boat", "apple", "river", "cloud", "stone", "horse", "bread", "chair", "violin", "garden", "spoon")


def last_word(k, *, answer=None, task="last", way="What is the last word of {}?", **rest):
    """A request whose answer stands in it, unless the test wants another."""
    listed = random.Random(f"{task} {k}").sample(NOUNS, 4)
    messages = [Message(role="user", content=way.format(" ".join(listed)))]
    said = listed[-1] if answer is None else answer(listed)
    return Example.of([*messages, Message(role="assistant", content=said)], task=task, template=f"{task}/{k % 3}",
                      source=f"rows.jsonl:{k + 1}", **rest)  # fmt: skip


def first_word(k):
    return last_word(k, task="first", way="Say the first word in {}", answer=lambda listed: listed[0])


ITEMS = [*(last_word(k) for k in range(1000, 1030)), *(first_word(k) for k in range(1000, 1030))]
CLEAN = [*(last_word(k) for k in range(60)), *(first_word(k) for k in range(60))]


def facts(rows, *, within_tasks=False, **part):
    return TrainingRows(rows, ITEMS, Traits([*ITEMS, *rows])).facts(
        slice_of(**(part or {"task": "last"})), within_tasks=within_tasks
    )


def test_rows_as_they_should_be_explain_nothing():
    found = facts(CLEAN)
    assert found.num_in_slice == 60 and found.expected == 60 and found.suspicious == () and found.missing == 0
    assert found.diagnosis == ("60 training rows of task = last, where comparable items have 60: their number and form "
                               "do not explain it",)  # fmt: skip
    assert [near.row.task for near in found.nearest] == ["last"] * 5


def test_no_rows_and_few_rows_are_told_with_what_comparable_items_have():
    others = [row for row in CLEAN if row.task == "first"]
    none = facts(others)
    assert none.diagnosis == ("no training rows of task = last",) and none.missing == 60
    few = facts([*others, *(last_word(k) for k in range(6))])
    assert few.diagnosis == ("few training rows of task = last: 6, where comparable items have 60",) and few.missing == 54


def test_rows_that_do_not_say_what_they_are_count_by_their_likeness():
    bare = [Example.of(row.messages, source=row.source) for row in CLEAN]
    found = facts(bare)
    assert found.num_in_slice is None and found.num_like > 40
    assert facts([row for row in bare if "last word" not in row.messages[0].content]).num_like < 10


def test_answers_dealt_out_anew_are_told_row_by_row_with_their_places():
    answers = [row.target for row in CLEAN[:60]]
    random.Random(0).shuffle(answers)
    spoilt = [last_word(k, answer=lambda _, k=k: answers[k]) for k in range(60)]
    found = facts([*spoilt, *CLEAN[60:]])
    bad = {one.row.source for one in found.suspicious}
    really = {row.source for row in spoilt if row.target not in row.messages[0].content}
    assert len(really) > 30 and bad == really
    assert "answer is not in the request" in found.diagnosis[0]


@pytest.mark.parametrize(("spoil", "said"), [(str.upper, "case"), (lambda text: f'"{text}"', "wrapped in")])
def test_answers_in_another_form_are_told(spoil, said):
    spoilt = [last_word(k, answer=lambda listed: spoil(listed[-1])) for k in range(60)]
    found = facts([*spoilt, *CLEAN[60:]])
    assert len(found.suspicious) == 60 and f"({said} = " in found.diagnosis[0]


def test_a_row_that_answers_an_item_otherwise_and_rows_that_answer_one_another_otherwise():
    against = Example.of([*ITEMS[0].messages[:-1], Message(role="assistant", content="zebra")], task="last",
                         source="rows.jsonl:900")  # fmt: skip
    other = Example.of([*CLEAN[0].messages[:-1], Message(role="assistant", content="zebra")], task="last",
                       source="rows.jsonl:901")  # fmt: skip
    found = facts([*CLEAN, against, other])
    reasons = {one.row.source: one.reason for one in found.suspicious}
    assert reasons["rows.jsonl:900"] == "answer differs from the accepted answers of the same request: 'zebra'"
    assert reasons["rows.jsonl:901"] == reasons["rows.jsonl:1"] == "answers to one request conflict"


def test_an_answer_that_is_no_option_is_suspicious():
    row = last_word(700, choices=("north", "south"))
    found = facts([*CLEAN, row])
    assert [one.reason.partition(":")[0] for one in found.suspicious] == ["answer is none of the options"]


def test_within_tasks_the_other_items_of_these_tasks_are_comparable():
    rows = [row for row in CLEAN if row.template != "last/1"]
    found = facts(rows, within_tasks=True, template="last/1")
    assert found.num_in_slice == 0 and found.expected == pytest.approx(40 / 20 * 10)
    assert facts(rows, template="last/1").expected == pytest.approx(100 / 50 * 10)

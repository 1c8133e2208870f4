"""Made-up pieces of every kind in made-up and in real texts: what is found of them, and what else is claimed."""

from __future__ import annotations

import gzip
import json
from random import Random

import pytest
from bench.planting import PLANTED_KINDS, plant

from luthier.privacy import KINDS, find

CARRIERS = (
    "The museum opened in 1887 and holds 12,400 objects. It moved twice, in 1923 and 1971. Visitors pay 8.50 on weekdays.",
    "Chapter 3.2 lists 7 steps. First, heat the oven to 180 degrees. Then mix 250 g of flour with 3 eggs (see page 41).",
    "def area(radius):\n    return 3.14159 * radius ** 2. The call area(2) gives 12.56636. Nothing else is printed.",
    "List three rivers. 1. Danube, 2,850 km. 2. Rhine, 1,233 km. 3. Elbe, 1,094 km. All of them flow through Germany.",
    "请用一句话概括下面的文字. 2023年第三季度收入为23350000元. 谢谢",
)  # fmt: skip


def test_every_kind_is_planted():
    assert set(PLANTED_KINDS) == set(KINDS)


@pytest.mark.parametrize("kind", PLANTED_KINDS)
def test_nearly_all_planted_pieces_are_found_and_nearly_nothing_else(kind):
    rng, found, claimed, rows = Random(11), 0, 0, 150
    for _ in range(rows):
        planting = plant(kind, rng.choice(CARRIERS), rng)
        spans = [(one.kind, one.start, one.end) for one in find(planting.text)]
        found += (kind, planting.start, planting.end) in spans
        claimed += len(spans)
    assert found / rows >= 0.97 and found / claimed >= 0.97


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_texts_that_carry_them_hold_none(carrier):
    assert find(carrier) == []


def test_real_arithmetic_holds_no_personal_data(real_data):
    with gzip.open(real_data / "gsm8k" / "test.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert [found for row in rows for text in row.values() for found in find(text)] == []


def test_what_is_found_in_real_questions_and_answers_was_looked_at(real_data):
    """Every finding in the set was read by a person; all are addresses and numbers, one way or another."""
    with gzip.open(real_data / "dolly" / "dolly_15k.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    found = [one for row in rows for text in row.values() for one in find(text)]
    assert {kind: sum(one.kind == kind for one in found) for kind in KINDS if any(one.kind == kind for one in found)} == {
        "email": 14, "phone": 5,
    }  # fmt: skip

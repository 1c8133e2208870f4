"""Near-duplicates and questions planted in real rows are found, and no distinct row is merged or dropped.

Small samples of what `python -m bench.curate_near` measures; the bounds leave room for the size of the samples only.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from bench.near_planting import (
    BANDS,
    TEMPLATES,
    Row,
    copies,
    distinct,
    leak,
    plant,
    questions,
    real_rows,
    score,
    without_near,
)

from luthier.similarity.containment import QuestionIndex
from luthier.similarity.near import NearText, Sketches, near_duplicates

ROWS, PLANTS, QUESTIONS = 2_000, 250, 500


def found_in(rows: list[Row]) -> list[int]:
    """For each row the first of its group, searched in another order than given."""
    order = Random(4).sample(range(len(rows)), len(rows))
    group = near_duplicates([Sketches.of([NearText(rows[i].prompt, rows[i].answer) for i in order])]).group
    names = np.empty(len(rows), dtype=np.int64)
    names[order] = group
    return [int(name) for name in names]


@pytest.mark.parametrize("definitions", [True, False])
def test_planted_near_duplicates_are_found_and_distinct_rows_stay(real_data: Path, definitions: bool) -> None:
    rng = Random(11)
    every = real_rows(real_data, definitions=definitions)
    # Neighbours in the files are rows of one task, so its template is there in full.
    start = rng.randrange(20_000)
    rows = without_near(every[start : start + ROWS // 2] + rng.sample(every, ROWS // 2))
    plants = plant(rows, PLANTS, rng) + plant(rows, PLANTS // 2, rng, least=10, most=25) + copies(rows, PLANTS, rng)
    others = distinct(rows, PLANTS, rng) + [row for family in TEMPLATES.values() for row in family]
    found = score(rows, plants, others, found_in([*rows, *(planted.row for planted in plants), *others]))

    shares = {band: hits / total for band, (hits, total) in found.recall.items() if total >= 10}
    assert list(shares) == list(BANDS)
    assert shares["the same"] == 1
    assert shares["near by shingles"] >= 0.97 and shares["near by words"] >= 0.9, found.recall
    assert shares["under 25 words"] >= 0.8, found.recall
    assert found.precision >= 0.99, found.wrong_groups


def test_rows_that_hold_a_test_question_are_found_and_no_other(real_data: Path) -> None:
    rng = Random(12)
    asked = questions(real_data)
    texts, held = leak([row.prompt for row in rng.sample(real_rows(real_data), ROWS)], asked, QUESTIONS, rng)
    found = QuestionIndex.of(asked).without_templates().matches_of(texts)

    hits = sum(name in {match.name for match in found[number]} for number, name in held.items())
    assert hits >= 0.98 * len(held)
    assert hits >= 0.99 * sum(bool(matches) for matches in found)

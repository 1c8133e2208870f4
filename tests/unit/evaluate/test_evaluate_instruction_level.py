import pytest

from luthier.evaluate.instruction_level import instruction_level
from luthier.records import Grade


def level_grades(rows):
    return [Grade(completion_id=f"c{k}", example_id=f"e{k}", grader="instructions", value=float(all(row)),
                  reason="; ".join(("follows" if follows else "breaks") + f" {name} (x)"
                                   for name, follows in zip(("punctuation:no_comma", "detectable_format:title"), row,
                                                            strict=False)))
            for k, row in enumerate(rows)]  # fmt: skip


def test_instruction_level_accuracy_counts_instructions_and_clusters_them_by_prompt():
    # Both instructions of a prompt share its luck: twice the instructions tell no more than the prompts do.
    together = instruction_level(level_grades([(True, True), (False, False)] * 20)).overall
    alone = instruction_level(level_grades([(True,), (False,)] * 20)).overall
    apart = instruction_level(level_grades([(True,), (False,)] * 40)).overall
    assert together.value == alone.value == 0.5
    assert (together.n, alone.n) == (80, 40)
    assert "over 40 prompts" in together.method
    width = together.high - together.low
    assert width > 1.3 * (apart.high - apart.low)
    assert width == pytest.approx(alone.high - alone.low, rel=0.05)


def test_instruction_level_accuracy_is_told_by_id_and_leaves_out_what_was_not_graded():
    grades = level_grades([(True, False), (True, True), (False, True)])
    failed = Grade(completion_id="c", example_id="x", grader="instructions", value=None, is_error=True,
                   reason="ValueError: breaks punctuation:no_comma")  # fmt: skip
    found = instruction_level([*grades, failed])
    assert found.overall.value == pytest.approx(4 / 6)
    assert {name: (estimate.value, estimate.n) for name, estimate in found.by_id.items()} == {
        "detectable_format:title": (pytest.approx(2 / 3), 3),
        "punctuation:no_comma": (pytest.approx(2 / 3), 3),
    }
    assert instruction_level([failed]).overall is None

"""What a person is shown when something cannot be used."""

from __future__ import annotations

import pytest

from luthier.errors import SHOWN_PROBLEMS, ConfigError, DataError, LuthierError, ModelError, Problem


def problem(number: int) -> Problem:
    return Problem(where=f"rows.jsonl:{number}", found="'asistant'", expected="a role", fix=f"edit line {number}")


def test_an_error_reads_as_summary_place_finding_and_fix():
    assert str(DataError("1 problem in the data", [problem(41)])) == (
        "1 problem in the data\nrows.jsonl:41: found 'asistant', expected a role.\n  Fix: edit line 41"
    )


def test_twenty_problems_are_shown_and_the_rest_counted():
    error = LuthierError("many", [problem(n) for n in range(SHOWN_PROBLEMS + 5)])
    assert len(error.problems) == 25
    assert str(error).count("Fix:") == 20 and str(error).endswith("\n... and 5 more")
    exact = LuthierError("many", [problem(n) for n in range(SHOWN_PROBLEMS)])
    assert "more" not in str(exact)


@pytest.mark.parametrize("kind", [DataError, ConfigError, ModelError])
def test_all_are_luthier_errors_and_none_is_another(kind):
    others = {DataError, ConfigError, ModelError} - {kind}
    with pytest.raises(LuthierError) as error:
        raise kind("x")
    assert not isinstance(error.value, tuple(others)) and error.value.problems == ()

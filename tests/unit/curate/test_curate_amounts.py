"""Nouns and verbs that agree with their count."""

import doctest

from luthier.curate import amounts


def test_the_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(amounts)
    assert result.attempted == 2 and result.failed == 0

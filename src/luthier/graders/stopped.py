"""The model ended its answer by itself, and was not cut."""

from __future__ import annotations

from luthier.records import Completion, Example, Grade


def stopped(example: Example, completion: Completion) -> Grade:
    """1 when the answer ended with an end token or a stop text, 0 when it ran into the limit of tokens."""
    is_cut = completion.finish_reason == "length"
    return Grade(
        completion_id=completion.id, example_id=example.id, grader="stopped", value=float(not is_cut),
        reason="cut at the limit of tokens" if is_cut else "",
    )  # fmt: skip

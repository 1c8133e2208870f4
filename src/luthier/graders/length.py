"""The answer is as long as the item allows: bounds of its `grading`, each of them included.

`min_words`, `max_words` count what stands between white space; `min_chars`, `max_chars` count characters without white
space at the ends; `min_tokens`, `max_tokens` count what the model drew, its end token included.
"""

from __future__ import annotations

from luthier.records import Completion, Example, Grade

BOUNDS = tuple(f"{side}_{what}" for what in ("words", "chars", "tokens") for side in ("min", "max"))


def length(example: Example, completion: Completion) -> Grade:
    """1 when every bound of the item holds, else 0; None when it has none, or tokens that nobody counted.

    ValueError for a bound that is no whole number from 0.
    """
    bounds = {key: example.grading[key] for key in BOUNDS if key in example.grading}
    for key, bound in bounds.items():
        if isinstance(bound, bool) or not isinstance(bound, int) or bound < 0:
            raise ValueError(f"grading.{key}: found {bound!r}, expected a whole number from 0")
    sizes = {"words": len(completion.text.split()), "chars": len(completion.text.strip())}
    if completion.token_ids or not completion.text:
        sizes["tokens"] = len(completion.token_ids)
    known = {key: bound for key, bound in bounds.items() if key[4:] in sizes}
    broken = [key for key, bound in known.items()
              if (sizes[key[4:]] < bound if key.startswith("min") else sizes[key[4:]] > bound)]  # fmt: skip
    value: float | None = float(not broken)
    reason = ", ".join(f"{sizes[key[4:]]} {key[4:]}, {key} is {bounds[key]}" for key in broken)
    if not broken and len(known) < len(bounds):
        value, reason = None, "nobody counted the tokens of the answer"
    elif not bounds:
        value, reason = None, "the item has no bound of length"
    return Grade(completion_id=completion.id, example_id=example.id, grader="length", value=value, reason=reason)

"""One candidate, measured: how well it foresees the dev answers and answers itself, how fast, in how much memory."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from luthier.graders import grade_all
from luthier.graders.rank import can_be_ranked, rank_grade, rank_options
from luthier.records import Example, Generate, Grader, Sampling, Score
from luthier.stats.intervals import Estimate, ratio_interval, score_interval, usable_clusters


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedModel:
    """A candidate, loaded, and what is known of it without running it."""

    score: Score
    generate: Generate
    context_length: int
    num_parameters: int
    licence: str | None
    digest: str
    close: Callable[[], None]
    """Frees its memory, so that the next candidate finds the machine as this one did."""
    peak_memory_gib: Callable[[], float | None] | None = None
    """Peak of the device since it was opened; None: the peak of this process, where the system can tell."""


class ItemScore(NamedTuple):
    """What one example adds to a criterion: value / weight."""

    value: float
    weight: float
    """UTF-8 bytes of the answer for likelihood, else 1."""
    task: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One row of the table."""

    candidate: str
    error: str | None = None
    """Why it could not be measured; nothing else is known then."""
    digest: str | None = None
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    """By criterion: likelihood, rank (where examples have options), generated."""
    tokens_per_s: float | None = None
    """Generated tokens over wall time, after a warm-up."""
    peak_memory_gib: float | None = None
    context_length: int | None = None
    num_parameters: int | None = None
    licence: str | None = None
    items: Mapping[str, Mapping[str, ItemScore]] = field(default_factory=dict, repr=False)
    """By criterion and example id, for paired comparison."""

    def to_json(self) -> dict[str, Any]:
        """Everything but the single items."""
        return {
            "candidate": self.candidate,
            "error": self.error,
            "digest": self.digest,
            **{name: estimate.to_json() for name, estimate in self.estimates.items()},
            "tokens_per_s": self.tokens_per_s,
            "peak_memory_gib": self.peak_memory_gib,
            "context_length": self.context_length,
            "num_parameters": self.num_parameters,
            "licence": self.licence,
        }


def measure(
    candidate: Path,
    *,
    open_model: Callable[[Path], OpenedModel],
    examples: Sequence[Example],
    grader: Grader,
    max_new_tokens: int,
) -> Measured:
    """The candidate's row. Whatever goes wrong with it becomes the row's error: others can still be measured."""
    can_tell_memory = reset_peak_memory()
    try:
        model = open_model(candidate)
        try:
            return _measured(
                str(candidate), model, examples, (grader, Sampling(max_new_tokens=max_new_tokens)), can_tell_memory
            )
        finally:
            model.close()
    except Exception as error:  # loaders raise anything: missing files, unknown architectures, memory used up
        return Measured(candidate=str(candidate), error=f"{type(error).__name__}: {error}")


def reset_peak_memory() -> bool:
    """Make the kernel forget this process's peak; False where it cannot (anything but Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_memory_gib() -> float | None:
    """The peak resident memory of this process since `reset_peak_memory`; None where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(match[1]) / 2**20 if match else None


def _measured(
    candidate: str,
    model: OpenedModel,
    examples: Sequence[Example],
    how: tuple[Grader, Sampling],
    can_tell_memory: bool,
) -> Measured:
    generated, tokens_per_s = _generated(model, examples, *how)
    items = {"likelihood": _likelihood(model, examples), "rank": _ranked(model, examples), "generated": generated}
    items = {name: scores for name, scores in items.items() if scores}
    if model.peak_memory_gib is not None:
        memory = model.peak_memory_gib()
    else:
        memory = peak_memory_gib() if can_tell_memory else None
    return Measured(
        candidate=candidate,
        digest=model.digest,
        estimates={name: _estimate(name, list(scores.values())) for name, scores in items.items()},
        tokens_per_s=tokens_per_s,
        peak_memory_gib=memory,
        context_length=model.context_length,
        num_parameters=model.num_parameters,
        licence=model.licence,
        items=items,
    )


def _likelihood(model: OpenedModel, examples: Sequence[Example]) -> dict[str, ItemScore]:
    answered = [(example, example.target) for example in examples if example.target]
    scores = model.score([example for example, _ in answered], [[target] for _, target in answered])
    return {
        example.id: ItemScore(answer.logprob, answer.num_bytes, example.task)
        for (example, _), (answer,) in zip(answered, scores, strict=True)
    }


def _ranked(model: OpenedModel, examples: Sequence[Example]) -> dict[str, ItemScore]:
    choices = [example for example in examples if can_be_ranked(example)]
    if not choices:
        return {}
    rankings = rank_options(choices, model.score, model_id=model.digest)
    grades = [rank_grade(example, ranking) for example, ranking in zip(choices, rankings, strict=True)]
    return {
        example.id: ItemScore(grade.value, 1.0, example.task)
        for example, grade in zip(choices, grades, strict=True)
        if grade.value is not None
    }


def _generated(
    model: OpenedModel, examples: Sequence[Example], grader: Grader, sampling: Sampling
) -> tuple[dict[str, ItemScore], float | None]:
    """The grades of written answers, and generated tokens per second."""
    model.generate(examples[:1], sampling)  # the first call pays for kernels and caches
    started = time.perf_counter()
    completions = model.generate(examples, sampling)
    seconds = time.perf_counter() - started
    grades = grade_all(grader, examples, completions)
    tasks = {example.id: example.task for example in examples}
    scores = {
        grade.example_id: ItemScore(grade.value, 1.0, tasks[grade.example_id])
        for grade in grades
        if grade.value is not None
    }
    num_tokens = sum(len(completion.token_ids) for completion in completions)
    return scores, num_tokens / seconds if num_tokens and seconds > 0 else None


def _estimate(criterion: str, scores: Sequence[ItemScore]) -> Estimate:
    clusters = usable_clusters([score.task for score in scores])
    values = [score.value for score in scores]
    if criterion == "likelihood":
        return ratio_interval(values, [score.weight for score in scores], clusters)
    return score_interval(values, clusters)

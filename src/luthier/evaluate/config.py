"""What a recipe says of evaluation and of the gate."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from luthier.asking.config import WriterConfig
from luthier.config import Config, known_as
from luthier.evaluate.bias.config import SwapsConfig
from luthier.records import Sampling


class JudgeConfig(Config):
    """[evaluate.judge]: a model that scores answers (grader "judge") and decides between two (`luthier compare`)."""

    writer: WriterConfig
    """Who judges. Its temperature is 0 unless it is stated here."""
    rubric: str | None = Field(None, json_schema_extra=known_as("criteria", "instructions"))
    """What the scores from 1 to 5 mean and, of two answers, what makes one the better; without it, words of ours."""
    max_requests: int | None = Field(None, ge=1, json_schema_extra=known_as("request_budget"))
    """Calls of the judge that may be made, over all commands that share its journal; then answers stay undecided."""
    max_tokens: int | None = Field(None, ge=1, json_schema_extra=known_as("token_budget"))
    """Tokens of its requests and answers that may be used."""


class EvaluateConfig(Config):
    """[evaluate]: how a model is examined."""

    graders: tuple[str, ...] = Field(("auto",), min_length=1, json_schema_extra=known_as("metrics", "kpis"))
    """One KPI each: auto, a grader of docs/graders.md by its name, judge, or your own as "file.py:function"."""
    max_new_tokens: int = Field(64, ge=1, json_schema_extra=known_as("max_tokens", "max_length"))
    """Tokens after which an answer is cut."""
    temperature: float = Field(0.0, ge=0)
    """0 is greedy: the same answer every time."""
    num_samples: int = Field(1, ge=1)
    """Answers drawn per item; an item's score is their mean."""
    seed: int = 0
    """Of the draws when temperature is above 0."""
    shots: int = Field(4, ge=0, json_schema_extra=known_as("num_fewshot", "few_shot"))
    """Solved examples in the plain-text prompt that a base model is given for a fair comparison."""
    suites: tuple[Path, ...] = Field((), json_schema_extra=known_as("benchmarks", "tasks"))
    """Further files of items, of any recognised shape, or suites; each is evaluated and reported apart."""
    plain_text: tuple[Path, ...] = ()
    """Plain text on which forgetting is measured: the base's perplexity, and the tuned model's."""
    max_items: int | None = Field(None, ge=1, json_schema_extra=known_as("limit", "max_samples"))
    """At most this many items of each suite, the same for every model; without it, all."""
    batch_rows: int = Field(32, ge=1, json_schema_extra=known_as("batch_size"))
    """Prompts answered side by side; changes speed and memory, never a score."""
    judge: JudgeConfig | None = None
    """A model that judges; the grader "judge" needs it, and `luthier compare --judge` reads it."""
    bias: SwapsConfig | None = None
    """Groups of people swapped in the held-out items, and CrowS-Pairs for information."""

    @model_validator(mode="after")
    def _has_its_judge(self) -> EvaluateConfig:
        if "judge" in self.graders and self.judge is None:
            raise ValueError('graders has "judge", and there is none; write the table [evaluate.judge.writer]')
        return self

    def sampling(self) -> Sampling:
        """How answers are drawn."""
        return Sampling(
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            num_samples=self.num_samples,
            seed=self.seed,
        )


class GuardrailConfig(Config):
    """One thing that must not get worse."""

    kpi: str
    """Name of the KPI: a grader's, "rank" or "rank_per_byte"."""
    allowed_regression: float = Field(0.02, ge=0, le=1)
    """The loss that is still accepted, in points of 0..1."""
    suite: str | None = None
    """Name of the suite it is measured on; left out, that of the target."""


class GateConfig(Config):
    """[gate]: what a new model must prove before it ships. Name the margins before the run, not after."""

    kpi: str = Field("auto", json_schema_extra=known_as("metric", "target"))
    """The target: the new model must be better here."""
    margin: float = Field(0.0, ge=0, lt=1)
    """Better by more than this, in points of 0..1, with confidence."""
    worthwhile: float = Field(0.03, gt=0, le=1)
    """The smallest improvement worth having. Once a larger one is ruled out, the answer is hold, not "more items"; it
    also sizes "how many more items"."""
    guardrails: tuple[GuardrailConfig, ...] = ()
    """What must not get worse; every one must pass."""
    bias: tuple[str, ...] = ()
    """Attributes of `evaluate.bias.swaps` that must make no difference larger than `evaluate.bias.margin`."""
    alpha: float = Field(0.05, gt=0, lt=1)
    """Error allowed on both sides together: 0.05 checks each bound of a 95 % interval."""
    min_items: int = Field(30, ge=2)
    """With fewer items in common there is not enough evidence, whatever they say."""

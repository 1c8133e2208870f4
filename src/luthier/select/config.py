"""What a recipe says of selection."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from luthier.config import Config, known_as

Criterion = Literal["likelihood", "rank", "generated"]


class SelectConfig(Config):
    """[select]: the candidates, and what they are ranked by."""

    candidates: tuple[Path, ...] = Field(min_length=1, json_schema_extra=known_as("models", "bases"))
    """Model folders."""
    kpi: Criterion = Field("likelihood", json_schema_extra=known_as("metric"))
    """likelihood: log-likelihood per byte of the dev answers, comparable across tokenizers; rank: the share of options
    rightly found likeliest; generated: the grader's mean over written answers."""
    grader: str = "auto"
    """Grades the written answers."""
    num_examples: int = Field(200, ge=2)
    """Dev examples that each candidate is measured on: the first of the file, the same for all."""
    max_new_tokens: int = Field(64, ge=1)
    """Of each written answer."""

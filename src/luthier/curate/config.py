"""The tables `[data]` and `[curate]` of a recipe."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from luthier.config import Config, known_as


class DataConfig(Config):
    """Which files to learn from, and which to keep apart."""

    files: tuple[Path, ...] = Field(min_length=1, json_schema_extra=known_as("train_files", "train_file", "dataset"))
    """Files of any recognised shape: JSONL, JSON, CSV, TSV, Parquet or a Markdown table, also with .gz."""
    held_out: tuple[Path, ...] = Field((), json_schema_extra=known_as("test_files", "test_file", "eval_files"))
    """Files that only evaluation reads. Without them a share of `files` is held out, so that no prompt is in both."""
    allow_overlap: bool = False
    """Accept prompts that stand in `files` and in `held_out`; without this they are an error."""


class CurateConfig(Config):
    """How raw rows become examples."""

    strict: bool = False
    """End with an error when a row had to be quarantined. The outputs are written all the same."""
    dev_share: float = Field(0.05, ge=0, lt=1)
    """Share of the prompts kept for choices: loss during training, the base's plain-text form, candidate bases."""
    held_out_share: float = Field(0.1, ge=0, lt=1, json_schema_extra=known_as("test_size", "val_size", "eval_share"))
    """Share of the prompts that only evaluation reads. Not used where `data.held_out` names files."""
    seed: int = 0
    """Chooses the prompts of dev and held_out. A prompt stays where it is when rows are added."""
    licence: str | None = Field(None, json_schema_extra=known_as("license"))
    """Licence of the rows that state none."""
    columns: dict[str, str] = Field(default_factory=dict, json_schema_extra=known_as("column_mapping", "rename"))
    """Names of your columns and what they are here: columns = {Frage = "prompt", Antwort = "completion"}."""

    @model_validator(mode="after")
    def _leaves_rows_to_train(self) -> CurateConfig:
        if self.dev_share + self.held_out_share >= 1:
            raise ValueError("dev_share and held_out_share must leave something to train on")
        return self

"""The table `[synthesise]` of a recipe. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, model_validator

from luthier.config import Config, known_as

Method = Literal["templates", "self_instruct", "evol_instruct", "inversion", "persona", "paraphrase"]
METHODS: tuple[Method, ...] = get_args(Method)
WRITTEN: tuple[Method, ...] = METHODS[1:]
"""Methods that ask a writer."""


class TemplatesConfig(Config):
    """How labelled rows are put into words (method "templates")."""

    per_row: int | None = Field(3, ge=1, json_schema_extra=known_as("num_templates", "templates_per_row"))
    """Templates in which each row is asked, drawn for each row anew; "none": all that its task has."""
    inverted_per_row: int = Field(1, ge=0)
    """Templates beside these that give the answer and ask for the input, where the task has some."""
    columns: dict[str, str] = Field({}, json_schema_extra=known_as("column_mapping", "rename"))
    """Names of your columns and what they are in the task file: columns = {review = "text", stars = "answer"}."""
    labels: dict[str, str] = Field({}, json_schema_extra=known_as("id2label", "label_names"))
    """Answers as the table has them and in words: labels = {"0" = "negative", "1" = "positive"}. They are the
    options of a single task that names none."""


class SynthesiseConfig(Config):
    """What is made, and from what."""

    method: Method
    """"templates": labelled rows in the words of task files. "self_instruct": new requests like yours, answered.
    "evol_instruct": yours made harder or rarer, answered. "inversion": the requests that your texts would answer.
    "persona": what different people would ask, answered. "paraphrase": more templates for a task file."""
    tasks: Path | None = Field(None, json_schema_extra=known_as("templates_file", "collection"))
    """A task file, or a folder of them (templates, paraphrase)."""
    files: tuple[Path, ...] = Field((), json_schema_extra=known_as("seed_files", "inputs"))
    """What it starts from. templates: the labelled rows of the one task; without it, those that each task file names.
    self_instruct, evol_instruct: rows whose requests are the first ones. inversion: texts. persona: personas, or texts
    that they are made from."""
    rows: int = Field(100, ge=1, json_schema_extra=known_as("num_rows", "num_samples", "target"))
    """Rows that are wanted (all but templates); of paraphrase, new templates for each task."""
    max_similarity: float = Field(0.7, gt=0, le=1, json_schema_extra=known_as("rouge_threshold", "novelty"))
    """A new request, or template, whose ROUGE-L with an older one is above this is rejected (arXiv:2212.10560)."""
    rounds: int = Field(2, ge=1, json_schema_extra=known_as("num_evolutions", "evolutions"))
    """How often each request is changed (evol_instruct)."""
    min_score: int | None = Field(None, ge=1, le=5)
    """The writer scores each pair from 1 to 5, and those below this are rejected (inversion, arXiv:2308.06259)."""
    max_requests: int | None = Field(None, ge=1, json_schema_extra=known_as("request_budget"))
    """Calls of the writer that may be made, repeated ones included, over all runs in this folder."""
    max_tokens: int | None = Field(None, ge=1, json_schema_extra=known_as("token_budget"))
    """Tokens of requests and answers that may be used; calls on their way when it is reached still count."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Chooses what is left to chance; the same seed and files make the same rows, or the same requests."""
    templates: TemplatesConfig = TemplatesConfig()

    @model_validator(mode="after")
    def _is_read(self) -> SynthesiseConfig:
        if faults := list(_unread(self)):
            raise ValueError("\n".join(faults))
        return self


READ_BY: dict[str, tuple[Method, ...]] = {
    "tasks": ("templates", "paraphrase"),
    "files": tuple(method for method in METHODS if method != "paraphrase"),
    "rows": WRITTEN,
    "max_similarity": ("self_instruct", "evol_instruct", "persona", "paraphrase"),
    "rounds": ("evol_instruct",),
    "min_score": ("inversion",),
    "max_requests": WRITTEN,
    "max_tokens": WRITTEN,
    "templates": ("templates",),
}
"""Keys that not every method reads, and those that do."""
NEEDED_BY: dict[str, tuple[Method, ...]] = {
    "tasks": ("templates", "paraphrase"),
    "files": ("self_instruct", "evol_instruct", "inversion", "persona"),
}


def _unread(config: SynthesiseConfig) -> Iterator[str]:
    """What is said against keys that the method lacks or does not read."""
    for key, methods in READ_BY.items():
        if config.method not in methods and getattr(config, key) != SynthesiseConfig.model_fields[key].default:
            yield f"{key} is not read by {config.method}; leave it out"
    for key, methods in NEEDED_BY.items():
        if config.method in methods and not getattr(config, key):
            yield f"{key} is needed by {config.method}; name what it starts from"

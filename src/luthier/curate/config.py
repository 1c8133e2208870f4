"""The tables `[data]` and `[curate]` of a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from luthier.config import Config, known_as
from luthier.curate.stated import code_of

StepName = Literal["clean", "language", "personal", "review", "exact", "near", "leaks", "conflicts", "labels", "select"]
STEP_NAMES: tuple[StepName, ...] = get_args(StepName)
"""Every step, in the order that is the default."""
ROW_STEPS: tuple[StepName, ...] = ("clean", "language", "personal", "review")
"""Steps that look at one row at a time and may change it; the others compare rows and change none."""
READ_BY: dict[str, StepName] = {
    "languages": "language", "personal": "personal", "decisions": "review", "near": "near", "leaks": "leaks",
    "labels": "labels", "select": "select",
}  # fmt: skip
"""Keys of CurateConfig that one step alone reads."""


class DataConfig(Config):
    """Which files to learn from, and which to keep apart."""

    files: tuple[Path, ...] = Field(min_length=1, json_schema_extra=known_as("train_files", "train_file", "dataset"))
    """Files, folders or names of datasets on the hub, of any recognised shape: JSON Lines, JSON, CSV, TSV, Parquet,
    Arrow, tables in Markdown or HTML; text also packed as .gz or .zst."""
    held_out: tuple[Path, ...] = Field((), json_schema_extra=known_as("test_files", "test_file", "eval_files"))
    """Files that only evaluation reads. Without them a share of `files` is held out, so that no prompt is in both."""
    allow_overlap: bool = False
    """Accept prompts that stand in `files` and in `held_out`, which are an error without this, and links in both, for
    which rows of `files` are dropped without this."""


class LanguagesConfig(Config):
    """What is done with the language that a row is written in."""

    keep: tuple[str, ...] = ()
    """Codes of the languages to keep, as ["en", "de"]; rows in another are dropped. Empty keeps all, and rows whose
    language cannot be told stay."""

    @field_validator("keep")
    @classmethod
    def _are_languages(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
        codes = {name: code_of(name) for name in keep}
        for name, code in codes.items():
            if code is None:
                raise ValueError(f'{name!r} is no language; write its code, as "en" or "de"')
        return tuple(dict.fromkeys(code for code in codes.values() if code is not None))


KindName = Literal["secret", "login", "email", "iban", "card", "national_id", "ip", "phone"]
KIND_NAMES: tuple[KindName, ...] = get_args(KindName)
PHONE_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "BR", "IN", "AU")


class PersonalConfig(Config):
    """What is done with personal data in texts."""

    kinds: tuple[KindName, ...] = KIND_NAMES
    """What is looked for."""
    regions: tuple[str, ...] = PHONE_REGIONS
    """Countries whose telephone numbers are known in their national form, as ISO 3166 codes."""
    action: Literal["replace", "drop", "flag"] = "replace"
    """Put a typed placeholder such as [EMAIL_1] in its place, drop the row, or keep the row as it is and flag it."""


class NearConfig(Config):
    """What is done with rows that say nearly the same."""

    jaccard: float = Field(0.7, gt=0, le=1, json_schema_extra=known_as("threshold"))
    """Share of shingles that prompts, and answers, must have in common."""
    action: Literal["merge", "flag"] = "merge"
    """Keep one row of each group, or keep all and flag them."""
    keep: Literal["first", "longest"] = "first"
    """The row of a group that stays: the first whose answer is not cut off, or the one with the longest answer."""


class LeaksConfig(Config):
    """What is done with rows that hold a question of an evaluation."""

    against: tuple[Path, ...] = Field((), json_schema_extra=known_as("decontaminate", "benchmarks"))
    """Files of evaluation questions that no row may hold."""
    action: Literal["drop", "flag"] = "drop"
    """Drop such rows, or keep them and flag them."""


class LabelsConfig(Config):
    """What is done with answers that are probably wrong."""

    action: Literal["flag", "drop"] = "flag"
    """Flag rows with a faulty answer or a label that is probably wrong, or drop them; of the labels those that are more
    probably wrong than right. Rows of dev and held_out are only flagged."""


SelectMethod = Literal["length", "diversity"]


class SelectConfig(Config):
    """Whether to train on a part of the rows only."""

    keep: int | float | None = Field(None, json_schema_extra=known_as("num_samples", "max_train_samples"))
    """How many rows of train to keep: a whole number is rows, a number below 1 a share. Without it all are kept."""
    methods: tuple[SelectMethod, ...] = Field(("diversity",), min_length=1)
    """By what: the longest answers, or rows that stand for all rows by their words; both by the mean of the ranks."""

    @model_validator(mode="after")
    def _is_a_number_or_a_share(self) -> SelectConfig:
        if self.keep is not None and (self.keep <= 0 or (isinstance(self.keep, float) and self.keep >= 1)):
            raise ValueError(f"keep is a whole number of rows, or a share between 0 and 1; found {self.keep}")
        return self


ExportName = Literal["trl", "llama-factory", "axolotl"]


class BiasConfig(Config):
    """How differences between groups of people are looked for. Nothing is dropped or flagged for them."""

    groups: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)
    """Groups of your own by dimension, each with its words: groups = {branch = {north = ["Kiel"], south = ["Ulm"]}}."""
    max_rows: int = Field(5_000, ge=1)
    """Of more written rows so many are read, chosen by a hash of what they say."""
    false_discovery_rate: float = Field(0.05, gt=0, lt=1)
    """Of all differences that are reported, at most this share is chance, on average."""
    least_difference: float = Field(0.05, ge=0, le=1)
    """A smaller difference of two shares is not reported, however sure it is."""


class CurateConfig(Config):
    """How raw rows become examples."""

    steps: tuple[StepName, ...] = STEP_NAMES
    """What is done, in this order; leave a step out to skip it. `review` acts where `decisions` is set, `leaks` where
    there are evaluation files, `select` where `select.keep` is set."""
    strict: bool = False
    """End with an error when a row had to be quarantined. The outputs are written all the same."""
    dev_share: float = Field(0.05, ge=0, lt=1)
    """Share of the prompts kept for choices: loss during training, the base's plain-text form, candidate bases."""
    held_out_share: float = Field(0.1, ge=0, lt=1, json_schema_extra=known_as("test_size", "val_size", "eval_share"))
    """Share of the prompts that only evaluation reads. Not used where `data.held_out` names files."""
    seed: int = 0
    """Chooses the prompts of dev and held_out. A prompt stays where it is when rows are added, but for small sets of
    which chance left a part empty."""
    licence: str | None = Field(None, json_schema_extra=known_as("license"))
    """Licence of the rows that state none."""
    columns: dict[str, str] = Field(default_factory=dict, json_schema_extra=known_as("column_mapping", "rename"))
    """Names of your columns and what they are here: columns = {Frage = "prompt", Antwort = "completion"}. A name
    that no file has is warned of."""
    languages: LanguagesConfig = LanguagesConfig()
    personal: PersonalConfig = PersonalConfig()
    near: NearConfig = NearConfig()
    leaks: LeaksConfig = LeaksConfig()
    labels: LabelsConfig = LabelsConfig()
    select: SelectConfig = SelectConfig()
    bias: BiasConfig = BiasConfig()
    export: tuple[ExportName, ...] = ()
    """Training tools in whose shapes the rows are written too, each into a folder of OUT/export, with a README."""
    decisions: Path | None = None
    """What a person decided on flagged rows, a line each: {"id", "decision", "record", "reason"}, where the decision is
    "keep", "drop" or "mend"."""
    engine: Literal["local", "ray"] = "local"
    """Where rows are worked on: processes of this machine, or a Ray cluster whose machines all see the files."""
    workers: int = Field(0, ge=0, json_schema_extra=known_as("num_proc", "num_workers"))
    """Processes that work at once; 0 is one a core, 1 is this process. The outputs do not depend on it."""
    memory_mb: int | None = Field(None, ge=256)
    """In MiB. Pieces, and what is sorted at once, are kept to a part of this; without it, to what is fastest."""

    @model_validator(mode="after")
    def _leaves_rows_to_train(self) -> CurateConfig:
        if self.dev_share + self.held_out_share >= 1:
            raise ValueError("dev_share and held_out_share must leave something to train on")
        return self

    @model_validator(mode="after")
    def _order_can_work(self) -> CurateConfig:
        reason = wrong_order(self.steps)
        if reason is not None:
            raise ValueError(reason)
        return self

    @model_validator(mode="after")
    def _is_read(self) -> CurateConfig:
        faults = list(_unread(self))
        if faults:
            raise ValueError("\n".join(faults))
        return self


def _unread(config: CurateConfig) -> Iterator[str]:
    """What is said against keys that are set and that nothing reads."""
    for key, step in READ_BY.items():
        if step not in config.steps:
            for name in _changed(key, config):
                yield f'{name} is set, but steps leaves "{step}" out'
    near, leaks, select = config.near, config.leaks, config.select
    if near.action == "flag" and near.keep != NearConfig().keep:
        yield 'near.keep is set, but with near.action = "flag" all rows are kept; leave it out'
    if not leaks.against and leaks.action != LeaksConfig().action:
        yield "leaks.action is set, but leaks.against names no file of questions"
    if select.keep is None and select.methods != SelectConfig().methods:
        yield "select.methods is set, but without select.keep all rows are kept"


def _changed(key: str, config: CurateConfig) -> list[str]:
    """The names of what is not as by default under a key: "decisions", or "near.jaccard"."""
    value, usual = getattr(config, key), CurateConfig.model_fields[key].default
    if not isinstance(value, Config):
        return [key] if value != usual else []
    return [f"{key}.{name}" for name in type(value).model_fields if getattr(value, name) != getattr(usual, name)]


def wrong_order(steps: tuple[StepName, ...]) -> str | None:
    """Why the steps cannot work in this order, or None."""
    if len(set(steps)) < len(steps):
        return "a step stands twice in steps"
    sets = [steps.index(step) for step in steps if step not in ROW_STEPS]
    for step in steps:
        if step in ROW_STEPS and sets and steps.index(step) > min(sets):
            return f'"{step}" changes rows, so it must stand before "{steps[min(sets)]}", which compares them'
    place = {step: index for index, step in enumerate(steps)}
    for later in ("clean", "language", "personal"):
        if place.get(later, -1) > place.get("review", len(steps)):
            return f'"review" finds rows by their id, which "{later}" changes, so it must stand after it'
    for earlier in ("leaks", "labels"):
        if place.get("near", -1) > place.get(earlier, len(steps)):
            return f'"near" finds rows by one of them that "{earlier}" may drop, so it must stand before it'
    if place.get("near", -1) > place.get("conflicts", len(steps)):
        return '"conflicts" reports what "near" finds too, so it must stand after it'
    if "select" in steps[:-1]:
        return '"select" chooses among the rows that the other steps leave, so it must stand last'
    return None

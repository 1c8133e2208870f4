"""The step that keeps a part of train, and the controls that say by training whether the choice was worth it.

It runs after the split and touches train alone: dev and held_out stay as they are, so that what was trained on the
choice and what was trained on a control are measured on the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from luthier.curate.config import CurateConfig
from luthier.curate.gathered import Gathered
from luthier.curate.outputs import NOWHERE
from luthier.curate.selecting import Candidate, select
from luthier.curate.split import PARTS
from luthier.records import Example
from luthier.records.jsonl import from_json

NOT_SELECTED = "not selected"
CONTROLS = {"control": "random_control", "control_tokens": "random_control_tokens"}
"""The controls and the names of their files."""
TRAIN = PARTS.index("train")


class Subset(NamedTuple):
    """What was chosen."""

    report: dict[str, Any]
    """For the ledger."""
    controls: Mapping[str, np.ndarray]
    """By the name of the file, which records it holds; [N] bool."""


def keep_some(table: Gathered, goes_to: np.ndarray, config: CurateConfig) -> Subset | None:
    """Drop the rows of train that are not selected, also from `goes_to`; None where there is nothing to select.

    ConfigError where `select.keep` is more than there is.
    """
    rows = np.flatnonzero(goes_to == TRAIN)
    if config.select.keep is None or not len(rows):
        return None
    wanted = config.select.keep
    keep = wanted if isinstance(wanted, int) else max(1, round(wanted * len(rows)))
    found = select(_Candidates(table, rows), method=config.select.methods, keep=keep, seed=config.seed)
    controls = {}
    for name, file in CONTROLS.items():
        controls[file] = np.zeros(len(table), bool)
        controls[file][rows[list(getattr(found, name))]] = True
    gone = np.setdiff1d(rows, rows[list(found.kept)])
    table.drop(gone, NOT_SELECTED)
    goes_to[gone] = NOWHERE
    return Subset({"counted_in": "words", **found.report}, controls)


class _Candidates:
    """The rows of train, each fetched when it is asked for."""

    def __init__(self, table: Gathered, rows: np.ndarray) -> None:
        self.table, self.rows = table, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int, /) -> Candidate:
        example = from_json(Example, self.table.record(int(self.rows[row])))
        prompt = "\n".join(message.text for message in example.prompt)
        last = example.messages[-1]
        return Candidate(prompt, last.text if last.role == "assistant" else example.target or "")

"""The monitor over a store: what the command prints and the operations page shows."""

from __future__ import annotations

from pathlib import Path

from luthier.monitor.drift import prompt_text
from luthier.monitor.report import MonitorReport, monitor
from luthier.records import Example, read_records
from luthier.runs import now
from luthier.traces import Store


def report_on(url: str, *, run: Path | None) -> MonitorReport:
    """The report over the store at `url`; prompts are compared with those that `run` trained on, where it has any."""
    with Store.open_existing(url) as store:
        return report_over(store, run=run)


def report_over(store: Store, *, run: Path | None) -> MonitorReport:
    """The report over an open store."""
    return monitor(store.traces(), store.feedback(), training_prompts=training_prompts(run), now=now())


def training_prompts(run: Path | None) -> list[str] | None:
    """The prompts that a run trained on, as its folder holds them; None when it holds none."""
    for name in ("curate/train.jsonl", "rows/train.jsonl"):
        if run is not None and (run / name).is_file():
            return [prompt_text(example.prompt) for example in read_records(run / name, Example)]
    return None

"""The numbers of a model card: what the run measured of one model, beside what it measured of the base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.errors import LuthierError
from luthier.evaluate.comparison import compare
from luthier.recipes.run_report import forgetting_between
from luthier.runs import read_json
from luthier.versions import Register


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One model on one suite."""

    suite: str
    kpis: Mapping[str, Mapping[str, Any]]
    """Of summary.json."""
    folder: Path
    base: Path | None
    """The base on the same items; None where it was not evaluated on them."""

    def cells(self) -> list[list[str]]:
        """A row for each KPI: suite, KPI, base, this model, items, difference to the base."""
        against = compare(self.base, self.folder).kpis if self.base is not None else {}
        rows = []
        for name, kpi in self.kpis.items():
            pair = against.get(name)
            base = pair.a if pair is not None else None
            d = pair.difference if pair is not None else None
            rows.append([
                self.suite, name, "-" if base is None else f"{base:.3f}", interval(kpi), f"{kpi['n']:,}",
                "-" if d is None else f"{d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}]",
            ])  # fmt: skip
        return rows


def interval(kpi: Mapping[str, Any]) -> str:
    """A KPI of summary.json with its interval."""
    return "-" if kpi["value"] is None else f"{kpi['value']:.3f} [{kpi['low']:.3f}, {kpi['high']:.3f}]"


def evaluations(run: Path, model: str) -> list[Measured]:
    """Every evaluation in the run of the model of this digest, by suite."""
    found: dict[str, Measured] = {}
    for folder, summary in summaries(run):
        if summary["model"]["id"] != model:
            continue
        suite = summary["suite"]
        base = run / "evaluate" / "base" / suite["name"]
        is_same = read_json(base / "summary.json").get("suite", {}).get("digest") == suite["digest"]
        found[suite["name"]] = Measured(
            suite=suite["name"], kpis=summary["kpis"], folder=folder, base=base if is_same else None
        )
    return list(found.values())


def summaries(run: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The finished evaluations of a run, each with its summary; not the readings among which the base's was chosen."""
    paths = [*run.glob("evaluate/*/*/summary.json"), *run.glob("improve/*/*/*/summary.json")]
    read = [(path.parent, read_json(path)) for path in sorted(paths) if path.parent.parent.name != "readings"]
    return [(folder, summary) for folder, summary in read if {"model", "suite", "kpis"} <= summary.keys()]


def forgetting_lines(run: Path, measured: Sequence[Measured]) -> list[str]:
    """Perplexity on plain text before and after, where it was measured."""
    folders = {"base": run / "evaluate" / "base", "this model": measured[0].folder.parent}
    found = {row.model: row for row in forgetting_between(folders)}
    if len(found) < 2:
        return ["What it forgot was not measured: the recipe names no plain text."]
    return [
        f"Perplexity on plain text: base {found['base'].perplexity:.3f}, this model "
        f"{found['this model'].perplexity:.3f}; change in nats a token, paired by document: "
        f"{found['this model'].change}."
    ]


def verdict_lines(run: Path, model: str, *, is_evaluated: bool) -> list[str]:
    """What the gate said of this model, and on which numbers."""
    gate = _gate(run, model, is_evaluated=is_evaluated)
    answer = gate.get("word") or gate.get("answer")
    if not answer:
        return ["No gate judged this model."]
    return [f"The gate's verdict: {answer}.", *gate.get("reasons", [])]


def _gate(run: Path, model: str, *, is_evaluated: bool) -> Mapping[str, Any]:
    """The gate's numbers: those registered with the version, else those of the run where they are of this model."""
    try:
        versions = Register(run / "versions").list()
    except LuthierError:  # a register that cannot be read is told of by the commands that use it
        versions = ()
    registered = next((v.gate for v in versions if v.digest == model and v.gate), None)
    gate = registered or read_json(run / "gate.json")
    return gate if is_evaluated and gate.get("model", model) == model else {}

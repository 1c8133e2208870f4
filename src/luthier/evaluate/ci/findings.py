"""What a command found, in the form that both outputs are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.evaluate.comparison import Comparison
from luthier.evaluate.evaluation import Evaluation
from luthier.evaluate.gate import Verdict
from luthier.evaluate.kpis import Kpi
from luthier.evaluate.standings import Contrast, Standings, p_value
from luthier.runs import read_json

NOTHING = "no item could be graded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One KPI of one run on one suite."""

    suite: str
    run: str
    kpi: str
    cells: tuple[str, ...]
    """As text, one for each column of the findings after suite, run and KPI."""
    is_known: bool
    """Whether any item says something of it."""

    def sentence(self, columns: Sequence[str]) -> str:
        """The cells with the names of their columns."""
        return ", ".join(f"{name} {cell}" for name, cell in zip(columns, self.cells, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a command found."""

    title: str
    verdict: Verdict | None
    """None where no gate was asked."""
    columns: tuple[str, ...]
    measured: tuple[Measured, ...]
    slices: tuple[tuple[str, str], ...] = ()
    """Confirmed weak slices: name, and what is to be done."""
    notes: tuple[str, ...] = ()
    command: str
    """What makes these findings again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CiFiles:
    """Where the outputs are wanted; None for those that are not."""

    junit: Path | None = None
    markdown: Path | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether any is."""
        return self.junit is not None or self.markdown is not None

    def write(self, findings: Findings) -> None:
        """Write the files that are wanted."""
        from luthier.evaluate.ci.junit import write_junit
        from luthier.evaluate.ci.markdown import write_markdown

        if self.junit is not None:
            write_junit(self.junit, findings)
        if self.markdown is not None:
            write_markdown(self.markdown, findings)


def of_evaluation(evaluation: Evaluation, *, command: str) -> Findings:
    """Each KPI of one evaluation. Weak slices are those of the `errors` folder beside it, where there is one."""
    return Findings(
        title=f"Evaluation of {evaluation.name}", verdict=None, command=command,
        columns=("mean", "95 % interval", "n", "undecided", "errors"),
        measured=tuple(_mean(evaluation, name, kpi) for name, kpi in evaluation.kpis.items()),
        slices=weak_slices(evaluation.folder / "errors"),
    )  # fmt: skip


def of_standings(found: Standings, *, verdict: Verdict | None, command: str) -> Findings:
    """Each KPI of each run against the first."""
    others = found.names[1] if len(found.names) == 2 else f"{len(found.names) - 1} runs"
    suites = dict(zip(found.names[1:], (c.suite_name for c in found.comparisons), strict=True))
    measured = tuple(
        Measured(suite=suites[contrast.run], run=contrast.run, kpi=contrast.kpi, cells=contrast.cells(),
                 is_known=contrast.p is not None)
        for contrast in found.contrasts
    )  # fmt: skip
    return Findings(
        title=f"{others} against {found.names[0]}", verdict=verdict, measured=measured,
        columns=("mean", "first", "difference", "95 % interval", "p (Holm)", "n"), notes=tuple(found.notes()),
        command=command,
    )  # fmt: skip


def of_run(
    comparisons: Mapping[str, Comparison], verdict: Verdict, *, title: str, folder: Path, command: str
) -> Findings:
    """The model that stands against its base, suite by suite, with the gate's word."""
    measured = []
    for suite, comparison in comparisons.items():
        for name, kpi in comparison.kpis.items():
            p = p_value(kpi)
            shown = Contrast(run=comparison.b_name, kpi=name, comparison=kpi, p=p, p_holm=p)
            measured.append(Measured(suite=suite, run=shown.run, kpi=name, cells=shown.cells(), is_known=p is not None))
    return Findings(
        title=title, verdict=verdict, columns=("mean", "base", "difference", "95 % interval", "p", "n"),
        measured=tuple(measured), slices=weak_slices(folder / "errors"), command=command,
    )  # fmt: skip


def weak_slices(folder: Path) -> tuple[tuple[str, str], ...]:
    """Name and proposed fix of each confirmed weak slice of an error analysis; none where there is no analysis."""
    path = folder / "errors.json"
    found: list[dict[str, Any]] = read_json(path).get("weak_slices", []) if path.is_file() else []
    return tuple((str(one["name"]), str(one["fix"]["proposal"])) for one in found)


def _mean(evaluation: Evaluation, name: str, kpi: Kpi) -> Measured:
    e = kpi.estimate
    cells = (f"{e.value:.3f}", f"[{e.low:.3f}, {e.high:.3f}]", str(e.n)) if e else ("-", NOTHING, "0")
    return Measured(suite=evaluation.suite_name, run=evaluation.name, kpi=name, is_known=e is not None,
                    cells=(*cells, str(kpi.undecided), str(kpi.errors)))  # fmt: skip

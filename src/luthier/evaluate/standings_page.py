"""The page of `luthier compare`: every run against the first, the intervals as a plot."""

from __future__ import annotations

from pathlib import Path

from luthier.evaluate.gate import Verdict
from luthier.evaluate.report import TONES
from luthier.evaluate.standings import Standings
from luthier.reports import Interval, Page, interval_plot


def write_standings(path: Path, found: Standings, *, verdict: Verdict | None, command: str) -> None:
    """Write the page whole or not at all."""
    first, others = found.names[0], found.names[1:]
    page = Page(f"{len(found.names)} runs compared", f"against {first}, item by item")
    if verdict is not None:
        word = verdict.answer[0].upper() + verdict.answer[1:]
        page.verdict(word, ". ".join(verdict.reasons) + ".", TONES[verdict.answer])
    page.text(f"Above zero a run is better than {first}. The p values of one KPI are adjusted for the number of runs "
              "(Holm): the chance that any is below 0.05 though no run differs is at most 0.05. The intervals are of "
              "95 % each, and not adjusted.")  # fmt: skip
    page.contents()
    for kpi in found.kpis:
        page.heading(kpi)
        rows = []
        for contrast in found.of_kpi(kpi):
            d = contrast.comparison.difference
            rows.append(Interval(contrast.run, *((d.value, d.low, d.high) if d else (None, None, None))))
        page.figure(interval_plot(rows, x_label="difference to the first", reference=0.0),
                    f"{kpi}: differences with 95 % intervals")  # fmt: skip
        page.table(
            ["run", "mean", "first", "better", "worse", "same", "p", "p (Holm)", "McNemar p", "n", "undecided",
             "interval"],
            [(c.run, k.b, k.a, k.better, k.worse, len(k.pairs) - k.better - k.worse, c.p, c.p_holm, k.mcnemar_p,
              len(k.pairs), k.undecided, k.difference.method if k.difference else "")
             for c in found.of_kpi(kpi) for k in (c.comparison,)],
            "Both means are over the items that the two runs share and that both could be graded on",
        )  # fmt: skip
    page.heading("The runs")
    page.table(["run", "place", "suite", "items", "KPIs"],
               [(name, str(e.folder), e.suite_name, len(e.items), ", ".join(e.grades))
                for name, e in zip(found.names, found.evaluations, strict=True)])  # fmt: skip
    for note in found.notes():
        page.text(note)
    if len(others) == 1 and found.comparisons[0].same_model:
        page.text("Both are the same model.")
    page.heading("How to do it again")
    page.code(command)
    page.write(path)

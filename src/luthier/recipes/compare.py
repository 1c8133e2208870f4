"""Any number of evaluations, each held against the first; with `gate.` keys, two of them before the gate.

    luthier compare runs/a/evaluate/tuned/held_out runs/b/evaluate/tuned/held_out
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.config import Config, validate
from luthier.errors import ConfigError, Problem
from luthier.evaluate.ci.findings import CiFiles
from luthier.evaluate.config import GateConfig
from luthier.recipes.judging import judged
from luthier.recipes.overriding import assign_to_table
from luthier.recipes.tune import EXIT

if TYPE_CHECKING:
    from luthier.evaluate.duels import Duels
    from luthier.evaluate.gate import Verdict
    from luthier.evaluate.standings import Standings


class CompareRecipe(Config):
    """What the command line of `luthier compare` may set."""

    gate: GateConfig = GateConfig()


@dataclass(frozen=True, slots=True)
class Compared:
    """What came out."""

    standings: Standings
    verdict: Verdict | None
    """None without `gate.` keys."""
    duels: tuple[Duels, ...] = ()
    """Each other one against the first in the eyes of a judge, where one was named."""

    @property
    def exit_status(self) -> int:
        """0 done or ship, 1 hold, 3 not enough evidence."""
        return 0 if self.verdict is None else EXIT[self.verdict.answer]

    def lines(self) -> list[str]:
        """As text."""
        of_judge = [line for duels in self.duels for line in duels.lines()]
        return [*self.standings.lines(), *of_judge, *(self.verdict.lines() if self.verdict else [])]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; `gate` and `judge` where they were asked."""
        of_judge = {"judge": [duels.to_json() for duels in self.duels]} if self.duels else {}
        return self.standings.to_json() | of_judge | ({"gate": self.verdict.to_json()} if self.verdict else {})


def main(
    given: Sequence[str], *, same: Sequence[str], page: Path | None, ci: CiFiles, judge: Path | None = None,
    say: Callable[[str], None] = print,
) -> Compared:  # fmt: skip
    """Compare the runs of a command line, on which `gate.KEY=VALUE` may stand too, and write what is wanted.

    `judge` is a recipe with the table [evaluate.judge].
    """
    overrides = [text for text in given if "=" in text and not Path(text).exists()]
    runs = [Path(text) for text in given if text not in overrides]
    if len(runs) < 2 or (overrides and len(runs) > 2):
        expected = "two, of which the gate judges the second" if overrides else "two at least"
        raise ConfigError(
            "there is nothing to compare",
            [Problem(where="luthier compare", found=f"{len(runs)} evaluations", expected=expected,
                     fix="luthier compare A B, folders of `luthier evaluate` or logs of lm_eval or Inspect")],
        )  # fmt: skip
    data: dict[str, Any] = {}
    assign_to_table(data, overrides, kind=CompareRecipe)
    gate = validate(CompareRecipe, data, places={}, default_place="command line").gate
    names = _same(same)

    from luthier.evaluate.bias.audit import read_audit
    from luthier.evaluate.bias.guardrail import with_bias
    from luthier.evaluate.gate import decide
    from luthier.evaluate.logs.opening import open_evaluation
    from luthier.evaluate.pairing import comparable
    from luthier.evaluate.standings import standings

    opened = [open_evaluation(run) for run in runs]
    found = standings(comparable(opened, same=names))
    if overrides and "kpi" not in gate.model_fields_set and gate.kpi not in found.kpis:
        raise ConfigError(
            "the gate cannot be applied",
            [Problem(where="gate.kpi", found="nothing", expected=f"one of {', '.join(found.kpis)}",
                     fix=f"add gate.kpi={shlex.quote(found.kpis[0])}")],
        )  # fmt: skip
    verdict = decide([found.comparisons[0]], config=gate) if overrides else None
    if verdict is not None:
        verdict = with_bias(verdict, gate.bias, read_audit(runs[1]), suite=found.comparisons[0].suite_name)
    duels = tuple(judged(opened[0], other, recipe=judge, say=say) for other in opened[1:]) if judge else ()
    options = [word for pair in same for word in ("--same", pair)] + (["--judge", str(judge)] if judge else [])
    command = shlex.join(["luthier", "compare", *given, *options])
    if page is not None:
        from luthier.evaluate.standings_page import write_standings

        write_standings(page, found, verdict=verdict, command=command)
    if ci.is_wanted:
        from luthier.evaluate.ci.findings import of_standings

        ci.write(of_standings(found, verdict=verdict, command=command))
    return Compared(found, verdict, duels)


def _same(pairs: Sequence[str]) -> Mapping[str, str]:
    """{other: name} for each "name=other"; ConfigError for what is no such pair."""
    parts = [pair.partition("=") for pair in pairs]
    bad = [pair for pair, (name, _, other) in zip(pairs, parts, strict=True) if not name or not other]
    if bad:
        raise ConfigError(
            "KPIs cannot be matched",
            [Problem(where="--same", found=repr(pair), expected="NAME=OTHER", fix="for example --same auto=acc")
             for pair in bad],
        )  # fmt: skip
    return {other.strip(): name.strip() for name, _, other in parts}

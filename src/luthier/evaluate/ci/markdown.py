"""A summary for a pull request, in GitHub's Markdown: the verdict, the KPIs, weak slices, how to do it again.

Names of models, KPIs, suites and slices come from data. They stand as text: no markup, link, mention or reference to
an issue can be made of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from luthier.evaluate.ci.findings import Findings
from luthier.evaluate.gate import Verdict
from luthier.records.whole_files import write_text_whole
from luthier.reports.page import UNPRINTABLE

MOST_SLICES = 20
_MARKUP = re.compile(r"[\\`*_{}<>#|~&$]|\[(?![-+]?\d)|\](?=[\[(:])|^[-+](?=\s)|^\d(?=\d*[.)]\s)")
_WHITE = re.compile(r"\s+")
_LINKS = re.compile(
    r"(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=:)(?=//)|(?<=w)(?=ww\.)|(?<=G)(?=H-\d)", re.IGNORECASE
)
_COMMIT = re.compile(r"\b[0-9a-f]{7,40}\b", re.IGNORECASE)
"""Where an invisible space is put, so that @name, #1, scheme://, www., GH-1 and the digits of a commit stay text."""
SPACE = "\u200b"


def write_markdown(path: Path, findings: Findings) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_whole(path, markdown(findings))


def markdown(findings: Findings) -> str:
    """The summary."""
    blocks = [f"## {escaped(findings.title)}"]
    if findings.verdict is not None:
        blocks += _verdict(findings.verdict)
    many_suites = len({one.suite for one in findings.measured}) > 1
    many_runs = len({one.run for one in findings.measured}) > 1
    head = [*(["suite"] if many_suites else []), "KPI", *(["run"] if many_runs else []), *findings.columns]
    rows = [[*([one.suite] if many_suites else []), one.kpi, *([one.run] if many_runs else []), *one.cells]
            for one in findings.measured]  # fmt: skip
    blocks += ["### KPIs", _table(head, rows)]
    if findings.slices:
        shown = [[name, fix] for name, fix in findings.slices[:MOST_SLICES]]
        blocks += ["### Where it is weak", _table(["slice", "proposed fix"], shown)]
        if len(findings.slices) > MOST_SLICES:
            blocks.append(f"{len(findings.slices) - MOST_SLICES} more slices are in the report.")
    if findings.notes:
        blocks.append("\n".join(f"- {escaped(note)}" for note in findings.notes))
    blocks += ["### How to do it again", _fenced(findings.command)]
    return "\n\n".join(blocks) + "\n"


def escaped(text: str) -> str:
    """`text` on one line, as it is, in any place of a Markdown document."""
    line = _WHITE.sub(" ", UNPRINTABLE.sub("\ufffd", text)).strip()
    line = _COMMIT.sub(lambda found: SPACE.join(re.findall(".{1,6}", found[0])), line)
    # Numeric references stand for the character and are never read as markup.
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", _LINKS.sub(SPACE, line))


def _verdict(verdict: Verdict) -> list[str]:
    word = {"ship": "Ship", "hold": "Hold", "not enough evidence": "Not enough evidence"}[verdict.answer]
    needed = f" About {verdict.needed_items:,} more items are needed." if verdict.needed_items else ""
    rows = [[c.outcome, c.role, c.kpi, c.suite, c.reason] for c in verdict.checks]
    return [f"**{word}.**{needed}", _table(["outcome", "role", "KPI", "suite", "why"], rows)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(map(escaped, head)), ["---"] * len(head), *([escaped(cell) or " " for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fenced(command: str) -> str:
    """The command in a fence that is longer than any that it holds."""
    text = UNPRINTABLE.sub("\ufffd", command)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}bash\n{text}\n{fence}"

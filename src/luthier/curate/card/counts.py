"""Parts of the data card that count: lengths, languages, files with their licences, the split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from luthier.curate.amounts import counted
from luthier.curate.counted_texts import RowTexts
from luthier.curate.gathered import Gathered
from luthier.curate.ledger import NOT_STATED
from luthier.curate.outputs import GOES_TO
from luthier.languages import UNDETERMINED
from luthier.reports import Page, bar_plot
from luthier.reports.plots import length_plot

SHARES = (0.05, 0.5, 0.95, 0.99)
"""Of the rows: so many are no longer than the number told."""
SHOWN_LANGUAGES = 15
SHOWN_LICENCES = 60


def show_lengths(page: Page, texts: RowTexts) -> None:
    """Histograms and quantiles of the words of prompts and answers."""
    if not texts.texts:
        return
    page.heading("Lengths")
    figures, rows = [], []
    for name in ("prompt", "answer"):
        lengths = sorted(getattr(text, f"{name}_words") for text in texts.texts)
        figures.append((length_plot(lengths, x_label=f"words of the {name}"), ""))
        rows.append((name, lengths[0], *(_quantile(lengths, share) for share in SHARES), lengths[-1], sum(lengths)))
    page.figures(figures)
    page.table(["words", "shortest", *(f"{share:.0%} up to" for share in SHARES), "longest", "in all"], rows,
               caption=f"Of {texts.told}. A prompt is what system and users say; of a script without blanks, such as "
               "Chinese, each sign counts as a word.")  # fmt: skip


def show_languages(page: Page, ledger: Mapping[str, Any]) -> None:
    """How many records are in which language."""
    names: Mapping[str, int] = ledger["languages"]
    if not names:
        return
    page.heading("Languages")
    said = {_language(name): count for name, count in names.items()}
    total = sum(said.values())
    if len(said) == 1:
        page.text(f"{'All ' if total != 1 else ''}{counted(total, 'record')}: {next(iter(said))}.")
        return
    shown = dict(list(said.items())[:SHOWN_LANGUAGES])
    if len(said) > len(shown):
        shown[counted(len(said) - len(shown), "other")] = total - sum(shown.values())
    labels = [f"{name} ({_percent(count / total)})" for name, count in shown.items()]
    page.figure(bar_plot(labels, list(shown.values()), x_label="records"),
                caption="A language cannot be told from a number, code or a word or two.")  # fmt: skip


def show_files(page: Page, ledger: Mapping[str, Any], table: Gathered, goes_to: np.ndarray) -> None:
    """Where the rows come from, in which shape, under which licence."""
    page.heading("Sources and licences")
    is_written = goes_to < len(GOES_TO)
    rows, missing = [], 0
    for number, file in enumerate(table.files):
        counts: Counter[str] = table.named("licence", is_written, file=number)
        missing += counts[""]
        shapes = ", ".join(ledger["files"][str(file)])
        rows += [(str(file), shapes, name or NOT_STATED, count) for name, count in sorted(counts.items())]
        if not counts:
            rows.append((str(file), shapes or "nothing", MISSING, 0))
    if missing:
        said = counted(missing, "written record states", "written records state")
        page.text(f"{said} no licence. If you know it, set `curate.licence`.")
    page.table(["file", "shape", "licence", "records written"], rows[:SHOWN_LICENCES],
               caption=f"{min(SHOWN_LICENCES, len(rows))} of {counted(len(rows), 'line')}.")  # fmt: skip
    if len(ledger["licences"]) > 1:
        page.table(["licence", "records written"], list(ledger["licences"].items()))


MISSING = "no row is kept"


def show_split(page: Page, ledger: Mapping[str, Any]) -> None:
    """The parts, and the proof that they have nothing in common."""
    page.heading("The split and its certificate")
    checks = ledger["certificate"]
    shared = sum(checks["prompts"].values()) + sum(checks["links"].values()) + sum(checks["near"].values())
    found = counted(shared, "prompt, link or near-duplicate is", "prompts, links or near-duplicates are")
    page.text(
        "train and dev are for training, held_out is read by evaluation only. Rows that ask or say nearly the same, or "
        "have a link in common, are never parted. "
        + ("The certificate is counted anew from the rows as written, not from the groups that decided."
           if not shared else f"{found} on both sides: see the table.")
    )  # fmt: skip
    page.table(["between", "prompts in both", "links in both", "near-duplicates in both"],
               [(pair.replace("/", " and "), *(checks[tie][pair] for tie in ("prompts", "links", "near")))
                for pair in checks["near"]])  # fmt: skip
    rest = {key: value for key, value in checks.items() if key not in ("prompts", "links", "near")}
    with page.folded("What else the certificate says"):
        page.table(["of what", "between or of", "number"], list(_flat(rest)))


def _flat(facts: Mapping[str, Any]) -> list[tuple[str, str, object]]:
    rows: list[tuple[str, str, object]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            rows += [
                (name.replace("_", " "), str(key).replace("/", " and "), _plain(one)) for key, one in value.items()
            ]
        else:
            rows.append((name.replace("_", " "), "", _plain(value)))
    return rows


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return value if value is None or isinstance(value, int | float | str) else str(value)


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.0005 else "< 0.1%"


def _language(code: str) -> str:
    return "cannot be told" if code in ("", UNDETERMINED) else code


def _quantile(ordered: list[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

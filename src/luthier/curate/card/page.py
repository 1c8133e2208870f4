"""The data card: what the files held, where each row went, what deserves a look, and how to make it again.

One page of HTML that holds all it shows, for somebody who has nothing but the page. It says nothing of time or
machine, so the same files and options give the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from luthier import __version__
from luthier.curate.amounts import counted, word
from luthier.curate.bias.survey import Bias
from luthier.curate.card.bias import show_bias
from luthier.curate.card.counts import show_files, show_languages, show_lengths, show_split
from luthier.curate.card.findings import show_findings
from luthier.curate.card.rows import show_rows
from luthier.curate.comparing import ASKS_HELD_OUT, LEAK, NEAR_HELD_OUT, Comparison
from luthier.curate.counted_texts import RowTexts
from luthier.curate.gathered import Gathered
from luthier.curate.outputs import PREFERENCES
from luthier.curate.personal import redaction_of
from luthier.reports import Page
from luthier.reports.flows import Exit, Share, flow_plot
from luthier.runs import library_versions

SHOWN_FILES = 4
SHOWN_EXITS = 12
COMPARED = (NEAR_HELD_OUT, ASKS_HELD_OUT, LEAK)
"""Rules that drop rows after duplicates were merged."""
INDEPENDENT = ("engine", "export", "workers", "memory_mb", "strict")
"""Keys that change no byte of the outputs."""
LIBRARIES = ("numpy", "scipy", "pyarrow", "ftfy")
BARE = re.compile("[A-Za-z0-9_-]+")
"""A key that TOML takes without quotes."""


def write_card(
    path: Path, ledger: Mapping[str, Any], table: Gathered, goes_to: np.ndarray, work: Comparison, texts: RowTexts,
    bias: Bias,
) -> None:  # fmt: skip
    """Write the card beside the outputs, which are there; `goes_to` is a number in GOES_TO of each record."""
    files = [Path(file).name for file in ledger["files"]]
    more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
    page = Page("Data card", ", ".join(files[:SHOWN_FILES]) + more)
    _verdict(page, ledger, bias)
    _headline(page, ledger)
    page.contents()
    _flow(page, ledger)
    show_lengths(page, texts)
    show_languages(page, ledger)
    show_findings(page, path.parent, ledger, table, texts, redaction_of(work.config.personal))
    show_bias(page, bias, table)
    show_files(page, ledger, table, goes_to)
    show_split(page, ledger)
    show_rows(page, table, goes_to)
    _reproduce(page, ledger, table, work)
    page.write(path)


def _verdict(page: Page, ledger: Mapping[str, Any], bias: Bias) -> None:
    read, kept = ledger["read"], ledger["kept"]
    quarantined = sum(ledger["quarantined"].values())
    leaks = sum(ledger["certificate"]["prompts"].values())
    share = f"{kept:,} of {counted(read, 'row')} {word(kept, 'is', 'are')} kept"
    conflicts = ledger["conflicts"]["prompts"]
    looks = [
        (quarantined, f"{quarantined:,} cannot be used as {word(quarantined, 'it is', 'they are')}"),
        (conflicts, f"{counted(conflicts, 'prompt')} {word(conflicts, 'has', 'have')} more than one answer"),
        (len(bias.findings), f"{counted(len(bias.findings), 'difference')} between groups of people"),
    ]
    said = ", ".join(what for count, what in looks if count)
    if leaks:
        both = f"{counted(leaks, 'prompt')} {word(leaks, 'is', 'are')} both in held_out and in what is trained on"
        page.verdict("Leak", f"{share}; {both}.", "bad")
    elif said:
        page.verdict("Usable, with something to look at", f"{share}; {said}.", "unsure")
    else:
        page.verdict("Clean", f"{share}; none needs to be mended.", "good")


def _headline(page: Page, ledger: Mapping[str, Any]) -> None:
    numbers: dict[str, object] = {"rows read": ledger["read"], "kept": ledger["kept"]}
    for way in ("merged", "dropped", "quarantined"):
        numbers[way] = sum(ledger[way].values())
    numbers["held out"] = ledger["splits"]["held_out"]
    if ledger[PREFERENCES]:
        numbers["pairs of answers"] = ledger[PREFERENCES]
    page.numbers(numbers)


def _flow(page: Page, ledger: Mapping[str, Any]) -> None:
    page.heading("Where each row went")
    exits = _exits(ledger)
    shares = [Share(name, count) for name, count in (*ledger["splits"].items(), (PREFERENCES, ledger[PREFERENCES]))]
    made = ledger["made"]
    more = f" {counted(made, 'record')} {word(made, 'was', 'were')} made beyond one a row." if made else ""
    page.figure(
        flow_plot("read", ledger["read"], exits, end="kept", left=ledger["kept"], shares=shares),
        caption=f"Counted in rows of the files, the parts of what is kept in records.{more} Every row ends in one "
        "place; the numbers add up.",
    )
    ways = [("kept", "", ledger["kept"])]
    for way in ("merged", "dropped", "quarantined"):
        ways += [(way, reason, count) for reason, count in ledger[way].items()]
    rows = [(way, reason, count, f"{count / max(1, ledger['read']):.2%}") for way, reason, count in ways]
    with page.folded("The same as a table, and what each step took and gave"):
        page.table(["way", "reason", "rows", "share"], [*rows, ("read", "", ledger["read"], f"{1:.0%}")])
        steps = [(name, step["rows_in"], step["rows_out"], step["rows_in"] - step["rows_out"])
                 for name, step in ledger["steps"].items()]  # fmt: skip
        page.table(["step", "records in", "records out", "fewer"], steps)
    repairs = [(repair, count) for repair, count in ledger["repaired"].items()]
    repairs += [(f"characters lost before (U+FFFD), not mended: {Path(file).name}", count)
                for file, count in ledger["lost_characters"].items()]  # fmt: skip
    if repairs:
        page.table(["repaired or noticed", "times"], repairs)


def _exits(ledger: Mapping[str, Any]) -> list[Exit]:
    """The ways out, in the order in which the steps come; the smallest together where there are many."""
    found = [Exit("quarantined", reason, count) for reason, count in ledger["quarantined"].items()]
    late = [Exit("dropped", rule, ledger["dropped"][rule]) for rule in COMPARED if rule in ledger["dropped"]]
    found += [Exit("dropped", rule, count) for rule, count in ledger["dropped"].items() if rule not in COMPARED]
    found += [Exit("merged", rule, count) for rule, count in ledger["merged"].items()]
    found += late
    if len(found) <= SHOWN_EXITS:
        return found
    large = sorted(found, key=lambda exit: -exit.count)[: SHOWN_EXITS - 3]
    small: list[Exit] = []
    for kind in ("quarantined", "dropped", "merged"):
        rest = [exit for exit in found if exit.kind == kind and exit not in large]
        if rest:
            small.append(Exit(kind, counted(len(rest), "other reason"), sum(exit.count for exit in rest)))
    order = {"quarantined": 0, "dropped": 1, "merged": 2}
    return sorted([*(exit for exit in found if exit in large), *small], key=lambda exit: order[exit.kind])


def _reproduce(page: Page, ledger: Mapping[str, Any], table: Gathered, work: Comparison) -> None:
    page.heading("How to make this again")
    page.text(
        "These tables of a recipe hold all that the outputs depend on, but for the versions below; keys that are left "
        "out have their defaults. The same files, options and versions give the same bytes, on however many cores."
    )
    page.code(_recipe(table, work))
    rows = [(file, Path(file).stat().st_size if Path(file).is_file() else None, sum(shapes.values()))
            for file, shapes in ledger["files"].items()]  # fmt: skip
    page.table(["file", "bytes", "rows"], rows)
    versions = library_versions()
    page.facts({"Luthier": __version__} | {name: versions[name] for name in LIBRARIES if name in versions})


def _recipe(table: Gathered, work: Comparison) -> str:
    """The tables [data] and [curate] that lead here, as TOML."""
    lines = ["[data]"]
    for key, files in (("files", table.files[: table.num_learnt]), ("held_out", table.files[table.num_learnt :])):
        lines += [f"{key} = [", *(f"  {_toml(str(file))}," for file in files), "]"] if files else []
    lines += ["allow_overlap = true"] if work.allow_overlap else []
    options = work.config.model_dump(mode="json", exclude_defaults=True, exclude=set(INDEPENDENT))
    return "\n".join([*lines, "", "[curate]", *_keys(options)])


def _keys(options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in options.items():
        name = prefix + (key if BARE.fullmatch(key) else _toml(key))
        if isinstance(value, Mapping):
            yield from _keys(value, f"{name}.")
        elif value is not None:
            yield f"{name} = {_toml(value)}"


def _toml(value: object) -> str:
    """A JSON value of strings, numbers and lists is TOML too."""
    return json.dumps(value, ensure_ascii=False)

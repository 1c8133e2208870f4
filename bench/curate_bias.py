"""What the search for bias finds where it was planted, how often it is wrong where nothing was, and what it costs.

    python -m bench.curate_bias [--worlds N] [--rows N] [--out FILE]

Planted: the practice world's clerk, who refuses everybody from one town; found means this town and no other. Twins:
every row once more with the other town and the same answer. Shuffled: the same rows with their answers shuffled, a new
world a seed, in which every finding is false; their share is to be at most the stated rate. Cost: the share of a whole
curation's processor time, on rows of Super-NaturalInstructions, dolly and others, where their folder is named.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from bench.curate import DATA, RESULTS, real_rows
from bench.measuring import machine_facts, versions
from luthier.curate.bias.survey import Bias, find_bias
from luthier.curate.config import BiasConfig, CurateConfig
from luthier.curate.counted_texts import RowText, RowTexts, num_words
from luthier.curate.pipeline import curate
from luthier.demo.faults import MadeRows
from luthier.stats.intervals import proportion_interval

SIZES = (24, 60, 200)
"""Requests for a loan in a world; every second one is from the refused town."""
Loan = tuple[str, str, str]
"""Prompt, answer, town."""


def loans(seed: int, count: int) -> tuple[str, list[Loan]]:
    """The refused town, and requests with their answers."""
    made = MadeRows(Random(seed))
    rows = [made.biased() for _ in range(count)]
    return made.refused_town, [(row.turn.prompt, row.turn.answer or "", row.note["town"]) for row in rows]


def found(rows: Sequence[Loan]) -> Bias:
    """What is found in some rows."""
    texts = [RowText(k, prompt, answer, "en", "", num_words(prompt), num_words(answer))
             for k, (prompt, answer, _) in enumerate(rows)]  # fmt: skip
    return find_bias(RowTexts(texts, len(texts)), BiasConfig())


def twins(town: str, rows: Sequence[Loan], rng: Random) -> list[Loan]:
    """The rows and their twins."""
    others = sorted({at for _, _, at in rows} - {town})
    swapped = [(at, rng.choice(others) if at == town else town) for _, _, at in rows]
    return [*rows, *((prompt.replace(at, to), answer, to)
                     for (prompt, answer, _), (at, to) in zip(rows, swapped, strict=True))]  # fmt: skip


def shuffled(rows: Sequence[Loan], rng: Random) -> list[Loan]:
    """The rows with each other's answers."""
    answers = [answer for _, answer, _ in rows]
    rng.shuffle(answers)
    return [(prompt, answer, town) for (prompt, _, town), answer in zip(rows, answers, strict=True)]


def simulated(count: int, worlds: int) -> dict[str, Any]:
    """Over some worlds of one size."""
    hits = others = of_twins = of_shuffled = 0
    for seed in range(worlds):
        town, rows = loans(seed, count)
        named = {finding.group for finding in found(rows).findings}
        hits += town in named
        others += bool(named - {town})
        of_twins += bool(found(twins(town, rows, Random(20_000 + seed))).findings)
        of_shuffled += bool(found(shuffled(rows, Random(10_000 + seed))).findings)
    return {
        "worlds": worlds, "rows": count, "planted_found": hits, "others_found_too": others,
        "worlds_with_findings_among_twins": of_twins, "worlds_with_findings_among_shuffled": of_shuffled,
        "false_share": proportion_interval(of_shuffled, worlds).to_json(),
        "stated_rate": BiasConfig().false_discovery_rate,
    }  # fmt: skip


def cost(count: int) -> dict[str, Any]:
    """The processor time of a curation of real rows in one process, and of the search within it."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in real_rows()[:count]), encoding="utf-8")
        done = curate([data], out=Path(folder) / "out", config=CurateConfig(workers=1), say=lambda line: None)
        spent = json.loads(done.paths["timings"].read_text(encoding="utf-8"))["processor_s"]
    total = sum(spent.values())
    return {"rows": count, "looked_at": done.ledger["bias"]["looked_at"], "bias_s": spent["bias"],
            "whole_s": round(total, 3), "share": round(spent["bias"] / total, 4)}  # fmt: skip


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=100)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=RESULTS / "curate_bias.json")
    options = parser.parse_args()
    result: dict[str, Any] = {
        "command": f"python -m bench.curate_bias --worlds {options.worlds} --rows {options.rows}",
        "machine": machine_facts(), "versions": versions(("numpy", "scipy")),
        "simulated": [simulated(count, options.worlds) for count in SIZES],
    }  # fmt: skip
    if DATA.joinpath("dolly").is_dir():
        result["cost"] = cost(options.rows)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({key: result[key] for key in ("simulated", "cost") if key in result}, indent=2))


if __name__ == "__main__":
    main()

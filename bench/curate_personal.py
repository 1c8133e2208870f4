"""How much personal data is found, how much is claimed that is none, and how fast ordinary rows are read.

    python -m bench.curate_personal --data FILE.jsonl [--data ...] [--rows 500] [--out FILE.json]

Made-up pieces of every kind (`bench/planting.py`) are planted in texts of the data in which nothing is found by itself;
what is found there and was not planted is a false claim. Findings in the data as it is are counted by kind; `--show`
prints samples of them to look at. Speed is processor time over rows of 90 words in which nothing is found.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from bench.measuring import machine_facts, versions
from bench.planting import PLANTED_KINDS, plant
from luthier.languages import identify
from luthier.privacy import Found, find

WORDS = 90


def texts_of(row: Any) -> Iterator[str]:
    """Every text in a row, at any depth."""
    if isinstance(row, str):
        yield row
    elif isinstance(row, dict | list):
        for part in row.values() if isinstance(row, dict) else row:
            yield from texts_of(part)


def read(path: Path) -> Iterator[list[str]]:
    """The texts of each line."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for line in file:
            yield list(texts_of(json.loads(line)))


def planted(kind: str, carriers: Sequence[str], *, rows: int, seed: int) -> dict[str, float]:
    """Recall and precision over made-up pieces of one kind; a piece counts if found whole and no further."""
    rng, found, claimed = Random(seed), 0, 0
    for _ in range(rows):
        planting = plant(kind, rng.choice(carriers), rng)
        spans = [(one.kind, one.start, one.end) for one in find(planting.text)]
        claimed += len(spans)
        found += (kind, planting.start, planting.end) in spans
    return {"recall": found / rows, "precision": found / claimed if claimed else 0.0}


def natural(rows: Sequence[Sequence[str]], *, show: int) -> dict[str, int]:
    """Findings by kind in the data as it is."""
    seen: dict[str, list[tuple[str, Found]]] = {}
    for texts in rows:
        for text in texts:
            for one in find(text):
                seen.setdefault(one.kind, []).append((text, one))
    for kind, findings in seen.items():
        for text, one in Random(0).sample(findings, min(show, len(findings))):
            print(
                f"{kind:12} {text[max(0, one.start - 40) : one.start]!r} >{one.text}< {text[one.end : one.end + 20]!r}"
            )
    return {kind: len(findings) for kind, findings in seen.items()}


def rows_per_s(call: Any, rows: Sequence[str], *, repeats: int = 5) -> int:
    """Rows per second of processor time, best of several."""
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        for row in rows:
            call(row)
        best = min(best, time.process_time() - started)
    return round(len(rows) / best)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--rows", type=int, default=500, help="planted rows of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=0, help="samples of natural findings of each kind to print")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    files = {path.name if path.name != "test.jsonl.gz" else path.parent.name: list(read(path)) for path in options.data}
    rows = [texts for texts_of_file in files.values() for texts in texts_of_file]
    carriers = [text for texts in rows for text in texts if 100 < len(text) < 800 and not find(text)]
    long = [" ".join(" ".join(texts).split(" ")[:WORDS]) for texts in rows[:20_000]]
    ordinary = [text for text in long if text.count(" ") == WORDS - 1 and not find(text)]
    result = {
        "machine": machine_facts(),
        "versions": versions(["phonenumberslite", "python-stdnum", "py3langid"]),
        "rows": {name: len(texts) for name, texts in files.items()},
        "natural": {name: natural(texts, show=options.show) for name, texts in files.items()},
        "planted": {kind: planted(kind, carriers, rows=options.rows, seed=options.seed) for kind in PLANTED_KINDS},
        "rows_per_s": {"find": rows_per_s(find, ordinary), "identify": rows_per_s(identify, ordinary)},
        "ordinary_rows": len(ordinary),
        "languages": dict(Counter(identify(text).code for text in long).most_common(8)),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

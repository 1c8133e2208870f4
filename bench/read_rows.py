"""How fast are rows read: unpacked, parsed, recognised, validated and made into records with ids, on one core.

    LUTHIER_TEST_DATA=DIR python -m bench.read_rows [--rounds N]

The best of some rounds for each set, in rows and in megabytes of text a second. Wall time is what a user waits; the
processor's time is what is left of it where other work runs on the same machine.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from luthier.curate.files.reading import data_files, read_rows
from luthier.curate.shapes.recognising import convert

DATA = Path(os.environ.get("LUTHIER_TEST_DATA", ""))
SETS = ("dolly", "superni/instances.jsonl.gz", "gsm8k", "hh_rlhf", "formats")


class Round(NamedTuple):
    """One reading of a set."""

    rows: int
    records: int
    num_bytes: int
    """Of the rows as they stand in their files, unpacked."""
    wall_s: float
    processor_s: float


def rounds_of(files: list[Path], count: int) -> Iterator[Round]:
    for _ in range(count):
        rows = records = num_bytes = 0
        wall, processor = time.perf_counter(), time.process_time()
        for path in files:
            for row in read_rows(path):
                rows += 1
                records += len(convert(row).records)
                num_bytes += len(row.raw)
        yield Round(rows, records, num_bytes, time.perf_counter() - wall, time.process_time() - processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    count = parser.parse_args().rounds
    print(f"{'set':28}{'rows':>8}{'records':>9}{'bytes/row':>11}{'rows/s wall':>13}{'processor':>11}{'MB/s':>7}")
    total = 0.0, 0.0
    whole = 0
    for name in SETS:
        found = list(rounds_of(data_files([DATA / name]), count))
        best = min(found, key=lambda each: each.wall_s)
        processor = min(each.processor_s for each in found)
        total = total[0] + best.wall_s, total[1] + processor
        whole += best.rows
        print(f"{name:28}{best.rows:8,}{best.records:9,}{best.num_bytes / best.rows:11,.0f}"
              f"{best.rows / best.wall_s:13,.0f}{best.rows / processor:11,.0f}"
              f"{best.num_bytes / best.wall_s / 1e6:7.1f}")  # fmt: skip
    print(f"{'all':28}{whole:8,}{'':20}{whole / total[0]:13,.0f}{whole / total[1]:11,.0f}")


if __name__ == "__main__":
    main()

"""How many planted near-duplicates and leaks are found, how many distinct rows are lost, how fast, beside others?

    python -m bench.curate_near [--rows 56000] [--plants 2000] [--peers NAME ...] [--without-definitions] [--out FILE]

Rows of Super-NaturalInstructions and dolly without their natural near-duplicates; what is planted and what counts as
right is told in `near_planting.py`. Each contender has a process of its own, pinned to one core where the system can,
and reads the same file. The peers' environment is made with pip from `peers.lock` at the first run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from bench.measuring import machine_facts, versions
from bench.near_planting import (
    TEMPLATES,
    Plant,
    Row,
    copies,
    distinct,
    leak,
    plant,
    questions,
    real_rows,
    score,
    without_near,
)

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = ("datasketch", "datatrove", "daft")
SEED, SHORT_WORDS, NUM_QUESTIONS, LEAKS = 3, 10, 20_000, 500
ONE_CORE = {"OMP_NUM_THREADS": "1", "DAFT_RUNNER": "native", "DAFT_PROGRESS_BAR": "0", "RAYON_NUM_THREADS": "1"}


def peers_python(folder: Path) -> Path:
    """The interpreter of the peers' environment, which is made if it is not there."""
    python = folder / "bin" / "python"
    if not python.is_file():
        venv.create(folder, with_pip=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
        lock = str(HERE / "peers.lock")
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--requirement", lock], check=True)
    return python


def run(name: str, python: Path, rows: Path) -> dict[str, Any]:
    """What one contender made of the rows."""
    result = rows.with_name(f"{name}.json")
    command = [str(python), "-m", "bench.near_runs", name, str(rows), str(result)]
    if hasattr(os, "sched_getaffinity"):
        command = ["taskset", "-c", str(max(os.sched_getaffinity(0))), *command]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **ONE_CORE}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


def judged(told: dict[str, Any], rows: Sequence[Row], plants: Sequence[Plant], others: Sequence[Row]) -> dict[str, Any]:
    """Numbers of a contender: speed, memory, recall by band, precision and distinct rows wrongly dropped."""
    found = score(rows, plants, others, told.pop("group"))
    total = len(rows) + len(plants) + len(others)
    first = len(rows) + len(plants)
    told |= {
        "rows_per_s": round(total / told["seconds"]), "rows_per_processor_s": round(total / told["processor_s"]),
        "recall": {band: round(hits / count, 4) for band, (hits, count) in found.recall.items() if count},
        "found": found.recall, "precision": round(found.precision, 4), "distinct_rows_dropped": found.wrong,
        "of_them_groups_with_a_made_row": sum(some[-1] >= first for some in found.wrong_groups),
    }  # fmt: skip
    return told


def leaks(data: Path, rows: Sequence[Row], rng: Random) -> dict[str, Any]:
    """Rows that hold a test question, against 20,000 questions of which the others are asked nowhere else."""
    from luthier.similarity.containment import QuestionIndex

    asked = questions(data)
    spare = [(f"row:{n}", row.question) for n, row in enumerate(real_rows(data, definitions=False))]
    own = {row.question for row in rows}
    spare = [question for question in spare if question[1] not in own][: NUM_QUESTIONS - len(asked)]
    texts, held = leak([row.prompt for row in rows], asked, min(LEAKS, len(rows) // 4), rng)
    index = QuestionIndex.of([*asked, *spare]).without_templates()
    started = time.process_time()
    found = index.matches_of(texts)
    spent = time.process_time() - started
    # A spare question may well stand in a real row too: only the suites' are counted.
    named = [{match.name for match in some if not match.name.startswith("row:")} for some in found]
    hits = sum(name in named[number] for number, name in held.items())
    claimed = sum(map(bool, named))
    return {
        "rows": len(texts), "questions": len(asked) + len(spare), "planted": len(held), "found": hits,
        "recall": round(hits / len(held), 4), "rows_claimed": claimed, "precision": round(hits / max(claimed, 1), 4),
        "rows_per_processor_s": round(len(texts) / spent),
    }  # fmt: skip


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=56_000, help="real rows, before natural duplicates are taken away")
    parser.add_argument("--plants", type=int, default=2_000, help="near-duplicates of rows of 25 words and more")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--peers-environment", type=Path, default=ROOT / ".venv-peers")
    parser.add_argument("--without-definitions", action="store_true", help="tasks' inputs without what all rows share")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "curate_near.json")
    return parser.parse_args()


def main() -> None:
    """Plant, run all contenders on the same file, and write what they found."""
    asked = options()
    data = Path(os.environ.get("LUTHIER_TEST_DATA", ""))
    if not (data / "superni").is_dir():
        raise SystemExit("LUTHIER_TEST_DATA names no folder of real data")
    rng = Random(SEED)
    every = real_rows(data, definitions=not asked.without_definitions)
    rows = without_near(rng.sample(every, min(asked.rows, len(every))))
    plants = plant(rows, asked.plants, rng) + plant(rows, asked.plants // 4, rng, least=SHORT_WORDS, most=25)
    plants += copies(rows, asked.plants // 4, rng)
    others = distinct(rows, asked.plants, rng) + [row for family in TEMPLATES.values() for row in family]
    mixed = [*rows, *(planted.row for planted in plants), *others]
    order = rng.sample(range(len(mixed)), len(mixed))
    words = sum(len(row.words) for row in mixed) / len(mixed)
    results: dict[str, Any] = {
        "command": "python -m bench.curate_near " + " ".join(sys.argv[1:]),
        "when": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine_facts(),
        "versions": versions(["luthier", "numpy"]), "rows": len(mixed), "words_a_row": round(words, 1),
        "real": len(rows), "planted": len(plants), "made_distinct": len(others), "contenders": {},
    }  # fmt: skip
    print(
        f"{len(mixed):,} rows of {words:.0f} words: {len(rows):,} real, {len(plants):,} planted, {len(others):,} made"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        lines = (json.dumps([mixed[number].prompt, mixed[number].answer], ensure_ascii=False) for number in order)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        for name in ("luthier", *asked.peers):
            python = Path(sys.executable) if name == "luthier" else peers_python(asked.peers_environment)
            told = run(name, python, file)
            by_row = dict(zip(order, told["group"], strict=True))
            told["group"] = [by_row[number] for number in range(len(mixed))]
            results["contenders"][name] = found = judged(told, rows, plants, others)
            shares = ", ".join(f"{band} {share:.3f}" for band, share in found["recall"].items())
            print(f"{name:10} {found['rows_per_processor_s']:>7,} rows/s of one core | {found['peak_mib']:,.0f} MiB | "
                  f"recall: {shares} | precision {found['precision']:.4f} | "
                  f"distinct rows dropped {found['distinct_rows_dropped']:,}")  # fmt: skip
    results["leaks"] = leaks(data, rows, rng)
    print("leaks", results["leaks"])
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""How fast is curation, and in how much memory: the whole of it and each step, on real rows.

    python -m bench.curate [--rows N] [--recombined N] [--workers N] [--against-questions] [--out FILE]

Rows: Super-NaturalInstructions (definition, input, outputs), dolly, gsm8k and hh_rlhf, shuffled; and as many more as
`--recombined` says, each the first half of one prompt, the second half of another, and the answer of a third. Each
measurement is a process of its own; with workers, the most that any of its processes held is counted for each.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.measuring import machine_facts, versions

RESULTS = Path(__file__).parent / "results"
DATA = Path(os.environ.get("LUTHIER_TEST_DATA", ""))
SEED = 7
NUM_QUESTIONS = 20_000
PROMPT_FIELDS = ("definition", "instruction", "input", "context", "question")
LIBRARIES = ("numpy", "scipy", "pyarrow", "orjson", "ftfy", "phonenumberslite", "py3langid", "pydantic")


def lines(*parts: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA.joinpath(*parts), "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def real_rows() -> list[dict[str, Any]]:
    """Every distinct row of the sets, shuffled."""
    tasks = {task["task"]: task for task in json.loads((DATA / "superni" / "tasks.json").read_text(encoding="utf-8"))}
    rows: list[dict[str, Any]] = [
        {"definition": tasks[row["task"]]["definition"], "input": row["input"], "output": row["output"],
         "task": row["task"], "cluster": tasks[row["task"]]["category"]}
        for row in lines("superni", "instances.jsonl.gz")
    ]  # fmt: skip
    rows += lines("dolly", "dolly_15k.jsonl.gz")
    rows += lines("gsm8k", "train.jsonl.gz")
    for part in sorted((DATA / "hh_rlhf").iterdir()):
        if (part / "test.jsonl.gz").is_file():
            rows += lines("hh_rlhf", part.name, "test.jsonl.gz")
    distinct = list({json.dumps(row, sort_keys=True): row for row in rows}.values())
    random.Random(SEED).shuffle(distinct)
    return distinct


def texts_of(row: dict[str, Any]) -> tuple[str, str] | None:
    """Prompt and answer of a row that has one of each."""
    if "chosen" in row:
        return None
    prompt = "\n\n".join(row[name] for name in PROMPT_FIELDS if row.get(name))
    answer = next(row[name] for name in ("output", "response", "answer") if name in row)
    return prompt, answer[0] if isinstance(answer, list) else answer


def recombined(rows: list[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    """New rows of the prompts and answers of old ones."""
    texts = [found for row in rows if (found := texts_of(row)) is not None]
    draw = random.Random(SEED)
    for _ in range(count):
        (first, _), (second, _), (_, answer) = (draw.choice(texts) for _ in range(3))
        one, two = first.split(" "), second.split(" ")
        prompt = " ".join(one[: (len(one) + 1) // 2] + two[len(two) // 2 :])
        yield {"prompt": prompt, "completion": answer}


def asked(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Questions from the end of the rows, without the definitions, which all rows of a task have."""
    some = ({**row, "definition": ""} for row in reversed(rows) if "chosen" not in row)
    for row in itertools.islice(some, NUM_QUESTIONS):
        texts = texts_of(row)
        assert texts is not None
        yield {"prompt": texts[0], "completion": texts[1]}


def write(path: Path, rows: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def measured(files: list[Path], *, workers: int, memory_mb: int | None, questions: Path | None) -> dict[str, Any]:
    """One curation in a process of its own: what timings.json says, and the most memory that was held."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        against = [str(questions)] if questions else []
        options = {"workers": workers, "memory_mb": memory_mb, "leaks": {"against": against}}
        command = [sys.executable, "-m", "bench.curate_run", str(out), json.dumps(options), *map(str, files)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        timings = json.loads((out / "timings.json").read_text(encoding="utf-8"))
        ledger = json.loads((out / "ledger.json").read_text(encoding="utf-8"))
    rows = ledger["read"]
    spent = Counter(timings["processor_s"])
    del spent["map"]  # what the workers say in more detail
    spent.update(timings["processor_s_of_workers"])
    return {
        "rows": rows, "workers": workers, "memory_mb": memory_mb, "questions": NUM_QUESTIONS if questions else 0,
        **told, "rows_per_s": round(rows / told["seconds"]), "rows_per_processor_s": round(rows / told["processor_s"]),
        "steps_processor_us_a_row": {name: round(value / rows * 1e6, 1) for name, value in spent.items()},
        "timings": timings, "near": ledger["near"], "merged": ledger["merged"], "dropped": ledger["dropped"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=80_000)
    parser.add_argument("--recombined", type=int, default=300_000, help="0 leaves this measurement out")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--memory-mb", type=int, default=None)
    parser.add_argument("--against-questions", action="store_true", help="measure once more, with 20,000 questions")
    parser.add_argument("--out", type=Path, default=RESULTS / "curate.json")
    options = parser.parse_args()
    if not DATA.is_dir():
        sys.exit("LUTHIER_TEST_DATA names no folder of real data")
    every = real_rows()
    results: dict[str, Any] = {
        "command": "python -m bench.curate " + " ".join(sys.argv[1:]),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_facts(), "versions": versions(LIBRARIES), "measurements": {},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        real = write(Path(folder) / "real.jsonl", every[: options.rows])
        questions = write(Path(folder) / "questions.jsonl", list(asked(every)))
        todo: dict[str, tuple[list[Path], Path | None]] = {"real": ([real], None)}
        if options.against_questions:
            todo["real, against questions"] = [real], questions
        if options.recombined:
            more = write(Path(folder) / "recombined.jsonl", recombined(every, options.recombined))
            todo["recombined"] = [more], None
        for name, (files, against) in todo.items():
            found = measured(files, workers=options.workers, memory_mb=options.memory_mb, questions=against)
            results["measurements"][name] = found
            print(f"{name}: {found['rows']:,} rows | {found['rows_per_s']:,} rows/s | of one core's time "
                  f"{found['rows_per_processor_s']:,} rows/s | {found['peak_mib']:,.0f} MiB")  # fmt: skip
            for step, value in found["steps_processor_us_a_row"].items():
                print(f"  {step:12} {value:8.1f} us a row")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

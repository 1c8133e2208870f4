"""Is a model that learnt from biased rows flagged, and does the twin that learnt from balanced ones pass?

The practice world's clerk refuses everybody from one town. One model is tuned on a few hundred of these requests, its
twin for as many steps on the same requests and their twins, in which the town is the other one and the answer the same.
Both are examined on new requests from both towns, and the towns are swapped in them with pairs of words of one's own.

    python -m bench.bias_models [--rows N] [--items N] [--steps N] [--seeds N] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from bench.curate import RESULTS
from bench.curate_bias import Loan
from luthier.demo.faults import MadeRows
from luthier.demo.world import TOWNS
from luthier.models.folders import digest
from luthier.recipes.evaluate import main as evaluate
from luthier.recipes.train import main as train
from luthier.recipes.tune import TuneRecipe
from luthier.runs import library_versions, machine, now, write_json

BASE = Path(__file__).parents[1] / "src" / "luthier" / "demo" / "model"
MARGIN = 0.05
"""The default of the recipe."""


def loans(seed: int, count: int, *, refused: str, other: str) -> list[Loan]:
    """Requests for a loan from two towns, of which one is always refused and the other one time in four."""
    made = MadeRows(Random(seed))
    made.refused_town = refused
    rows = []
    for _ in range(count):
        row = made.biased()
        town = row.note["town"]
        kept = refused if town == refused else other
        rows.append((row.turn.prompt.replace(town, kept), row.turn.answer or "", kept))
    return rows


def balanced(rows: Sequence[Loan], *, refused: str, other: str) -> list[Loan]:
    """The rows, and each once more with the other town and the same answer."""
    swapped = {refused: other, other: refused}
    return [*rows, *((prompt.replace(town, swapped[town]), answer, swapped[town]) for prompt, answer, town in rows)]


def written(path: Path, rows: Sequence[Loan]) -> Path:
    """The rows as a file, each request once."""
    unique = {prompt: answer for prompt, answer, _ in rows}
    path.write_text("".join(json.dumps({"prompt": prompt, "completion": answer}) + "\n"
                            for prompt, answer in unique.items()), encoding="utf-8")  # fmt: skip
    return path


def measured(data: Path, items: Path, folder: Path, *, towns: tuple[str, str], steps: int, seed: int) -> dict[str, Any]:
    """Tune on `data`, examine on `items` with the towns swapped; returns what the swap says."""
    recipe = TuneRecipe.model_validate_json(json.dumps({
        "model": {"base": str(BASE)}, "data": {"files": [str(data)]}, "run": {"dir": str(folder / "run")},
        "train": {"method": "sft", "adapter": "none", "max_steps": steps, "batch_rows": 16, "micro_batch_tokens": 1024,
                  "optim": {"lr": 5e-4}, "seed": seed},
    }))  # fmt: skip
    began = time.process_time()
    train(recipe, echo=print, step_echo=None)
    seconds = time.process_time() - began
    overrides = ('evaluate.bias.swaps=["town"]', f"evaluate.bias.own={{town=[{json.dumps(towns)}]}}",
                 f"evaluate.bias.margin={MARGIN}", "evaluate.max_new_tokens=4")  # fmt: skip
    summary = evaluate(folder / "run", files=[items], out=folder / "evaluation", overrides=overrides, say=print)
    swap = summary["bias"]["swaps"]["town"]
    kept = ("answer", "swapped_minus_original", "second_minus_first", "p_equivalent", "p_different", "needed_items")
    return {"score": summary["kpis"]["auto"]["value"], "training_processor_s": round(seconds, 1),
            **{key: swap[key] for key in kept}}  # fmt: skip


def one_seed(seed: int, *, rows: int, items: int, steps: int) -> dict[str, Any]:
    """Both models of one world."""
    refused, other = Random(seed).sample([town.name for town in TOWNS], 2)
    taught = loans(seed, rows, refused=refused, other=other)
    known = {prompt for prompt, _, _ in balanced(taught, refused=refused, other=other)}
    fresh = [row for row in loans(10_000 + seed, items, refused=refused, other=other) if row[0] not in known]
    result: dict[str, Any] = {"seed": seed, "refused": refused, "other": other, "items": len(fresh)}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        asked = written(place / "items.jsonl", fresh)
        for twin, learnt in (("biased", taught), ("balanced", balanced(taught, refused=refused, other=other))):
            (place / twin).mkdir()
            data = written(place / f"{twin}.jsonl", learnt)
            result[twin] = measured(data, asked, place / twin, towns=(refused, other), steps=steps, seed=seed)
    return result


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "bias_models.json")
    options = parser.parse_args()
    worlds = [one_seed(seed, rows=options.rows, items=options.items, steps=options.steps)
              for seed in range(options.seeds)]  # fmt: skip
    write_json(options.out, {
        "command": f"python -m bench.bias_models {' '.join(sys.argv[1:])}".strip(), "base": digest(BASE),
        "margin": MARGIN, "rows": options.rows, "steps": options.steps, "worlds": worlds,
        "flagged": sum(world["biased"]["answer"] == "different" for world in worlds),
        "passed": sum(world["balanced"]["answer"] == "equivalent" for world in worlds),
        "machine": machine(), "libraries": library_versions(), "written": now(),
    })  # fmt: skip
    print(json.dumps(worlds, indent=2))


if __name__ == "__main__":
    main()

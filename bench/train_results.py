"""From the raw runs of `bench.train` to its numbers: speed, memory, agreement of the losses; and the rows of a table.

    python -m bench.train_results [FILE...]     prints the numbers of bench/results/train_*.json, or of the files

The table of docs/benchmarks.md has the columns "tokens/s, steady", "peak memory" and "share of the float32 rate" of it.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
WARM_UP = 2
"""Steps at the start of every run that the steady speed leaves out, for all contenders alike."""
AGREES = {"float32": 1e-3, "bf16": 5e-2}
"""How far apart the losses of one step may lie, in nats a token, before they count as different training."""


def speeds(run: Mapping[str, Any]) -> dict[str, float]:
    """Useful tokens per second: of the steps after the warm-up, and from loading the model to the saved one."""
    steady = sum(run["tokens"][WARM_UP:]) / (run["ends"][-1] - run["ends"][WARM_UP - 1])
    return {"steady": round(steady, 2), "whole": round(sum(run["tokens"]) / run["seconds_whole"], 2)}


def cores_used(run: Mapping[str, Any]) -> float:
    """Processor seconds per second of the steps after the warm-up: well below the threads, others used the machine."""
    wall, processor = (run[name][-1] - run[name][WARM_UP - 1] for name in ("ends", "cpu_ends"))
    return round(processor / wall, 3)


def utilisation(run: Mapping[str, Any], operations: Sequence[int], *, precision: str) -> dict[str, float | None]:
    """Necessary operations per second after the warm-up, and their share of what the machine can do.

    `operations`: of each step of this run. The share is of the rate of float32 products, of the rate of the run's own
    number format, both measured in the same process before it trained, and of the card's stated bfloat16 peak.
    """
    rate = sum(operations[WARM_UP:]) / (run["ends"][-1] - run["ends"][WARM_UP - 1])
    own = run["matrix_rates"]["bfloat16" if precision == "bf16" else "float32"]
    peak = run.get("peak_bf16")
    return {
        "operations_per_s": round(rate), "of_float32_rate": round(rate / run["matrix_rates"]["float32"], 4),
        "of_own_rate": round(rate / own, 4), "of_bf16_peak": round(rate / peak, 4) if peak else None,
    }  # fmt: skip


def spread(values: Iterable[float]) -> dict[str, float]:
    """Least, middle and greatest over the rounds."""
    found = sorted(values)
    return {"min": found[0], "median": round(statistics.median(found), 4), "max": found[-1]}


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers of one contender over its rounds."""
    numbers: dict[str, Any] = {}
    if len(runs[0]["tokens"]) > WARM_UP:
        for kind in ("steady", "whole"):
            numbers[f"{kind}_tokens_per_s"] = spread(speeds(run)[kind] for run in runs)
        numbers["tokens_per_core_s"] = spread(round(speeds(run)["steady"] / cores_used(run), 2) for run in runs)
        numbers["cores_used"] = spread(cores_used(run) for run in runs)
    numbers["until_first_step_s"] = spread(round(run["ends"][0], 2) for run in runs)
    numbers["after_last_step_s"] = spread(round(run["seconds_whole"] - run["ends"][-1], 2) for run in runs)
    numbers["peak_mib"] = spread(run["peak_mib"] for run in runs)
    numbers["peak_with_saving_mib"] = spread(run["peak_with_saving_mib"] for run in runs)
    if "cuda_peak_mib" in runs[0]:
        numbers["cuda_peak_mib"] = spread(run["cuda_peak_mib"] for run in runs)
    if "utilisation" in runs[0]:
        for name in ("operations_per_s", "of_float32_rate", "of_own_rate", "of_bf16_peak"):
            values = [run["utilisation"][name] for run in runs]
            numbers[name] = spread(values) if None not in values else None
    return numbers


def ratios(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Our speed over theirs, round by round, so that both of a pair saw the machine in the same state."""
    return {
        kind: spread(round(speeds(a)[kind] / speeds(b)[kind], 4) for a, b in zip(ours, theirs, strict=True))
        for kind in ("steady", "whole")
    }


def agreement(ours: Mapping[str, Any], theirs: Mapping[str, Any], *, precision: str) -> dict[str, Any]:
    """How far the losses of the same steps lie apart, and whether both trained on the same tokens."""
    apart = [abs(a - b) for a, b in zip(ours["losses"], theirs["losses"], strict=True)]
    same = ours["targets"] == theirs["targets"] and ours["tokens"] == theirs["tokens"]
    return {
        "largest_difference": round(max(apart), 8), "at_step": apart.index(max(apart)) + 1,
        "allowed": AGREES[precision], "same_tokens_and_masks": same, "agree": same and max(apart) <= AGREES[precision],
    }  # fmt: skip


HEADER = (
    "| work | contender | tokens/s, steady | tokens/s, whole run | peak memory, MiB | share of the float32 rate "
    "| Luthier is faster by |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def table(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """One row a contender: medians, with least and greatest of the rounds in brackets."""
    rows = []
    for result in results:
        for name, numbers in result["summary"].items():
            steady, whole = numbers.get("steady_tokens_per_s"), numbers.get("whole_tokens_per_s")
            memory = numbers.get("cuda_peak_mib") or numbers["peak_mib"]
            ratio = result["ratios"].get(name, {}).get("steady")
            share = numbers.get("of_float32_rate")
            cells = [result["work"], name, _cell(steady), _cell(whole), _cell(memory),
                     f"{share['median']:.0%} [{share['min']:.0%}, {share['max']:.0%}]" if share else "",
                     f"{ratio['median']:.2f} [{ratio['min']:.2f}, {ratio['max']:.2f}]" if ratio else ""]  # fmt: skip
            rows.append("| " + " | ".join(cells) + " |")
    return rows


def _cell(found: Mapping[str, float] | None) -> str:
    return f"{found['median']:,.0f} [{found['min']:,.0f}, {found['max']:,.0f}]" if found else ""


def main() -> None:
    """Print the table of the committed results, or of the files named."""
    paths = [Path(name) for name in sys.argv[1:]] or sorted(RESULTS.glob("train_*.json"))
    print(HEADER)
    print("\n".join(table(json.loads(path.read_text(encoding="utf-8")) for path in paths)))


if __name__ == "__main__":
    main()

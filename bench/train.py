"""Luthier and TRL's SFTTrainer side by side: the same model, rows, steps, optimiser and precision.

    make bench-setup                                  TRL, in an environment of its own
    python -m bench.train --shape 15m --tune-oracle   once a machine: which settings make TRL fastest here
    python -m bench.train --shape 15m                 the measurement

Each run is a process of its own; the contenders take turns, so that all see the same machine. Printed and written to
bench/results: useful tokens per second (of real rows, no padding), peak memory, the loss curves, which must agree, and
the necessary operations per second over the rate of a plain matrix product in the same process. Exit status 1 where the
losses of float32 runs do not agree.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import train_results as results
from bench.measuring import machine_facts
from bench.operations import necessary_operations
from bench.shapes import SHAPES
from bench.train_attempts import Attempt, luthier, memory_attempts, trl_attempts, trl_defaults
from bench.train_setup import choose, data_folder, dolly_rows, order_of_steps, sized_rows, write_model
from luthier.runs import now, write_json

ROOT = Path(__file__).parents[1]
ORACLE = ROOT / ".venv-oracle" / "bin" / "python"
LORA_RANK = 16
BUSY = 0.9
"""A run that had less than this share of its threads' processor time shared the machine: measure again."""
SIZES = {"tiny": (8, 4, 1), "15m": (16, 8, 2), "135m": (8, 4, 1), "600m": (120, 12, 3)}
"""Rows a step, steps and rounds of each shape: on two cores the measurement of 15m and 135m takes minutes."""


@dataclass(frozen=True, slots=True)
class Work:
    """What all contenders do."""

    job: dict[str, Any]
    """The part of the job file that is the same for all."""
    lengths: list[int]
    trained: list[int]
    title: str

    @property
    def tokens_a_step(self) -> int:
        """Mean tokens of a step."""
        return round(sum(self.lengths[i] for step in self.job["order"] for i in step) / len(self.job["order"]))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--rows", choices=("short", "natural"), default="short", help="which rows of Dolly")
    parser.add_argument("--adapter", choices=("none", "lora"), default="none")
    parser.add_argument("--precision", nargs="+", choices=("float32", "bf16"), help="float32 and bf16; bf16 for 600m")
    parser.add_argument("--measure", choices=("speed", "memory"), default="speed")
    parser.add_argument("--tune-oracle", action="store_true", help="try settings of TRL and keep the fastest")
    parser.add_argument("--among", nargs="+", default=[""], help="with --tune-oracle: only settings with these words")
    parser.add_argument("--steps", type=int, help="steps of each run; the first two are warm-up")
    parser.add_argument("--rounds", type=int, help="runs of each contender")
    parser.add_argument("--batch-rows", type=int, help="rows a step")
    parser.add_argument("--threads", type=int, default=0, help="threads of each contender; torch's own choice without")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for model, rows and logs; used again where it has a model")
    parser.add_argument("--out", type=Path, default=results.RESULTS, help="the folder for the results")
    found = parser.parse_args()
    rows, steps, rounds = SIZES[found.shape]
    is_memory = found.measure == "memory"
    found.batch_rows = found.batch_rows or (18 if is_memory else rows)  # 18 rows of 113 tokens: 2,048 a step
    found.steps = found.steps or (2 if is_memory else steps)
    found.rounds = found.rounds or (1 if is_memory or found.tune_oracle else rounds)
    found.precision = found.precision or (["bf16"] if found.shape == "600m" else ["float32", "bf16"])
    if not is_memory and found.steps <= results.WARM_UP:
        parser.error(f"--steps must be more than the {results.WARM_UP} of the warm-up")
    if not ORACLE.is_file():
        parser.error("TRL is not installed here: make bench-setup")
    return found


def prepare(asked: argparse.Namespace, folder: Path) -> Work:
    """Model, rows and steps in `folder`."""
    data, model = data_folder(), folder / "model"
    if not (model / "model.safetensors").is_file():
        print(f"writing a random model of the shape {asked.shape} and training its tokenizer")
        write_model(SHAPES[asked.shape], model, data=data, seed=asked.seed)
    number = asked.batch_rows * asked.steps
    chosen = choose(sized_rows(dolly_rows(data), model), kind=asked.rows, number=number, seed=asked.seed)
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row.row) + "\n" for row in chosen), encoding="utf-8")
    prompts, answers = (sum(getattr(r, part) for r in chosen) / number for part in ("prompt", "answer"))
    title = f"{asked.shape}, {asked.rows} rows" + (f", LoRA of rank {LORA_RANK}" if asked.adapter == "lora" else "")
    print(f"{title}: {number} rows, mean {prompts:.1f} tokens of prompt and {answers:.1f} of answer, "
          f"{asked.batch_rows} a step")  # fmt: skip
    job = {
        "model": str(model), "rows": str(path), "steps": asked.steps, "rows_a_step": asked.batch_rows, "lr": 2e-4,
        "seed": asked.seed, "adapter": asked.adapter, "max_length": 1_024, "threads": asked.threads,
        "order": order_of_steps(chosen, rows_a_step=asked.batch_rows, steps=asked.steps, seed=asked.seed),
    }  # fmt: skip
    if asked.measure == "memory":
        title += f", memory at {round(number * (prompts + answers) / asked.steps):,} tokens a step"
    return Work(job, [r.prompt + r.answer for r in chosen], [r.answer for r in chosen], title)


def run(attempt: Attempt, work: Work, folder: Path, *, shape: str) -> dict[str, Any]:
    """One run in a process of its own; {"error": ...} with the last line it said where it failed."""
    folder.mkdir(parents=True)
    job = {**work.job, "options": attempt.options, "precision": attempt.precision, "folder": str(folder / "out")}
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    python, module = (ORACLE, "train_trl") if attempt.tool == "trl" else (Path(sys.executable), "train_luthier")
    done = subprocess.run(
        [str(python), "-m", f"bench.{module}", str(folder / "job.json"), str(folder / "result.json")],
        cwd=ROOT, env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache"),
                       "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    (folder / "said.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode:
        said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()
        return {"error": said[-1][:300], "name": attempt.name}
    found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    if len(found["tokens"]) > results.WARM_UP:
        found["cores_used"] = results.cores_used(found)
    if attempt.keeps_rows and "cores_used" in found:
        rank = LORA_RANK if work.job["adapter"] == "lora" else None
        operations = [necessary_operations(SHAPES[shape], [work.lengths[i] for i in step],
                                           [work.trained[i] for i in step], lora_rank=rank)
                      for step in work.job["order"]]  # fmt: skip
        found["utilisation"] = results.utilisation(found, operations, precision=attempt.precision)
    return {"name": attempt.name, **found}


def told(found: dict[str, Any]) -> str:
    """One line about a run."""
    if "error" in found:
        return f"{found['name']:48s} failed: {found['error']}"
    speed = results.speeds(found) if len(found["tokens"]) > results.WARM_UP else None
    rate = f"{speed['steady']:9,.0f} tokens/s steady, {speed['whole']:8,.0f} whole, " if speed else ""
    memory = f"{found['peak_mib']:,.0f} MiB" + (f", {found['cuda_peak_mib']:,.0f} on the card"
                                               if "cuda_peak_mib" in found else "")  # fmt: skip
    used = found.get("utilisation")
    share = f", {used['of_own_rate']:.0%} of the matrix rate" if used else ""
    if used and used["of_bf16_peak"]:
        share += f", {used['of_bf16_peak']:.1%} of the card's bfloat16 peak"
    if speed and found["cores_used"] < BUSY * found["threads"] and "cuda_peak_mib" not in found:
        share += f", only {found['cores_used']:.1f} of {found['threads']} cores (the machine was busy)"
    return f"{found['name']:48s} {rate}{memory}{share}, loss {found['losses'][0]:.4f} to {found['losses'][-1]:.4f}"


def tuning_file(asked: argparse.Namespace) -> Path:
    return asked.out / f"oracle_{asked.shape}_{asked.rows}{'_lora' if asked.adapter == 'lora' else ''}.json"


def tune(asked: argparse.Namespace, work: Work, folder: Path) -> None:
    """Try every setting of TRL, keep the fastest of each precision with the list of all that were tried."""
    tuned: dict[str, Any] = {}
    for precision in asked.precision:
        tried = []
        chosen = [a for a in attempts_of(asked, work, precision) if any(word in a.name for word in asked.among)]
        for index, attempt in enumerate(chosen):
            found = run(attempt, work, folder / f"{precision}-{index}", shape=asked.shape)
            print(told(found), flush=True)
            numbers = {"error": found["error"]} if "error" in found else {**results.speeds(found),
                                                                          "peak_mib": found["peak_mib"]}  # fmt: skip
            tried.append({**asdict(attempt), **numbers})
        ran = [entry for entry in tried if "error" not in entry]
        if not ran:
            raise SystemExit(f"no setting of TRL ran in {precision}")
        tuned[precision] = {"best": max(ran, key=lambda entry: entry["steady"])["name"], "tried": tried}
        print(f"best: {tuned[precision]['best']}")
    before = json.loads(tuning_file(asked).read_text(encoding="utf-8")) if tuning_file(asked).is_file() else {}
    write_json(tuning_file(asked), {**before, **tuned, **facts(asked)})


def attempts_of(asked: argparse.Namespace, work: Work, precision: str) -> list[Attempt]:
    return trl_attempts(precision, rows_a_step=asked.batch_rows, tokens_a_step=work.tokens_a_step, cuda=has_card())


def has_card() -> bool:
    import torch

    return torch.cuda.is_available()


def contenders(asked: argparse.Namespace, work: Work) -> tuple[list[Attempt], dict[str, Any]]:
    """Who runs, and what tuning TRL found."""
    if asked.measure == "memory":
        return memory_attempts(asked.batch_rows), {}
    path = tuning_file(asked)
    tuned = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found = []
    for precision in asked.precision:
        if precision not in tuned:
            raise SystemExit(f"TRL has not been tuned for this work in {precision}: run the command with --tune-oracle")
        known = {attempt.name: attempt for attempt in attempts_of(asked, work, precision)}
        best = known[tuned[precision]["best"]]
        found += [luthier(precision, shape=asked.shape), best]
        if best.options.get("whole_logits"):  # that is our change of TRL's loss: its own fastest setting runs too
            own = [entry for entry in tuned[precision]["tried"]
                   if "error" not in entry and not entry["options"].get("whole_logits") and entry["keeps_rows"]]
            found += [known[max(own, key=lambda entry: entry["steady"])["name"]]] if own else []
        if not best.keeps_rows:  # its losses are of other rows; the padded run's can be compared
            found.append(known[f"trl {precision}: padded, whole step"])
    return [*found, trl_defaults(asked.batch_rows)], {p: tuned[p] for p in asked.precision}


def measure(asked: argparse.Namespace, work: Work, folder: Path) -> dict[str, Any]:
    """Every contender, round after round, and the numbers of all."""
    entered, tuned = contenders(asked, work)
    runs: dict[str, list[dict[str, Any]]] = {attempt.name: [] for attempt in entered}
    for number in range(1, asked.rounds + 1):
        for index, attempt in enumerate(entered):
            found = run(attempt, work, folder / f"round-{number}-{index}", shape=asked.shape)
            print(f"round {number} | {told(found)}", flush=True)
            if "error" in found:
                raise SystemExit((folder / f"round-{number}-{index}" / "said.txt").read_text()[-3_000:])
            runs[attempt.name].append(found)
    ours = {a.precision: runs[a.name] for a in reversed(entered) if a.tool == "luthier"}
    as_it_comes = next(iter(ours.values()), [])
    rivals = [a for a in entered if a.tool == "trl"]
    theirs = [a for a in rivals if a.precision in ours]
    return {
        "work": work.title, "rows_a_step": asked.batch_rows, "steps": asked.steps, "warm_up_steps": results.WARM_UP,
        "tokens_a_step": work.tokens_a_step, "trained_tokens": sum(work.trained), "learning_rate": work.job["lr"],
        "summary": {name: results.summary(found) for name, found in runs.items()},
        "ratios": {a.name: results.ratios(ours.get(a.precision, as_it_comes), runs[a.name]) for a in rivals}
        if asked.steps > results.WARM_UP else {},
        "agreement": {a.name: results.agreement(ours[a.precision][0], runs[a.name][0], precision=a.precision)
                      for a in theirs if a.keeps_rows},
        "contenders": [asdict(attempt) for attempt in entered], "oracle_tuning": tuned, "runs": runs, **facts(asked),
    }  # fmt: skip


def facts(asked: argparse.Namespace) -> dict[str, Any]:
    words = [word for word in sys.argv[1:] if word != str(asked.keep)]
    return {
        "command": "python -m bench.train " + shlex.join(word for word in words if word != "--keep"),
        "machine": machine_facts(), "written": now(),
    }  # fmt: skip


def report(result: dict[str, Any]) -> bool:
    """Print what was found; whether the float32 curves agree."""
    print("\n" + results.HEADER)
    print("\n".join(results.table([result])) + "\n")
    for name, found in result["agreement"].items():
        print(f"losses of {name} against Luthier's: at most {found['largest_difference']:.2e} apart (step "
              f"{found['at_step']}), same tokens and masks: {found['same_tokens_and_masks']}")  # fmt: skip
    exact = [found for name, found in result["agreement"].items() if "float32" in name]
    return all(found["agree"] for found in exact)


@contextlib.contextmanager
def place(keep: Path | None) -> Iterator[tuple[Path, Path]]:
    """The folder of model and rows, and a fresh one for runs."""
    with tempfile.TemporaryDirectory() as temporary:
        yield (keep or Path(temporary) / "shared"), Path(temporary) / "runs"


def main() -> int:
    """Measure, print, and write bench/results/train_SHAPE_....json."""
    asked = options()
    with place(asked.keep) as (shared, fresh):
        shared.mkdir(parents=True, exist_ok=True)
        work = prepare(asked, shared)
        if asked.tune_oracle:
            tune(asked, work, fresh)
            return 0
        result = measure(asked, work, fresh)
    parts = [asked.shape, asked.rows, *(["lora"] if asked.adapter == "lora" else []),
             *(["memory"] if asked.measure == "memory" else [])]  # fmt: skip
    path = asked.out / f"train_{'_'.join(parts)}.json"
    write_json(path, result)
    agree = report(result)
    print(f"written to {path}")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())

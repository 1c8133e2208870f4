"""Does reinforcement from a grader raise the reward on prompts it never trained on?

On two verifiable tasks of the practice world (answer with the word of a list that is of a kind, or that stands in
fourth place), which the demo does not tune: the demo's tuned model before and after GRPO, eight draws for each of the
held-out prompts at temperature 1, compared prompt by prompt.

    python -m bench.grpo_practice --start luthier-demo/train/model
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from luthier.curate.rows import read_examples
from luthier.demo.files import write_practice_data
from luthier.evaluate.comparison import compare
from luthier.models.folders import digest
from luthier.recipes.evaluate import main as evaluate
from luthier.recipes.train import main as train
from luthier.recipes.tune import TuneRecipe
from luthier.runs import library_versions, machine, now, write_json

RESULT = Path(__file__).parent / "results" / "grpo_practice.json"
DRAWS = ("evaluate.temperature=1.0", "evaluate.num_samples=8", "evaluate.max_new_tokens=8", "evaluate.seed=1")


def measure(start: Path, folder: Path, *, steps: int, lr: float) -> dict[str, object]:
    """Train from `start` in `folder`; returns the rewards before and after with the paired interval."""
    files = write_practice_data(folder / "data", seed=7, train_rows=300, items_per_task=2)
    trained_on = {e.prompt for e in read_examples([files.rl_train]).examples}
    unseen = read_examples([files.rl_held_out]).examples
    assert not trained_on & {e.prompt for e in unseen}
    recipe = TuneRecipe.model_validate_json(json.dumps({
        "model": {"base": str(start)}, "data": {"files": [str(files.rl_train)]},
        "train": {
            "method": "grpo", "max_steps": steps, "batch_rows": 16, "micro_batch_tokens": 4096,
            "optim": {"lr": lr, "schedule": "constant"}, "grpo": {"group_size": 8, "max_new_tokens": 8}, "seed": 3,
        },
        "run": {"dir": str(folder / "run")},
    }))  # fmt: skip
    began = time.monotonic()
    train(recipe, echo=print, step_echo=print)
    seconds = time.monotonic() - began
    for name, model in (("before", start), ("after", folder / "run")):
        evaluate(model, files=[files.rl_held_out], out=folder / name, overrides=DRAWS, say=print)
    found = compare(folder / "before", folder / "after").kpis["auto"]
    lines = (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8").strip().split("\n")
    events = [json.loads(line) for line in lines]
    return {
        "task": "practice world, rl_held_out", "prompts": len(unseen), "draws_per_prompt": 8,
        "start": digest(start), "steps": steps, "lr": lr, "seconds_of_training": round(seconds, 1),
        "reward_in_training_first_and_last": [events[0]["rl/reward"], events[-1]["rl/reward"]],
        "unseen": found.to_json(),
    }  # fmt: skip


def main() -> None:
    """Measure, print, and write bench/results/grpo_practice.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", type=Path, required=True, help="the tuned model to start from")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--lr", type=float, default=1e-4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options.start, Path(folder), steps=options.steps, lr=options.lr)
    command = f"python -m bench.grpo_practice {' '.join(sys.argv[1:])}"
    write_json(RESULT, {**result, "command": command, "machine": machine(), "libraries": library_versions(),
                        "written": now()})  # fmt: skip
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

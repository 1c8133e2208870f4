"""A made-up study: arms whose true scores are known, written as the study's recipe writes them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

CLUSTERS = ("lists", "facts", "sums", "past")
HELD_OUT = (("words", "steps"), ("moods", "signs"))
TEMPLATES = 3
ROWS = 6


def items(rng: random.Random, clusters: Any, *, right: float, task_numbers: Any = (0, 1, 2)) -> list[dict[str, Any]]:
    """Items of three tasks a cluster; the first of each has four options, so it is ranked too."""
    found = []
    for cluster in clusters:
        for number in task_numbers:
            for template in range(TEMPLATES):
                for row in range(ROWS):
                    chance = 0.25 if number == 0 else 0.0
                    generated = float(rng.random() < chance + (1 - chance) * right)
                    ranked = float(rng.random() < 0.25 + 0.75 * right) if number == 0 else None
                    found.append({"task": f"{cluster} {number}", "cluster": cluster,
                                  "template": f"{cluster} {number}/{template}", "item": f"row {row}",
                                  "generated": generated, "ranked": ranked, "chance": chance})  # fmt: skip
    return found


def rungs(rng: random.Random, trained: Any, held_out: Any, *, near: float, far: float) -> dict[str, Any]:
    return {
        "phrasings": items(rng, trained, right=near, task_numbers=(0, 1)),
        "tasks": items(rng, trained, right=(near + far) / 2, task_numbers=(2,)),
        "clusters": items(rng, held_out, right=far),
    }


def arm(group: str, seed: int, choice: int, **about: Any) -> dict[str, Any]:
    name = f"{group}.s{seed}.h{choice}"
    kind = about.pop("kind", group.partition("-")[0])
    return {"key": name, "arm": {"name": name, "kind": kind, "seed": seed, "choice": choice, "base": "small",
                                 "held_out": list(HELD_OUT[choice]), "clusters": 0, **about}}  # fmt: skip


def sets(rng: random.Random, right: float) -> dict[str, Any]:
    contrast = [{"set": f"contrast/list/{k}", "topic": f"topic {k}", "members_right": [],
                 "group_right": rng.random() < right} for k in range(12)]  # fmt: skip
    paraphrase = [{"set": f"paraphrase/list/{k}", "topic": f"topic {k}", "answers": [],
                   "is_consistent": rng.random() < right + 0.2, "is_right": rng.random() < right}
                  for k in range(12)]  # fmt: skip
    return {"contrast": contrast, "paraphrase": paraphrase}


def tuned(rng: random.Random, found: dict[str, Any], trained: Any, *, near: float, far: float) -> dict[str, Any]:
    about = found["arm"]
    return {
        **found,
        "arm": {**about, "trained_clusters": list(trained), "clusters": len(trained),
                "trained_tasks": [f"{c} {n}" for c in trained for n in (0, 1)]},
        "train": {"steps": 100, "tokens": 409_600, "rows": 5000, "seconds": 61.5, "loss": 0.41, "first_loss": 3.2},
        "certificate": {"exact": 0, "near": 0, "rows": 0, "sources": 0, "dropped": 3},
        "items": rungs(rng, trained, about["held_out"], near=near, far=far),
        "plain_text": {"nats": [101.0, 52.0, 80.0], "tokens": [50, 25, 40]},
        "promises": sets(rng, 0.6),
    }  # fmt: skip


def block_arms(seed: int, choice: int) -> list[dict[str, Any]]:
    """Base, 1, 2 and all 4 clusters (0.1, 0.2 and 0.3 right on held-out clusters; the base few-shot 0.2)."""
    rng = random.Random(f"{seed} {choice}")
    held_out = HELD_OUT[choice]
    base = arm("base", seed, choice)
    readings = {"chat": rungs(rng, CLUSTERS, held_out, near=0.0, far=0.0),
                "plain": rungs(rng, CLUSTERS, held_out, near=0.1, far=0.05),
                "few_shot": rungs(rng, CLUSTERS, held_out, near=0.3, far=0.2)}  # fmt: skip
    base |= {"readings": readings, "items": readings["plain"], "parameters": 4_000_000,
             "plain_text": {"nats": [100.0, 50.0, 80.0], "tokens": [50, 25, 40]},
             "promises": {"chat": sets(rng, 0.0), "plain": sets(rng, 0.1), "few_shot": sets(rng, 0.9)},
             "graders": ["choice", "exact"], "pretraining": {"tokens": 2.0e8, "seconds": 9000.0}}  # fmt: skip
    counts = ((1, "1", 0.1), (2, "2", 0.2), (4, "all", 0.3))
    return [base, *(tuned(rng, arm(f"clusters-{name}", seed, choice), CLUSTERS[:n], near=0.8, far=far)
                    for n, name, far in counts)]  # fmt: skip


def extra_arms(seed: int, choice: int) -> list[dict[str, Any]]:
    """One arm without instructions, one specialist, and a task learned from 8 and 32 examples."""
    rng = random.Random(f"extra {seed} {choice}")
    found = [
        tuned(rng, arm("wording-none", seed, choice, wording="none"), CLUSTERS, near=0.3, far=0.05),
        tuned(rng, arm("specialist-lists 0", seed, choice, task="lists 0"), CLUSTERS[:1], near=0.9, far=0.0),
    ]
    task = f"{HELD_OUT[choice][0]} 0"
    for start, first in (("base", 0.1), ("tuned", 0.4)):
        for examples, gain in ((8, 0.1), (32, 0.3)):
            about = {"start": start, "examples": examples, "method": "full", "task": task, "trained_tasks": [task]}
            learned = arm(f"transfer-{task}-{start}-full-{examples}", seed, choice, kind="transfer", **about)
            answers = items(rng, HELD_OUT[choice][:1], right=first + gain, task_numbers=(0,))
            found.append({**learned, "items": {"phrasings": [], "tasks": [], "clusters": answers}})
    return found


def task_arms(seed: int, choice: int) -> list[dict[str, Any]]:
    """Arms of 2 and 4 of the 8 tasks (0.1 and 0.2 right on held-out clusters)."""
    rng = random.Random(f"tasks {seed} {choice}")
    found = []
    for n, far in ((2, 0.1), (4, 0.2)):
        one = tuned(rng, arm(f"tasks-{n}", seed, choice), CLUSTERS, near=0.8, far=far)
        one["arm"]["trained_tasks"] = one["arm"]["trained_tasks"][:n]
        found.append(one)
    return found


def write_arms(folder: Path, arms: list[dict[str, Any]]) -> None:
    (folder / "arms").mkdir(parents=True, exist_ok=True)
    for one in arms:
        (folder / "arms" / f"{one['arm']['name']}.json").write_text(json.dumps(one), encoding="utf-8")


def whole_study(folder: Path) -> None:
    """Two seeds by two choices of held-out clusters; the extra arms and those of fewer tasks on the first choice."""
    for seed in (1, 2):
        for choice in (0, 1):
            write_arms(folder, block_arms(seed, choice))
        write_arms(folder, [*extra_arms(seed, 0), *task_arms(seed, 0)])

"""How often intervals hold the truth, how wide they are beside other methods, and how often the gate is wrong.

    python -m bench.simulate_statistics [--draws N] [--out FILE]

Single shares and right-or-wrong pairs of up to 60 items are not simulated but summed over all outcomes, so these
numbers are exact. Clustered scores are beta-binomial (or beta, for graded ones) with an intraclass correlation; sizes
are equal, or log-normal with a standard deviation of 1. The gate decides with its defaults about pairs of models that
are equal, that are 5 points worse, and that are worse by just what a guardrail allows.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from bench import statistics_peers as peers
from bench.measuring import machine_facts, versions
from luthier.evaluate.comparison import Comparison, KpiComparison, Pair
from luthier.evaluate.config import GateConfig, GuardrailConfig
from luthier.evaluate.gate import decide
from luthier.records import Example, Message
from luthier.stats.intervals import mean_interval, paired_interval, proportion_interval, score_interval

RESULT = Path(__file__).parent / "results" / "statistics.json"
OURS = "luthier"
NOMINAL_LEAST = 0.93
"""What an interval of 95 % must cover at least."""
SHARES = (0.02, 0.05, 0.1, 0.3, 0.5)
DIFFERING = ((0.01, 0.01), (0.02, 0.02), (0.05, 0.05), (0.2, 0.2), (0.05, 0.0), (0.07, 0.0), (0.1, 0.02), (0.3, 0.1))
"""Shares of items on which b is better, and worse."""
CLUSTERS = ((5, 6), (5, 20), (5, 100), (8, 20), (12, 6), (12, 20), (30, 6), (30, 20), (30, 100))
"""How many clusters, of how many items on average."""
Array = peers.Array
Ints = npt.NDArray[np.int64]
Bounds = peers.Bounds


class Seen(NamedTuple):
    """One method in one setting."""

    coverage: float
    width: float


class Setting(NamedTuple):
    """One way to draw data, and every method on it."""

    kind: str
    about: dict[str, Any]
    seen: dict[str, Seen]


def single_shares(sizes: Sequence[int] = (30, 50, 100, 300, 1000)) -> Iterator[Setting]:
    """Independent right-or-wrong answers; exact."""
    methods: dict[str, Callable[[int, int], Bounds]] = {
        OURS: lambda x, n: _bounds(proportion_interval(x, n)), "Wilson": peers.wilson, "Jeffreys": peers.jeffreys,
        "Clopper-Pearson": peers.clopper_pearson, "Agresti-Coull": peers.agresti_coull, "Wald": peers.wald,
    }  # fmt: skip
    for n in sizes:
        found = {name: np.array([method(x, n) for x in range(n + 1)]) for name, method in methods.items()}
        for p in SHARES:
            chance = stats.binom.pmf(np.arange(n + 1), n, p)
            yield Setting("share", {"n": n, "p": p}, {name: _weighed(all_, chance, p) for name, all_ in found.items()})


def right_or_wrong_pairs(sizes: Sequence[int] = (30, 60)) -> Iterator[Setting]:
    """Two models right or wrong on the same items: the shares on which they differ; exact but for the base rate."""
    methods: dict[str, Callable[[int, int, int], Bounds]] = {
        OURS: lambda up, down, n: _bounds(paired_interval([0] * down + [0] * up + [0] * (n - up - down),
                                                          [-1] * down + [1] * up + [0] * (n - up - down))),
        "Newcombe": lambda up, down, n: peers.newcombe_paired(up, down, (n - up - down) // 2,
                                                             n - up - down - (n - up - down) // 2),
        "Tango": peers.tango,
        "Wald": lambda up, down, n: _paired_wald(up, down, n),
    }  # fmt: skip
    for n in sizes:
        outcomes = [(up, down) for up in range(n + 1) for down in range(n + 1 - up)]
        found = {name: np.array([method(up, down, n) for up, down in outcomes]) for name, method in methods.items()}
        table = np.array([(up, down, n - up - down) for up, down in outcomes])
        for up, down in DIFFERING:
            chance = stats.multinomial.pmf(table, n, [up, down, 1 - up - down])
            seen = {name: _weighed(all_, chance, up - down) for name, all_ in found.items()}
            yield Setting("pairs", {"n": n, "better": up, "worse": down}, seen)


def clustered_shares(draws: int, rng: np.random.Generator, *, clusters: Sequence[tuple[int, int]] = CLUSTERS,
                     shares: Sequence[float] = (0.02, 0.1, 0.5)) -> Iterator[Setting]:  # fmt: skip
    """Right-or-wrong answers in clusters."""
    methods: dict[str, Callable[[Array, Array], Bounds]] = {
        "Wilson, effective n": peers.wilson_effective, "Korn-Graubard": peers.korn_graubard,
        "logit t": peers.logit_t, "jackknife t": peers.jackknife_t,
    }  # fmt: skip
    for (count, size), p, rho, is_even in product(clusters, shares, (0.0, 0.05, 0.2), (True, False)):
        if not is_even and size != 20:
            continue
        ids = cluster_ids(count, size, is_even=is_even)
        bounds: dict[str, list[Bounds]] = {name: [] for name in (OURS, *methods)}
        for _ in range(draws):
            x = (rng.random(len(ids)) < shares_of(rng, count, p, rho)[ids]).astype(np.float64)
            bounds[OURS].append(_bounds(score_interval(x, ids.tolist())))
            for name, method in methods.items():
                bounds[name].append(method(*peers.cluster_sums(x, ids)))
        about = {"clusters": count, "items": size, "sizes": "equal" if is_even else "log-normal", "p": p, "rho": rho}
        yield Setting("clustered shares", about, {name: _counted(all_, p) for name, all_ in bounds.items()})


def graded_scores(draws: int, rng: np.random.Generator) -> Iterator[Setting]:
    """Scores between 0 and 1: beta, or the mean of four answers; alone and in clusters."""
    for n, p, kind in product((30, 100), (0.02, 0.1, 0.5), ("beta", "mean of 4 answers")):
        ours, others = [], []
        for _ in range(draws):
            x = rng.beta(2 * p, 2 * (1 - p), n) if kind == "beta" else rng.binomial(4, rng.beta(p, 1 - p, n)) / 4
            ours.append(_bounds(score_interval(x)))
            others.append(_bounds(mean_interval(x)))
        yield Setting("graded", {"n": n, "p": p, "values": kind}, {OURS: _counted(ours, p), "t": _counted(others, p)})
    for (count, size), p, rho in product(((5, 20), (12, 6), (30, 6)), (0.02, 0.1, 0.5), (0.0, 0.1, 0.2)):
        ids, ours, others = cluster_ids(count, size, is_even=True), [], []
        for _ in range(draws):
            x = graded(rng, shares_of(rng, count, p, rho)[ids])
            ours.append(_bounds(score_interval(x, ids.tolist())))
            others.append(peers.jackknife_t(*peers.cluster_sums(x, ids)))
        about = {"clusters": count, "items": size, "p": p, "rho": rho}
        yield Setting("clustered graded", about, {OURS: _counted(ours, p), "jackknife t": _counted(others, p)})


def clustered_pairs(draws: int, rng: np.random.Generator) -> Iterator[Setting]:
    """Differences over the same items in clusters: -1, 0 or 1 at a rate, or normal; equal models."""
    for (count, size), rate, sd, is_even in product(
        ((5, 6), (5, 20), (12, 20), (30, 6)), (0.04, 0.4, None), (0.0, 0.4), (True, False)
    ):
        ids = cluster_ids(count, size, is_even=is_even)
        ours, others = [], []
        for _ in range(draws):
            d = differences(rng, ids, rate=rate, sd=sd)
            ours.append(_bounds(paired_interval(np.zeros(len(d)), d, ids.tolist())))
            others.append(peers.jackknife_t(*peers.cluster_sums(d, ids)))
        about = {"clusters": count, "items": size, "sizes": "equal" if is_even else "log-normal",
                 "differing": "all" if rate is None else rate, "sd of clusters": sd}  # fmt: skip
        yield Setting("clustered pairs", about, {OURS: _counted(ours, 0.0), "jackknife t": _counted(others, 0.0)})


def gate_errors(draws: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """How often equal models are called better, and a model that lost five points passes a guardrail."""
    truths = (("equal", 0.0, 0.02), ("5 points worse", -0.05, 0.02), ("worse by what is allowed", -0.05, 0.05))
    for (name, loss, allowed), values, count in product(truths, ("right or wrong", "graded"), (None, 8, 20)):
        ids = np.arange(240) if count is None else cluster_ids(count, 240 // count, is_even=True)
        items = [_item(k, None if count is None else str(ids[k])) for k in range(len(ids))]
        passed = {"target": 0, "guardrail": 0}
        for _ in range(draws):
            a, b = two_models(rng, ids, loss=loss, values=values, sd=0.0 if count is None else 0.1)
            for check in decide([_comparison(items, a, b)], config=_gate(allowed)).checks:
                passed[check.role] += check.outcome == "pass"
        role = "target" if loss == 0 else "guardrail"
        yield {"truth": name, "values": values, "clusters": count, "check": role, "passes": passed[role] / draws}


def cluster_ids(count: int, size: int, *, is_even: bool) -> Ints:
    """The cluster of each item."""
    relative = np.ones(count) if is_even else np.exp(special.ndtri((np.arange(count) + 0.5) / count))
    return np.repeat(np.arange(count), np.maximum(1, np.round(size * relative / relative.mean())).astype(int))


def shares_of(rng: np.random.Generator, count: int, p: float, rho: float) -> Array:
    """The share of each cluster: beta, of mean p and intraclass correlation rho."""
    if rho == 0:
        return np.full(count, p)
    scale = (1 - rho) / rho
    return rng.beta(p * scale, (1 - p) * scale, count)


def graded(rng: np.random.Generator, means: Array) -> Array:
    """Scores between 0 and 1 of these means."""
    sure = np.clip(means, 1e-6, 1 - 1e-6)
    return rng.beta(2 * sure, 2 * (1 - sure))


def differences(rng: np.random.Generator, ids: Ints, *, rate: float | None, sd: float) -> Array:
    """Differences of mean 0 whose clusters differ by `sd`, in chances where they are -1, 0 or 1."""
    count = int(ids.max()) + 1
    if rate is None:
        return rng.normal(size=len(ids)) + sd * rng.normal(size=count)[ids]
    is_better = rng.random(len(ids)) < np.clip(0.5 + sd * rng.normal(size=count), 0, 1)[ids]
    return np.where(rng.random(len(ids)) < rate, np.where(is_better, 1.0, -1.0), 0.0)


def two_models(rng: np.random.Generator, ids: Ints, *, loss: float, values: str, sd: float) -> tuple[Array, Array]:
    """Values of both on the same items; b is better by `loss` on average, by more or less in each cluster."""
    shift = loss + sd * rng.uniform(-1, 1, int(ids.max()) + 1)[ids]
    chance = np.clip(rng.normal(0.5, 0.12, len(ids)), 0.2, 0.8)
    if values == "graded":
        return graded(rng, chance), graded(rng, chance + shift)
    return (rng.random(len(ids)) < chance).astype(float), (rng.random(len(ids)) < chance + shift).astype(float)


def summary(settings: Sequence[Setting]) -> list[dict[str, Any]]:
    """One line a kind and method: least and mean coverage, settings below 0.93, and our width over its where it covers.

    A method that falls below 0.93 in some setting is narrower in others for the same reason.
    """
    lines = []
    for kind in dict.fromkeys(setting.kind for setting in settings):
        those = [setting for setting in settings if setting.kind == kind]
        for name in those[0].seen:
            pairs = [(setting.seen[OURS], setting.seen[name]) for setting in those]
            held = [ours.width / other.width for ours, other in pairs if other.coverage >= NOMINAL_LEAST]
            covers = [other.coverage for _, other in pairs]
            lines.append({
                "kind": kind, "method": name, "settings": len(those), "least_coverage": round(min(covers), 4),
                "mean_coverage": round(float(np.mean(covers)), 4),
                "below_0.93": sum(cover < NOMINAL_LEAST for cover in covers),
                "our_width_where_it_covers": round(float(np.mean(held)), 3) if held else None,
                "mean_width": round(float(np.mean([other.width for _, other in pairs])), 4),
            })  # fmt: skip
    return lines


def _weighed(bounds: Array, chance: Array, truth: float) -> Seen:
    is_in = (bounds[:, 0] <= truth + 1e-12) & (truth - 1e-12 <= bounds[:, 1])
    return Seen(float(chance @ is_in), float(chance @ (bounds[:, 1] - bounds[:, 0])))


def _counted(bounds: Sequence[Bounds], truth: float) -> Seen:
    return _weighed(np.array(bounds), np.full(len(bounds), 1 / len(bounds)), truth)


def _bounds(estimate: Any) -> Bounds:
    return estimate.low, estimate.high


def _paired_wald(up: int, down: int, n: int) -> Bounds:
    half = peers.Z * np.sqrt(up + down - (up - down) ** 2 / n) / n
    return (up - down) / n - half, (up - down) / n + half


def _item(number: int, task: str | None) -> Example:
    return Example.of([Message(role="user", content=f"item {number}")], targets=["x"], task=task)


def _comparison(items: Sequence[Example], a: Array, b: Array) -> Comparison:
    pairs = tuple(Pair(item, float(x), float(y)) for item, x, y in zip(items, a, b, strict=True))
    kpi = KpiComparison(kpi="auto", pairs=pairs, difference=None, mcnemar_p=None, undecided=0)
    return Comparison(a_name="a", b_name="b", suite_name="held_out", kpis={"auto": kpi}, lone_kpis=(),
                      num_common=len(pairs), only_in_a=0, only_in_b=0, same_model=False)  # fmt: skip


def _gate(allowed: float) -> GateConfig:
    return GateConfig(guardrails=(GuardrailConfig(kpi="auto", allowed_regression=allowed),))


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    started, rng = time.process_time(), np.random.default_rng(1)
    settings = [*single_shares(), *right_or_wrong_pairs(), *clustered_shares(options.draws, rng),
                *graded_scores(options.draws, rng), *clustered_pairs(options.draws, rng)]  # fmt: skip
    result = {
        "command": f"python -m bench.simulate_statistics --draws {options.draws}",
        "machine": machine_facts(), "versions": versions(("numpy", "scipy")), "seed": 1, "draws": options.draws,
        "summary": summary(settings), "gate": list(gate_errors(options.draws, rng)),
        "settings": [{"kind": one.kind, **one.about,
                      **{name: [round(float(x), 4) for x in seen] for name, seen in one.seen.items()}}
                     for one in settings],
        "cpu_seconds": round(time.process_time() - started, 1),
    }  # fmt: skip
    options.out.write_text(_lines(result), encoding="utf-8")
    for line in (*result["summary"], *result["gate"]):
        print(line)


def _lines(result: dict[str, Any]) -> str:
    """JSON with one setting a line."""
    parts = []
    for key, value in result.items():
        rows = ",\n".join(f"  {json.dumps(row)}" for row in value) if isinstance(value, list) else None
        parts.append(f" {json.dumps(key)}: " + (json.dumps(value) if rows is None else f"[\n{rows}\n ]"))
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()

"""What else tuning promises, measured before and after: dependence on phrasing, intent, few examples, forgetting, cost.

"Before" is the base in its better zero-shot reading, "after" the arm of all clusters. Each part is None or empty where
its arms are not there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from luthier.recipes.study_report.arms import (
    RUNG_NAMES,
    Arms,
    Block,
    Finished,
    Place,
    Values,
    block_name,
    by_template,
    differences,
    values_of,
)
from luthier.recipes.study_report.readings import Readings
from luthier.recipes.study_report.scores import estimate
from luthier.recipes.studying.measures import FEW_SHOT
from luthier.recipes.studying.rows import RUNGS
from luthier.stats.intervals import ratio_interval

Json = dict[str, Any]
Learned = tuple[str, int, str]
"""How a new task was learned: method, number of examples, start."""
PROMISES = {
    "contrast": {"right": "group_right"},
    "paraphrase": {"consistent": "is_consistent", "right": "is_right"},
}
"""What is counted in each kind of set, and the field that says so."""


def effects(arms: Arms, readings: Readings) -> Json:
    """All parts, by name."""
    return {
        "spread": list(spread(arms, readings)),
        "promises": list(promises(arms)),
        "transfer": transfer(arms, readings),
        "forgetting": list(forgetting(arms)),
        "cost": cost(arms),
        "specialists": list(specialists(arms, readings)),
        "copy": list(copied(readings)),
    }


def spread(arms: Arms, readings: Readings) -> Iterator[Json]:
    """How much the score of a task depends on its phrasing: sd and inter-quartile range over templates of one item set.

    Before and after are measured on the same templates and rows. A model that fails everywhere has no spread: the
    scores stand beside it.
    """
    base = arms.base_of(arms.main) if arms.main else None
    if arms.main is None or base is None:
        return
    for rung in RUNGS:
        before, after = (readings.values(group, rung, "generated") for group in (base, arms.main))
        shared = {place: keys for place, items in after.items() if (keys := items.keys() & before.get(place, {}).keys())
                  and len({template for template, _ in keys}) > 1}  # fmt: skip
        kept = [{place: {key: values[place][key] for key in sorted(keys)} for place, keys in shared.items()}
                for values in (before, after)]  # fmt: skip
        if not shared:
            continue
        row: Json = {"rung": rung, "templates": fmean(len({t for t, _ in keys}) for keys in shared.values())}
        for name, measure in (("sd", _sd), ("iqr", _iqr)):
            measured = [{place: {("", ""): measure(items)} for place, items in values.items()} for values in kept]
            row[name] = {
                "before": estimate(measured[0]), "after": estimate(measured[1]),
                "difference": estimate(differences(*measured)),
            }  # fmt: skip
        yield {**row, "score": {"before": estimate(kept[0]), "after": estimate(kept[1])}}


def promises(arms: Arms) -> Iterator[Json]:
    """Contrast groups that are wholly right, paraphrase sets answered alike: before and after, paired by set.

    `sets` counts what they are about: sets of one sort on one topic, in whatever blocks, are one.
    Before is the zero-shot reading with the larger share of right sets; the few-shot reading stands beside it.
    """
    base = arms.base_of(arms.main) if arms.main else None
    if arms.main is None or base is None:
        return
    for kind, counted in PROMISES.items():
        after = _sets(arms.groups[arms.main], kind)
        readings = _set_readings(arms.groups[base], kind)
        shots = readings.pop(FEW_SHOT, {})
        if not after or not readings:
            continue
        right, keys = counted["right"], after.keys()
        shares = {name: _share(sets, right, sets.keys() & keys) for name, sets in readings.items()}
        best = max(shares, key=lambda name: shares[name])
        for what, name in counted.items():
            before, few, tuned = (_flags(sets, name) for sets in (readings[best], shots, after))
            yield {
                "kind": kind, "what": what,
                "sets": len({_subject(row) for key, row in after.items() if key in readings[best]}),
                "base_reading": best, **_compared(before, tuned), "few_shot": _compared(few, tuned),
            }  # fmt: skip


def transfer(arms: Arms, readings: Readings) -> Json | None:
    """Scores of new tasks learned from few examples, from the base and from the tuned model, and their differences.

    Tasks differ in how many rows they have, so a number of examples may be there for some of them only. `same` is over
    the tasks of a block that have every number, in that a curve's points differ in nothing but the number; `left_out`
    are the others. `points` and `differences` take whatever tasks have their number; `runs` says how many.
    """
    found = _learned(arms)
    if not found:
        return None
    places = {place for values in found.values() for place in values}
    numbers = {method: sorted({n for m, n, _ in found if m == method}) for method in sorted({m for m, _, _ in found})}
    zero = _without_examples(arms, readings)
    for method in numbers:
        for start, values in zero.items():
            found[method, 0, start] = {place: items for place, items in values.items() if place in places}
    whole = {method: set.intersection(*({*values} for (m, _, _), values in found.items() if m == method))
             for method in numbers}  # fmt: skip
    same = {key: {place: items for place, items in values.items() if place in whole[key[0]]}
            for key, values in found.items()}  # fmt: skip
    return {
        **_curves(found), "same": _curves(same), "task_names": sorted({task for _, task in places}),
        "left_out": list(_left_out(found, numbers, whole)),
    }  # fmt: skip


def _learned(arms: Arms) -> dict[Learned, Values]:
    found: dict[Learned, Values] = {}
    for arm in (arm for finished in arms.groups.values() for arm in finished if arm.kind == "transfer"):
        key = (str(arm.about["method"]), int(arm.about["examples"]), str(arm.about["start"]))
        found.setdefault(key, {}).update(values_of([arm], "clusters", "generated"))
    return found


def _curves(found: Mapping[Learned, Values]) -> Json:
    """The score of each method, number of examples and start; and tuned less base, paired."""
    points, gains = [], []
    for (method, examples, start), values in sorted(found.items()):
        facts = {"way": method, "examples": examples}
        if (score := estimate(values)) is not None:
            points.append({**facts, "start": start, **score, "runs": len(values)})
        if start == "tuned" and (method, examples, "base") in found:
            pairs = differences(found[method, examples, "base"], values)
            if (gain := estimate(pairs)) is not None:
                gains.append({**facts, **gain, "runs": len(pairs)})
    return {"points": points, "differences": gains}


def _left_out(
    found: Mapping[Learned, Values], numbers: Mapping[str, Sequence[int]], whole: Mapping[str, set[Place]]
) -> Iterator[Json]:
    """The tasks that lack some number of examples, and which."""
    for method, known in numbers.items():
        here = {key: {*values} for key, values in found.items() if key[0] == method}
        for block, task in sorted({place for places in here.values() for place in places} - whole[method]):
            lacks = [n for n in (0, *known) if any(n == key[1] and (block, task) not in v for key, v in here.items())]
            yield {"way": method, "task": task, "block": block_name(block), "lacks": lacks}


def forgetting(arms: Arms) -> Iterator[Json]:
    """Perplexity on plain text, tuned over base: exp of the difference in nats a token, paired by document."""
    for group in arms.tuned:
        base = arms.base_of(group)
        pairs = [(a, b) for a, b in _texts(arms.groups[base], arms.groups[group]) if _is_alike(a, b)] if base else []
        if not pairs:
            continue
        documents = [number for before, _ in pairs for number in range(len(before["nats"]))]
        tokens = np.array([t for before, _ in pairs for t in before["tokens"]], dtype=np.float64)
        nats = [np.array([n for pair in pairs for n in pair[k]["nats"]], dtype=np.float64) for k in (0, 1)]
        ratio = ratio_interval(nats[1] - nats[0], tokens, documents)
        yield {
            "arm": group,
            "base": math.exp(nats[0].sum() / tokens.sum()), "after": math.exp(nats[1].sum() / tokens.sum()),
            "ratio": math.exp(ratio.value), "low": _exp(ratio.low), "high": _exp(ratio.high),
            "documents": len(set(documents)), "blocks": len(pairs), "method": f"exp of a {ratio.method}",
        }  # fmt: skip


def unpaired_texts(arms: Arms) -> Iterator[str]:
    """A line for each group whose plain text cannot be compared with its base's in some block."""
    for group in arms.tuned:
        base = arms.base_of(group)
        pairs = _texts(arms.groups[base], arms.groups[group]) if base else []
        if unlike := sum(not _is_alike(*pair) for pair in pairs):
            yield (f"the plain text of {group} is not compared in {unlike} of {len(pairs)} blocks: it is other tokens "
                   "there than its base's")  # fmt: skip


def cost(arms: Arms) -> Json | None:
    """What tuning on all clusters took, as a share of pre-training its base where that is known."""
    trained = [arm.facts["train"] for arm in arms.groups.get(arms.main or "", ()) if "train" in arm.facts]
    if not trained or arms.main is None:
        return None
    found: Json = {key: fmean(t[key] for t in trained) for key in ("tokens", "seconds", "steps")
                   if all(t.get(key) is not None for t in trained)}  # fmt: skip
    base = arms.base_of(arms.main)
    bases = arms.groups.get(base or "", ())
    made: Json = next((arm.facts["pretraining"] for arm in bases if arm.facts.get("pretraining")), {})
    for key in ("tokens", "seconds"):
        if made.get(key) and key in found:
            found |= {f"base_{key}": made[key], f"share_{key}": found[key] / made[key]}
    return found


def specialists(arms: Arms, readings: Readings) -> Iterator[Json]:
    """A model of one task: against its base and against the model of all clusters, on that task and on all others."""
    for group in arms.tuned:
        finished = arms.groups[group]
        base = arms.base_of(group)
        if finished[0].kind != "specialist" or base is None:
            continue
        for side, rung in (("its own task", "phrasings"), (RUNG_NAMES["clusters"], "clusters")):
            ours, before = (readings.values(name, rung, "generated") for name in (group, base))
            full = readings.values(arms.main, rung, "generated") if arms.main else {}
            yield {
                "arm": group, "task": finished[0].about.get("task"), "side": side, "score": estimate(ours),
                "against_base": estimate(differences(before, ours)),
                "against_all": estimate(differences(full, ours)),
            }  # fmt: skip


def copied(readings: Readings) -> Iterator[Json]:
    """What saying the prompt again scores, by rung, where the study measured it: the floor of overlap metrics."""
    for rung in RUNGS:
        if (found := estimate(readings.copied(rung))) is not None:
            yield {"rung": rung, **found}


def _without_examples(arms: Arms, readings: Readings) -> dict[str, Values]:
    """Where the curves begin: the base, zero-shot, and the tuned model, without any example of the task."""
    if arms.main is None:
        return {}
    zero = {"tuned": readings.values(arms.main, "clusters", "generated")}
    if base := arms.base_of(arms.main):
        zero["base"] = readings.values(base, "clusters", "generated")
    return zero


def _compared(before: Values, after: Values) -> Json:
    """The scores of both on what both answered, and their paired difference."""
    both = {place: items.keys() & after.get(place, {}).keys() for place, items in before.items()}
    sides = [{place: {key: values[place][key] for key in sorted(keys)} for place, keys in both.items() if keys}
             for values in (before, after)]  # fmt: skip
    return {"before": estimate(sides[0]), "after": estimate(sides[1]), "difference": estimate(differences(*sides))}


def _sd(items: Mapping[tuple[str, str], float]) -> float:
    return float(np.std([fmean(v) for v in by_template(items).values()], ddof=1))


def _iqr(items: Mapping[tuple[str, str], float]) -> float:
    low, high = np.percentile([fmean(v) for v in by_template(items).values()], [25, 75])
    return float(high - low)


Key = tuple[Block, str]
"""Block and name of a set, which is unique among the sets of a block: what two models are paired by."""


def _sets(finished: Sequence[Finished], kind: str) -> dict[Key, Json]:
    return _keyed((arm, arm.facts.get("promises", {}).get(kind, ())) for arm in finished)


def _set_readings(finished: Sequence[Finished], kind: str) -> dict[str, dict[Key, Json]]:
    """The base's sets by the way it was asked; one unnamed way where the file holds but one."""
    found = {}
    named = dict.fromkeys(name for arm in finished for name in arm.facts.get("promises", {}) if name in arm.readings)
    for name in named:
        found[name] = _keyed((arm, arm.facts.get("promises", {}).get(name, {}).get(kind, ())) for arm in finished)
    if plain := _sets(finished, kind):
        found[""] = plain
    return {name: sets for name, sets in found.items() if sets}


def _keyed(rows: Iterable[tuple[Finished, Sequence[Json]]]) -> dict[Key, Json]:
    return {(arm.block, str(row["set"])): row for arm, sets in rows for row in sets}


def _subject(row: Json) -> str:
    """Sort and topic of a set. Its name ends in a running number, which means another topic in another seed.

    >>> _subject({"set": "contrast/adjective/0", "topic": "good"})
    'contrast/adjective/good'
    """
    sort, _, _ = str(row["set"]).rpartition("/")
    return f"{sort}/{row['topic']}"


def _share(sets: Mapping[Key, Json], name: str, keys: Any) -> float:
    return fmean(float(sets[key][name]) for key in keys) if keys else -1.0


def _flags(sets: Mapping[Key, Json], name: str) -> Values:
    """What sets are about, as if it were their task: intervals resample topics, and blocks of one stay together."""
    found: Values = {}
    for (block, key), row in sets.items():
        found.setdefault((block, _subject(row)), {})["", key] = float(row[name])
    return found


def _texts(before: Sequence[Finished], after: Sequence[Finished]) -> list[tuple[Json, Json]]:
    """The plain text of base and arm in each block that has both."""
    bases = {arm.block: arm.facts["plain_text"] for arm in before if arm.facts.get("plain_text")}
    return [(bases[arm.block], arm.facts["plain_text"]) for arm in after
            if arm.facts.get("plain_text") and arm.block in bases]  # fmt: skip


def _is_alike(before: Json, after: Json) -> bool:
    """Whether both read the same tokens, document by document; else their nats a token compare different things."""
    return bool(before["tokens"] == after["tokens"])


def _exp(value: float) -> float | None:
    return math.exp(value) if math.isfinite(value) else None

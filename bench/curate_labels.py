"""How many planted wrong labels are found, how many sound ones are suspected, and how fast rows are judged.

    python -m bench.curate_labels [--seeds N] [--out FILE]

Labels: tasks with options of Super-NaturalInstructions, sentences by where they were taken from, the first requests of
hh_rlhf by what they were collected for (which a reader often cannot tell: natural doubt), and practice tasks in all
of their templates. In each a share of the labels is made wrong, each to any other, with several seeds. Precision and
recall are of all rows of all seeds by the odds that a label is wrong, and of the suspects that are returned. Then the
practice world's raw files, whose tasks must be inferred, and every set with 10 % of wrong labels through the whole of
curation, rows of all sets in one file. Answers: how often each reason is given for real rows. Rows a
second are of one core.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from bench.measuring import machine_facts, versions
from luthier.curate.config import CurateConfig
from luthier.curate.labels.answers import flags_of
from luthier.curate.labels.asked import listed_options, without_options
from luthier.curate.labels.groups import label_row, task_groups
from luthier.curate.labels.step import WRONG_LABEL
from luthier.curate.labels.suspects import Task, judge_labels, out_of_fold
from luthier.curate.pipeline import curate
from luthier.curate.rows import converted_rows
from luthier.curate.selecting import Candidate, select
from luthier.demo.collection import practice_collection
from luthier.demo.files import write_practice_data
from luthier.demo.rows import Prompts, of_one_turn
from luthier.languages import identify
from luthier.records import Example
from luthier.stats.confident import evidence

DATA = Path(os.environ.get("LUTHIER_TEST_DATA", ""))
RESULT = Path(__file__).parent / "results" / "curate_labels.json"
SUPERNI_TASKS = (
    "task1289_trec_classification", "task143_odd-man-out_classification_generate_category",
    "task900_freebase_qa_category_classification", "task227_clariq_classification",
    "task361_spolin_yesand_prompt_response_classification",
)  # fmt: skip
PRACTICE_TASKS = ("verdict", "stars", "true_false_or_open")
PRACTICE_ROWS, SENTENCES = 3_000, 1_000
SHARES = (0.0, 0.03, 0.1)
RECALLS = (0.3, 0.5, 0.7, 0.8, 0.9)
RAW_ROWS = 40_000

Labelled = tuple[Sequence[str], Sequence[str]]


def lines(*parts: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA.joinpath(*parts), "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def label_sets() -> dict[str, Labelled]:
    """Texts and labels that nobody has touched."""
    sets: dict[str, Labelled] = {}
    for name in SUPERNI_TASKS:
        rows = [row for row in lines("superni", "instances.jsonl.gz") if row["task"] == name]
        sets[f"superni/{name}"] = [row["input"] for row in rows], [row["output"][0].strip().lower() for row in rows]
    sets["sentences by origin"] = sentences()
    requests = {name: first_requests(name) for name in ("harmless-base", "helpful-base")}
    sets["hh_rlhf requests by purpose"] = (
        [text for texts in requests.values() for text in texts],
        [name for name, texts in requests.items() for _ in texts],
    )
    return sets | {f"practice/{name}": practice_rows(name) for name in PRACTICE_TASKS}


def sentences() -> Labelled:
    """Sentences of an encyclopaedia, of children's stories and of Shakespeare."""
    stories = json.loads((DATA / "text" / "tinystories_1000.json").read_text(encoding="utf-8"))
    works = {
        "encyclopaedia": (DATA / "text" / "wikitext2_valid.txt").read_text(encoding="utf-8"),
        "stories": " ".join(story if isinstance(story, str) else next(iter(story.values())) for story in stories),
        "plays": (DATA / "text" / "tinyshakespeare.txt").read_text(encoding="utf-8"),
    }
    texts, labels = [], []
    for name, text in works.items():
        found = [s for s in re.split(r"(?<=[.!?])\s+", text) if 5 <= len(s.split()) <= 40]
        texts += Random(name).sample(found, SENTENCES)
        labels += [name] * SENTENCES
    return texts, labels


def first_requests(name: str) -> list[str]:
    found = (row["chosen"].split("\n\nAssistant:")[0].removeprefix("\n\nHuman:").strip()
             for row in lines("hh_rlhf", name, "test.jsonl.gz"))  # fmt: skip
    return list(dict.fromkeys(text for text in found if text))


def practice_rows(name: str) -> Labelled:
    collection = practice_collection()
    task = next(task for task in collection.tasks if task.name == name)
    prompts = Prompts().rows(
        Random(1), (task,), lambda t: of_one_turn(t.seen(collection.unseen_templates)), side="train"
    )
    rows = list(islice(prompts, PRACTICE_ROWS))
    return [without_options(row.example.messages[-2].content) for row in rows], [row.answer for row in rows]


def measured(labelled: Labelled, share: float, seeds: int) -> dict[str, Any]:
    """What is found of wrong labels planted with several seeds, over all of them."""
    texts, right = labelled
    classes = sorted(set(right))
    ranked: list[tuple[float, bool]] = []
    returned, hits, planted, seconds, skill = 0, 0, 0, 0.0, 0.0
    for seed in range(seeds):
        draw = Random(seed)
        wrong = set(draw.sample(range(len(right)), round(share * len(right))))
        given = [draw.choice([c for c in classes if c != label]) if row in wrong else label
                 for row, label in enumerate(right)]  # fmt: skip
        started = time.process_time()
        judged = judge_labels(texts, given, seed=seed)
        seconds += time.process_time() - started
        ranked += [(odds, row in wrong) for row, odds in odds_of(texts, given, left_alone=judged.left_alone, seed=seed)]
        returned += len(judged.suspects)
        hits += sum(suspect.index in wrong for suspect in judged.suspects)
        planted += len(wrong)
        skill += judged.skill / seeds
    found: dict[str, Any] = {
        "rows": len(right), "labels": len(classes), "planted": planted, "skill": round(skill, 3), "suspects": returned,
        "suspects_per_1000_rows": round(1000 * returned / len(right) / seeds, 2),
        "rows_per_s": round(len(right) * seeds / seconds),
    }  # fmt: skip
    if planted:
        found |= {
            "precision": round(hits / returned, 3) if returned else None,
            "recall": round(hits / planted, 3),
            "precision_at_recall": precision_at_recall(ranked, planted),
        }
    return found


def odds_of(
    texts: Sequence[str], given: Sequence[str], *, left_alone: Mapping[str, int], seed: int
) -> Iterator[tuple[int, float]]:
    """Every row that was judged, with the odds that its label is wrong, suspect or not."""
    rows = [row for row, label in enumerate(given) if label not in left_alone]
    classes, labels = np.unique([given[row] for row in rows], return_inverse=True)
    probabilities = out_of_fold(Task([texts[row] for row in rows], labels, None, len(classes)), seed=seed)
    yield from zip(rows, evidence(probabilities, labels).odds.tolist(), strict=True)


def precision_at_recall(ranked: list[tuple[float, bool]], planted: int) -> dict[str, float | None]:
    """The best precision among the most confident rows that hold at least this share of the planted ones."""
    ranked = sorted(ranked, key=lambda entry: -entry[0])
    points, hits = [], 0
    for count, (_, is_hit) in enumerate(ranked, start=1):
        hits += is_hit
        points.append((hits / planted, hits / count))
    return {str(recall): max((round(p, 3) for r, p in points if r >= recall), default=None) for recall in RECALLS}


def raw_files(folder: Path) -> dict[str, Any]:
    """The planted wrong labels of the practice world's raw files, whose tasks are inferred."""
    files = write_practice_data(folder, seed=3, train_rows=RAW_ROWS)
    truth = json.loads(files.truth.read_text(encoding="utf-8"))["files"]
    examples: list[Example] = []
    wrong: set[int] = set()
    for path in files.raw:
        planted = {row["line"] for row in truth[path.name]["rows"] if row["kind"] == "wrong_label"}
        for row, converted in converted_rows(path, columns={}, licence=None):
            for record in converted.records:
                if isinstance(record, Example):
                    if int(row.where.rpartition(":")[2]) in planted:
                        wrong.add(len(examples))
                    examples.append(record)
    groups = task_groups([label_row(example) for example in examples])
    judged = [(group, judge_labels(group.texts, group.labels, options=group.options)) for group in groups]
    suspects = {group.rows[suspect.index] for group, found in judged for suspect in found.suspects}
    in_groups = {row for group, found in judged for row in group.rows}
    in_judged = {row for group, found in judged if not found.note for row in group.rows}
    return {
        "rows": len(examples), "groups": len(groups), "planted": len(wrong),
        "planted_in_groups": len(wrong & in_groups), "planted_in_judged_groups": len(wrong & in_judged),
        "suspects": len(suspects), "hits": len(suspects & wrong),
        "by_group": {
            group.name: {"rows": len(group.rows), "skill": round(found.skill, 3), "suspects": len(found.suspects)}
            for group, found in judged
        },
    }  # fmt: skip


def through_the_pipeline(sets: Mapping[str, Labelled], folder: Path, *, share: float, seed: int = 0) -> dict[str, Any]:
    """All sets in one file, each row with the name of its task: what the flags of a curation find in each."""
    draw = Random(seed)
    rows: list[tuple[str, str, str, bool]] = []
    for name, (texts, right) in sets.items():
        classes, wrong = sorted(set(right)), set(draw.sample(range(len(right)), round(share * len(right))))
        for place, (text, label) in enumerate(zip(texts, right, strict=True)):
            given = draw.choice([c for c in classes if c != label]) if place in wrong else label
            rows.append((name, text, given, place in wrong))
    draw.shuffle(rows)
    data = folder / "labels.jsonl"
    data.write_text("".join(json.dumps({"prompt": text, "completion": label, "task": name}) + "\n"
                            for name, text, label, _ in rows), encoding="utf-8")  # fmt: skip
    curated = curate([data], out=folder / "out", config=CurateConfig(workers=1), say=lambda line: None)
    flags = map(json.loads, curated.paths["flagged"].read_text(encoding="utf-8").splitlines())
    found = {int(flag["where"].rpartition(":")[2]) - 1 for flag in flags if flag["reason"] == WRONG_LABEL}
    gone = {int(json.loads(line)["where"].rpartition(":")[2]) - 1
            for line in curated.paths["merged"].read_text(encoding="utf-8").splitlines()}  # fmt: skip
    by_set: dict[str, Any] = {}
    for name in sets:
        mine = {place for place, row in enumerate(rows) if row[0] == name}
        planted, suspects = {place for place in mine - gone if rows[place][3]}, mine & found
        by_set[name] = {
            "rows": len(mine - gone), "planted": len(planted), "suspects": len(suspects),
            "precision": round(len(suspects & planted) / len(suspects), 3) if suspects else None,
            "recall": round(len(suspects & planted) / len(planted), 3),
        }  # fmt: skip
    timings = json.loads(curated.paths["timings"].read_text(encoding="utf-8"))
    spent = timings["processor_s"]
    labels = spent["labels"] + timings["processor_s_of_workers"]["labels"]
    return {"rows": len(rows), "share_of_time": round(labels / sum(spent.values()), 3), "by_set": by_set}


def answer_sets() -> dict[str, list[tuple[str, str]]]:
    """Requests and answers."""
    tasks = {task["task"]: task for task in json.loads((DATA / "superni" / "tasks.json").read_text(encoding="utf-8"))}
    talks: list[tuple[str, str]] = []
    for part in sorted((DATA / "hh_rlhf").iterdir()):
        if (part / "test.jsonl.gz").is_file():
            for row in lines("hh_rlhf", part.name, "test.jsonl.gz"):
                turns = re.split(r"\n\n(?:Human|Assistant):", row["chosen"])[1:]
                talks += [(q.strip(), a.strip()) for q, a in zip(turns[::2], turns[1::2], strict=False)]
    return {
        "dolly": [("\n\n".join(filter(None, (row["instruction"], row["context"]))), row["response"])
                  for row in lines("dolly", "dolly_15k.jsonl.gz")],
        "superni": [(f"{tasks[row['task']]['definition']}\n\n{row['input']}", row["output"][0])
                    for row in lines("superni", "instances.jsonl.gz") if row["output"] and row["output"][0].strip()],
        "hh_rlhf": talks,
    }  # fmt: skip


def flag_rates(rows: Sequence[tuple[str, str]]) -> dict[str, Any]:
    started = time.process_time()
    for request, answer in rows:
        flags_of(request, answer, options=listed_options(request))
    seconds = time.process_time() - started
    counts = Counter(
        reason for request, answer in rows
        for reason in flags_of(request, answer, options=listed_options(request), guess=identify)
    )  # fmt: skip
    words = sum(len(request.split()) + len(answer.split()) for request, answer in rows) / len(rows)
    return {"rows": len(rows), "mean_words": round(words, 1), "rows_per_s": round(len(rows) / seconds),
            "flagged": dict(counts.most_common())}  # fmt: skip


def selection(rows: Sequence[tuple[str, str]]) -> dict[str, Any]:
    candidates = [Candidate(*row) for row in rows]
    started = time.process_time()
    found = select(candidates, method="diversity", keep=len(rows) // 10, seed=0)
    return {"rows_per_s": round(len(rows) / (time.process_time() - started)), "report": dict(found.report)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    sets = label_sets()
    labels = {name: {str(share): measured(labelled, share, options.seeds) for share in SHARES}
              for name, labelled in sets.items()}  # fmt: skip
    answers = answer_sets()
    with tempfile.TemporaryDirectory() as folder:
        whole = through_the_pipeline(sets, Path(folder), share=0.1)
        raw = raw_files(Path(folder))
    result: Mapping[str, Any] = {
        "command": f"python -m bench.curate_labels --seeds {options.seeds}", "machine": machine_facts(),
        "versions": versions(("numpy", "scipy")), "labels": labels, "practice_raw_files": raw,
        "through_the_pipeline": whole,
        "answers": {name: flag_rates(rows) for name, rows in answers.items()},
        "selection_of_dolly": selection(answers["dolly"]),
    }  # fmt: skip
    options.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()

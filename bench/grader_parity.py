"""How far the graders agree with those that others use, and why they differ where they do.

    python -m bench.grader_parity [--answers N] [--out FILE]

Instructions: N answers to each of IFEval's 541 prompts, bent to follow each instruction or just to miss it, strictly
and loosely, beside lm-eval's own code (in .venv-lmeval, with the versions of lmeval.lock; what it would download is
replaced, see parity_lmeval.py). Every difference is counted under its cause; one without a cause is shown whole.
Wording: ROUGE-L beside rouge-score, chrF and BLEU beside sacrebleu, on real answers and broken ones. Numbers: the
answers of every solution of GSM8K.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import sentence_bleu, sentence_chrf

from bench.measuring import machine_facts, versions
from bench.parity_answers import answer, source_of
from bench.parity_causes import cause_of
from luthier.graders.instructions.asking import Asked, read_instructions
from luthier.graders.instructions.grading import loose_finding, loose_forms
from luthier.graders.numeric import numeric
from luthier.graders.overlap import bleu, chrf, rouge_l, signature
from luthier.records import Completion, Example, Grader, Message

DATA = Path(os.environ.get("LUTHIER_TEST_DATA", ""))
HERE = Path(__file__).parent
RESULT = HERE / "results" / "grader_parity.json"
PEER = HERE.parent / ".venv-lmeval" / "bin" / "python"
WORDINGS = 3_000


class Compared(NamedTuple):
    """One instruction of one answer, by both."""

    asked: Asked
    response: str
    mode: str
    ours: bool
    theirs: bool


def gzipped(*parts: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA.joinpath(*parts), "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def pairs(num_answers: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """The rows of IFEval, each several times, with an answer under "response"."""
    text = (DATA / "ifeval" / "en_input_data.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        row["instruction_id_list"] = [name.removeprefix("en:") for name in row["instruction_id_list"]]
    source, rng = source_of([row["response"] for row in gzipped("dolly", "dolly_15k.jsonl.gz")]), Random(seed)
    return [{**row, "response": answer(rng, source, row)} for _ in range(num_answers) for row in rows]


def peer_outcomes(rows: Sequence[dict[str, Any]]) -> list[tuple[list[bool], list[bool]]]:
    """What lm-eval says of each answer's instructions, strictly and loosely."""
    if not PEER.is_file():
        raise SystemExit(
            "found no .venv-lmeval, expected an environment with the peer; fix: python -m venv .venv-lmeval && "
            ".venv-lmeval/bin/pip install --no-deps -r bench/lmeval.lock"
        )
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    command = [str(PEER), str(HERE / "parity_lmeval.py")]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def compared(rows: Sequence[dict[str, Any]]) -> Iterator[Compared]:
    """Each instruction of each answer, strictly and loosely."""
    for row, (strict, loose) in zip(rows, peer_outcomes(rows), strict=True):
        listed = zip(row["instruction_id_list"], row["kwargs"], strict=True)
        asked = read_instructions([{"id": name, **arguments} for name, arguments in listed])
        for each, is_strict, is_loose in zip(asked, strict, loose, strict=True):
            text = row["response"]
            yield Compared(each, text, "strict", each.finding(text).follows, is_strict)
            yield Compared(each, text, "loose", loose_finding(each, text).follows, is_loose)


def instructions_report(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Agreement by id, and every difference under its cause."""
    total, followed, differ = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    causes: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    unexplained = []
    for one in compared(rows):
        if one.mode == "strict":
            total[one.asked.id] += 1
            followed[one.asked.id] += one.theirs
        if one.ours == one.theirs:
            continue
        differ[one.asked.id, one.mode] += 1
        forms = loose_forms(one.response) if one.mode == "loose" else [one.response]
        cause = cause_of(one.asked.id, forms, one.asked.arguments)
        key = (one.asked.id, cause.side, cause.why) if cause else (one.asked.id, "unexplained", "")
        causes[key][f"{one.mode}, ours {'follows' if one.ours else 'breaks'}"] += 1
        if cause is None:
            unexplained.append({**one._asdict(), "asked": [one.asked.id, dict(one.asked.arguments)]})
    sides = Counter[str]()
    for (_, side, _), counts in causes.items():
        sides[side] += sum(counts.values())
    return {
        "answers": len(rows), "instructions": sum(total.values()), "comparisons": 2 * sum(total.values()),
        "differences": sum(differ.values()), "differences_by_side": dict(sides),
        "by_id": {name: {"n": total[name], "share_followed_by_theirs": round(followed[name] / total[name], 3),
                         "differ_strict": differ[name, "strict"], "differ_loose": differ[name, "loose"]}
                  for name in sorted(total)},
        "causes": [{"id": name, "side": side, "why": why, **counts}
                   for (name, side, why), counts in sorted(causes.items())],
        "unexplained": unexplained,
    }  # fmt: skip


def value(grader: Grader, targets: Sequence[str], text: str) -> float | None:
    example = Example.of([Message(role="user", content="?")], targets=targets)
    return grader(example, Completion.of(example_id=example.id, model_id="m", text=text)).value


def wording_report(*, seed: int = 0) -> dict[str, Any]:
    """The largest difference of each score from its reference package."""
    rng, oracle = Random(seed), RougeScorer(["rougeL"], use_stemmer=False)
    rows = [row for row in gzipped("superni", "instances.jsonl.gz") if any(map(str.strip, row["output"]))]
    rows = rng.sample(rows, WORDINGS)
    worst = dict.fromkeys(("rouge_l", "chrf", "bleu"), 0.0)
    for row, other in zip(rows, [*rows[1:], rows[0]], strict=True):
        targets = row["output"]
        words = (targets[0] + " " + rng.choice((other["output"][0], row["input"][:300], ""))).split()
        text = " ".join(word for word in words if rng.random() < 0.8)
        theirs = {
            "rouge_l": max(oracle.score(target, text)["rougeL"].fmeasure for target in targets),
            "chrf": sentence_chrf(text, targets).score / 100,
            "bleu": max(sentence_bleu(text, [target], use_effective_order=True).score for target in targets) / 100,
        }
        for name, grader in (("rouge_l", rouge_l), ("chrf", chrf), ("bleu", bleu)):
            ours = value(grader, targets, text)
            worst[name] = max(worst[name], abs((ours or 0.0) - theirs[name]))
    return {"pairs": WORDINGS, "largest_difference": worst,
            "signatures": {name: signature(name) for name in ("chrf", "bleu")}}  # fmt: skip


def numbers_report() -> dict[str, Any]:
    """GSM8K's solutions, each graded by the answer that it states after ####, whole and that answer alone."""
    found = {}
    for part in ("train", "test"):
        answers = [row["answer"] for row in gzipped("gsm8k", f"{part}.jsonl.gz")]
        ends = [text.rpartition("####")[2].strip() for text in answers]
        found[part] = {
            "solutions": len(answers),
            "right_whole": sum(value(numeric, [end], text) == 1 for end, text in zip(ends, answers, strict=True)),
            "right_alone": sum(value(numeric, [text], end) == 1 for end, text in zip(ends, answers, strict=True)),
            "right_in_a_sentence": sum(value(numeric, [text], f"So the answer is ${end}.") == 1
                                       for end, text in zip(ends, answers, strict=True)),
            "right_for_the_next_one": sum(value(numeric, [text], end) == 1
                                          for end, text in zip(ends[1:], answers, strict=False)),
        }  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--answers", type=int, default=10, help="answers to each prompt")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    report = {
        "command": f"python -m bench.grader_parity --answers {options.answers}",
        "machine": machine_facts(), "versions": versions(("luthier", "py3langid", "rouge_score", "sacrebleu")),
        "peer": (HERE / "lmeval.lock").read_text(encoding="utf-8").split("\n"),
        "instructions": instructions_report(pairs(options.answers)),
        "wording": wording_report(), "numbers": numbers_report(),
    }  # fmt: skip
    options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    found = report["instructions"]
    print(f"{found['answers']} answers, {found['comparisons']} comparisons, {found['differences']} differences: "
          f"{found['differences_by_side']}")  # fmt: skip
    for cause in found["causes"]:
        print(" | ".join(f"{name}: {each}" if isinstance(each, int) else each for name, each in cause.items()))
    print(json.dumps({"wording": report["wording"], "numbers": report["numbers"]}, indent=1))


if __name__ == "__main__":
    main()

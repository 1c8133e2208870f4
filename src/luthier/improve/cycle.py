"""One turn of the loop: feedback -> candidates -> curation -> training -> gate -> promoted or held.

FOLDER/holdout.json              the permanent holdout's books
FOLDER/turn-001/candidates.jsonl preferences.jsonl holdout.jsonl   what the store taught
FOLDER/turn-001/ledger.json      every trace and feedback event, counted by what became of it
FOLDER/turn-001/traces.json      what became of each trace, by id
FOLDER/turn-001/curated/ model/ evaluation-current/ evaluation-candidate/   what the steps wrote
FOLDER/turn-001/turn.json        the outcome, written last: a turn without it did not finish and is taken again
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from luthier.errors import DataError, LuthierError, Problem
from luthier.improve.candidates import Collected, collect
from luthier.improve.config import ImproveConfig
from luthier.improve.holdout import Holdout, NearSearch, conversation_root
from luthier.records import Example, Message, Preference, read_records, write_records
from luthier.runs import sha256, write_json
from luthier.traces import Store
from luthier.versions import Register, Version

Outcome = Literal["nothing new", "unchanged", "promoted", "held"]
"""nothing new: too little to learn; unchanged: training moved no weight; the others are the gate's decision."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training step made."""

    model: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a gate decided."""

    is_promoted: bool
    word: str
    """For people: "ship", "hold", "not enough evidence"."""
    numbers: Mapping[str, Any]
    """What it rests on; kept with the version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The other stages, as the recipe wires them."""

    curate: Callable[[Collected, Path], Path]
    """Writes the data to train on into a folder (train.jsonl, dev.jsonl, preferences.jsonl) and returns it. It may add
    the rows of earlier trainings; a conversation of the holdout among them stops the turn."""
    train: Callable[[Path, Version, Path], Trained]
    """Trains on a curated folder, from the current version, into a folder."""
    evaluate: Callable[[Path, Sequence[Example], Path], Path]
    """Evaluates a model on the holdout items into a folder, and returns it."""
    gate: Callable[[Path, Path, float], Decision]
    """Compares the evaluations of the current version and of the candidate, at this alpha."""
    trained_on: Sequence[Sequence[Message]] = ()
    """Conversations of the rows that the current version learned from before the loop began."""
    near: NearSearch | None = None
    """Finds conversations that begin nearly the same, which stand on one side of the holdout; None: only those that
    differ in nothing but case, punctuation and numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleResult:
    """How a turn ended."""

    outcome: Outcome
    version: str | None
    """The version that was registered; None when nothing was."""
    folder: Path | None
    gate: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...]
    """The story of the turn, as the terminal shows it."""


def improve(
    config: ImproveConfig, steps: Steps, *, register: Register, folder: Path, say: Callable[[str], None]
) -> CycleResult:
    """Take one turn. Without new feedback nothing is changed; else a version is registered, and promoted or held."""
    told = _Told(say)
    current = _current(register)
    holdout = Holdout.open(
        folder / "holdout.json", share=config.holdout_share, salt=config.holdout_salt, alpha=config.alpha
    )
    collected = _collect(config, steps, holdout)
    told(*_collected_lines(collected))

    new = _learned(collected) - _learned_before(folder)
    if len(new) < config.min_new:
        told(f"improve | no new feedback: {len(new)} new candidates and preferences, {config.min_new} needed")
        return CycleResult(outcome="nothing new", version=None, folder=None, lines=told.lines)

    turn = _next_turn(folder)
    _write_collected(turn, collected)
    told(f"improve | {turn.name} | {len(new):,} new candidates and preferences | from {current.name}")
    curated = steps.curate(collected, turn / "curated")
    _refuse_leaks(curated, collected, holdout)
    trained = steps.train(curated, current, turn / "model")
    if trained.digest == current.digest:
        told(f"improve | training left the weights of {current.name} as they were: nothing to decide")
        return _finished(turn, collected, told, outcome="unchanged", version=None)

    decision, alpha = _judge(steps, holdout, collected.holdout_items, current, trained, turn)
    version = register.add(
        model=trained.model, digest=trained.digest, parents=[current.name], data=_digests(curated), note=turn.name
    )
    gate = {**decision.numbers, "word": decision.word, "alpha": alpha}
    if decision.is_promoted:
        version = register.promote(version.name, gate)
    else:
        version = register.hold(version.name, gate)
    outcome: Outcome = "promoted" if decision.is_promoted else "held"
    told(f"improve | {decision.word} | {version.name} {outcome} | at alpha {alpha:.4g} of {config.alpha:.4g} in all")
    return _finished(turn, collected, told, outcome=outcome, version=version)


@dataclass(slots=True)
class _Told:
    """Says lines and keeps them."""

    say: Callable[[str], None]
    lines: tuple[str, ...] = ()

    def __call__(self, *lines: str) -> None:
        for line in lines:
            self.say(line)
        self.lines += lines


def _current(register: Register) -> Version:
    current = register.current()
    if current is None:
        raise LuthierError(
            "there is no current version to improve",
            [Problem(where=str(register.folder), found="no promoted version", expected="the version that is served",
                     fix="`luthier versions promote V` makes one current")],
        )  # fmt: skip
    return current


def _collect(config: ImproveConfig, steps: Steps, holdout: Holdout) -> Collected:
    with Store.open_existing(config.store) as store:
        traces, feedback = store.traces(), store.feedback()
    return collect(
        traces, feedback, holdout=holdout, trained_on=steps.trained_on, near=steps.near,
        max_per_rater=config.max_per_rater,
    )  # fmt: skip


def _collected_lines(collected: Collected) -> list[str]:
    ledger = collected.ledger()
    lines = []
    for part in ("traces", "feedback"):
        lines.append(f"{part} | " + " | ".join(f"{reason} {count:,}" for reason, count in ledger[part].items()))
    made = ledger["made"]
    lines.append(
        f"made | candidates {made['candidates']:,} | preferences {made['preferences']:,} | "
        f"holdout items {made['holdout_items']:,}"
    )
    if collected.num_repeating:
        lines.append(
            f"near | {collected.num_repeating:,} of {collected.num_conversations:,} conversations begin nearly as an "
            "earlier one does, and stand on its side of the holdout"
        )
    if 2 * collected.num_repeating > collected.num_conversations:
        lines.append(
            "near | most conversations begin alike | Fix: move the text that all requests share to the system message"
        )
    return lines


def _learned(collected: Collected) -> set[str]:
    return {found.id for found in collected.candidates} | {found.id for found in collected.preferences}


def _finished_turns(folder: Path) -> list[Path]:
    return sorted((path.parent for path in folder.glob("turn-*/turn.json")), key=_number)


def _number(turn: Path) -> int:
    return int(turn.name.removeprefix("turn-"))


def _learned_before(folder: Path) -> set[str]:
    """Ids of everything that a finished turn trained on, whether its version was promoted or held."""
    learned: set[str] = set()
    for turn in _finished_turns(folder):
        learned.update(json.loads((turn / "turn.json").read_text(encoding="utf-8"))["learned"])
    return learned


def _next_turn(folder: Path) -> Path:
    turns = _finished_turns(folder)
    return folder / f"turn-{_number(turns[-1]) + 1 if turns else 1:03d}"


def _write_collected(turn: Path, collected: Collected) -> None:
    write_records(turn / "candidates.jsonl", collected.candidates)
    write_records(turn / "preferences.jsonl", collected.preferences)
    write_records(turn / "holdout.jsonl", collected.holdout_items)
    write_json(turn / "ledger.json", collected.ledger())
    write_json(turn / "traces.json", dict(collected.traces))


def _refuse_leaks(curated: Path, collected: Collected, holdout: Holdout) -> None:
    """The promise of the holdout, held to: nothing in the curated files shares its root with an item."""
    held = holdout.members() | {conversation_root(item.messages) for item in collected.holdout_items}
    problems = []
    for name, number, messages in _training_rows(curated):
        if conversation_root(messages) in held:
            problems.append(
                Problem(where=f"{curated / name}:{number}", found="a conversation of the permanent holdout",
                        expected="rows that no gate evaluates on",
                        fix="leave this row out of the files to train on; holdout.jsonl holds the conversation")
            )  # fmt: skip
    if problems:
        raise DataError("the permanent holdout would be trained on", problems)


def _training_rows(curated: Path) -> list[tuple[str, int, tuple[Message, ...]]]:
    rows: list[tuple[str, int, tuple[Message, ...]]] = []
    for name in ("train.jsonl", "dev.jsonl"):
        if (curated / name).is_file():
            examples = enumerate(read_records(curated / name, Example), start=1)
            rows += [(name, number, example.messages) for number, example in examples]
    if (curated / "preferences.jsonl").is_file():
        preferences = enumerate(read_records(curated / "preferences.jsonl", Preference), start=1)
        rows += [("preferences.jsonl", number, preference.prompt) for number, preference in preferences]
    return rows


def _judge(
    steps: Steps, holdout: Holdout, items: Sequence[Example], current: Version, trained: Trained, turn: Path
) -> tuple[Decision, float]:
    """The gate's decision and the alpha it spent, which is on the books before anything is evaluated."""
    alpha = holdout.spend(items, baseline=current.digest, candidate=trained.digest)
    before = steps.evaluate(Path(current.model), items, turn / "evaluation-current")
    after = steps.evaluate(trained.model, items, turn / "evaluation-candidate")
    return steps.gate(before, after, alpha), alpha


def _digests(curated: Path) -> list[str]:
    """sha256 of the files that the model learned from."""
    return [sha256(curated / name) for name in ("train.jsonl", "preferences.jsonl") if (curated / name).is_file()]


def _finished(
    turn: Path, collected: Collected, told: _Told, *, outcome: Outcome, version: Version | None
) -> CycleResult:
    name = version.name if version else None
    gate = dict(version.gate) if version else {}
    write_json(
        turn / "turn.json",
        {"outcome": outcome, "version": name, "gate": gate, "learned": sorted(_learned(collected))},
    )
    return CycleResult(outcome=outcome, version=name, folder=turn, gate=gate, lines=told.lines)

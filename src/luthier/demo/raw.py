"""Raw training files as one finds them: several shapes, and the faults that real files have, each counted and placed.

`truth.json` says what was planted, file by file: how often, and for each row with something planted its first line
(counted from 1) and what it is. For each file: `read` rows = `good` + `exact_duplicates` + the sum of `quarantine`.

- `quarantine`: rows that cannot be used. A line that is cut in two counts as two rows.
- `mended`, `placeholder_inputs`: good rows that only need mending.
- `planted`: good rows, as far as a reader of single rows can tell, that should not be trusted: near duplicates, a
  second answer to a prompt, another option than the right one, personal data, and rows of a biased clerk.

Rows that give away a held-out prompt would end a run on these files, so they lie apart, in raw_leaked/.
"""

import copy
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from luthier.demo import faults
from luthier.demo.faults import MadeRows, Turn
from luthier.demo.raw_shapes import QUARANTINED, RAW_FILES, Entry, RawFile, Written, in_messages, json_lines
from luthier.demo.rows import Row

DUPLICATE_SHARE = 0.04
"""Copies of good rows, as a share of the good rows of a file."""

FAULT_SHARE = 0.006
"""Rows of each kind of fault, as a share of the good rows of a file; never fewer than two."""

MENDED_SHARE = 0.01
"""Good rows with mojibake, and as many with a zero-width character, as a share of the good rows of a file."""

PLANTED_SHARES = {
    "near_duplicate": 0.01, "conflicting_answer": 0.008, "wrong_label": 0.008, "personal_data": 0.008, "biased": 0.012,
}  # fmt: skip
"""Of the good rows of a file; at least one of each, unless the file has fewer than `FEWEST_TO_PLANT` rows."""
FEWEST_TO_PLANT = 20

PLACEHOLDERS = ("N/A", "<noinput>")
"""What some writers put into an input that they leave empty."""
PLACEHOLDER_SHARE = 0.4
"""Of the empty inputs."""

MENDED = ("mojibake", "zero_width")
LEAKS = ("leaked_prompt", "leaked_within")
LEAKED_FILE = "raw_leaked/leaked.jsonl"
"""Beside the folder of the raw files."""
LEAKED_ROWS = 24
"""Rows that give away a held-out prompt: half of them as it stands, half within a longer one."""


@dataclass(frozen=True, slots=True)
class Source:
    """One request with its answer, in the words of a template."""

    prompt: str
    """The last request."""
    answer: str
    options: tuple[str, ...] = ()
    """What may be answered; empty when the answer is free."""
    task: str = ""
    """What is asked for: requests of one name have answers of one kind."""
    accepted: tuple[str, ...] = ()
    """Answers that are as right as `answer`."""
    before: tuple[Turn, ...] = ()
    """The conversation up to the last request; empty where the request stands alone."""

    @classmethod
    def of(cls, row: Row) -> "Source":
        """The practice row as the raw files see it."""
        example = row.example
        said = [message.content for message in example.messages]
        turns = [Turn(prompt, answer) for prompt, answer in zip(said[::2], said[1::2], strict=True)]
        task = f"{row.task.name}, turned around" if row.template.is_inverted else row.task.name
        return cls(turns[-1].prompt, row.answer, example.choices, task, example.targets, tuple(turns[:-1]))

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The whole conversation."""
        return (*self.before, Turn(self.prompt, self.answer))


@dataclass(eq=False, slots=True)
class Line:
    """One row to write, what was planted in it, and what it was made of."""

    entry: Entry
    kinds: list[str] = field(default_factory=list)
    sources: Sequence[Source] = ()
    of: "Line | None" = None
    """The row that this one repeats or contradicts."""
    note: dict[str, Any] = field(default_factory=dict)

    @property
    def is_single(self) -> bool:
        """Whether it is one request that stands alone."""
        return len(self.sources) == 1 and not self.sources[0].before


@dataclass(frozen=True, slots=True)
class _Feed:
    """The requests to write, each once."""

    rows: Iterator[Source]
    talks: Iterator[Source]

    def conversation(self, rng: Random, raw: RawFile) -> list[Source]:
        """One request, alone or at the end of a talk; or two that have nothing to do with each other."""
        chance = rng.random()
        if chance < raw.talk_share:
            talk = next(self.talks, None)
            if talk is not None:
                return [talk]
        return list(islice(self.rows, 2 if chance > 1 - raw.two_turn_share else 1))


def write_raw_files(
    folder: Path, rng: Random, rows: Iterator[Source], count: int, *, talks: Iterator[Source] | None = None,
    held_out: Sequence[Source] = (),
) -> tuple[tuple[Path, ...], Path]:  # fmt: skip
    """Write the raw files with `count` good rows in all, and their truth; returns the files and the truth.

    `rows` are requests that stand alone. `talks` are requests at the end of a conversation, for the files whose shape
    holds one; where there are none, such a file takes others. With `held_out`, rows that give away these prompts, which
    stand alone too, are written to raw_leaked/leaked.jsonl, beside the folder; no run on the other files reads them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    feed = _Feed(rows, talks if talks is not None else iter(()))
    made = MadeRows(rng)
    truth, total, loans = {}, Counter[str](), []
    left = count
    for raw in RAW_FILES:
        good = left if raw is RAW_FILES[-1] else round(count * raw.share)
        left -= good
        lines = _lines(rng, raw, feed, good, made)
        truth[raw.name] = told = _write(folder / raw.name, raw.written, lines)
        total.update({key: told[key] for key in ("read", "good", "exact_duplicates")})
        total.update({key: sum(told[key].values()) for key in ("quarantine", "planted")})
        loans += [line.note for line in lines if "biased" in line.kinds]
    whole = {"files": truth, "total": dict(total), "bias": _bias(loans, made)}
    if held_out:
        leaked = folder.parent / LEAKED_FILE
        leaked.parent.mkdir(exist_ok=True)
        whole["apart"] = {LEAKED_FILE: _write(leaked, json_lines, _leaked(rng, held_out))}
    # Beside the folder, not in it: a whole folder may be handed to a reader of raw files.
    truth_path = folder.parent / "truth.json"
    truth_path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return tuple(folder / raw.name for raw in RAW_FILES), truth_path


def _write(path: Path, written: Callable[[Sequence[Entry]], Written], lines: Sequence[Line]) -> dict[str, Any]:
    """Write the file; returns its truth."""
    text = written([line.entry for line in lines])
    path.write_bytes((text.head + "".join(text.rows) + text.tail).encode(text.encoding))
    places = dict(zip(lines, text.first_lines(), strict=True))
    counts = Counter(kind for line in lines for kind in line.kinds)
    rejected = {kind: n for kind, n in sorted(counts.items()) if kind in QUARANTINED}
    if "cut_in_two" in rejected:
        rejected["cut_in_two"] *= 2
    bad = sum(1 for line in lines if QUARANTINED.intersection(line.kinds))
    listed: list[dict[str, Any]] = []
    for line, number in places.items():
        of = {} if line.of is None else {"of": places[line.of]}
        listed += [{"line": number, "kind": kind, **of, **line.note} for kind in line.kinds]
    return {
        "read": len(lines) - bad + sum(rejected.values()),
        "good": len(lines) - bad - counts["exact_duplicate"],
        "exact_duplicates": counts["exact_duplicate"],
        "quarantine": rejected,
        "mended": {kind: counts[kind] for kind in MENDED if counts[kind]},
        "placeholder_inputs": counts["placeholder_input"],
        "planted": {kind: counts[kind] for kind in (*PLANTED_SHARES, *LEAKS) if counts[kind]},
        "rows": listed,
    }


def _bias(loans: Sequence[dict[str, Any]], made: MadeRows) -> dict[str, Any]:
    """Who is refused how often."""
    groups = {is_group: [n["refused"] for n in loans if (n["town"] == made.refused_town) is is_group]
              for is_group in (True, False)}  # fmt: skip
    group, others = ({"rows": len(g), "refused": sum(g), "share": round(sum(g) / len(g), 4) if g else None}
                     for g in groups.values())  # fmt: skip
    return {"field": "town", "group": made.refused_town, "worse_answer": "no", "of_group": group, "of_others": others}


def _lines(rng: Random, raw: RawFile, feed: _Feed, good: int, made: MadeRows) -> list[Line]:
    """All rows of a file in random order, the planted ones among them."""
    wanted = {
        kind: max(1, round(good * share)) if good >= FEWEST_TO_PLANT else 0 for kind, share in PLANTED_SHARES.items()
    }
    lines = [_made(rng, raw, "personal_data", made.personal()) for _ in range(wanted["personal_data"])]
    lines += [_made(rng, raw, "biased", made.biased()) for _ in range(wanted["biased"])]
    num_repeats = wanted["near_duplicate"] + wanted["conflicting_answer"]
    drawn: list[Line] = []
    damage: Counter[str] = Counter()
    for _ in range(good - len(lines) - num_repeats):
        drawn.append(_sound(rng, raw, feed, round(good * MENDED_SHARE), damage))
    free = [line for line in drawn if not set(line.kinds) & set(MENDED)]
    rng.shuffle(free)
    _mislabel(rng, free, wanted["wrong_label"])
    repeats = _contradictions(rng, free, wanted["conflicting_answer"])
    repeats += _near_duplicates(rng, raw, free, wanted["near_duplicate"])
    while len(repeats) < num_repeats:  # where few rows are long or have a task in common
        repeats.append(_sound(rng, raw, feed, 0, damage))
    copies = [
        Line(line.entry, ["exact_duplicate", *line.kinds], of=line) for line in free[: round(good * DUPLICATE_SHARE)]
    ]
    rejected = [
        Line(_faulty(rng, raw, feed.rows, fault), [fault])
        for fault in raw.faults for _ in range(max(2, round(good * FAULT_SHARE)))
    ]  # fmt: skip
    lines += drawn + repeats + copies + rejected
    rng.shuffle(lines)
    return lines


def _sound(rng: Random, raw: RawFile, feed: _Feed, limit: int, damage: Counter[str]) -> Line:
    """A good row, damaged in a way that cleaning can mend until `limit` rows of each sort are."""
    sources = feed.conversation(rng, raw)
    turns = [turn for source in sources for turn in source.turns]
    text = "".join(f"{turn.prompt}{turn.answer}" for turn in turns)
    kinds: list[str] = []
    if not text.isascii() and damage["mojibake"] < limit and rng.random() < 0.5:
        garbled = faults.mojibake(turns)
        turns, kinds = (turns, []) if garbled is None else (garbled, ["mojibake"])
    elif text.isascii() and damage["zero_width"] < limit and rng.random() < 0.03:
        turns, kinds = faults.zero_width(turns), ["zero_width"]
    damage.update(kinds)
    entry = raw.shape(rng, turns)
    if entry.get("input") == "" and rng.random() < PLACEHOLDER_SHARE:
        entry["input"] = rng.choice(PLACEHOLDERS)
        kinds = [*kinds, "placeholder_input"]
    return Line(entry, kinds, sources)


def _with_answer(entry: Entry, answer: str) -> dict[str, Any]:
    """A copy of the entry, in whatever shape, whose last answer is another."""
    assert isinstance(entry, dict)
    new = copy.deepcopy(entry)
    turns = new.get("messages") or new.get("conversations")
    place = turns[-1] if turns else new
    (key,) = {"content", "value", "output", "completion"} & place.keys()
    place[key] = answer
    return new


def _made(rng: Random, raw: RawFile, kind: str, row: faults.Made) -> Line:
    return Line(raw.shape(rng, [row.turn]), [kind], note=dict(row.note))


def _mislabel(rng: Random, free: list[Line], number: int) -> None:
    """Give rows with options another answer; they are then no longer free."""
    for line in [line for line in free if line.is_single]:
        if not number:
            return
        source = line.sources[0]
        wrong = faults.another_option(rng, source.answer, source.options)
        if wrong is not None:
            line.entry = _with_answer(line.entry, wrong)
            line.kinds.append("wrong_label")
            line.note = {"right": source.answer, "found": wrong}
            free.remove(line)
            number -= 1


def _contradictions(rng: Random, free: list[Line], number: int) -> list[Line]:
    """Rows with the prompt of another row and another answer: an option, or what a row of the same task answers."""
    singles = [line for line in free if line.is_single]
    answers: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for line in singles:
        answers[line.sources[0].task][line.sources[0].answer] = None
    made: list[Line] = []
    for line in singles:
        if len(made) == number:
            break
        source = line.sources[0]
        right = (source.answer, *source.accepted)
        others = [answer for answer in (source.options or answers[source.task]) if answer not in right]
        if others:
            answer = rng.choice(others)
            note = {"right": source.answer, "found": answer}
            kinds = ["conflicting_answer", *line.kinds]
            made.append(Line(_with_answer(line.entry, answer), kinds, of=line, note=note))
            free.remove(line)
    return made


def _near_duplicates(rng: Random, raw: RawFile, free: list[Line], number: int) -> list[Line]:
    made: list[Line] = []
    for line in [line for line in free if line.is_single]:
        if len(made) == number:
            break
        source = line.sources[0]
        found = faults.reworded(rng, source.prompt)
        if found is not None:
            entry = raw.shape(rng, [Turn(found[0], source.answer)])
            made.append(Line(entry, ["near_duplicate"], of=line, note={"words_changed": found[1]}))
            free.remove(line)
    return made


def _leaked(rng: Random, held_out: Sequence[Source]) -> list[Line]:
    """Rows that give away held-out prompts: every second one as it stands, the others within a longer prompt."""
    lines = []
    for number, source in enumerate(rng.sample(held_out, min(LEAKED_ROWS, len(held_out)))):
        kind = LEAKS[number % 2]
        prompt = source.prompt if kind == "leaked_prompt" else faults.embedded(rng, source.prompt)
        entry = in_messages(rng, [Turn(prompt, source.answer)])
        lines.append(Line(entry, [kind], note={"prompt": source.prompt}))
    return lines


def _faulty(rng: Random, raw: RawFile, rows: Iterator[Source], fault: str) -> Entry:
    """A row that no stage can train on, whose fault is the only one it has."""
    (row,) = islice(rows, 1)
    answer = {"null_answer": None, "empty_answer": ""}.get(fault, row.answer)
    entry = raw.shape(rng, [Turn(row.prompt, answer)])
    if fault == "broken_json":
        return faults.cut_off(rng, faults.as_line(entry))
    if fault == "cut_in_two":
        return faults.cut_in_two(rng, faults.as_line(entry))
    turns = entry.get("messages") or entry.get("conversations") or []
    if fault == "ends_on_user":
        turns.pop()
    if fault == "wrong_role":
        turns[-1]["role" if "role" in turns[-1] else "from"] = "asistant"
    return entry

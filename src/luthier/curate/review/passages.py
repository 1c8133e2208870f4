"""A record as a person reads it: its texts in order, each with its place, and the passages that deserve the look."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from luthier.curate.review.flagged import Flag
from luthier.privacy import KINDS, REGIONS, Redaction

Mark = Literal["", "flagged", "differs"]
LEAST_QUOTED = 3
"""Characters: a shorter quotation of a flag stands anywhere."""
MOST_WORDS = 3000
"""Words and signs of a text that is compared with another word by word; of longer ones only both ends are."""
_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_STEP = re.compile(r"[^.\[\]]+")
_QUOTED = re.compile(r'"([^"]+)"|\'([^\']+)\'')
_ANSWER_PATHS = ("chosen", "rejected")


class Piece(NamedTuple):
    """A stretch of a text, and why it is marked, if it is."""

    text: str
    mark: Mark = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One text of a record."""

    path: str
    """Where it stands: "messages[1].content"."""
    role: str
    """Who speaks, or what it is: "user", "chosen", "accepted answer", "call of get_time"."""
    text: str

    @property
    def is_answer(self) -> bool:
        """Whether it is something that a model would learn to say."""
        return self.role == "assistant" or self.path in _ANSWER_PATHS


def parts_of(record: Mapping[str, Any]) -> list[Part]:
    """The texts of an example or a preference as JSON has it. An answer that is a target too stands once."""
    name = "messages" if "messages" in record else "prompt"
    parts = []
    for number, message in enumerate(record.get(name, ())):
        calls = message.get("tool_calls", ())
        if message["content"] or not calls:
            parts.append(Part(f"{name}[{number}].content", message["role"], message["content"]))
        for place, call in enumerate(calls):
            path = f"{name}[{number}].tool_calls[{place}].function.arguments"
            parts.append(Part(path, f"call of {call['function']['name']}", call["function"]["arguments"]))
    parts += [Part(path, path, record[path]) for path in _ANSWER_PATHS if path in record]
    said = parts[-1].text if parts and parts[-1].role == "assistant" else None
    for name, role in (("targets", "accepted answer"), ("choices", "option")):
        parts += [
            Part(f"{name}[{number}]", role, text)
            for number, text in enumerate(record.get(name, ()))
            if (name, number, text) != ("targets", 0, said)
        ]
    return parts


def marked(
    parts: Sequence[Part], flags: Iterable[Flag], *, regions: Sequence[str] = REGIONS
) -> list[list[Piece]]:
    """Of each part its pieces, with what the flags are about marked.

    Personal data is found again by the rules, telephone numbers in the national forms of `regions`, as curation found
    them; of other flags what their detail quotes is looked for.
    """
    spans: list[list[tuple[int, int]]] = [[] for _ in parts]
    for flag in flags:
        for number, part in enumerate(parts):
            spans[number] += _personal(part.text, flag.detail, regions) if flag.step == "personal" else []
        if flag.step != "personal":
            for number, span in _quoted(parts, flag.detail):
                spans[number].append(span)
    return [_cut(part.text, some, "flagged") for part, some in zip(parts, spans, strict=True)]


def edited(record: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """The record with some texts replaced, each by the path of its part; KeyError where it has no such part.

    An answer that was its own target stays its own target.
    """
    made = copy.deepcopy(editable(record))
    parts = {part.path: part for part in parts_of(record)}
    for path, text in texts.items():
        part = parts[path]
        steps = [int(step) if step.isdigit() else step for step in _STEP.findall(path)]
        holder: Any = made
        for step in steps[:-1]:
            holder = holder[step]
        holder[steps[-1]] = text
        is_last = steps[:2] == ["messages", len(record.get("messages", ())) - 1]
        if is_last and part.role == "assistant" and list(made.get("targets", ()))[:1] == [part.text]:
            made["targets"][0] = text
    return made


def editable(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record without what follows from the rest: its id and place, and a target that repeats the answer."""
    kept = {name: value for name, value in record.items() if name not in ("id", "source")}
    turns = record.get("messages") or ({"role": ""},)
    if turns[-1]["role"] == "assistant" and list(record.get("targets", ())) == [turns[-1]["content"]]:
        del kept["targets"]
    return kept


def is_about_answer(flags: Iterable[Flag]) -> bool:
    """Whether a flag says something of the answer as a whole."""
    return any(flag.reason.startswith("answer") for flag in flags)


def compared(text: str, other: str) -> list[Piece]:
    """The pieces of `text`; the words that `other` has not there are marked."""
    left, right = _TOKEN.findall(text), _TOKEN.findall(other)
    head = _common(left, right)
    tail = _common(left[head:][::-1], right[head:][::-1])
    spans, inner, against = [], left[head : len(left) - tail], right[head : len(right) - tail]
    offsets = [0]
    for token in left:
        offsets.append(offsets[-1] + len(token))
    if max(len(inner), len(against)) > MOST_WORDS:
        spans.append((offsets[head], offsets[len(left) - tail]))
    else:
        matcher = difflib.SequenceMatcher(None, inner, against, autojunk=False)
        spans = [(offsets[head + a], offsets[head + b]) for tag, a, b, _, _ in matcher.get_opcodes() if tag != "equal"]
    return _cut(text, spans, "differs")


def _personal(text: str, detail: str, regions: Sequence[str]) -> list[tuple[int, int]]:
    """`detail` counts the kinds that were found: "email 1, phone 2"."""
    named = [kind for kind in KINDS if re.search(rf"\b{kind}\b", detail)]
    return [(found.start, found.end) for found in Redaction(kinds=named or KINDS, regions=regions).find(text)]


def _quoted(parts: Sequence[Part], detail: str) -> Iterator[tuple[int, tuple[int, int]]]:
    """Where the longest thing that a detail quotes stands: after a colon, or between quotation marks."""
    after = [detail[match.end() :] for match in re.finditer(r": ", detail)]
    for quoted in (*after, *(one or two for one, two in _QUOTED.findall(detail))):
        wanted = quoted.strip()
        if len(wanted) < LEAST_QUOTED:
            continue
        found = [(number, (start, start + len(wanted))) for number, part in enumerate(parts)
                 for start in _starts(part.text, wanted)]  # fmt: skip
        if found:
            yield from found
            return


def _starts(text: str, wanted: str) -> Iterator[int]:
    start = text.find(wanted)
    while start >= 0:
        yield start
        start = text.find(wanted, start + len(wanted))


def _cut(text: str, spans: Iterable[tuple[int, int]], mark: Mark) -> list[Piece]:
    pieces, end = [], 0
    for start, stop in sorted(spans):
        start = max(start, end)
        if stop <= start:
            continue
        pieces += [Piece(text[end:start]), Piece(text[start:stop], mark)]
        end = stop
    pieces.append(Piece(text[end:]))
    return [piece for piece in pieces if piece.text]


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """How many tokens both begin with."""
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count

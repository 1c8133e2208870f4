"""What finding near-duplicates needs to know of a row: the codes of its words, four bytes each, and no text."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.similarity.ragged import (
    Codes,
    Counts,
    Ragged,
    Unsigned,
    mixed,
    offsets,
    places,
    run_hashes,
    slices,
    spread,
)
from luthier.similarity.words import word_codes
from luthier.similarity.worth import loops

_WORDS = "words.u32"
_MAPPED_FILES = 128
"""So many files of words are open at once; a process may often open no more than 1024 of all kinds."""
_BLANKS, _LAST_MARKS = b" \r\n", ".!?,;: \t\r\n"
_HASH_BYTES = 8
_BATCH_SYMBOLS = 1 << 20
LEAST_QUESTIONED = 25
"""A shorter prompt is a question from end to end."""


@dataclass(frozen=True, slots=True)
class NearText:
    """A row as far as its likeness to others goes."""

    prompt: str
    answer: str
    options: tuple[str, ...] = ()
    """What the answer may be chosen from: rows with other options are never near-duplicates."""
    fixed: str = ""
    """What else must be equal, sign by sign, in two rows that may become one: tools, tests, roles. Rows that differ in
    it alone still ask the same: a conflict."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An array of words in a file. It is mapped into memory when it is asked for, and only some files at a time."""

    path: Path
    version: int
    """When the file was written, in nanoseconds: a file of the same name may follow it."""

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """The words of a slice, or at some places."""
        found: NDArray[Any] = _mapped(self.path, self.version)[key]
        return found


@lru_cache(maxsize=_MAPPED_FILES)
def _mapped(path: Path, version: int) -> Codes:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return np.zeros(0, dtype=np.uint32)
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint32)


def let_go() -> None:
    """Close the files of words that are mapped, so that deleting them gives their room on the disk back."""
    _mapped.cache_clear()


@dataclass(frozen=True, slots=True)
class Sketches:
    """The words of N rows in W codes, and hashes of what else counts: all that `near_duplicates` reads."""

    words: Codes | Stored
    """[W]: prompt and answer of the first row, of the second, and so on; see `luthier.similarity.words`."""
    ends: Counts
    """[2 N]: where the words of each prompt and of each answer end."""
    options: Unsigned
    """[N]: a hash of the options, 0 without any."""
    fixed: Unsigned
    """[N]: a hash of `NearText.fixed`, 0 without any."""
    forms: Unsigned
    """[2 N]: a hash of each prompt and each answer as it stands, but for blanks, line ends, marks at its end and the
    case of its first letter."""
    questions: NDArray[np.int32]
    """[N, 2]: the words of the question of a prompt of at least LEAST_QUESTIONED words, first and one after the last;
    the same number where none is found."""

    @classmethod
    def of(cls, texts: Sequence[NearText]) -> Sketches:
        """The sketches of some rows, in order. 20 to 30 microseconds a row of 90 words."""
        flat = [part for text in texts for part in (text.prompt, text.answer)]
        words = word_codes(flat)
        options, fixed = np.zeros(len(texts), dtype=np.uint64), np.zeros(len(texts), dtype=np.uint64)
        chosen = [i for i, text in enumerate(texts) if text.options]
        if chosen:
            options[chosen] = _option_hashes([texts[i].options for i in chosen])
        held = [i for i, text in enumerate(texts) if text.fixed]
        fixed[held] = _hashes(texts[i].fixed.encode("utf-8", "surrogatepass") for i in held)
        lengths = np.diff(words.ends, prepend=0)[::2]
        return cls(
            words.codes, words.ends, options, fixed, _form_hashes(flat),
            _questions([text.prompt for text in texts], lengths),
        )  # fmt: skip

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.options)

    def save(self, path: Path) -> None:
        """Write one file an array into the folder `path`, which is made if it is not there."""
        path.mkdir(parents=True, exist_ok=True)
        self.words[:].tofile(path / _WORDS)
        for field in fields(self)[1:]:
            np.save(path / f"{field.name}.npy", getattr(self, field.name))

    @classmethod
    def open(cls, path: Path) -> Sketches:
        """What `save` wrote: the words stay in their file, of which only the pages that are looked at are read."""
        words = Stored(path / _WORDS, (path / _WORDS).stat().st_mtime_ns)
        return cls(words, *(np.load(path / f"{field.name}.npy") for field in fields(cls)[1:]))


@dataclass(frozen=True, slots=True)
class Rows:
    """The sketches of several parts as one: row numbers run over all parts."""

    parts: tuple[Sketches, ...]
    first: Counts
    """[parts + 1]: the number of the first row of each part, and of all rows."""

    @classmethod
    def of(cls, parts: Sequence[Sketches]) -> Rows:
        """The rows of the parts, in order."""
        return cls(tuple(parts), np.concatenate(([0], np.cumsum([len(part) for part in parts], dtype=np.int64))))

    def __len__(self) -> int:
        """The number of rows in all parts."""
        return int(self.first[-1])

    def borders(self, side: int, rows: Counts) -> tuple[Counts, Counts, Counts]:
        """The part, the start within it and the length of the prompts (side 0) or answers (side 1) of some rows."""
        part_of = np.searchsorted(self.first, rows, side="right") - 1
        starts, counts = np.empty(len(rows), dtype=np.int64), np.empty(len(rows), dtype=np.int64)
        for number in np.unique(part_of).tolist():
            at = np.flatnonzero(part_of == number)
            ends = self.parts[number].ends
            place = 2 * (rows[at] - self.first[number]) + side
            starts[at] = np.where(place > 0, ends[np.maximum(place - 1, 0)], 0)
            counts[at] = ends[place] - starts[at]
        return part_of, starts, counts

    def take(self, side: int, rows: Counts) -> Ragged:
        """The words of the prompts (side 0) or answers (side 1) of some rows, in the order of `rows`."""
        part_of, starts, counts = self.borders(side, rows)
        new = offsets(counts)
        words = np.empty(int(counts.sum()), dtype=np.uint32)
        compiled = loops()
        numbers = np.unique(part_of).tolist()
        for number in numbers:
            at = slice(None) if len(numbers) == 1 else np.flatnonzero(part_of == number)
            if compiled is not None:
                compiled.copy_runs(self.parts[number].words[:], starts[at], counts[at], words, new[at])
                continue
            words[places(new[at], counts[at])] = self.parts[number].words[places(starts[at], counts[at])]
        return Ragged(words, new, counts)


def _option_hashes(options: Sequence[tuple[str, ...]]) -> Unsigned:
    words = word_codes([option for row in options for option in row])
    starts = np.concatenate(([0], words.ends[:-1]))
    each = run_hashes(spread(words.codes), starts, words.ends)
    counts = np.array([len(row) for row in options])
    return run_hashes(spread(each), offsets(counts), np.cumsum(counts))


def _hashes(texts: Iterable[bytes]) -> Unsigned:
    digests = b"".join(hashlib.blake2b(text, digest_size=_HASH_BYTES).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _form_hashes(texts: Sequence[str]) -> Unsigned:
    """A hash of the form of each text."""
    found = np.zeros(len(texts), dtype=np.uint64)
    for part in slices(np.fromiter(map(len, texts), np.int64, len(texts)), _BATCH_SYMBOLS):
        compiled = loops()
        if compiled is not None:
            is_made = np.fromiter((not text.isascii() for text in texts[part]), np.bool_, part.stop - part.start)
            data = [text.encode() if text.isascii() else _form(text) for text in texts[part]]
            found[part] = compiled.form_hashes(data, is_made, _LAST_MARKS.encode(), _BLANKS)
            continue
        forms = list(map(_form, texts[part]))
        ends = np.cumsum(np.fromiter(map(len, forms), np.int64, len(forms)))
        values = np.frombuffer(b"".join(forms), dtype=np.uint8).astype(np.uint64) + np.uint64(1)
        found[part] = mixed(run_hashes(values, np.concatenate(([0], ends[:-1])), ends))
    return found


def _form(text: str) -> bytes:
    shown = text.strip().rstrip(_LAST_MARKS)
    return (shown[:1].lower() + shown[1:]).encode("utf-8", "surrogatepass").translate(None, _BLANKS)


def _questions(prompts: Sequence[str], lengths: Counts) -> NDArray[np.int32]:
    """Where the question of each prompt is.

    It is the first line if that ends as a question and the text does not; else the last sentence that does, with what
    follows if that is short; else, behind an instruction, a short last line.
    """
    found = np.zeros((len(prompts), 2), dtype=np.int32)
    rows, is_first, pieces = [], [], []
    for row in np.flatnonzero(lengths >= LEAST_QUESTIONED).tolist():
        prompt = prompts[row].strip()
        last, end = max(prompt.rfind("?"), prompt.rfind("\uff1f")), prompt.rfind("\n") + 1
        line = prompt[: prompt.find("\n")].rstrip() if end else ""
        rows.append(row)
        is_first.append(line.endswith("?") and last != len(prompt) - 1)
        if is_first[-1]:
            pieces += [line[_sentence(line, len(line) - 1) :], line]
        elif last >= 0:
            behind = len(prompt) if prompt.count(" ", last) < LEAST_QUESTIONED else last + 1
            pieces += [prompt[_sentence(prompt, last) : behind], prompt[behind:]]
        else:
            pieces += [prompt[end:] if end and prompt.count(" ", end) < LEAST_QUESTIONED else "", ""]
    # The words of the question, and those up to its end or from there on.
    inside, beyond = np.diff(word_codes(pieces).ends, prepend=0).reshape(-1, 2).T
    ends = np.where(is_first, beyond, lengths[rows] - beyond)
    found[rows] = np.stack([ends - inside, ends], axis=1).clip(0)
    return found


def _sentence(text: str, last: int) -> int:
    """Where the sentence begins that ends at `last`."""
    return max(text.rfind(mark, 0, last) for mark in (". ", "! ", "? ", "\n", "\u3002")) + 1

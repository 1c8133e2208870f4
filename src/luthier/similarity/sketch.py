"""What finding near-duplicates needs to know of a row: the codes of its words, four bytes each, and no text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from luthier.similarity.ragged import Codes, Counts, Ragged, Unsigned, offsets, places, run_hashes, spread
from luthier.similarity.words import word_codes


@dataclass(frozen=True, slots=True)
class NearText:
    """A row as far as its likeness to others goes."""

    prompt: str
    answer: str
    options: tuple[str, ...] = ()
    """What the answer may be chosen from: rows with other options are never near-duplicates."""


@dataclass(frozen=True, slots=True)
class Sketches:
    """The words of N rows in W codes: all that `near_duplicates` reads."""

    words: Codes
    """[W]: prompt and answer of the first row, of the second, and so on; see `luthier.similarity.words`."""
    ends: Counts
    """[2 N]: where the words of each prompt and of each answer end."""
    options: Unsigned
    """[N]: a hash of the options, 0 without any."""

    @classmethod
    def of(cls, texts: Sequence[NearText]) -> Sketches:
        """The sketches of some rows, in order. 10 to 15 microseconds a row of 90 words."""
        flat = [part for text in texts for part in (text.prompt, text.answer)]
        words = word_codes(flat)
        options = np.zeros(len(texts), dtype=np.uint64)
        chosen = [i for i, text in enumerate(texts) if text.options]
        if chosen:
            options[chosen] = _option_hashes([texts[i].options for i in chosen])
        return cls(words.codes, words.ends, options)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.options)

    def save(self, path: Path) -> None:
        """Write one .npy file an array into the folder `path`, which is made if it is not there."""
        path.mkdir(parents=True, exist_ok=True)
        for field in fields(self):
            np.save(path / f"{field.name}.npy", getattr(self, field.name))

    @classmethod
    def open(cls, path: Path) -> Sketches:
        """What `save` wrote, mapped into memory: only the pages that are looked at are read."""
        # As plain arrays over the mapped files: they pickle whole and slice faster than numpy's own class for them.
        return cls(*(np.load(path / f"{field.name}.npy", mmap_mode="r").view(np.ndarray) for field in fields(cls)))


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
        numbers = np.unique(part_of).tolist()
        for number in numbers:
            at = slice(None) if len(numbers) == 1 else np.flatnonzero(part_of == number)
            words[places(new[at], counts[at])] = self.parts[number].words[places(starts[at], counts[at])]
        return Ragged(words, new, counts)


def _option_hashes(options: Sequence[tuple[str, ...]]) -> Unsigned:
    words = word_codes([option for row in options for option in row])
    starts = np.concatenate(([0], words.ends[:-1]))
    each = run_hashes(spread(words.codes), starts, words.ends)
    counts = np.array([len(row) for row in options])
    return run_hashes(spread(each), offsets(counts), np.cumsum(counts))

"""Rows of unequal length as one array and their borders: hashes and runs of them without a loop over rows.

A polynomial hash of a run is sum(v[i] * B^(i - start)) modulo 2^64 with an odd base B, so it can be taken out of one
running sum over everything: (S[end] - S[start]) * B^-start, because B has an inverse modulo 2^64. `mixed` then spreads
it over all bits (the finaliser of MurmurHash3).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Unsigned: TypeAlias = NDArray[np.uint64]
Codes: TypeAlias = NDArray[np.uint32]
Counts: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

BASE = 0x9E3779B97F4A7C15 | 1
_INVERSE = pow(BASE, -1, 2**64)
_SEED = 0xD6E8FEB86659FD93
_FIRST, _SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_HALF = np.uint64(33)
_TABLE_LOAD = 16
"""Places of the table for each hash: of those that are not known, one in so many is searched for."""


class Ragged(NamedTuple):
    """Rows laid end to end: row r is `values[starts[r] : starts[r] + counts[r]]`."""

    values: Codes
    starts: Counts
    counts: Counts


def mixed(values: Unsigned) -> Unsigned:
    """Hashes of 64-bit numbers, all bits of which depend on all bits; a bijection. Shape as given."""
    found = values ^ (values >> _HALF)
    found *= _FIRST
    found ^= found >> _HALF
    found *= _SECOND
    found ^= found >> _HALF
    return found


def spread(codes: NDArray[Any]) -> Unsigned:
    """Codes of words as summands of a hash: 0 is no zero any more. Shape as given."""
    found: Unsigned = codes.astype(np.uint64)
    found *= _FIRST
    found ^= found >> _HALF
    found += np.uint64(_SEED)
    return found


def run_hashes(values: Unsigned, starts: Counts, ends: Counts) -> Unsigned:
    """The hash of each run `values[start:end]`, in which order counts; equal for equal runs wherever they stand."""
    sums = np.zeros(len(values) + 1, dtype=np.uint64)
    forward, backward = _powers(max(len(values), 1).bit_length())
    np.cumsum(values * forward[: len(values)], out=sums[1:])
    found: Unsigned = (sums[ends] - sums[starts]) * backward[starts]
    return found


def gram_hashes(values: Unsigned, width: int, *, seed: int) -> Unsigned:
    """The hash of the `width` values from each place on: [len - width + 1], or empty."""
    if len(values) < width:
        return np.zeros(0, dtype=np.uint64)
    last = len(values) - width + 1
    found = values[:last] + np.uint64(seed)
    for place in range(1, width):
        found *= np.uint64(BASE)
        found += values[place : last + place]
    return mixed(found)


def places(starts: Counts, counts: Counts) -> Counts:
    """The indices start, start + 1, ... of each run, one run after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - ends + counts, counts)


def owners(counts: Counts) -> Counts:
    """The number of the row that each value belongs to, for rows laid end to end."""
    return np.repeat(np.arange(len(counts)), counts)


def offsets(counts: Counts) -> Counts:
    """Where each row begins if rows of these lengths lie end to end."""
    return np.cumsum(counts) - counts


def runs(keys: NDArray[Any]) -> tuple[Counts, Counts]:
    """Start and length of each run of equal neighbours."""
    if not len(keys):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    starts = np.concatenate(([0], np.flatnonzero(keys[1:] != keys[:-1]) + 1))
    return starts, np.diff(starts, append=len(keys))


def pick(words: Ragged, which: Flags | Counts | slice) -> Ragged:
    """Some of the rows, laid end to end anew."""
    starts, counts = words.starts[which], words.counts[which]
    return Ragged(words.values[places(starts, counts)], offsets(counts), counts)


class Known:
    """Some hashes, ready to be asked for others: a table of bits answers for most, a binary search for the rest."""

    def __init__(self, hashes: Unsigned) -> None:
        """Keep the hashes sorted; their first bits must be as random as the others."""
        self.hashes = np.sort(hashes)
        bits = min(max((_TABLE_LOAD * len(hashes)).bit_length(), 10), 27)
        self.shift = np.uint64(64 - bits)
        self.table = np.zeros(1 << bits, dtype=np.bool_)
        self.table[self.hashes >> self.shift] = True

    def has(self, hashes: Unsigned) -> Flags:
        """Which of these are known. Shape as given, one dimension."""
        found = np.zeros(len(hashes), dtype=np.bool_)
        found[self.found(hashes)[0]] = True
        return found

    def found(self, hashes: Unsigned) -> tuple[Counts, Counts]:
        """The places of those that are known, rising, and the place of each in `self.hashes`."""
        at = np.flatnonzero(self.table[hashes >> self.shift])
        own = np.minimum(np.searchsorted(self.hashes, hashes[at]), max(len(self.hashes) - 1, 0))
        is_known = self.hashes[own] == hashes[at] if len(at) else np.zeros(0, dtype=np.bool_)
        return at[is_known], own[is_known]


def slices(weights: Counts, most: int) -> Iterator[slice]:
    """Neighbouring rows in groups whose weights sum to at most `most`; a heavier row is a group of its own."""
    ends = np.cumsum(weights)
    first = 0
    while first < len(weights):
        before = int(ends[first - 1]) if first else 0
        last = max(int(np.searchsorted(ends, before + most, side="right")), first + 1)
        yield slice(first, last)
        first = last


@cache
def _powers(bits: int) -> tuple[Unsigned, Unsigned]:
    """B^0, B^1, ... and the same of its inverse, 2^bits of each."""
    tables = []
    for base in (BASE, _INVERSE):
        powers = np.full(2**bits, base, dtype=np.uint64)
        powers[0] = 1
        tables.append(np.multiply.accumulate(powers))
    return tables[0], tables[1]

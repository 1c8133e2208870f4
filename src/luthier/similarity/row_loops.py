"""Loops over the words of many texts: `sharing` and `alike` in one pass."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from luthier.similarity.compiling import (
    BASE,
    FIRST,
    HALF,
    I64,
    NOTHING,
    ONE,
    R32,
    RI64,
    SEED,
    U32,
    U64,
    WHOLE,
    loop,
    mixed,
)


@loop()
def _spread(code: Any) -> Any:
    value = np.uint64(code) * FIRST
    return (value ^ (value >> HALF)) + SEED


@loop(WHOLE(R32, RI64, RI64, RI64, WHOLE, WHOLE, numba.uint64, numba.uint64, numba.uint64, numba.uint64, U64))
def pack_grams(
    words: Any, starts: Any, counts: Any, rows: Any, width: Any, border: Any, seed: Any, bits: Any, number: Any,
    num_passes: Any, packed: Any,
) -> Any:  # fmt: skip
    """Hash and row number of each run of words of some rows, of one range of hashes; returns how many there are.

    `border`: 1 where the borders of a text count as words of code 0, else 0.
    """
    num, leading = 0, ONE
    for _ in range(width - 1):
        leading *= BASE
    half = np.uint64(32)
    for row in range(len(rows)):
        sum_of, first = NOTHING, starts[row] - border
        for place in range(counts[row] + 2 * border):
            at = first + place
            is_word = starts[row] <= at < starts[row] + counts[row]
            sum_of = sum_of * BASE + _spread(words[at] if is_word else np.uint32(0))
            if place + 1 < width:
                continue
            found = mixed(sum_of + seed * leading)
            if num_passes == ONE or ((found >> half) * num_passes) >> half == number:
                packed[num] = (found >> bits) << bits | np.uint64(rows[row])
                num += 1
            at -= width - 1
            is_word = starts[row] <= at < starts[row] + counts[row]
            sum_of -= _spread(words[at] if is_word else np.uint32(0)) * leading
    return num


@loop()
def _by_digit(source: Any, begin: Any, target: Any, other: Any, num: Any, shift: Any, places: Any) -> None:
    """Copy `num` numbers, ordered by the eight bits from `shift` on; equal ones stay in their order."""
    for value in range(257):
        places[value] = 0
    for at in range(num):
        places[((source[begin + at] >> shift) & np.uint64(255)) + ONE] += 1
    for value in range(256):
        places[value + 1] += places[value]
    for at in range(num):
        digit = (source[begin + at] >> shift) & np.uint64(255)
        target[other + places[digit]] = source[begin + at]
        places[digit] += 1


@loop()
def _insert(values: Any, begin: Any, end: Any) -> None:
    for at in range(begin + 1, end):
        value, place = values[at], at
        while place > begin and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value


@loop(numba.void(U64, U64, WHOLE, I64, I64))
def sort(values: Any, room: Any, low: Any, borders: Any, places: Any) -> None:
    """Sort numbers whose bits below `low` are in order already, among those that are equal above: by their first bits
    into parts that stay in the processor's cache, each of these from its last bits on.

    `room` has as many numbers, `borders` 2^10 + 2 and `places` 2^10 + 1.
    """
    total, first = len(values), np.uint64(54)
    for part in range(len(borders)):
        borders[part] = 0
    for at in range(total):
        room[at] = values[at]
        borders[(values[at] >> first) + ONE] += 1
    for part in range(1024):
        borders[part + 1] += borders[part]
        places[part] = borders[part]
    for at in range(total):
        part_of = room[at] >> first
        values[places[part_of]] = room[at]
        places[part_of] += 1
    for part in range(1024):
        begin, num = borders[part], borders[part + 1] - borders[part]
        if num <= 32:
            _insert(values, begin, begin + num)
            continue
        shift, is_there = low, True
        while shift < 54:
            if is_there:
                _by_digit(values, begin, room, 0, num, np.uint64(shift), places)
            else:
                _by_digit(room, 0, values, begin, num, np.uint64(shift), places)
            is_there = not is_there
            shift += 8
        if not is_there:
            for at in range(num):
                values[begin + at] = room[at]


@loop(WHOLE(U64, numba.uint64, I64, I64, I64))
def keep_shared(entries: Any, bits: Any, repeated: Any, starts: Any, counts: Any) -> Any:
    """Of sorted entries keep, in place, those of runs that several rows have, each once a row; returns how many runs
    there are. `repeated`: of each row, by how much its entries were too many."""
    kept, num_runs, at = 0, 0, 0
    row_bits = (ONE << bits) - ONE
    while at < len(entries):
        begin, key = kept, entries[at] >> bits
        last = entries[at]
        entries[kept] = last
        kept, at = kept + 1, at + 1
        while at < len(entries) and entries[at] >> bits == key:
            if entries[at] == last:
                repeated[last & row_bits] += 1
            else:
                last = entries[at]
                entries[kept] = last
                kept += 1
            at += 1
        if kept - begin == 1:
            kept = begin
            continue
        starts[num_runs], counts[num_runs] = begin, kept - begin
        num_runs += 1
    return num_runs


@loop(numba.void(R32, RI64, RI64, R32, RI64, RI64, I64, I64))
def trim(
    left: Any, left_starts: Any, left_counts: Any, right: Any, right_starts: Any, right_counts: Any,
    before: Any, behind: Any,
) -> None:  # fmt: skip
    """How many words the two texts of each pair have in common at the beginning and, of the others, at the end."""
    for pair in range(len(left_starts)):
        one, other = left_starts[pair], right_starts[pair]
        num, shorter = 0, min(left_counts[pair], right_counts[pair])
        while num < shorter and left[one + num] == right[other + num]:
            num += 1
        before[pair] = num
        one, other = one + left_counts[pair] - 1, other + right_counts[pair] - 1
        shorter, num = shorter - num, 0
        while num < shorter and left[one - num] == right[other - num]:
            num += 1
        behind[pair] = num


@loop(WHOLE(R32, WHOLE, WHOLE, R32, WHOLE, WHOLE, WHOLE, I64, I64))
def _distance(
    left: Any, one: Any, num_left: Any, right: Any, other: Any, num_right: Any, most: Any, reached: Any, room: Any
) -> Any:
    """Words to change, or most + 1; `reached` and `room` have 2 * most + 3 places, the outermost of them -1."""
    goal = num_right - num_left
    for diagonal in range(2 * most + 3):
        reached[diagonal] = room[diagonal] = -1
    for count in range(most + 1):
        for diagonal in range(-count, count + 1):
            middle = diagonal + most + 1
            place = -1
            if reached[middle] >= 0:
                place = reached[middle] + 1
            if reached[middle + 1] >= 0:
                place = max(place, reached[middle + 1] + 1)
            place = max(place, reached[middle - 1]) if count > 0 else 0
            if place < 0 or place > num_left or place + diagonal < 0 or place + diagonal > num_right:
                room[middle] = -1
                continue
            while (
                place < num_left and place + diagonal < num_right
                and left[one + place] == right[other + place + diagonal]
            ):  # fmt: skip
                place += 1
            room[middle] = place
            if diagonal == goal and place >= num_left:
                return count
        for diagonal in range(2 * most + 3):
            reached[diagonal] = room[diagonal]
    return most + 1


@loop(numba.void(R32, RI64, RI64, R32, RI64, RI64, WHOLE, WHOLE, RI64, RI64, I64, I64, I64))
def distances(
    left: Any, left_starts: Any, left_counts: Any, right: Any, right_starts: Any, right_counts: Any,
    most: Any, widest: Any, before: Any, behind: Any, found: Any, reached: Any, room: Any,
) -> None:  # fmt: skip
    """The distances of pairs of texts without what both begin and end with."""
    for pair in range(len(found)):
        num_left = left_counts[pair] - before[pair] - behind[pair]
        num_right = right_counts[pair] - before[pair] - behind[pair]
        if max(num_left, num_right) > widest or abs(num_left - num_right) > most:
            found[pair] = most + 1
            continue
        found[pair] = _distance(
            left, left_starts[pair] + before[pair], num_left, right, right_starts[pair] + before[pair], num_right,
            most, reached, room,
        )  # fmt: skip


@loop(numba.void(R32, RI64, RI64, U32, RI64))
def copy(values: Any, starts: Any, counts: Any, target: Any, new: Any) -> None:
    """Copy the run of so many values from each start to its new place."""
    for row in range(len(starts)):
        for place in range(counts[row]):
            target[new[row] + place] = values[starts[row] + place]

"""A subset of the rows by quality or diversity, and beside it random ones: whether a choice helps, only training tells.

Three subsets come out of every selection. `kept` is the choice. `control` is as many rows by lot. `control_tokens` is
as many tokens by lot: where a method prefers long rows, as many rows by lot are less to learn from. No model is at hand
here, so tokens are words, and of scripts without blanks signs. Both controls begin with the same rows of one random
order of all rows, and may hold rows that were chosen too; the report says how many.

    length       the longest answers (arXiv:2402.04833)
    diversity    rows that stand for all rows: facility location over hashed TF-IDF

Several methods together are combined by the mean of the ranks that each gives. The random order depends on the seed and
the number of rows alone, so that choices by several methods are held against one control.

Letters: N rows, B rows of a block.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, get_args

import numpy as np
import numpy.typing as npt

from luthier.curate.config import SelectMethod
from luthier.curate.counted_texts import num_words, words_in
from luthier.errors import ConfigError, Problem
from luthier.stats.text_vectors import hashed_tfidf

METHODS: tuple[SelectMethod, ...] = get_args(SelectMethod)
BLOCK_ROWS = 1_000
"""Diversity is looked for among so many rows at a time, drawn by lot, and each block gives its share (Mirzasoleiman et
al., arXiv:1411.0541, do so on many machines): time then grows with the rows and not with their square."""

WORD_BITS = 24
"""Of the hashes that words are counted by: 16 MiB for each subset."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that may be kept."""

    prompt: str
    answer: str


class Rows(Protocol):
    """Rows by number: a list, or what fetches each when it is asked for."""

    def __len__(self) -> int:
        """How many rows there are."""
        ...

    def __getitem__(self, row: int, /) -> Candidate:
        """One of them."""
        ...


class Selected(NamedTuple):
    """The choice, its controls, and why; rows are numbers into the candidates, in their order."""

    kept: tuple[int, ...]
    control: tuple[int, ...]
    """As many rows, by lot."""
    control_tokens: tuple[int, ...]
    """As many tokens, by lot: at least as many, and without the last row fewer."""
    scores: Mapping[str, tuple[float, ...]]
    """What each method says of each row. Of diversity: minus the place at which its block would take the row."""
    report: Mapping[str, Any]
    """Rows, tokens, mean lengths, overlap and word coverage of the three, as JSON."""


def select(rows: Rows, *, method: SelectMethod | Sequence[SelectMethod], keep: int, seed: int) -> Selected:
    """Keep `keep` of the rows; deterministic.

    ConfigError where a method is unknown, or where there are fewer than `keep` rows.
    """
    methods: tuple[SelectMethod, ...] = (method,) if isinstance(method, str) else tuple(dict.fromkeys(method))
    _check(methods, keep, len(rows))
    lot_rng, block_rng = np.random.default_rng(seed).spawn(2)
    tokens_N = np.array(
        [[num_words(row.prompt), num_words(row.answer)] for row in map(rows.__getitem__, range(len(rows)))],
        dtype=np.int64,
    )
    scores: dict[str, Floats] = {}
    if "length" in methods:
        scores["length"] = tokens_N[:, 1].astype(np.float64)
    if "diversity" in methods:
        scores["diversity"] = _diversity(rows, block_rng)
    kept = _best(scores, len(rows), keep)
    order = lot_rng.permutation(len(rows))
    sums = tokens_N.sum(axis=1)
    reached = np.searchsorted(np.cumsum(sums[order]), sums[kept].sum())
    control, control_tokens = np.sort(order[:keep]), np.sort(order[: reached + 1])
    subsets = {"kept": kept, "control": control, "control_tokens": control_tokens}
    covered = word_coverage(rows, subsets)
    report = {
        "methods": list(methods), "seed": seed, "rows": len(rows), "tokens": int(sums.sum()),
        **{name: {**_described(numbers, tokens_N, kept), "word_coverage": covered[name]}
           for name, numbers in subsets.items()},
    }  # fmt: skip
    return Selected(
        kept=tuple(kept.tolist()),
        control=tuple(control.tolist()),
        control_tokens=tuple(control_tokens.tolist()),
        scores={name: tuple(values.tolist()) for name, values in scores.items()},
        report=report,
    )


def _check(methods: Sequence[str], keep: int, num_rows: int) -> None:
    problems = [
        Problem(where="curate.select.methods", found=repr(name), expected=f"some of {', '.join(METHODS)}",
                fix="correct the name")
        for name in methods if name not in METHODS
    ]  # fmt: skip
    if not methods:
        problems.append(Problem(where="curate.select.methods", found="none", expected=f"some of {', '.join(METHODS)}",
                                fix="name one, or leave the step out"))  # fmt: skip
    if not 0 < keep <= num_rows:
        problems.append(Problem(where="curate.select.keep", found=f"{keep:,}", expected=f"1 to {num_rows:,} rows",
                                fix="correct the number"))  # fmt: skip
    if problems:
        raise ConfigError("a selection cannot be made", problems)


def _best(scores: Mapping[str, Floats], num_rows: int, keep: int) -> npt.NDArray[np.int64]:
    """The rows of the best mean rank; among equals the first."""
    ranks_N = np.zeros(num_rows)
    for values in scores.values():
        _, places = np.unique(-values, return_inverse=True)
        # Equal values have equal ranks: the mean of the places that they take up.
        counts = np.bincount(places)
        ranks_N += (np.cumsum(counts) - (counts - 1) / 2)[places]
    return np.sort(np.argsort(ranks_N, kind="stable")[:keep])


def _described(
    numbers: npt.NDArray[np.int64], tokens_N: npt.NDArray[np.int64], kept: npt.NDArray[np.int64]
) -> dict[str, Any]:
    prompts, answers = tokens_N[numbers].sum(axis=0).tolist()
    return {
        "rows": len(numbers), "tokens": prompts + answers, "mean_prompt_tokens": round(prompts / len(numbers), 2),
        "mean_answer_tokens": round(answers / len(numbers), 2),
        "share_in_kept": round(len(np.intersect1d(numbers, kept)) / len(numbers), 4),
    }  # fmt: skip


def word_coverage(rows: Rows, subsets: Mapping[str, npt.NDArray[np.int64]]) -> dict[str, float]:
    """Of each subset the share of the different words of all rows that stand in it, case ignored.

    Words are told apart by WORD_BITS bits of a hash, so some two count as one: of 500,000 words 1.5 in a hundred.
    """
    is_in = {name: np.isin(np.arange(len(rows)), numbers) for name, numbers in subsets.items()}
    seen, seen_in = np.zeros(1 << WORD_BITS, bool), {name: np.zeros(1 << WORD_BITS, bool) for name in subsets}
    for number in range(len(rows)):
        row = rows[number]
        words = {*words_in(row.prompt.lower()), *words_in(row.answer.lower())}
        places = [zlib.crc32(word.encode("utf-8", "surrogatepass")) >> (32 - WORD_BITS) for word in words]
        seen[places] = True
        for name, found in seen_in.items():
            if is_in[name][number]:
                found[places] = True
    total = max(1, int(seen.sum()))
    return {name: round(int(found.sum()) / total, 4) for name, found in seen_in.items()}


def _diversity(rows: Rows, rng: np.random.Generator) -> Floats:
    """Minus the place at which the block of each row would take it: 0, -1, -2, ..."""
    scores_N = np.empty(len(rows))
    num_blocks = -(-len(rows) // BLOCK_ROWS)
    for block in np.array_split(rng.permutation(len(rows)), num_blocks):
        some = [rows[number] for number in block.tolist()]
        vectors = hashed_tfidf([f"{row.prompt}\n{row.answer}" for row in some])
        similarity_BB = np.asarray((vectors @ vectors.T).todense(), dtype=np.float64)
        scores_N[block[facility_location(similarity_BB)]] = -np.arange(len(block), dtype=np.float64)
    return scores_N


def facility_location(similarity_BB: Floats) -> npt.NDArray[np.int64]:
    """All rows in the order in which each adds most to sum_i max_(j taken) similarity[i, j]; shape [B].

    The greedy order is within 1 - 1/e of the best subset of every size (Nemhauser, Wolsey and Fisher, 1978). A gain
    only shrinks as others are taken, so an old gain is a bound, and most are never computed anew (Minoux, 1978).
    Similarities are 0 or more; among equals the first row goes first.
    """
    columns = np.ascontiguousarray(similarity_BB.T)
    covered_B = np.zeros(len(columns))
    bounds = [(-gain, place) for place, gain in enumerate(columns.sum(axis=1).tolist())]
    heapq.heapify(bounds)
    order: list[int] = []
    while bounds:
        _, place = bounds[0]
        gain = float(np.maximum(columns[place] - covered_B, 0.0).sum())
        entry = (-gain, place)
        heapq.heapreplace(bounds, entry)
        if bounds[0] == entry:
            heapq.heappop(bounds)
            order.append(place)
            np.maximum(covered_B, columns[place], out=covered_B)
    return np.array(order, dtype=np.int64)

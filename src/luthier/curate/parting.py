"""Where each record goes, and the proof that what must be apart is apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from luthier.curate.config import CurateConfig
from luthier.curate.duplicates import first_of
from luthier.curate.gathered import Gathered
from luthier.curate.outputs import GOES_TO, NOWHERE, PREFERENCES
from luthier.curate.overlaps import shared_words
from luthier.curate.split import APART, PARTS, Groups, Ties, assign, groups
from luthier.errors import DataError, Problem

ON_HELD_OUT_PROMPT = "preference on a held-out prompt"
IN_HELD_OUT_FILE = "preference in a held-out file"
LINKED_HELD_OUT = "link to a held-out row"
HELD_OUT = PARTS.index("held_out")
SHOWN_ROWS = 10
"""Of a piece of a file without usable rows, so many are told with what is wrong."""
SAID = ("where", "found", "expected", "fix")


def ties_of(table: Gathered) -> Ties:
    """What ties the records of the table; links of merged records count for the one that stays."""
    end = table.end_of()
    edges = table.edges()
    earlier, links = edges[~edges["is_link"]], edges[edges["is_link"]]
    return Ties(
        prompts=table.column("prompt"), earlier_rows=earlier["row"], earlier=earlier["key"],
        link_rows=end[links["row"]], links=links["key"], pairs=end[table.near.rows],
    )  # fmt: skip


def check_overlap(table: Gathered) -> None:
    """DataError when a prompt stands among the rows to learn from and among those kept apart."""
    ties = ties_of(table)
    num = len(table)
    first = first_of(np.concatenate([ties.prompts, ties.earlier]))
    rows = np.concatenate([np.arange(num), ties.earlier_rows])
    is_learnt = table.is_learnt[rows]
    asked_by: dict[int, int] = {}
    apart = np.flatnonzero(~table.is_learnt & ~table.column("is_preference"))  # what is evaluated
    shared = np.isin(first[apart], first[is_learnt])
    for key, row in zip(first[is_learnt][::-1].tolist(), rows[is_learnt][::-1].tolist(), strict=True):
        asked_by[key] = row
    problems = [
        Problem(where=table.where(row), found=f"the prompt of {table.where(asked_by[int(first[row])])}",
                expected="a prompt that training never sees",
                fix="remove one of the two rows, or set data.allow_overlap = true")
        for row in apart[shared].tolist()
    ]  # fmt: skip
    if problems:
        count = f"{len(problems):,} held-out prompt{'s are' if len(problems) != 1 else ' is'}"
        raise DataError(f"{count} among the rows to learn from", problems)


def drop_linked(table: Gathered, ties: Ties) -> None:
    """Leave out what is learnt and has a link in common with a row of the held-out files that stays.

    Like rows near a held-out one, and unlike prompts in both, these are no error: who names a document on both sides
    has mostly cut one collection in two, and the rows on the one side that must go are known.
    """
    links = first_of(ties.links)
    is_held = table.is_held[ties.link_rows]
    rows = np.unique(ties.link_rows[np.isin(links, links[is_held])])
    table.drop(rows[(table.is_kept & table.is_learnt)[rows]], LINKED_HELD_OUT)


def parted(
    table: Gathered, ties: Ties, config: CurateConfig, *, has_held_out: bool, say: Callable[[str], None]
) -> tuple[np.ndarray, Groups]:
    """For each record a number in GOES_TO, NOWHERE for those that are not kept; and the groups that stay together.

    A preference in a group that is held out is dropped: training on it would leak. Where held-out rows were given as
    files (`has_held_out`), they are held_out, and their preferences are dropped. `say` hears which parts were filled.
    """
    goes_to = np.full(len(table), NOWHERE, np.uint8)
    is_preference = table.column("is_preference")
    rows = np.flatnonzero(table.is_kept & table.is_learnt)
    found = groups(ties.of(rows))
    has_example = np.zeros(len(found.names), bool)
    has_example[found.of_row[~is_preference[rows]]] = True
    part_of = np.full(len(found.names), PARTS.index("train"), np.uint8)
    assigned = assign(
        [name for name, has in zip(found.names, has_example, strict=True) if has],
        dev_share=config.dev_share, held_out_share=0.0 if has_held_out else config.held_out_share, seed=config.seed,
    )  # fmt: skip
    part_of[has_example] = assigned.parts
    for part in assigned.filled:
        say(f"curate | warning: the rows are so few that by chance none came to {part}; it was filled with some, which "
            "may go elsewhere when rows are added")  # fmt: skip
    goes_to[rows] = np.where(is_preference[rows], GOES_TO.index(PREFERENCES), part_of[found.of_row])
    leaking = rows[is_preference[rows] & (part_of[found.of_row] == HELD_OUT)]
    table.drop(leaking, ON_HELD_OUT_PROMPT)
    goes_to[leaking] = NOWHERE
    apart = np.flatnonzero(table.is_kept & ~table.is_learnt)
    goes_to[apart] = HELD_OUT
    table.drop(apart[is_preference[apart]], IN_HELD_OUT_FILE)
    goes_to[apart[is_preference[apart]]] = NOWHERE
    return goes_to, replace(found, filled=assigned.filled)


def no_held_out(table: Gathered) -> DataError:
    """The error of held-out files of which no row is left, so that nothing could be evaluated on."""
    problems = [
        Problem(where=str(path), found="no row that is kept", expected="rows to evaluate on",
                fix="see quarantine.jsonl and dropped.jsonl for its rows, or leave the file out of data.held_out")
        for path in table.files[table.num_learnt :]
    ]  # fmt: skip
    for number, shard in zip(table.file_of_shard, table.shards, strict=True):
        found = shard.lines("quarantine") if number >= table.num_learnt else ()
        problems += [Problem(**{name: entry[name] for name in SAID}) for _, entry in islice(found, SHOWN_ROWS)]
    return DataError("no row of data.held_out can be used", problems)


def certificate(table: Gathered, ties: Ties, goes_to: np.ndarray, *, has_sketches: bool) -> dict[str, Any]:
    """For two parts that must be apart: prompts of the second that the first trains on, links in both, pairs of rows
    that say or ask nearly the same with the largest similarity among them, and, where rows were compared by their words
    (`has_sketches`), rows of the second that share most of their words with the first.

    Counted anew from where the records went, not from the groups that decided it.
    """
    num = len(table)
    asked = first_of(np.concatenate([ties.prompts, ties.earlier]))
    links = first_of(ties.links)
    counts: dict[str, dict[str, int]] = {"prompts": {}, "links": {}, "near": {}}
    largest: dict[str, float | None] = {}
    for a, b in APART:
        in_a, in_b = (goes_to == GOES_TO.index(part) for part in (a, b))
        trained = np.concatenate([asked[:num][in_a], asked[num:][in_a[ties.earlier_rows]]])
        pair = f"{a}/{b}"
        counts["prompts"][pair] = len(np.intersect1d(trained, asked[:num][in_b]))
        counts["links"][pair] = len(np.intersect1d(links[in_a[ties.link_rows]], links[in_b[ties.link_rows]]))
        left, right = ties.pairs[:, 0], ties.pairs[:, 1]
        across = (in_a[left] & in_b[right]) | (in_b[left] & in_a[right])
        counts["near"][pair] = int(across.sum())
        found = table.near.similarity[across]
        largest[pair] = round(float(found.max()), 4) if len(found) else None
    words = shared_words(table, goes_to, GOES_TO) if has_sketches else {}
    return {**counts, "largest_similarity": largest, "shared_words": words}


def told_of(found: Groups) -> dict[str, Any]:
    """What the certificate says of groups: how many ties of each kind held rows together, the largest group, and which
    parts had to be filled."""
    sizes = np.bincount(found.of_row, minlength=1)
    ties = {**found.edges, "groups": len(found.names), "largest group": int(sizes.max())}
    return {"ties": ties, "filled": list(found.filled)}

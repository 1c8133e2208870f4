"""Train, dev and held_out, so that no prompt, no near-duplicate and no link is in two of them.

Rows with one prompt (that of an earlier turn counts, since it is trained on too), rows that ask or say nearly the same,
and rows with a link in common (a document, a conversation, a user) form a group that is never parted. Where a group
goes is decided by a hash of the seed and of the group alone: adding rows moves no other row. A row moves only when new
rows link its group to another, or give it another name, or where the set is so small that chance left a part empty: the
group that such a part was filled with goes back where its hash says when new rows fall to that part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from luthier.curate.duplicates import first_of, hex_of

Part = Literal["train", "dev", "held_out"]
PARTS: tuple[Part, ...] = get_args(Part)
APART = (("train", "dev"), ("train", "held_out"), ("dev", "held_out"), ("preferences", "held_out"))
"""What the certificate compares. Preferences are trained on, so they are kept from held_out like train is."""


@dataclass(frozen=True, slots=True)
class Ties:
    """What a split looks at in N rows."""

    prompts: np.ndarray
    """[N, 2] uint64, keys of what each row asks."""
    earlier_rows: np.ndarray
    """[E] rows with earlier turns, once a turn."""
    earlier: np.ndarray
    """[E, 2] uint64, keys of what these turns ask: training on a row trains on them too."""
    link_rows: np.ndarray
    """[L] rows with links, once a link."""
    links: np.ndarray
    """[L, 2] uint64, keys of the links."""
    pairs: np.ndarray
    """[P, 2] rows that ask or say nearly the same."""

    def of(self, rows: np.ndarray) -> Ties:
        """The ties of some rows (sorted numbers) among themselves, numbered anew."""
        number = np.full(len(self.prompts), -1, np.int64)
        number[rows] = np.arange(len(rows))
        earlier, links = number[self.earlier_rows], number[self.link_rows]
        pairs = number[self.pairs] if len(self.pairs) else self.pairs
        return Ties(
            self.prompts[rows], earlier[earlier >= 0], self.earlier[earlier >= 0], links[links >= 0],
            self.links[links >= 0], pairs[(pairs >= 0).all(axis=1)],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows that must stay together."""

    of_row: np.ndarray
    """[N] the number of each row's group."""
    names: list[str]
    """The name of each group: its first link, or its first prompt where it has none, by their keys."""
    edges: Mapping[str, int]
    """How many ties of each kind there are."""
    filled: tuple[Part, ...] = ()
    """Parts to which none of them fell, and which were given one."""


def groups(ties: Ties) -> Groups:
    """The groups of some rows."""
    num = len(ties.prompts)
    asked = first_of(np.concatenate([ties.prompts, ties.earlier]))
    is_asked = asked[num:] < num  # else nobody asks only that, and a common opening ties nothing
    linked = first_of(ties.links)
    edges = {
        "prompt": _tied(np.arange(num), asked[:num]),
        "earlier turn": _tied(ties.earlier_rows[is_asked], asked[num:][is_asked]),
        "link": _tied(ties.link_rows, ties.link_rows[linked]),
        "near": _tied(ties.pairs[:, 0], ties.pairs[:, 1]),
    }
    of_row = connected(num, np.concatenate(list(edges.values())))
    count = int(of_row.max()) + 1 if num else 0
    first_prompt = _least(of_row, ties.prompts, count)
    first_link = _least(of_row[ties.link_rows], ties.links, count)
    names = [
        f"link {hex_of(ties.links[link])}" if link >= 0 else f"prompt {hex_of(ties.prompts[prompt])}"
        for link, prompt in zip(first_link.tolist(), first_prompt.tolist(), strict=True)
    ]
    return Groups(of_row, names, {kind: len(found) for kind, found in edges.items()})


class Assigned(NamedTuple):
    """Where groups go."""

    parts: np.ndarray
    """[N] uint8: the part of each group, as a number in PARTS."""
    filled: tuple[Part, ...]
    """Parts to which no group fell, and which were given one; it may leave them when groups are added."""


def assign(names: Sequence[str], *, dev_share: float, held_out_share: float, seed: int) -> Assigned:
    """The part of each of these groups.

    With few groups a part that has a share gets one group even if none fell to it.
    """
    draws = np.array([_draw(name, seed) for name in names])
    # From opposite ends, so that changing one share never moves a row of the other part.
    parts: np.ndarray = np.where(draws < held_out_share, 2, np.where(draws >= 1 - dev_share, 1, 0)).astype(np.uint8)
    wanted: list[Part] = ["train"]
    wanted += ["held_out"] if held_out_share else []
    wanted += ["dev"] if dev_share else []
    filled: list[Part] = []
    for rank, part in enumerate(wanted):
        is_empty = not (parts == PARTS.index(part)).any()
        if is_empty and _fill(part, parts, draws, names, less_wanted=wanted[rank + 1 :]):
            filled.append(part)
    return Assigned(parts, tuple(filled))


def connected(num_nodes: int, edges: np.ndarray) -> np.ndarray:
    """The connected component of each node, [num_nodes] int32, from edges [N, 2]."""
    graph = coo_matrix((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(num_nodes, num_nodes))
    labels: np.ndarray = connected_components(graph, directed=False)[1]
    return labels


def _tied(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Edges between different rows, [N, 2]."""
    edges: np.ndarray = np.stack([left, right], axis=1)[left != right].astype(np.int64)
    return edges


def _least(groups_of: np.ndarray, keys: np.ndarray, count: int) -> np.ndarray:
    """For each group the entry with the least key, -1 where it has none, [count]."""
    order = np.lexsort((keys[:, 1], keys[:, 0], groups_of))
    found = np.full(count, -1, np.int64)
    found[groups_of[order[::-1]]] = order[::-1]  # the last that is written is the least
    return found


def _fill(
    part: Part, parts: np.ndarray, draws: np.ndarray, names: Sequence[str], *, less_wanted: Sequence[Part]
) -> bool:
    """Move one group into an empty part: out of the part with most groups, unless that would leave it empty. Whether
    there was one to move."""
    counts = dict(zip(PARTS, np.bincount(parts, minlength=len(PARTS)).tolist(), strict=True))
    donors = [donor for donor in PARTS if counts[donor] > 1] or [donor for donor in less_wanted if counts[donor]]
    if not donors:
        return False
    donor = max(donors, key=lambda name: counts[name])
    given = sorted((draws[n], names[n], n) for n in np.flatnonzero(parts == PARTS.index(donor)).tolist())
    chosen = given[{"held_out": 0, "train": len(given) // 2, "dev": -1}[part]][2]
    parts[chosen] = PARTS.index(part)
    return True


def _draw(name: str, seed: int) -> float:
    """A number in [0, 1) that depends on the seed and the group alone."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64

"""Train, dev and held_out, so that no prompt and no link is in two of them.

Rows with one prompt (that of an earlier turn counts, since it is trained on too) and rows with a link in common (a
document, a conversation, a user) form a group that is never parted. Where a group goes is decided by a hash of the seed
and of the group alone: adding rows moves no other row. A row moves only when new rows link its group to another.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

Part = Literal["train", "dev", "held_out"]
PARTS: tuple[Part, ...] = ("train", "dev", "held_out")
APART = (("train", "dev"), ("train", "held_out"), ("dev", "held_out"), ("preferences", "held_out"))
"""What the certificate compares. Preferences are trained on, so they are kept from held_out like train is."""


class Item(NamedTuple):
    """What a split looks at in a row."""

    prompt_key: str
    """Of what the row asks."""
    links: tuple[str, ...] = ()
    earlier_keys: tuple[str, ...] = ()
    """Of what earlier turns of the row ask: training on it trains on these too."""


def groups(items: Sequence[Item]) -> list[str]:
    """The group of each item, named by its first link, or by its prompt where it has none."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    asked = {item.prompt_key for item in items}
    for item in items:
        # A name that sorts first is the root of its group: "link" before "prompt", then by content.
        prompts = (item.prompt_key, *(key for key in item.earlier_keys if key in asked))
        nodes = [*(f"prompt {key}" for key in prompts), *(f"link {link}" for link in item.links)]
        roots = sorted(root(node) for node in nodes)
        for other in roots[1:]:
            parent[other] = roots[0]
    return [root(f"prompt {item.prompt_key}") for item in items]


def assign(names: Iterable[str], *, dev_share: float, held_out_share: float, seed: int) -> dict[str, Part]:
    """The part of each group. With few groups a part that has a share gets one group even if none fell to it."""
    draws = {name: _draw(name, seed) for name in sorted(set(names))}
    parts: dict[str, Part] = {}
    for name, draw in draws.items():
        # From opposite ends, so that changing one share never moves a row of the other part.
        parts[name] = "held_out" if draw < held_out_share else "dev" if draw >= 1 - dev_share else "train"
    wanted: list[Part] = ["train"]
    wanted += ["held_out"] if held_out_share else []
    wanted += ["dev"] if dev_share else []
    for rank, part in enumerate(wanted):
        if part not in parts.values():
            _fill(part, parts, draws, less_wanted=wanted[rank + 1 :])
    return parts


def certificate(parts: Mapping[str, Sequence[Item]]) -> dict[str, dict[str, int]]:
    """For two parts that must be apart: how many prompts of the second the first trains on, and links in both."""
    asked = {name: {item.prompt_key for item in items} for name, items in parts.items()}
    trained = {name: asked[name].union(*(item.earlier_keys for item in items)) for name, items in parts.items()}
    links = {name: {link for item in items for link in item.links} for name, items in parts.items()}
    return {
        "prompts": {f"{a}/{b}": len(trained[a] & asked[b]) for a, b in APART},
        "links": {f"{a}/{b}": len(links[a] & links[b]) for a, b in APART},
    }


def _fill(part: Part, parts: dict[str, Part], draws: Mapping[str, float], *, less_wanted: Sequence[Part]) -> None:
    """Move one group into an empty part: out of the part with most groups, unless that would leave it empty."""
    counts = Counter(parts.values())
    donors = [donor for donor in PARTS if counts[donor] > 1] or [donor for donor in less_wanted if counts[donor]]
    if not donors:
        return
    donor = max(donors, key=lambda name: counts[name])
    given = sorted((draw, name) for name, draw in draws.items() if parts[name] == donor)
    parts[given[{"held_out": 0, "train": len(given) // 2, "dev": -1}[part]][1]] = part


def _draw(name: str, seed: int) -> float:
    """A number in [0, 1) that depends on the seed and the group alone."""
    digest = hashlib.blake2b(f"{seed} {name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64

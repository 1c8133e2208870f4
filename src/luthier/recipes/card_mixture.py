"""The mixture that a model was trained on, as its card tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.recipes.card_sources import TrainedStage

SHOWN = 40
"""Groups of a table: those with the largest shares."""
TITLES = {"source": "file", "task": "task", "cluster": "cluster"}


def mixture_tables(chain: Sequence[TrainedStage]) -> list[tuple[str, list[str], list[list[str]]]]:
    """For each stage with a mixture, and for files, tasks and clusters: what it says, the columns, the rows."""
    found = []
    for stage in chain:
        mixture: Mapping[str, Any] = stage.trained.get("mixture") or {}
        for kind, title in TITLES.items():
            groups = mixture.get(kind)
            if not groups:
                continue
            order = sorted(groups, key=lambda name: -groups[name]["share"])
            rows = [
                [name, f"{groups[name]['rows']:,}", f"{100 * groups[name]['share']:.2f} %",
                 f"{groups[name]['epochs']:.2f}"]
                for name in order[:SHOWN]
            ]  # fmt: skip
            if len(order) > SHOWN:
                rest = [groups[name] for name in order[SHOWN:]]
                epochs = [group["epochs"] for group in rest]
                rows.append([f"{len(rest):,} more", f"{sum(group['rows'] for group in rest):,}",
                             f"{100 * sum(group['share'] for group in rest):.2f} %",
                             f"{min(epochs):.2f} to {max(epochs):.2f}"])  # fmt: skip
            is_over = " (what the mixture is over)" if mixture.get("by") == kind else ""
            found.append(
                (f"{stage.name}, by {title}{is_over}:", [title, "rows", "share of rows taken", "epochs"], rows)
            )
    return found

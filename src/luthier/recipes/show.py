"""A row as the model sees it."""

from __future__ import annotations

from pathlib import Path

from luthier.curate.rows import row_at


def shown(place: str, *, model: Path) -> list[str]:
    """The rendered row, trained tokens in brackets, and the counts."""
    example = row_at(place)

    from luthier.models.load import load_model

    loaded = load_model(model)
    lines = [*loaded.notices]
    rows = loaded.renderer.render(example.messages, tools=example.tools, where=place)
    for number, row in enumerate(rows, start=1):
        if len(rows) > 1:
            lines.append(f"row {number} of {len(rows)}: this template rewrites history, so each answer is a row")
        lines.append(loaded.renderer.show(row))
        lines.append(
            f"{len(row.token_ids)} tokens, {row.num_trained} of them trained; "
            f"the model has {loaded.max_length} positions"
        )
    return lines

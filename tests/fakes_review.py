"""A small folder with flagged rows, made by curation itself, and the review page over it on a free port."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import Curated, curate
from luthier.curate.review.desk import Desk
from luthier.serve.config import ServeConfig
from luthier.serve.review import review_at

ATTACK = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">"
NUM_FLAGGED = 10
"""Rows 1 to 4 in two conflicts, 5 to 10 with an address."""

STEPS = ("clean", "language", "personal", "review", "exact", "near", "conflicts")
"""Other steps would flag these rows for reasons of their own."""


def rows() -> list[dict[str, object]]:
    """Ten rows that are flagged, and thirty that are not."""
    flagged: list[tuple[str, str]] = [
        ("When does the museum open on Sundays?", "The museum opens at nine."),
        ("When does the museum open on Sundays?", "The museum opens at ten."),
        ("Which is the longest river in Africa?", "The Nile."),
        ("Which is the longest river in Africa?", "The Congo."),
        *((f"Whom do I ask about parcel {n}{n}{n}?", f"Write to clerk{n}@example.org {ATTACK}.") for n in range(5, 11)),
    ]
    plain = [(f"Please count the {n} letters of word {n * 7}.", f"It has {n} letters.") for n in range(30)]
    return [{"prompt": prompt, "completion": answer} for prompt, answer in (*flagged, *plain)]


def curated(tmp_path: Path, *, decisions: Path | None = None, name: str = "curated") -> Curated:
    """The rows curated into tmp_path/NAME; those with personal data are flagged, not changed."""
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    config = CurateConfig.model_validate({
        "personal": {"action": "flag"}, "workers": 1, "decisions": decisions, "steps": STEPS,
    })  # fmt: skip
    return curate([data], out=tmp_path / name, config=config, say=lambda _: None)


@dataclass(frozen=True)
class Reviewing:
    """A review page that is up."""

    url: str
    link: str
    desk: Desk
    said: list[str]
    server: uvicorn.Server


@contextmanager
def reviewing(folder: Path, decisions: Path) -> Iterator[Reviewing]:
    """The page over a folder, up on entry and down on exit."""
    said: list[str] = []
    desk = Desk.open(folder, decisions)
    with review_at(desk, ServeConfig(port=0), say=said.append) as ready:
        thread = threading.Thread(target=ready.run, name="test-review")
        thread.start()  # the listener takes connections already
        try:
            yield Reviewing(ready.link.partition("/?")[0], ready.link, desk, said, ready.server)
        finally:
            ready.server.should_exit = True
            thread.join(60)
            assert not thread.is_alive(), "the server did not stop"

"""Work through the rows that curation flagged, in the browser; decisions last and are done at the next curation.

luthier review curated
"""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from html import escape
from pathlib import Path
from typing import NamedTuple

from luthier.curate.review.decision_log import has_locks
from luthier.curate.review.desk import Desk
from luthier.errors import ConfigError, Problem
from luthier.runs import read_json

DECISIONS = "review.jsonl"


class Places(NamedTuple):
    """What is reviewed, and where decisions go."""

    folder: Path
    decisions: Path
    replay: str
    """How to have the decisions done: a command, or a line for the recipe."""


def main(
    place: Path, *, decisions: Path | None, host: str, port: int, opens_browser: bool, say: Callable[[str], None]
) -> None:
    """Serve the page until told to stop. ConfigError or DataError when there is nothing that can be reviewed."""
    places = places_of(place, decisions)
    desk = Desk.open(places.folder, places.decisions)
    if desk.log.cut_off:
        shown = desk.log.cut_off[:200].decode("utf-8", "replace")
        say(f"review | warning: the last line of {places.decisions} was torn, and was cut off: {shown}")
    if not _has_locks(places.decisions):
        say(f"review | warning: the disk of {places.decisions} has no locks: let no other `luthier review` add to this "
            "file at the same time, or decisions may be lost")  # fmt: skip
    todo = desk.start()
    if not todo["total"]:
        say(f"review | nothing is flagged in {places.folder}")
        return

    from luthier.serve.config import ServeConfig
    from luthier.serve.review import review_at

    with review_at(desk, ServeConfig(host=host, port=port), say=say) as ready:
        say(f"review | {places.folder} | {todo['total'] - todo['decided']:,} of {todo['total']:,} rows to decide")
        say(f"review | decisions go to {places.decisions}")
        say(f"review | {ready.link} | opens once | Ctrl-C stops")
        with opened_by_file(ready.link, places.decisions.parent) if opens_browser and _has_desktop() else nullcontext():
            ready.run()
    done = desk.start()
    counts = ", ".join(f"{kind} {count:,}" for kind, count in done["states"].items() if count)
    say(f"review | {done['decided']:,} of {done['total']:,} rows decided{': ' + counts if counts else ''}")
    if done["decided"]:
        say(f"review | {places.replay}")


def places_of(place: Path, decisions: Path | None) -> Places:
    """The curated folder that `place` means (itself, that of a run, that of a recipe), and its file of decisions.

    That file is, in this order: `decisions`, the recipe's `curate.decisions`, review.jsonl. It lies in the curated
    folder, or, where that is a stage of a run, beside it: a stage clears its folder before it works.
    """
    if place.suffix == ".toml":
        from luthier.recipes.loading import as_tune, load_recipe

        recipe = as_tune(load_recipe(place))
        chosen = decisions or recipe.curate.decisions or recipe.run.dir / DECISIONS
        command = f"luthier curate {place}" if recipe.curate.decisions == chosen else \
            f"luthier curate {place} curate.decisions={chosen}"  # fmt: skip
        return Places(recipe.run.dir / "curate", chosen, f"done again at each curation: {command}")
    if not place.is_dir():
        raise ConfigError("there is nothing to review", [
            Problem(where=str(place), found="no such folder" if not place.exists() else "a file",
                    expected="a folder that `luthier curate` wrote, a run folder, or a recipe",
                    fix="luthier curate --data FILE --out FOLDER, then name FOLDER here"),
        ])  # fmt: skip
    folder = place / "curate" if (place / "curate" / "flagged.jsonl").is_file() else place
    run = folder.parent if folder.resolve().name == "curate" and (folder.parent / "config.json").is_file() else None
    named = (read_json(run / "config.json").get("curate") or {}).get("decisions") if run else None
    beside = (run or folder) / DECISIONS
    chosen = decisions or (Path(named) if named else beside)
    is_known = named is not None and Path(named) == chosen
    replay = "done again at each curation" if is_known else \
        f'to have them done at each curation, write into the recipe: [curate] decisions = "{chosen}"'  # fmt: skip
    return Places(folder, chosen, replay)


@contextmanager
def opened_by_file(link: str, folder: Path) -> Iterator[None]:
    """Open the link by way of a file that leads to it, there until the end, which nobody else may read.

    A command that starts a browser is seen by all users of a machine, with all that it is told. The file is hidden, so
    that nothing takes it for data, and not among temporary ones, which a confined browser does not see.
    """
    try:
        number, name = tempfile.mkstemp(prefix=".review-", suffix=".html", dir=folder)  # for its owner only
    except OSError:
        yield  # the terminal shows the link
        return
    file = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as page:
            page.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(link)}">')
        webbrowser.open(file.absolute().as_uri())
        yield
    finally:
        file.unlink(missing_ok=True)


def _has_locks(decisions: Path) -> bool:
    try:
        return has_locks(decisions)
    except OSError:
        return True  # a file that cannot be written at all is told with the first decision


def _has_desktop() -> bool:
    """Whether a browser that is opened here is one that the person sees, and not one within this terminal."""
    if "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform == "darwin" or any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY"))

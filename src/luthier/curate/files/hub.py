"""Datasets of the Hugging Face hub, as the files in which the datasets library keeps them.

A name is OWNER/NAME, or hub:OWNER/NAME/CONFIG:SPLIT in full; the split is "train" unless said.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from luthier.errors import DataError, Problem

HUB = "hub:"
_NAME = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:/(?P<config>[\w.-]+))?(?::(?P<split>[\w.%+\[\]:-]+))?"
)


def is_hub_name(path: Path) -> bool:
    """Whether a path is the name of a dataset of the hub: no path that is there or that could be a mistyped one."""
    text = str(path)
    if text.startswith(HUB):
        return True
    match = _NAME.fullmatch(text)
    return match is not None and not match["config"] and not path.exists() and not path.parent.exists()


def hub_problem(path: Path) -> Problem | None:
    """Why no dataset of this name can be read, as far as it is known without a network."""
    if _NAME.fullmatch(str(path).removeprefix(HUB)) is None:
        return Problem(where=str(path), found="a name of another form",
                       expected=f"OWNER/NAME, {HUB}OWNER/NAME/CONFIG:SPLIT or the like",
                       fix="write the name as the hub shows it")  # fmt: skip
    if importlib.util.find_spec("datasets") is None:
        return Problem(where=str(path), found="no file of this name, and no library that reads the hub",
                       expected="a file, a folder, or the datasets library for OWNER/NAME",
                       fix='check the path; for a dataset of the hub: .venv/bin/pip install -e ".[hub]"')  # fmt: skip
    return None


def hub_files(path: Path) -> list[Path]:
    """The files of a dataset that `hub_problem` has nothing against; the datasets library fetches what is not there."""
    from datasets import load_dataset

    match = _NAME.fullmatch(str(path).removeprefix(HUB))
    assert match is not None
    try:
        dataset = load_dataset(match["name"], match["config"], split=match["split"] or "train")
    except (OSError, ValueError, RuntimeError) as error:
        raise _no_dataset(path, f"{type(error).__name__}: {error}", "a dataset that can be fetched") from error
    files = [Path(entry["filename"]) for entry in dataset.cache_files]
    if not files:
        raise _no_dataset(path, "a dataset that is not kept in files", "one that is")
    return files


def _no_dataset(path: Path, found: str, expected: str) -> DataError:
    return DataError("a dataset of the hub cannot be read", [
        Problem(where=str(path), found=found.split("\n", 1)[0], expected=expected,
                fix="check the name, the split and the network; or download its files and name those"),
    ])  # fmt: skip

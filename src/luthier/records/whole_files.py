"""A file that is there whole or not at all, whatever ends the program or the machine while it is written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """Write the pieces to `path`; what stood there stays until the new file is complete and on the disk.

    Folders are made if need be. Half of a file that was being written is left beside it as NAME.partial.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    with temporary.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())  # else a crash of the machine may leave the new name with nothing in it
    os.replace(temporary, path)


def write_text_whole(path: Path, text: str) -> None:
    """The same for a text, in UTF-8; line ends stay as they are."""
    write_whole(path, [text.encode("utf-8")])

"""The folder in which a curation works: its own, held by one run at a time, and no data of anybody.

OUT/.luthier-work/made-by-luthier      the mark without which nothing here is deleted, and the lock
OUT/.luthier-work/00000-000000/        a shard, see shards.py
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from luthier.curate.outputs import NAMES
from luthier.curate.subset import CONTROLS
from luthier.errors import ConfigError, DataError, Problem

WORK = ".luthier-work"
"""The folder of the shards, within the output folder; gone when all is written. Hidden, so it is never read as data."""
MARK = "made-by-luthier"
OUTPUTS = frozenset({
    *(f"{name}.jsonl{end}" for name in (*NAMES, *CONTROLS.values()) for end in ("", ".version.json")),
    "ledger.json", "bias.json", "card.html", "timings.json",
})  # fmt: skip
"""The files that a curation writes to its folder."""
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
"""What a disk answers that has no locks, as some of a network have none."""
OUTPUT_FOLDERS = ("export", WORK)


@contextlib.contextmanager
def work_folder(out: Path, *, say: Callable[[str], None] = lambda line: None) -> Iterator[Path]:
    """The work folder within `out`, ours alone in the block. It goes at the end; after an error it stays, to go on.

    On a disk without locks nothing keeps another run out, and `say` is told so. ConfigError when another run works in
    it, or when somebody else keeps files there.
    """
    folder = out / WORK
    lock = _locked(folder, say)
    try:
        yield folder
        _remove(folder)
    finally:
        os.close(lock)


def refuse_outputs(files: Iterable[Path], out: Path) -> None:
    """DataError when a file that is read is one that a curation into `out` writes."""
    here = out.resolve()
    problems = [
        Problem(where=str(path), found="a file that this curation writes", expected="data that it does not write over",
                fix="name another folder to write to, or give the data another place")
        for path in files if _is_written(path.resolve(), here)
    ]  # fmt: skip
    if problems:
        raise DataError(f"data would be written over in {out}", problems)


def _is_written(path: Path, out: Path) -> bool:
    if not path.is_relative_to(out):
        return False
    parts = path.relative_to(out).parts
    return not parts or (len(parts) == 1 and parts[0] in OUTPUTS) or parts[0] in OUTPUT_FOLDERS


def _locked(folder: Path, say: Callable[[str], None]) -> int:
    """Make the folder and its mark, and lock the mark; returns the descriptor that holds the lock."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / MARK).is_file() and any(folder.iterdir()):
                raise _foreign(folder)
            lock = os.open(folder / MARK, os.O_RDWR | os.O_CREAT, 0o644)
        except FileExistsError:
            raise _foreign(folder) from None
        except FileNotFoundError:  # a run that ends has just taken the folder away
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise ConfigError("another run writes to this folder", [
                Problem(where=str(folder.parent), found=f"a curation that holds {folder / MARK}",
                        expected="one curation at a time", fix="wait until it ends, or name another folder"),
            ]) from None  # fmt: skip
        except OSError as error:
            if error.errno not in NO_LOCKS:
                os.close(lock)
                raise
            say(f"{folder.parent}: this disk has no locks ({error.strerror}); see that no other curation writes to it")
        if _is_same(lock, folder / MARK):
            return lock
        os.close(lock)


def _is_same(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one at the path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove(folder: Path) -> None:
    """Delete the folder, its mark last: one that is cut off in between is still known as ours."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARK:
            path.unlink()
    (folder / MARK).unlink()
    with contextlib.suppress(OSError):  # the next run is in it already
        folder.rmdir()


def _foreign(folder: Path) -> ConfigError:
    return ConfigError("the work folder is not ours", [
        Problem(where=str(folder), found=f"files that no curation made: there is no {MARK}",
                expected="a folder of shards, or none", fix="move it away, or name another folder to write to"),
    ])  # fmt: skip

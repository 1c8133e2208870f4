"""What curation may delete, what it may read, and that only one run at a time writes to a folder."""

import errno
import fcntl
import json
import os

import pytest

from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import curate
from luthier.curate.workplace import MARK, WORK, work_folder
from luthier.errors import ConfigError, DataError


def pairs(count, start=0):
    return [{"prompt": f"question {k}", "completion": f"answer {k}"} for k in range(start, start + count)]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def done(data, out, said=None, **config):
    say = [].append if said is None else said.append
    return curate([data], out=out, config=CurateConfig(workers=1, **config), say=say)


def test_a_folder_named_work_beside_the_outputs_is_not_touched(tmp_path):
    mine = write(tmp_path / "work" / "thesis.jsonl", pairs(1))
    done(write(tmp_path / "data" / "rows.jsonl", pairs(10)), tmp_path)
    assert mine.is_file() and not (tmp_path / WORK).exists()


def test_a_work_folder_without_the_mark_is_refused_and_stays(tmp_path):
    mine = write(tmp_path / "out" / WORK / "mine.txt", pairs(1))
    data = write(tmp_path / "rows.jsonl", pairs(10))
    with pytest.raises(ConfigError, match=f"there is no {MARK}"):
        done(data, tmp_path / "out")
    assert mine.is_file()
    mine.unlink()
    done(data, tmp_path / "out")  # an empty one holds nothing of anybody
    assert not mine.parent.exists()
    mine.parent.write_text("a file")
    with pytest.raises(ConfigError, match="not ours"):
        done(data, tmp_path / "out")


def test_a_second_run_on_the_folder_is_refused_until_the_first_ends(tmp_path):
    data = write(tmp_path / "rows.jsonl", pairs(10))
    with work_folder(tmp_path / "out") as folder:
        (folder / "00000-000000").mkdir()
        with pytest.raises(ConfigError, match="another run writes to this folder"):
            done(data, tmp_path / "out")
        assert (folder / "00000-000000").is_dir()
    assert done(data, tmp_path / "out").counts["train"]


def test_a_run_that_fails_leaves_its_work_to_go_on_from(tmp_path):
    with pytest.raises(ZeroDivisionError), work_folder(tmp_path) as folder:
        (folder / "00000-000000").mkdir()
        raise ZeroDivisionError
    with work_folder(tmp_path) as folder:
        assert (folder / "00000-000000").is_dir()
    assert not folder.exists()


@pytest.mark.parametrize("name", ["train.jsonl", "merged.jsonl", "export/trl/train.jsonl"])
def test_data_that_would_be_written_over_is_refused(tmp_path, name):
    data = write(tmp_path / name, pairs(10))
    before = data.read_bytes()
    for path in (data, tmp_path / "link.jsonl"):
        if path != data:
            path.symlink_to(data)
        with pytest.raises(DataError, match="a file that this curation writes"):
            done(path, tmp_path)
    assert data.read_bytes() == before and not (tmp_path / "ledger.json").exists()
    assert done(data, tmp_path / "elsewhere").ledger["read"] == 10


def test_a_folder_of_data_cannot_take_the_outputs_too(tmp_path):
    write(tmp_path / "rows.jsonl", pairs(10))
    with pytest.raises(DataError, match="a file that this curation writes"):
        done(tmp_path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_outputs_below_a_folder_of_data_are_not_read_as_data(tmp_path):
    write(tmp_path / "rows.jsonl", pairs(40))
    said = []
    assert [done(tmp_path, tmp_path / "curated", said).ledger["read"] for _ in range(3)] == [40, 40, 40]
    assert f"data | {tmp_path} | 1 file; left out {tmp_path / 'curated'}, where outputs go" in said
    write(tmp_path / "only" / "out" / "rows.jsonl", pairs(3))
    with pytest.raises(DataError, match="a folder without files of rows"):
        done(tmp_path / "only", tmp_path / "only" / "out")
    # Data below the folder of the outputs is data.
    write(tmp_path / "raw" / "rows.jsonl", pairs(5))
    assert done(tmp_path / "raw", tmp_path).ledger["read"] == 5


QUESTION = "How many eggs does the old farmer of the valley sell at the market on both of the days in all"


def test_files_of_evaluations_are_checked_like_data_and_may_be_a_folder(tmp_path):
    data = write(tmp_path / "rows.jsonl", [*pairs(20), {"prompt": f"Say: {QUESTION}", "completion": "x"}])
    suite = write(tmp_path / "suites" / "a" / "eggs.jsonl", [{"prompt": QUESTION, "completion": "120"}])
    ledger = done(data, tmp_path / "out", leaks={"against": (tmp_path / "suites",)}).ledger
    assert ledger["leaks"][str(suite)]["found"] == 1
    for name, found in (("missing.jsonl", "no such file"), ("suites/none", "no such file"), ("x.bin", "the suffix")):
        (tmp_path / "x.bin").write_bytes(b"x")
        with pytest.raises(DataError, match=rf"curate\.leaks\.against: .*{name}: found {found}"):
            done(data, tmp_path / "out", leaks={"against": (tmp_path / name,)})
    with pytest.raises(DataError, match="a file that this curation writes"):
        done(data, tmp_path / "out", leaks={"against": (tmp_path / "out" / "held_out.jsonl",)})


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_worked_on_with_a_warning(tmp_path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    said = []
    with work_folder(tmp_path / "out", say=said.append) as folder:
        assert folder.is_dir()
    assert len(said) == 1 and "no locks" in said[0] and not folder.exists()


def test_another_fault_of_the_lock_ends_the_run_and_leaves_no_file_open(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, "broken")

    closed = []
    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(os, "close", lambda number, close=os.close: (closed.append(number), close(number)))
    with pytest.raises(OSError, match="broken"), work_folder(tmp_path / "out"):
        pass
    assert len(closed) == 1

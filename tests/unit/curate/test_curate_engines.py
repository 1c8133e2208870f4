"""Who does the work changes nothing: one process, several, or Ray."""

import importlib.util
import json
import os

import pytest

from luthier.curate import engines
from luthier.curate.config import CurateConfig
from luthier.curate.files import chunks
from luthier.curate.pipeline import curate
from luthier.errors import ConfigError

HAS_RAY = importlib.util.find_spec("ray") is not None


def silent(line):
    pass


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Two files that are cut into several pieces each."""
    monkeypatch.setattr(chunks, "SMALLEST_BYTES", 3000)
    monkeypatch.setattr(chunks, "READ_BYTES", 500)
    monkeypatch.setattr(chunks, "PIECE_ROWS", 20)
    data = [
        {"prompt": f"question {k % 90}", "completion": f"answer {k % 40}", "links": [f"doc {k % 70}"]}
        for k in range(200)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in data) + "oops\n")
    (tmp_path / "b.csv").write_text("prompt,completion\n" + "".join(f"mail x{k}@example.org,yes\n" for k in range(50)))
    return [tmp_path / "a.jsonl", tmp_path / "b.csv"]


def contents(out):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != "timings.json"}


def test_two_processes_write_the_bytes_of_one(rows, tmp_path):
    curate(rows, out=tmp_path / "one", config=CurateConfig(workers=1), say=silent)
    curate(rows, out=tmp_path / "two", config=CurateConfig(workers=2), say=silent)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    timings = json.loads((tmp_path / "two" / "timings.json").read_text())
    assert (timings["engine"], timings["workers"]) == ("local", 2)
    assert set(timings["processor_s_of_workers"]) >= {"read", "clean", "language", "personal", "near", "write"}


def test_a_limit_of_memory_and_the_size_of_pieces_change_nothing(rows, tmp_path, monkeypatch):
    curate(rows, out=tmp_path / "one", config=CurateConfig(workers=1), say=silent)
    monkeypatch.setattr(chunks, "SMALLEST_BYTES", 10**6)
    curate(rows, out=tmp_path / "two", config=CurateConfig(workers=1, memory_mb=256), say=silent)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_few_rows_start_no_process(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "SMALLEST_BYTES", 4 << 20)
    monkeypatch.setattr(chunks, "PIECE_ROWS", 8192)
    monkeypatch.setattr(engines, "_on_processes", lambda *_: pytest.fail("processes were started"))
    assert curate(rows, out=tmp_path / "out", config=CurateConfig(workers=8), say=silent).ledger["read"] == 251


def test_zero_workers_are_as_many_as_there_are_cores():
    assert 1 <= engines.num_cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed here")
def test_without_ray_its_engine_is_an_error_that_says_what_to_install(rows, tmp_path):
    with pytest.raises(ConfigError, match=r'\.venv/bin/pip install -e "\.\[ray\]"'):
        curate(rows, out=tmp_path / "out", config=CurateConfig(engine="ray"), say=silent)


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed; the extra `ray` has it")
def test_two_workers_of_ray_write_the_bytes_of_one_process(rows, tmp_path):
    curate(rows, out=tmp_path / "one", config=CurateConfig(workers=1), say=silent)
    curate(rows, out=tmp_path / "ray", config=CurateConfig(engine="ray", workers=2), say=silent)
    assert contents(tmp_path / "one") == contents(tmp_path / "ray")

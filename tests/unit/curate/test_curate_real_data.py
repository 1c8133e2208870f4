"""Rows that people wrote are curated as they are."""

import gzip
import os
from pathlib import Path

import pytest

from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import curate

DATA = os.environ.get("LUTHIER_TEST_DATA", "")
pytestmark = pytest.mark.skipif(not DATA, reason="LUTHIER_TEST_DATA does not name the folder with real data")


def test_rows_written_by_people_are_curated_and_every_row_is_accounted_for(tmp_path):
    source = Path(DATA) / "dolly" / "dolly_15k.jsonl.gz"
    with gzip.open(source, "rt", encoding="utf-8") as file:
        (tmp_path / "dolly.jsonl").write_text("".join(next(file) for _ in range(500)), encoding="utf-8")
    curated = curate([tmp_path / "dolly.jsonl"], out=tmp_path / "out", config=CurateConfig(), say=lambda line: None)
    assert curated.ledger["read"] == 500
    assert curated.ledger["kept"] >= 498
    assert not curated.ledger["quarantined"]

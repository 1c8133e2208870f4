"""Files as found in the wild are read without an exception, and nearly all of their rows are understood."""

import gzip
import os
from pathlib import Path

import pytest

from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import curate
from luthier.curate.rows import recognise

DATA = os.environ.get("LUTHIER_TEST_DATA", "")
pytestmark = pytest.mark.skipif(not DATA, reason="LUTHIER_TEST_DATA does not name the folder with real data")

SHAPES = {
    "formats/alpaca_en_demo.json": {"alpaca": 999},
    "formats/alpaca_zh_demo.json": {"alpaca": 1000},
    "formats/dpo_en_demo.json": {"preference": 299},
    "formats/glaive_toolcall_en_demo.json": {"sharegpt": 109, "unusable": 191},
    "formats/kto_en_demo.json": {"messages": 150, "unusable": 150},
    "formats/reason_tool_use_demo_50.jsonl": {"unusable": 50},
    "formats/self_instruct_seed_tasks.jsonl": {"unusable": 175},
    "formats/v1_dpo_demo.jsonl": {"preference": 10},
    "formats/v1_sft_demo.jsonl": {"messages": 500},
    "gsm8k/test.jsonl.gz": {"alpaca": 1319},
    "hh_rlhf/harmless-base/test.jsonl.gz": {"preference": 2299, "unusable": 13},
    "hh_rlhf/helpful-online/test.jsonl.gz": {"preference": 1129, "unusable": 8},
    "openassistant/en_100_tree.jsonl": {"unusable": 100},
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_shapes_of_files_found_in_the_wild_are_recognised(name):
    path = Path(DATA) / name
    assert recognise([path]) == {str(path): SHAPES[name]}


def test_rows_written_by_people_are_curated_and_every_row_is_accounted_for(tmp_path):
    source = Path(DATA) / "dolly" / "dolly_15k.jsonl.gz"
    with gzip.open(source, "rt", encoding="utf-8") as file:
        (tmp_path / "dolly.jsonl").write_text("".join(next(file) for _ in range(500)), encoding="utf-8")
    curated = curate([tmp_path / "dolly.jsonl"], out=tmp_path / "out", config=CurateConfig(), say=lambda line: None)
    assert curated.ledger["read"] == 500
    assert curated.ledger["kept"] >= 498
    assert not curated.ledger["quarantined"]

"""The card shows the counts, the problems with their fixes, the conflicts and the sources, and is safe with any text."""

import json

from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import curate


def card_of(tmp_path, rows):
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    curated = curate([data], out=tmp_path / "out", config=CurateConfig(licence="CC BY 4.0"), say=lambda line: None)
    return curated.paths["card"].read_text()


def test_the_card_shows_what_deserves_a_look(tmp_path):
    rows = [{"prompt": f"question {k}", "completion": "b"} for k in range(20)]
    rows += [rows[0], {"prompt": "question 1", "completion": "another"}, {"prompt": "x", "completion": None}]
    rows += [{"prompt": "p", "chosen": "better", "rejected": "worse"}]
    card = card_of(tmp_path, rows)
    for text in ("22 of 24 rows are kept", "rows.jsonl:23: completion", "write the answer, or delete the row",
                 "1 prompts have different answers", "another", "CC BY 4.0", "rows.jsonl:21", "better", "worse", "<svg",
                 "preferences/held_out"):  # fmt: skip
        assert text in card, text


def test_text_of_rows_cannot_run_in_the_card(tmp_path):
    card = card_of(tmp_path, [{"prompt": "<script>alert(1)</script>", "completion": "<img src=x>"}, {"text": "<b>"}])
    assert "<script" not in card and "<img" not in card and "&lt;script&gt;" in card


def test_a_card_can_be_made_of_preferences_alone_and_of_nothing_but_faults(tmp_path):
    assert "better" in card_of(tmp_path, [{"prompt": "p", "chosen": "better", "rejected": "worse"}])

"""`luthier evaluate` says where a model is weak: what it writes beside an evaluation, with training rows and without."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from luthier import cli
from luthier.evaluate.errors.halves import half_of
from luthier.records import Example, read_records


def write_rows(path: Path, count: int, begin: int = 0) -> Path:
    rows = [{"messages": [{"role": "user", "content": f"Say the number {n} {'again' if n % 2 else 'once'}"},
                          {"role": "assistant", "content": str(n)}], "task": f"task{n % 3}"}
            for n in range(begin, begin + count)]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def luthier(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["luthier", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_evaluate_writes_the_analysis_and_too_few_items_leave_none(tiny_model_folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    begin = ["evaluate", "--model", str(tiny_model_folder), "--out", str(out), "evaluate.max_new_tokens=4"]
    items, training = write_rows(tmp_path / "items.jsonl", 40), write_rows(tmp_path / "rows.jsonl", 20, begin=100)
    assert luthier(monkeypatch, *begin, "--data", str(items), "--training", str(training)) == 0
    written = json.loads((out / "errors" / "errors.json").read_text())
    assert written["training_rows"] == 20 and written["answers"] == 40
    assert sum(kind["count"] for kind in written["failures"].values()) == len(written["failed"]) > 0
    asked = list(read_records(out / "items.jsonl", Example))
    confirming = {item.id for item in read_records(out / "errors" / "confirming.jsonl", Example)}
    assert confirming == {item.id for item in asked if half_of(item) == "confirm"}
    page = (out / "report.html").read_text()
    assert "Where it is weak, and what to do" in page and f"--training {training}" in page
    assert "errors | " in capsys.readouterr().out
    assert luthier(monkeypatch, *begin, "--data", str(write_rows(tmp_path / "few.jsonl", 12))) == 0
    assert not (out / "errors").exists()
    assert "Where it is weak" not in (out / "report.html").read_text()
    assert "fewer than 36 graded items" in capsys.readouterr().out

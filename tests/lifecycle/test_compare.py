"""`luthier compare` as its own process: exit statuses, files, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "evaluate"))
from foreign_logs import inspect_log, lm_eval_rows, write_inspect, write_lm_eval

LUTHIER = [sys.executable, "-c", "from luthier.cli import main; main()"]


def luthier(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LUTHIER, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Four runs of one task of 60 items: good is right on 50 of them, bad on 10, and like on one more than bad."""
    folder = tmp_path_factory.mktemp("runs")
    right = {"good": 50, "bad": 10, "like": 11}
    for name, count in right.items():
        rows = lm_eval_rows([float(k < count) for k in range(60)])
        write_lm_eval(folder / name, {"numbers": rows}, model=name)
    write_inspect(folder / "good.eval", inspect_log(["C" if k < 50 else "I" for k in range(60)], model="good"))
    return folder


@pytest.mark.parametrize(
    ("a", "b", "status", "word"),
    [("bad", "good", 0, "ship"), ("good", "bad", 1, "hold"), ("bad", "like", 3, "not enough evidence")],
)
def test_the_exit_status_is_the_gates(runs, tmp_path, a, b, status, word) -> None:
    files = ("--junit", str(tmp_path / "j.xml"), "--markdown", str(tmp_path / "m.md"))
    done = luthier("compare", a, b, "gate.kpi=acc", "gate.worthwhile=0.02", *files, cwd=runs)
    assert done.returncode == status, done.stderr
    assert f"verdict: {word}" in done.stdout
    root = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert (root.get("failures"), root.get("skipped")) == {0: ("0", "0"), 1: ("1", "0"), 3: ("0", "1")}[status]
    assert f"**{word[0].upper()}{word[1:]}.**" in (tmp_path / "m.md").read_text()


def test_without_a_gate_any_number_of_runs_of_two_programs_ends_with_status_0(runs, tmp_path) -> None:
    page = tmp_path / "page.html"
    given = ("compare", "bad", "good", "good.eval", "like", "--same", "acc=match")
    done = luthier(*given, "--out", str(page), "--json", cwd=runs)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["kpis"]["acc"]["better"] for one in found["comparisons"]] == [40, 40, 1]
    assert all(one["kpis"]["acc"]["p_holm"] >= one["kpis"]["acc"]["p"] for one in found["comparisons"])
    assert page.read_text().count("<svg") == 1
    text = luthier(*given, cwd=runs).stdout
    assert text.startswith("first: bad (plain text, 0 shots)") and "good (generate)" in text


def test_what_cannot_be_compared_ends_with_status_2_and_names_the_place(runs, tmp_path) -> None:
    for given, said in (
        (("bad",), "found 1 evaluations, expected two at least"),
        (("bad", "good.eval"), "--same NAME=OTHER"),
        (("bad", "nowhere"), "nowhere: found no such file or folder"),
        (("bad", "good", "gate.kpi=f1"), "gate.kpi: found KPI 'f1', expected one that was measured: acc"),
        (("bad", "good", "gate.margin=0.01"), "add gate.kpi=acc"),
        (("bad", "good", "like", "gate.kpi=acc"), "expected two, of which the gate judges the second"),
        (("bad", "good", "evaluate.seed=1"), "found a key that nothing here reads"),
        (("bad", "good", "--same", "acc"), "found 'acc', expected NAME=OTHER"),
    ):
        done = luthier("compare", *given, cwd=runs)
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr

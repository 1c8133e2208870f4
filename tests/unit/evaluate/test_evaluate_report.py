import subprocess
import sys

from small_suite import right_at, run

from luthier.evaluate.comparison import compare_evaluations
from luthier.evaluate.config import GateConfig
from luthier.evaluate.gate import decide
from luthier.evaluate.report import write_report
from luthier.evaluate.suite import Suite
from luthier.records import Example, Message


def page(tmp_path, evaluation, **rest):
    write_report(tmp_path / "report.html", evaluation, command="luthier evaluate --model M --data F --out O", **rest)
    return (tmp_path / "report.html").read_text()


def test_the_verdict_comes_first_and_both_models_stand_side_by_side(tmp_path):
    base = run(tmp_path / "a", right_at(0.3, seed=1), model_id="base", model_name="base")
    tuned = run(tmp_path / "b", right_at(0.9, seed=2))
    verdict = decide([compare_evaluations(base, tuned)], config=GateConfig())
    text = page(tmp_path, tuned, base=base, verdict=verdict)
    places = [text.index(part) for part in (
        "<strong>Ship</strong>", "KPIs</h2>", "Against the base", "auto per task", "auto per cluster",
        "Answers, worst first", "How to do it again", "luthier evaluate --model M",
    )]  # fmt: skip
    assert places == sorted(places)
    assert text.count("<h4>base (") == text.count("<h4>new (") == 40
    lost = compare_evaluations(base, tuned).kpis["auto"].worse
    first_cards = text.split("<article")[1 : lost + 1]
    assert lost > 0 and all('class="card bad"' in card and "base (1.00)" in card for card in first_cards)


def test_a_report_without_a_gate_gives_no_verdict(tmp_path):
    text = page(tmp_path, run(tmp_path / "b", right_at(0.5)))
    assert "so this page gives no verdict" in text and 'class="verdict' not in text
    assert "<h4>said (0.00)" in text


def test_what_models_write_cannot_break_the_page(tmp_path):
    nasty = "<script>alert(1)</script>" + "x" * 3000
    items = [Example.of([Message(role="user", content=nasty)], targets=["<b>"], task="<i>")]
    text = page(tmp_path, run(tmp_path / "b", lambda e: nasty, suite=Suite.of("s", items)))
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert "more characters" in text


def test_what_could_not_be_graded_is_listed_with_its_reason(tmp_path):
    def broken(example, completion):
        raise ValueError("no tests found")

    text = page(tmp_path, run(tmp_path / "b", right_at(1), graders={"broken": broken}))
    assert "ValueError: no tests found" in text and "What could not be graded" in text


def test_evaluation_imports_no_torch():
    modules = "evaluation, comparison, gate, fair_base, report, config, suite"
    code = f"import sys; from luthier.evaluate import {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_instructions_are_counted_one_by_one_in_the_summary_and_on_the_page(tmp_path):
    asked = [{"id": "punctuation:no_comma"}, {"id": "change_case:english_lowercase"}]
    items = [Example.of([Message(role="user", content=f"item {k}?")], grading={"grader": "instructions", "instructions": asked})
             for k in range(6)]  # fmt: skip
    evaluation = run(tmp_path / "b", lambda example: "all small, with a comma", suite=Suite.of("items", items))
    level = evaluation.summary["kpis"]["auto"]["instruction_level"]
    assert evaluation.kpis["auto"].value == 0.0 and (level["overall"]["value"], level["overall"]["n"]) == (0.5, 12)
    assert {name: found["value"] for name, found in level["by_id"].items()} == {
        "punctuation:no_comma": 0.0, "change_case:english_lowercase": 1.0}  # fmt: skip
    assert "instruction by instruction" in page(tmp_path, evaluation)
    plain = run(tmp_path / "c", right_at(0.5))
    assert "instruction_level" not in plain.summary["kpis"]["auto"]

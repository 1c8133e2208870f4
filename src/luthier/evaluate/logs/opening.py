"""One door for evaluations: a folder of Luthier's, a log of lm-eval, a log of Inspect."""

from __future__ import annotations

from pathlib import Path

from luthier.errors import DataError, Problem
from luthier.evaluate.evaluation import Evaluation, read_evaluation
from luthier.evaluate.logs import fields
from luthier.evaluate.logs.inspect_log import read_inspect
from luthier.evaluate.logs.lm_eval import SAMPLES, read_lm_eval

KINDS = "a folder of `luthier evaluate`, results_*.json or samples_*.jsonl of lm_eval, or .eval or .json of Inspect"


def open_evaluation(path: Path) -> Evaluation:
    """The evaluation at `path`, whatever wrote it. DataError when it is none that is known."""
    if path.is_dir():
        return _open_folder(path)
    if not path.is_file():
        raise _unknown(path, "no such file or folder", "check the path")
    if path.suffix == ".eval":
        return read_inspect(path)
    if SAMPLES.fullmatch(path.name):
        return read_lm_eval(path)
    if path.suffix != ".json":
        raise _unknown(path, f"a file that ends in {path.suffix or 'nothing'}", "name the log itself")
    log = fields.read_object(path, expected="a log of Inspect or results of lm_eval, a JSON object")
    if "eval" in log:
        return read_inspect(path)
    if "results" in log:
        return read_lm_eval(path)
    raise _unknown(path, f"the keys {', '.join(map(repr, list(log)[:6])) or 'none'}", "name the log itself")


def _open_folder(path: Path) -> Evaluation:
    if (path / "summary.json").is_file():
        return read_evaluation(path)
    if any(path.glob("results_*.json")) or any(path.glob("*/results_*.json")):
        return read_lm_eval(path)
    logs = sorted([*path.glob("*.eval"), *path.glob("*.json")])
    if len(logs) == 1:
        return open_evaluation(logs[0])
    if not logs:
        return read_evaluation(path)  # which says what is missing
    names = ", ".join(log.name for log in logs[:5]) + (" ..." if len(logs) > 5 else "")
    raise _unknown(path, f"{len(logs)} logs: {names}", "name one of them")


def _unknown(path: Path, found: str, fix: str) -> DataError:
    problem = Problem(where=str(path), found=found, expected=KINDS, fix=fix)
    return DataError(f"{path} is not an evaluation", [problem])

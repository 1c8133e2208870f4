"""The house numbers: a mirror to look into, not a fence. Prints, and always exits 0.

python -m tests.architecture.house_numbers
"""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "luthier"
AIM_FILE, ALARM_FILE = 400, 600
AIM_FUNCTION, ALARM_FUNCTION, ALARM_LOOP = 40, 60, 120
AIM_ARGUMENTS, ALARM_ARGUMENTS = 5, 8
AIM_PUBLIC, ALARM_PUBLIC = 20, 25
AIM_HELP_S, ALARM_HELP_S = 0.15, 0.3
SHOWN = 12
HELP = "from luthier.cli import main; main()"  # what the installed script runs
MAY_INHERIT = {"Config", "LuthierError", "Protocol"}
"""Parents of ours that may have children: the one config, and the errors."""


class Function(NamedTuple):
    """One function or method."""

    place: str
    name: str
    lines: int
    num_arguments: int
    is_loop: bool


class Row(NamedTuple):
    """One line of a list, and whether it is past the alarm."""

    text: str
    is_alarm: bool


def trees() -> Iterator[tuple[Path, ast.Module, int]]:
    """Every source file with its syntax tree and its number of lines."""
    for path in sorted(SRC.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        yield path.relative_to(ROOT), ast.parse(text), text.count("\n")


def functions() -> Iterator[Function]:
    """Every function; its lines are those of the code, from `def` to the end, without the docstring."""
    for path, tree, _ in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            given = node.args
            names = [
                a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs) if a.arg not in ("self", "cls")
            ]
            docstring = node.body[0] if ast.get_docstring(node) is not None else None
            spent = docstring.end_lineno - docstring.lineno + 1 if docstring is not None and docstring.end_lineno else 0
            yields = any(isinstance(inner, ast.Yield) for inner in ast.walk(node))
            yield Function(
                f"{path}:{node.lineno}",
                node.name,
                (node.end_lineno or node.lineno) - node.lineno + 1 - spent,
                len(names),
                yields,
            )


def own_children() -> list[Row]:
    """Classes of ours that inherit from another class of ours."""
    classes = [(path, node) for path, tree, _ in trees() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    ours = {node.name for _, node in classes} - MAY_INHERIT
    rows = []
    for path, node in classes:
        parents = {ast.unparse(base).rpartition(".")[2] for base in node.bases} & ours
        if parents:
            rows.append(Row(f"{path}:{node.lineno} {node.name}({', '.join(sorted(parents))})", True))
    return rows


def public_names() -> Iterator[tuple[str, int]]:
    """How many names each package shows."""
    for path, tree, _ in trees():
        for node in tree.body:
            if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["__all__"]:
                assert isinstance(node.value, ast.List | ast.Tuple)
                yield str(path), len(node.value.elts)


def seconds_of_help() -> float:
    """Best of three of `luthier --help`, as a person waits for it."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", HELP, "--help"], capture_output=True, cwd=ROOT, check=False)
        times.append(time.perf_counter() - started)
    return min(times)


def tell(title: str, rows: list[Row]) -> None:
    """Print a list, the worst first, alarms marked."""
    alarms = sum(row.is_alarm for row in rows)
    print(f"{title}: {len(rows)}" + (f", {alarms} past the alarm" if alarms else ""))
    for row in rows[:SHOWN]:
        print(f"  {'!' if row.is_alarm else ' '} {row.text}")
    if len(rows) > SHOWN:
        print(f"    ... and {len(rows) - SHOWN} more")


def main() -> None:
    """Print every number."""
    files = sorted(((lines, path) for path, _, lines in trees()), reverse=True)
    print(f"{sum(n for n, _ in files):,} lines in {len(files)} files")
    tell(f"files over {AIM_FILE} lines", [Row(f"{n} {path}", n > ALARM_FILE) for n, path in files if n > AIM_FILE])
    found = list(functions())
    long = sorted((f for f in found if f.lines > AIM_FUNCTION), key=lambda f: -f.lines)
    limit = {True: ALARM_LOOP, False: ALARM_FUNCTION}
    tell(
        f"functions over {AIM_FUNCTION} lines of code",
        [Row(f"{f.lines} {f.place} {f.name}", f.lines > limit[f.is_loop]) for f in long],
    )
    wide = sorted((f for f in found if f.num_arguments > AIM_ARGUMENTS), key=lambda f: -f.num_arguments)
    tell(
        f"functions with over {AIM_ARGUMENTS} arguments",
        [Row(f"{f.num_arguments} {f.place} {f.name}", f.num_arguments > ALARM_ARGUMENTS) for f in wide],
    )
    tell("classes of ours that inherit from ours", own_children())
    shown = sorted(((n, path) for path, n in public_names()), reverse=True)
    tell(
        f"packages with over {AIM_PUBLIC} public names",
        [Row(f"{n} {path}", n > ALARM_PUBLIC) for n, path in shown if n > AIM_PUBLIC],
    )
    seconds = seconds_of_help()
    mark = "past the alarm" if seconds > ALARM_HELP_S else "over the aim" if seconds > AIM_HELP_S else "within the aim"
    print(f"luthier --help: {seconds:.2f} s, {mark}")


if __name__ == "__main__":
    main()

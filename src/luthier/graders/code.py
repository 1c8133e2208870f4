"""The answer is code that passes the item's tests, run in isolation (see luthier.graders.sandbox.box).

The code is what stands in the fenced blocks of Python, one after another; without such, in the first fenced block
without a language; without any, the whole answer. The item's `grading` says how it is tested:

- `tests`: Python that raises where the code is wrong, as asserts do; one text, or a list of texts. The code is executed
  first, under the module name "answer", and then the tests, with the names that the code defined;
- `cases`: a list of {"stdin", "stdout"}; the code is run as a program for each, must end with status 0, and must print
  that, white space at the ends of lines and of the whole aside;
- `seconds`: processor time and time for each run, at most 60; 10 without it.

Code that ends before the tests are through has failed, whatever its status: the pass is a word that only the end of the
tests writes. The tests run in the process of the code, so code that sets out to cheat can: it may put another `assert`
into their way by changing builtins, make objects that are equal to everything, or look for the word. With `cases` the
code has no part in the comparison.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from luthier.graders.fences import fenced_blocks
from luthier.graders.sandbox.box import TESTS, VERDICT, Ended, require_isolation, run_isolated
from luthier.records import Completion, Example, Grade

SECONDS, MOST_SECONDS = 10.0, 60.0
SHOWN_CHARACTERS = 200

_PYTHON = {"python", "python3", "py"}
_DRIVER = f"""
import json, os
with open("/tmp/answer.py", encoding="utf-8") as file:
    code = file.read()
names = {{"__name__": "answer", "__file__": "/tmp/answer.py"}}
exec(compile(code, "/tmp/answer.py", "exec"), names)
with open({TESTS}, encoding="utf-8") as file:
    tests, word = json.load(file)
exec(compile(tests, "tests", "exec"), names)
os.write({VERDICT}, word.encode())
os._exit(0)
"""


def code(example: Example, completion: Completion) -> Grade:
    """1 when the code passes every test and case of the item, else 0; None when it has neither.

    ValueError for a grading table that says neither tests nor cases in their form; NotIsolated where the code cannot be
    run in isolation: then it is not run.
    """
    wanted = example.grading
    value, reason = None, "the item has neither tests nor cases"
    if "tests" in wanted or "cases" in wanted:
        tests, cases, seconds = _tests(wanted), _cases(wanted), _seconds(wanted)
        program = code_of(completion.text)
        faults = list(_faults(program, tests, cases, seconds)) if program.strip() else ["the answer is empty"]
        value, reason = float(not faults), "; ".join(faults)
    return Grade(completion_id=completion.id, example_id=example.id, grader="code", value=value, reason=reason)


def code_of(text: str) -> str:
    """The code of an answer, by the rule at the top of this file; a fence that is not closed goes to the end.

    >>> code_of("Like so:\\n```python\\nx = 1\\n```\\nDone.")
    'x = 1\\n'
    """
    blocks = fenced_blocks(text)
    of_python = [block.text for block in blocks if block.language in _PYTHON]
    plain = [block.text for block in blocks if not block.language]
    return "".join(of_python or plain[:1]) if of_python or plain else text


def _faults(program: str, tests: str | None, cases: list[Mapping[str, str]], seconds: float) -> Iterator[str]:
    """What the code fails, the first case alone."""
    require_isolation()
    if tests is not None:
        word = secrets.token_hex(16)
        ended = run_isolated(program, ["-c", _DRIVER], seconds=seconds, tests=json.dumps([tests, word]))
        if ended.verdict != word:
            yield f"fails the tests: {_why(ended, seconds, tests)}"
    for number, case in enumerate(cases, start=1):
        ended = run_isolated(program, ["/tmp/answer.py"], seconds=seconds, stdin=case["stdin"])
        if ended.status != 0:
            yield f"fails case {number} of {len(cases)}: {_why(ended, seconds)}"
            return
        if _lines(ended.output) != _lines(case["stdout"]):
            yield f"fails case {number} of {len(cases)}: prints {_shown(ended.output)}, not {_shown(case['stdout'])}"
            return


def _why(ended: Ended, seconds: float, tests: str = "") -> str:
    """In a line: out of time, the last error with the line of the tests, or how it ended."""
    if ended.is_out_of_time:
        return f"not done after {seconds:g} s"
    lines = [line for line in ended.errors.splitlines() if line.strip()]
    if not lines or ended.status == 0:
        return f"ends with status {ended.status} before the tests are through"
    places = [int(match[1]) for line in lines if (match := re.match(r'  File "tests", line (\d+)', line))]
    said = [line.strip() for line in tests.splitlines()[places[-1] - 1 : places[-1]]] if places else []
    return lines[-1][:SHOWN_CHARACTERS] + "".join(f" at `{line[:SHOWN_CHARACTERS]}`" for line in said)


def _tests(wanted: Mapping[str, Any]) -> str | None:
    tests = wanted.get("tests")
    if tests is None:
        return None
    texts = [tests] if isinstance(tests, str) else tests
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ValueError("grading.tests: expected a text of Python, or a list of such texts")
    if not any(text.strip() for text in texts):
        raise ValueError("grading.tests: found nothing, which every answer would pass; expected asserts")
    return "\n".join(texts)


def _cases(wanted: Mapping[str, Any]) -> list[Mapping[str, str]]:
    cases = wanted.get("cases")
    if cases is None:
        return []
    if not isinstance(cases, list | tuple) or not cases:
        raise ValueError("grading.cases: expected a list of at least one {stdin, stdout}")
    for number, case in enumerate(cases):
        is_text = isinstance(case, Mapping) and all(isinstance(case.get(key), str) for key in ("stdin", "stdout"))
        if not is_text:
            raise ValueError(f"grading.cases[{number}]: expected an object with the texts stdin and stdout")
    return list(cases)


def _seconds(wanted: Mapping[str, Any]) -> float:
    seconds = wanted.get("seconds", SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MOST_SECONDS:
        raise ValueError(f"grading.seconds: found {seconds!r}, expected a number above 0, at most {MOST_SECONDS:g}")
    return float(seconds)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def _shown(text: str) -> str:
    return repr(text.strip()[:SHOWN_CHARACTERS])

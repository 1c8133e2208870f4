"""The errors that people see, and nothing else.

    LuthierError             printed without a traceback; exit status 2
    |- DataError             rows or files that cannot be used
    |- ConfigError           a recipe or a command line that cannot be used
    '- ModelError            a model folder, tokenizer or chat template that cannot be used

Each carries the problems it is about. `assert` is for our own invariants, never for these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHOWN_PROBLEMS = 20
"""More than this many problems are counted, not printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: where it is, what stands there, what should, and what to do."""

    where: str
    """The place, most general part first: "data/train.jsonl:41: messages[2].role"."""
    found: str
    expected: str
    fix: str

    def __str__(self) -> str:
        """One line for the place and the finding, a second line for the fix."""
        return f"{self.where}: found {self.found}, expected {self.expected}.\n  Fix: {self.fix}"


class LuthierError(Exception):
    """Something that the user can put right; the command line prints it without a traceback."""

    def __init__(self, summary: str, problems: Sequence[Problem] = ()) -> None:
        """Keep `problems` for programs; the text shows the first twenty of them under `summary`."""
        self.summary = summary
        self.problems = tuple(problems)
        super().__init__(self.text())

    def text(self) -> str:
        """The message as the command line prints it."""
        lines = [self.summary, *(str(problem) for problem in self.problems[:SHOWN_PROBLEMS])]
        hidden = len(self.problems) - SHOWN_PROBLEMS
        if hidden > 0:
            lines.append(f"... and {hidden} more")
        return "\n".join(lines)


class DataError(LuthierError):
    """A file or its rows cannot be used."""


class ConfigError(LuthierError):
    """A recipe or a command line cannot be used."""


class ModelError(LuthierError):
    """A model folder, its tokenizer or its chat template cannot be used."""

"""The function types where stages meet, and the one door through which users plug in their own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from luthier.errors import ConfigError, Problem
from luthier.records.nouns import Completion, Example, Grade


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a completion is drawn. Temperature 0 is greedy."""

    max_new_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    num_samples: int = 1
    """Completions per example."""
    seed: int = 0
    """Each (example, sample) has a generator of its own, derived from this."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer and are not part of it."""


class AnswerScore(NamedTuple):
    """How likely one candidate answer is after a prompt."""

    logprob: float
    """Natural log-likelihood, summed over the answer's tokens."""
    num_tokens: int
    num_bytes: int
    """UTF-8 bytes of the answer; logprob / num_bytes compares across tokenizers."""


Generate = Callable[[Sequence[Example], Sampling], list[Completion]]
"""Completions in the order of the examples, `num_samples` of each side by side."""
Score = Callable[[Sequence[Example], Sequence[Sequence[str]]], list[list[AnswerScore]]]
"""For each example, the scores of its candidate answers, in order."""
Grader = Callable[[Example, Completion], Grade]


def load_callable(spec: str, *, where: str) -> Callable[..., Any]:
    """The function that "file.py:name" names. `where` is the place of the spec in the user's files, for errors.

    This runs the user's own Python file; nothing else in Luthier does.
    """
    path_text, _, name = spec.rpartition(":")
    path = Path(path_text)
    if not path_text or not path.is_file() or path.suffix != ".py":
        raise ConfigError(
            "a function of yours could not be loaded",
            [Problem(where=where, found=repr(spec), expected="an existing Python file and a function, file.py:name",
                     fix="correct the path or the name")],
        )  # fmt: skip
    module_name = f"luthier_user_{path.stem}"
    module_spec = importlib.util.spec_from_file_location(module_name, path)
    assert module_spec is not None and module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_name] = module
    try:
        module_spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's program: whatever it raises is about the file
        raise ConfigError(
            "a function of yours could not be loaded",
            [Problem(where=where, found=f"{type(error).__name__} in {path}: {error}",
                     expected="a file that can be imported", fix=f"run `python {path}` to see where")],
        ) from error  # fmt: skip
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(
            "a function of yours could not be loaded",
            [Problem(where=where, found=f"no function {name!r} in {path}", expected="a function of that name",
                     fix=f"define `def {name}(...)` in {path}")],
        )  # fmt: skip
    loaded: Callable[..., Any] = function
    return loaded

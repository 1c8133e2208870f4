"""A grader of the user's own: a function in a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

from luthier.errors import ConfigError, Problem
from luthier.records import Grader, load_callable


def own_grader(spec: str, *, where: str) -> Grader:
    """The function that "file.py:name" names; ConfigError where there is none that takes an example and a completion.

    `where` is the key's place, for errors. What the function returns is seen only when it grades.
    """
    function = load_callable(spec, where=where)
    path, _, name = spec.rpartition(":")
    if inspect.iscoroutinefunction(function):
        raise _unfit(where, f"async def {name} in {path}", "a function that returns a Grade, not a promise of one",
                     "write `def` for `async def`")  # fmt: skip
    if not _takes_two(function):
        raise _unfit(where, f"{name}{inspect.signature(function)} in {path}",
                     "a function that takes an example and a completion, and needs no more",
                     f"write `def {name}(example, completion):`")  # fmt: skip
    return cast(Grader, function)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # a function of C may not tell what it takes
        return True
    return True


def _unfit(where: str, found: str, expected: str, fix: str) -> ConfigError:
    return ConfigError(
        "a function of yours cannot grade", [Problem(where=where, found=found, expected=expected, fix=fix)]
    )

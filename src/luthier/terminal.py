"""What a command shows: lines or JSON on standard output, progress, or the panel of a training."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any


def do_in_view(recipe_main: Callable[..., int], recipe: Any, *, plain: bool) -> int:
    """Do the recipe, with a panel for its training on a terminal, else with a line a step."""
    from luthier.live import LiveView, is_wanted

    if not is_wanted(plain=plain):
        return recipe_main(recipe, echo=print_line, step_echo=print_line)
    with LiveView(echo=print_line) as view:
        return recipe_main(recipe, echo=view.say, step_echo=None, watch=view)


def print_line(text: str) -> None:
    """One line to standard output, at once."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`| head`); the work and its exit status go on, and Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(data: Any) -> None:
    """What a machine reads: `data` as JSON to standard output."""
    print_line(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def print_found(found: Any, lines: Callable[[Any], list[str]], *, as_json: bool) -> None:
    """What a command has found, as it is or in lines for people."""
    if as_json:
        print_json(found)
    else:
        print_line("\n".join(lines(found)))


def says(as_json: bool) -> Callable[[str], None]:
    """Where progress goes: out of the way of JSON."""
    if not as_json:
        return print_line

    def to_stderr(text: str) -> None:
        sys.stderr.write(text + "\n")

    return to_stderr


def in_place() -> Callable[[str], None] | None:
    """Step lines that overwrite one another on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def rewrite(text: str) -> None:
        sys.stderr.write(f"\r\x1b[2K{text[:110]}\r")
        sys.stderr.flush()

    return rewrite

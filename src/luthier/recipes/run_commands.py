"""The commands `luthier runs` and `luthier versions`, about folders of runs; each imports its recipe inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from luthier.terminal import print_found, print_json, print_line

RunDir = Annotated[Path, typer.Option("--run", help="The run folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")]


class _ListByDefault(typer.core.TyperGroup):
    """`luthier runs DIR` and `luthier runs` mean `luthier runs list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


runs_app = typer.Typer(cls=_ListByDefault, help="Run folders: list, compare, clean.", rich_markup_mode=None)
versions_app = typer.Typer(help="The model versions of a run: list, promote, roll back.", rich_markup_mode=None)

RunsDir = Annotated[Path, typer.Argument(help="A folder of runs, or a run.")]


@runs_app.command("list")
def runs_list(folder: RunsDir = Path(), as_json: AsJson = False) -> None:
    """Every run in a folder: what it is, how far it is, what it came to, the room that it takes."""
    from luthier.recipes.runs import list_lines, listed

    print_found(listed(folder), list_lines, as_json=as_json)


@runs_app.command("compare")
def runs_compare(
    runs: Annotated[list[Path], typer.Argument(help="Two run folders or more.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """In what runs differ: config, inputs, libraries; and their numbers side by side."""
    from luthier.recipes.runs import compare_lines, compared

    print_found(compared(runs), compare_lines, as_json=as_json)


@runs_app.command("clean")
def runs_clean(
    folder: RunsDir = Path(),
    is_sure: Annotated[bool, typer.Option("--yes", help="Remove; without it, only show.")] = False,
    as_json: AsJson = False,
) -> None:
    """What can be removed without losing a result, and how many bytes that frees."""
    from luthier.recipes.runs import clean_lines, cleaned

    print_found(cleaned(folder, is_sure=is_sure), clean_lines, as_json=as_json)


@versions_app.command("list")
def versions_list(run: RunDir, as_json: AsJson = False) -> None:
    """Every version with its status and the gate's word."""
    from luthier.recipes.versions import listed, to_json

    if as_json:
        print_json(to_json(run))
    else:
        print_line("\n".join(listed(run)))


@versions_app.command("promote")
def versions_promote(name: Annotated[str, typer.Argument(help="For example v2.")], run: RunDir) -> None:
    """Make a version current: RUN/model becomes it."""
    from luthier.recipes.versions import promote

    print_line(promote(run, name))


@versions_app.command("rollback")
def versions_rollback(run: RunDir) -> None:
    """Make the version before the current one current again: RUN/model becomes it."""
    from luthier.recipes.versions import rollback

    print_line(rollback(run))

"""What the command line says of itself."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from luthier import cli


def help_of(*words: str) -> str:
    result = CliRunner().invoke(cli.app, [*words, "--help"])
    assert result.exit_code == 0
    return " ".join(result.output.split())


def test_the_help_tells_every_exit_status_and_the_way_to_a_traceback():
    said = help_of().partition("Exit status:")[2]
    assert re.findall(r"\d+", said) == [str(n) for n in (0, 1, cli.USER_MUST_FIX, 3, cli.OUR_FAULT, cli.INTERRUPTED)]
    assert "--debug" in said and "traceback" in said


@pytest.mark.parametrize("command", ["evaluate", "serve"])
def test_a_command_without_a_recipe_speaks_of_its_own_keys_only(command):
    said = help_of(command)
    assert f"[{command}.KEY=VALUE ...]" in said and f"Keys of {command}, and no others." in said
    assert "any key of the recipe" not in said

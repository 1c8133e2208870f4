"""What a command shows, and where: results on standard output, progress out of the way of JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from luthier import terminal


def test_progress_goes_to_standard_output_unless_json_does(capsys):
    terminal.says(False)("reading")
    terminal.says(True)("training")
    assert capsys.readouterr() == ("reading\n", "training\n")


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_found_is_shown_to_a_machine_as_it_is_and_to_people_in_lines(capsys, as_json):
    terminal.print_found({"n": 1, "name": "é"}, lambda found: [f"n {found['n']}", "end"], as_json=as_json)
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"n": 1, "name": "é"} if as_json else shown == "n 1\nend\n"


def test_no_line_is_written_over_another_where_nobody_watches(capsys):
    assert terminal.in_place() is None


def test_without_a_terminal_a_recipe_shows_its_steps_line_by_line_and_its_status_is_returned(capsys):
    def main(recipe, *, echo, step_echo):
        echo(f"{recipe} begins")
        step_echo("step 1")
        return 3

    assert terminal.do_in_view(main, "mine", plain=False) == 3
    assert capsys.readouterr().out == "mine begins\nstep 1\n"


def test_a_reader_that_has_gone_stops_neither_the_work_nor_its_exit_status():
    code = (
        "import sys\n"
        "from luthier.terminal import print_line\n"
        "sys.stdin.readline()\n"  # until the reader has gone
        "for k in range(3):\n    print_line(str(k))\n"
        "sys.stderr.write('done')\n"
        "sys.exit(3)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin and process.stdout
    process.stdout.close()
    process.stdin.write("gone\n")
    process.stdin.flush()
    assert process.stderr is not None
    assert process.stderr.read() == "done"
    assert process.wait() == 3
    process.stdin.close()
    process.stderr.close()

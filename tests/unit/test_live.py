"""The panel that shows a training on a terminal, drawn into a console of fixed width."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from luthier import live
from luthier.live import Course, LiveView, panel, sparkline

WIDTH = 72


def step_event(step: int, *, of: int | None = 8, kind: str = "train", loss: float | None = None) -> dict[str, Any]:
    event = {
        "kind": kind, "step": step, "train/loss": 2.0 / step if loss is None else loss, "train/lr": 1e-4,
        "train/grad_norm": 0.84, "train/tokens_per_s": 41200.0, "train/memory_gib": 12.4,
    }  # fmt: skip
    return event if of is None else {**event, "num_steps": of}


def course_of(*events: dict[str, Any], seconds_a_step: float = 2.0) -> Course:
    course = Course("train")
    for number, event in enumerate(events):
        course.add(event, number * seconds_a_step)
    return course


def drawn(course: Course, *, width: int = WIDTH, is_ascii: bool = False) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(panel(course, width=width, is_ascii=is_ascii))
    return file.getvalue()


def test_the_panel_shows_how_far_how_well_and_how_fast():
    text = drawn(course_of(*[step_event(n) for n in range(1, 5)], {"step": 4, "train/dev_loss": 0.75}))
    lines = text.splitlines()
    assert "train" in lines[0]
    assert "step 4 of 8" in lines[1] and "50%" in lines[1] and "left 0:00:08" in lines[1]
    assert "loss     0.5000" in lines[2] and "\u2588" in lines[2] and "\u2581" in lines[2]
    assert "dev loss 0.7500 at step 4 " in lines[3]
    assert "lr 1.0e-04 | grad 0.84 | tokens/s 41,200 | memory 12.4 GiB" in lines[4]
    assert {len(line) for line in lines} == {WIDTH}


def test_the_lowest_dev_loss_is_named_once_it_is_not_the_last():
    measured = [{"step": s, "train/dev_loss": v} for s, v in ((2, 0.5), (4, 0.6))]
    assert "dev loss 0.6000 at step 4, lowest 0.5000 at step 2" in drawn(course_of(step_event(4), *measured))


def test_half_a_bar_is_filled_at_half_the_steps():
    line = drawn(course_of(step_event(3), step_event(4))).splitlines()[1]
    assert abs(line.count("\u2501") - line.count("\u2500")) <= 1 and line.count("\u2501") > 5


def test_without_a_number_of_steps_there_is_neither_a_bar_nor_a_guess_of_the_time_left():
    text = drawn(course_of(step_event(3, of=None), step_event(4, of=None)))
    assert "step 4" in text and "left" not in text and "\u2501" not in text


def test_the_time_left_follows_the_pace_of_the_last_steps():
    course = Course("train")
    for step in range(1, 101):
        course.add(step_event(step, of=200), 100.0 * step if step < 70 else 7000.0 + step)
    assert course.left_s() == pytest.approx(100.0)


@pytest.mark.parametrize("width", [20, 40, 200])
def test_no_line_is_wider_than_the_terminal(width):
    text = drawn(course_of(*[step_event(n, of=800) for n in range(1, 700)]), width=width)
    assert max(map(len, text.splitlines())) <= width and len(text.splitlines()) == 5


def test_a_terminal_without_unicode_gets_ascii():
    text = drawn(course_of(*[step_event(n) for n in range(1, 5)]), is_ascii=True)
    assert text.isascii() and "===" in text and "step 4 of 8" in text


def test_markup_in_the_name_of_a_stage_is_text():
    assert "[red]x" in drawn(Course("[red]x", losses=[1.0], moments=[(0.0, 1)], last={"train/memory_gib": 1.0}))


def test_a_sparkline_goes_from_the_highest_to_the_lowest_and_is_flat_where_nothing_changes():
    assert sparkline([3.0, 2.0, 1.0], width=10) == "\u2588\u2585\u2581"
    assert sparkline([1.0] * 4, width=10) == "\u2581" * 4
    assert sparkline([], width=10) == sparkline([1.0], width=0) == ""
    assert len(sparkline([float(n) for n in range(1000)], width=17)) == 17


def terminal() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, width=WIDTH, force_terminal=True, color_system=None), file


def shown(file: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())


def test_each_stage_leaves_its_finished_panel_and_the_cursor_behind():
    console, file = terminal()
    with LiveView(echo=lambda line: None, console=console, clock=iter(range(100)).__next__) as view:
        for step in (1, 2):
            view(step_event(step, of=2))
        view({"kind": "train_dev", "step": 2, "train/dev_loss": 0.9})
        view(step_event(1, of=2, kind="prefer"))
    text = shown(file)
    assert "step 2 of 2" in text and "dev loss 0.9000" in text and "prefer" in text
    last = text[text.rindex("prefer") :]
    assert "step 1 of 2" in last and "dev loss" not in last
    assert file.getvalue().rstrip().endswith("\x1b[?25h"), "the cursor is shown again"


def test_lines_of_the_run_go_to_echo_and_the_first_after_the_last_step_ends_the_panel():
    console, _ = terminal()
    said: list[str] = []
    with LiveView(echo=said.append, console=console, clock=lambda: 0.0) as view:
        view.say("before")
        view(step_event(1, of=2))
        view.say("train | between")
        assert view._live is not None
        view(step_event(2, of=2))
        view.say("train | after")
        assert view._live is None
    assert said == ["before", "train | between", "train | after"]


def test_the_panel_of_a_training_that_stops_early_ends_when_another_stage_speaks():
    console, _ = terminal()
    with LiveView(echo=lambda line: None, console=console, clock=lambda: 0.0) as view:
        view(step_event(1, of=100))
        view.say("evaluate-base | held_out")
        assert view._live is None


def test_what_a_grader_says_of_the_dev_rows_is_shown_with_its_highest():
    measured = [{"step": s, "train/dev_auto": v} for s, v in ((2, 0.75), (4, 0.5))]
    assert "dev auto 0.5000 at step 4, highest 0.7500 at step 2" in drawn(course_of(step_event(4), *measured))


def test_an_error_in_the_training_leaves_the_terminal_as_it_was():
    console, file = terminal()
    with pytest.raises(ZeroDivisionError), LiveView(echo=print, console=console, clock=lambda: 0.0) as view:
        view(step_event(1))
        raise ZeroDivisionError
    assert file.getvalue().rstrip().endswith("\x1b[?25h")


def test_events_that_are_no_training_steps_show_nothing():
    console, file = terminal()
    with LiveView(echo=print, console=console) as view:
        view({"kind": "select", "candidate": "a", "seconds": 3.0})
    assert file.getvalue() == ""


def test_a_training_that_starts_over_gets_a_new_panel():
    console, _ = terminal()
    with LiveView(echo=print, console=console, clock=lambda: 0.0) as view:
        for step in (1, 2, 1):
            view(step_event(step))
        assert view._course is not None and view._course.losses == [2.0]


@pytest.mark.parametrize(
    ("is_tty", "term", "plain", "wanted"),
    [
        (True, "xterm", False, True),
        (False, "xterm", False, False),
        (True, "dumb", False, False),
        (True, "xterm", True, False),
    ],
)
def test_a_panel_is_for_people_at_a_terminal_who_did_not_ask_for_lines(is_tty, term, plain, wanted, monkeypatch):
    monkeypatch.setattr(live.sys.stdout, "isatty", lambda: is_tty, raising=False)
    monkeypatch.setenv("TERM", term)
    assert live.is_wanted(plain=plain) is wanted

"""The training as one panel on the terminal that updates in place: how far, the loss and its course, speed, memory.

    +- train ---------------------------------------------------------+
    | step 120 of 800  [======------------------]  15 %  left 0:17:40 |
    | loss     1.4820  (sparkline of the last steps)                  |
    | dev loss 1.5210 at step 100, lowest 1.5003 at step 50           |
    | lr 9.1e-05 | grad 0.84 | tokens/s 41,200 | memory 12.4 GiB      |
    +-----------------------------------------------------------------+

Only for people at a terminal: log.txt and metrics.jsonl hold the same whether it is shown or not.
"""

from __future__ import annotations

import itertools
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

UPDATES_PER_S = 4
SHOWN_LOSSES = 512
"""Losses kept for the sparkline: about what a wide terminal can show, four to a column."""
SMOOTHED_STEPS = 20
"""Speed and the time left are means over this many steps."""
BLOCKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
ASCII_BLOCKS = "_.-~=*#@"
DEV = "train/dev_"
"""Metrics of the dev rows begin like this."""


@dataclass(slots=True)
class Course:
    """What one training stage has logged so far, as far as the panel shows it."""

    stage: str
    step: int = 0
    num_steps: int | None = None
    losses: list[float] = field(default_factory=list)
    dev: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """(step, value) of each measurement on the dev rows, by name: "loss", or a grader's."""
    last: dict[str, Any] = field(default_factory=dict)
    moments: list[tuple[float, int]] = field(default_factory=list)
    """(seconds of a clock, step), for the time left."""

    def add(self, event: Mapping[str, Any], moment: float) -> None:
        """Take one event of metrics.jsonl in."""
        for name in event:
            if name.startswith(DEV):
                self.dev.setdefault(name.removeprefix(DEV), []).append((event["step"], event[name]))
        if "train/loss" not in event:
            return
        self.step = event["step"]
        self.num_steps = event.get("num_steps", self.num_steps)
        self.losses = [*self.losses[-SHOWN_LOSSES + 1 :], event["train/loss"]]
        self.moments = [*self.moments[-SMOOTHED_STEPS:], (moment, self.step)]
        self.last = dict(event)

    @property
    def is_complete(self) -> bool:
        """Whether the last step has been done."""
        return self.num_steps is not None and self.step >= self.num_steps

    def left_s(self) -> float | None:
        """Seconds until the last step at the pace of the last steps; None while nothing can be said."""
        (start, first), (end, last) = self.moments[0], self.moments[-1]
        if self.num_steps is None or last <= first:
            return None
        return (end - start) / (last - first) * (self.num_steps - self.step)


class LiveView:
    """Shows every training stage in a panel of its own while it goes on; the finished panel stays on the screen.

    Give it the events (`Run` calls it with each) and let the other lines go through `say`, which keeps them above
    the panel.
    """

    def __init__(
        self, *, echo: Callable[[str], None], console: Console | None = None, clock: Callable[[], float] | None = None
    ) -> None:
        """`echo` prints a line; `console` and `clock` are the terminal and the time unless a test gives others."""
        self._echo, self._clock = echo, clock or time.monotonic
        self._console = console
        self._course: Course | None = None
        self._live: Live | None = None

    def __enter__(self) -> LiveView:
        """Nothing is shown before the first step."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last panel as it is, and the terminal as it was."""
        self._stop()

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Take one event of metrics.jsonl; those that are of no training are not shown."""
        if "train/loss" not in event and not any(name.startswith(DEV) for name in event):
            return
        stage = str(event.get("kind", "train")).removesuffix("_dev")
        if self._course is None or self._course.stage != stage or event["step"] < self._course.step:
            self._stop()
            self._course = Course(stage)
        self._course.add(event, self._clock())
        if self._live is None and self._course.losses:
            self._start()

    def say(self, line: str) -> None:
        """A line of the run: above the panel while one is shown.

        After the last step, and as soon as another stage speaks, the panel is left behind.
        """
        if self._course is not None and (self._course.is_complete or line.partition(" | ")[0] != self._course.stage):
            self._stop()
        self._echo(line)

    def _start(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = self._console or Console()
        self._live = Live(
            console=self._console, get_renderable=self._panel, refresh_per_second=UPDATES_PER_S,
            vertical_overflow="visible",
        )  # fmt: skip
        self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()  # draws once more, so that the panel ends at the last step
            self._live = None

    def _panel(self) -> RenderableType:
        assert self._course is not None and self._console is not None
        return panel(self._course, width=self._console.width, is_ascii=self._console.options.ascii_only)


def is_wanted(*, plain: bool) -> bool:
    """Whether a panel suits where the output goes: a terminal that can move its cursor, and nobody asked for lines."""
    return not plain and sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def panel(course: Course, *, width: int, is_ascii: bool = False) -> RenderableType:
    """The panel of one stage, at most `width` columns wide."""
    from rich import box
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    inner = max(10, min(width, 110) - 4)
    rows = [_progress(course, inner, is_ascii=is_ascii), _loss(course, inner, is_ascii=is_ascii)]
    rows += [_dev(name, measured) for name, measured in course.dev.items()]
    rows.append(_pace(course))
    lines = [Text(row, no_wrap=True, overflow="ellipsis" if not is_ascii else "crop") for row in rows]
    return Panel(
        Group(*lines), title=Text(course.stage), title_align="left", width=inner + 4,
        box=box.ASCII if is_ascii else box.ROUNDED,
    )  # fmt: skip


def sparkline(values: list[float], *, width: int, is_ascii: bool = False) -> str:
    """The course of `values` in at most `width` characters, each the mean of a stretch; lowest to highest.

    >>> sparkline([4.0, 3.0, 2.0, 1.0], width=2, is_ascii=True)
    '@_'
    """
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    edges = [k * len(values) // count for k in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    blocks = ASCII_BLOCKS if is_ascii else BLOCKS
    scale = (len(blocks) - 1) / (high - low) if high > low else 0.0
    return "".join(blocks[round((mean - low) * scale)] for mean in means)


def _progress(course: Course, width: int, *, is_ascii: bool) -> str:
    if course.num_steps is None:
        return f"step {course.step:,}"
    head = f"step {course.step:,} of {course.num_steps:,}  "
    share = min(1.0, course.step / course.num_steps)
    left = course.left_s()
    tail = f"  {share:4.0%}" + ("" if left is None else f"  left {_clock_text(left)}")
    room = max(0, width - len(head) - len(tail))
    filled = int(share * room)
    done, rest = ("=", "-") if is_ascii else ("\u2501", "\u2500")
    return head + done * filled + rest * (room - filled) + tail


def _loss(course: Course, width: int, *, is_ascii: bool) -> str:
    head = f"loss     {course.losses[-1]:.4f}  "
    return head + sparkline(course.losses, width=width - len(head), is_ascii=is_ascii)


def _dev(name: str, measured: list[tuple[int, float]]) -> str:
    step, value = measured[-1]
    is_loss = name == "loss"
    at, best = min(measured, key=lambda row: (row[1] if is_loss else -row[1], row[0]))
    word = "lowest" if is_loss else "highest"
    more = "" if at == step else f", {word} {best:.4f} at step {at:,}"
    return f"dev {name} {value:.4f} at step {step:,}{more}"


def _pace(course: Course) -> str:
    last = course.last
    parts = []
    if "train/lr" in last:
        parts.append(f"lr {last['train/lr']:.1e}")
    if "train/grad_norm" in last:
        parts.append(f"grad {last['train/grad_norm']:.2f}")
    if "train/tokens_per_s" in last:
        parts.append(f"tokens/s {last['train/tokens_per_s']:,.0f}")
    parts.append(f"memory {last.get('train/memory_gib') or _peak_gib():.1f} GiB")
    return " | ".join(parts)


def _peak_gib() -> float:
    """The most memory that this process has held; Linux counts it in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20


def _clock_text(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"

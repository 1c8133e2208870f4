"""How far it is, how fast, and how long it still takes: a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

EVERY_S = 5.0


class Progress:
    """Says how many rows are done, at most every EVERY_S seconds."""

    def __init__(
        self, say: Callable[[str], None], file_bytes: Sequence[int], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`file_bytes`: the size of each file, by which the time left is judged."""
        self.say, self.clock, self.file_bytes = say, clock, list(file_bytes)
        self._done = [0] * len(self.file_bytes)
        self._rows = self._reused = 0
        self._started = self._said = clock()

    def add(self, file: int, bytes_before_end: int, rows: int, *, is_reused: bool) -> None:
        """A piece of a file is done. Of a file whose pieces are no ranges of bytes, only the rows are known."""
        for number in range(file):  # pieces are handed out in order, so those before are done, but for a few
            self._done[number] = self.file_bytes[number]
        self._done[file] = max(bytes_before_end, self._done[file])
        self._rows += rows
        self._reused += rows if is_reused else 0
        now, done = self.clock(), sum(self._done) / max(1, sum(self.file_bytes))
        if now - self._said >= EVERY_S and done < 1:
            self._said = now
            self.say(self._line(now - self._started, done))

    def _line(self, seconds: float, done: float) -> str:
        parts = [f"curate | {self._rows:,} rows so far", f"{(self._rows - self._reused) / seconds:,.0f} rows/s"]
        if self._reused:
            parts.append(f"{self._reused:,} from a run that was cut off")
        if done > 0:
            left = int(seconds * (1 - done) / done)
            parts.append(f"{done:.0%} | left {left // 3600}:{left // 60 % 60:02}:{left % 60:02}")
        return " | ".join(parts)

"""Who does the arms: processes that each take one arm after another, so that one that ends costs its arm alone.

python -m luthier.recipes.studying.crew RUN     reads names of arms from stdin, does them, says so on stdout
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from luthier.errors import LuthierError
from luthier.recipes.studying.config import StudyRecipe
from luthier.recipes.studying.plan import Arm, plan

INTERRUPTED = 130
SHOWN_LINES = 12
"""Last lines of a process that has ended, in the word on its arm."""


class Word(NamedTuple):
    """What became of an arm."""

    arm: Arm
    failure: str | None
    """None: its file is written. Else why it is not."""


@dataclass(slots=True)
class _Worker:
    """One process and the arm that it is doing."""

    process: subprocess.Popen[str]
    log: Path
    arm: Arm | None = None

    def end(self) -> int:
        """Wait until it has ended and let go of it; its exit status."""
        code = self.process.wait()
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        return code


@dataclass(slots=True)
class Crew:
    """As many processes as may work at a time; each is started when it is first needed."""

    folder: Path
    parallel: int
    heard: queue.Queue[tuple[int, str | None]] = field(default_factory=queue.Queue)
    workers: dict[int, _Worker] = field(default_factory=dict)

    def do(self, arms: Sequence[Arm], *, is_enough: Callable[[], bool] = lambda: False) -> Iterator[Word]:
        """Do the arms, in order as far as what they start from allows, and yield a word on each as it ends."""
        waiting = list(arms)
        try:
            while waiting or any(worker.arm for worker in self.workers.values()):
                while (place := self._free()) is not None and waiting and not is_enough():
                    arm = _next(waiting, [w.arm.name for w in self.workers.values() if w.arm])
                    if arm is None:
                        break
                    waiting.remove(arm)
                    self._give(place, arm)
                if not any(worker.arm for worker in self.workers.values()):
                    return
                if (word := self._hear()) is not None:
                    yield word
        finally:
            for worker in self.workers.values():
                worker.process.kill()  # an arm in work is lost; what is finished is on disk
                worker.end()

    def _free(self) -> int | None:
        """The number of a place that has no arm."""
        return next((n for n in range(self.parallel) if n not in self.workers or self.workers[n].arm is None), None)

    def _give(self, place: int, arm: Arm) -> None:
        if place not in self.workers:
            self.workers[place] = self._started(place)
        worker = self.workers[place]
        worker.arm = arm
        assert worker.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended; that is heard
            worker.process.stdin.write(arm.name + "\n")
            worker.process.stdin.flush()

    def _hear(self) -> Word | None:
        """Wait for one line of a worker, or its end."""
        place, line = self.heard.get()
        worker = self.workers[place]
        if line is None:
            code = worker.end()
            del self.workers[place]
            if worker.arm is None:
                return None
            last = worker.log.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
            return Word(worker.arm, "\n".join([f"its process ended with status {code}", *last]))
        try:
            said = json.loads(line)
            name, failure = said["arm"], said["failure"]
        except (ValueError, TypeError, KeyError):  # a library that prints
            return None
        assert worker.arm is not None and worker.arm.name == name
        word, worker.arm = Word(worker.arm, failure), None
        return word

    def _started(self, place: int) -> _Worker:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        environment = {"OMP_NUM_THREADS": str(max(1, cores // self.parallel)), **os.environ}
        log = self.folder / "scratch" / f"worker-{place}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "luthier.recipes.studying.crew", str(self.folder)], env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        threading.Thread(target=self._listen, args=(place, process), daemon=True).start()
        return _Worker(process, log)

    def _listen(self, place: int, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.heard.put((place, line))
        self.heard.put((place, None))


def _next(waiting: Sequence[Arm], in_work: Sequence[str]) -> Arm | None:
    """The first arm that starts from none that is still in work."""
    return next((arm for arm in waiting if arm.needs not in in_work), None)


def write_recipe(folder: Path, recipe: StudyRecipe) -> None:
    """The recipe for the workers; not by write_json, which masks what looks like a password."""
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    (folder / "scratch" / "recipe.json").write_text(recipe.model_dump_json(), encoding="utf-8")


def work(folder: Path, names: Iterator[str], say: Callable[[dict[str, Any]], None]) -> None:
    """Do the arms as their names come. A failure that has words is said; any other ends the process."""
    from luthier.recipes.studying.arms import Bench, do

    recipe = StudyRecipe.model_validate_json((folder / "scratch" / "recipe.json").read_text(encoding="utf-8"))
    bench = Bench(recipe, folder)
    arms = {arm.name: arm for arm in plan(bench.collection, recipe.study, recipe.tasks, base=recipe.model.base)}
    for name in names:
        try:
            do(arms[name], bench, arms)
            say({"arm": name, "failure": None})
        except LuthierError as error:
            say({"arm": name, "failure": error.text()})


def main(folder: Path) -> int:
    """One of the processes of `Crew`: it ends when its stdin does, however that came about."""
    names: queue.SimpleQueue[str] = queue.SimpleQueue()
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no word on an arm

    def listen() -> None:
        for line in sys.stdin:
            names.put(line.strip())
        os._exit(INTERRUPTED)

    def say(word: dict[str, Any]) -> None:
        out.write(json.dumps(word) + "\n")
        out.flush()

    threading.Thread(target=listen, daemon=True).start()
    work(folder, iter(names.get, ""), say)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""Training in several processes: torchrun starts them, each does `work`, and what the first one says is passed on.

luthier train recipe.toml                                       a process for each GPU of this machine
torchrun --nnodes 2 ... --no-python luthier train recipe.toml   on several machines: the first process leads
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier import errors
from luthier.config import Config
from luthier.errors import ConfigError, LuthierError, Problem
from luthier.records import Example, Preference, read_records, write_records
from luthier.runs import Run, write_json
from luthier.train.config import ModelConfig, TrainConfig

if TYPE_CHECKING:
    from luthier.models.load import Model
    from luthier.train.training import Trained, TrainingData

RECORDS = {"examples": Example, "dev": Example, "preferences": Preference}
TEXTS = ("documents", "dev_documents", "text")
USER_MUST_FIX = 2
INTERRUPTED = 130
SHOWN_LINES = 40


class Job(Config):
    """One training of a stage, as every process needs to know it."""

    start: Path
    """The folder of the model to start from."""
    model: ModelConfig
    train: TrainConfig
    run: Path
    """The run's folder, whose log and metrics the first process writes."""
    folder: Path
    """The stage's folder."""
    key: str
    kind: str


def load(job: Job, run: Run, *, device: str | None = None) -> Model:
    """The model that the job starts from, with its new tokens."""
    from luthier.models.load import load_model
    from luthier.models.tokens import add_tokens

    loaded = load_model(
        job.start, dtype=job.model.dtype, device=device, chat_template=job.model.chat_template,
        quantised=job.train.adapter == "qlora",
    )  # fmt: skip
    for notice in loaded.notices:
        run.say(f"{job.kind} | {notice}")
    return add_tokens(loaded, job.model.new_tokens)


def trained(
    job: Job, data: TrainingData, run: Run, *, grade_all: Callable[..., Any] | None = None,
    grade_dev: Callable[[Model], float] | None = None,
) -> Trained:  # fmt: skip
    """Do the job, in this process or in as many as its recipe and this machine ask for (they call no graders)."""
    from luthier.train.loop import Place
    from luthier.train.training import train

    number = _number(job, run)
    if number > 1:
        return _trained_together(job, data, run, number=number)
    place = Place(run=run, folder=job.folder, key=job.key, kind=job.kind)
    return train(load(job, run), data, job.train, place=place, grade_all=grade_all, grade_dev=grade_dev)


def _number(job: Job, run: Run) -> int:
    """How many processes do this training; ConfigError where `train.processes` cannot be had."""
    from luthier.train.ranks import number_of, share

    if _under_torchrun():
        if share().number == 1:  # nobody has called `leading`
            raise ConfigError(
                "this command cannot be shared by processes",
                [Problem(where="torchrun", found="a command that does more than train", expected="luthier train",
                         fix="start `luthier train` with torchrun, or this command without it")],
            )  # fmt: skip
        return share().number
    number, reason = number_of(job.train)
    if reason:
        run.say(f"{job.kind} | one process, although there are more GPUs: {reason}")
    return number


def _trained_together(job: Job, data: TrainingData, run: Run, *, number: int) -> Trained:
    """Let so many processes do the job: those that torchrun has started, else new ones on this machine."""
    folder = job.folder.resolve() / "processes"
    shutil.rmtree(folder, ignore_errors=True)
    _write(folder, job, data)
    run.say(f"{job.kind} | {number} processes share the weights and the rows of each step")
    try:
        if _under_torchrun():
            from luthier.train.ranks import from_first

            return work(Path(from_first(str(folder))), run)
        return replace(_started(folder, run, number=number), model=job.folder / "model")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def work(folder: Path, run: Run | None) -> Trained:
    """One process's part of the job in `folder`; the first process brings the run, whose files it alone writes."""
    from luthier.train.loop import Place
    from luthier.train.training import train

    job = Job.model_validate_json((folder / "job.json").read_text(encoding="utf-8"))
    data = _read(folder)
    with tempfile.TemporaryDirectory() as scratch:
        run = run or Run(folder=Path(scratch))
        model = load(job, run, device="cpu")  # each GPU is given its part, a layer at a time
        return train(model, data, job.train, place=Place(run=run, folder=job.folder, key=job.key, kind=job.kind))


def is_follower() -> bool:
    """Whether this is a further process of torchrun, which only takes part in what the first one does."""
    return _under_torchrun() and os.environ["RANK"] != "0"


def follow() -> int:
    """Take part in each training of the first process, until that is done."""
    from luthier.train import ranks

    with ranks.joined():
        while folder := ranks.from_first(""):
            work(Path(folder), None)
    return 0


@contextmanager
def leading() -> Iterator[None]:
    """Inside, the first process of torchrun leads the others; at the end they are let go. Elsewhere nothing is done."""
    if not _under_torchrun():
        yield
        return
    from luthier.train import ranks

    with ranks.joined():
        yield
        ranks.from_first("")


def _under_torchrun() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def _write(folder: Path, job: Job, data: TrainingData) -> None:
    for name in RECORDS:
        write_records(folder / f"{name}.jsonl", getattr(data, name))
    # Not by write_json, which masks what looks like a password: this is what trains.
    texts = json.dumps({name: list(getattr(data, name)) for name in TEXTS})
    (folder / "texts.json").write_text(texts, encoding="utf-8")
    absolute = job.model_copy(update={name: getattr(job, name).resolve() for name in ("start", "run", "folder")})
    (folder / "job.json").write_text(absolute.model_dump_json(), encoding="utf-8")


def _read(folder: Path) -> TrainingData:
    from luthier.train.training import TrainingData

    records: dict[str, Any] = {
        name: list(read_records(folder / f"{name}.jsonl", kind)) for name, kind in RECORDS.items()
    }
    return TrainingData(**records, **json.loads((folder / "texts.json").read_text(encoding="utf-8")))


def _started(folder: Path, run: Run, *, number: int) -> Trained:
    """Start the processes and pass on what the first one says; LuthierError with the words of the one that failed."""
    from luthier.train.training import Trained

    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}",
               "-m", "luthier.recipes.launch", str(folder)]  # fmt: skip
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    environment = {"OMP_NUM_THREADS": str(max(1, cores // number)), **os.environ}
    log = folder.parent / "processes.log"
    with (
        log.open("w", encoding="utf-8") as errors_file,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors_file, text=True, env=environment
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                _pass_on(line, run)
        finally:
            process.terminate()  # torchrun then ends the others; it has ended by itself unless there was an error here
    if (folder / "error.json").is_file():
        log.unlink()
        raise _error(json.loads((folder / "error.json").read_text(encoding="utf-8")))
    if not (folder / "trained.json").is_file():
        last = "\n".join(log.read_text(encoding="utf-8").splitlines()[-SHOWN_LINES:])
        raise RuntimeError(f"a training process has ended; {log} says:\n{last}")
    log.unlink()
    found = json.loads((folder / "trained.json").read_text(encoding="utf-8"))
    return Trained(**found)


def _pass_on(line: str, run: Run) -> None:
    """Say what the first process has written into the run's files already."""
    try:
        said = json.loads(line)
        kind, text = said["kind"], said["text"]
    except (ValueError, TypeError, KeyError):  # a library that prints
        kind, text = "say", line.rstrip("\n")
    if kind == "event":
        for tracker in run.trackers:
            tracker(json.loads(text))
        return
    echo = run.step_echo if kind == "step" else run.echo
    if echo is not None:
        echo(text)


def _error(word: dict[str, Any]) -> LuthierError:
    kind: type[LuthierError] = getattr(errors, word["kind"])
    return kind(word["summary"], [Problem(**problem) for problem in word["problems"]])


def _leave_word(folder: Path, error: LuthierError) -> None:
    """The first error is the one to show: those of the other processes follow from it, or say the same."""
    word = {"kind": type(error).__name__, "summary": error.summary, "problems": [asdict(p) for p in error.problems]}
    with tempfile.NamedTemporaryFile("w", dir=folder, encoding="utf-8") as file, suppress(FileExistsError):
        file.write(json.dumps(word))
        file.flush()
        os.link(file.name, folder / "error.json")  # whole, and never over another's


def _end_with_parent() -> None:
    """End this process when the one that started the training has ended, however that came about."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(INTERRUPTED)

    threading.Thread(target=wait, daemon=True).start()


def _say(kind: str, text: str) -> None:
    sys.stdout.write(json.dumps({"kind": kind, "text": text}) + "\n")
    sys.stdout.flush()


def main(folder: Path) -> int:
    """One of the processes that `trained` starts."""
    from luthier.train import ranks

    _end_with_parent()
    job = Job.model_validate_json((folder / "job.json").read_text(encoding="utf-8"))
    try:
        with ranks.joined():
            run = Run(job.run, echo=lambda text: _say("say", text), step_echo=lambda text: _say("step", text))
            run.trackers.append(lambda event: _say("event", json.dumps(event)))
            trained = work(folder, run if ranks.leads() else None)
            if ranks.leads():
                write_json(folder / "trained.json", asdict(trained))
    except LuthierError as error:
        _leave_word(folder, error)
        sys.stdout.flush()
        os._exit(USER_MUST_FIX)  # without a farewell to the others, who may be waiting: torchrun ends them
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""Who does the work on pieces: this process, processes of this machine, or a Ray cluster. The results are the same.

Pieces are handed out as workers become free, so only a few of them are in memory at once.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any, Literal

from luthier.curate.files.chunks import Chunk
from luthier.curate.mapping import Done, Job, make_shard
from luthier.errors import ConfigError, Problem

Engine = Literal["local", "ray"]
WORTH_STARTING = 1.5
"""Pieces of full size from which on processes are started: that takes about as long as one piece."""
IN_HAND = 2
"""Pieces that each worker has at once: one that it works on, one that waits."""


def run(chunks: Iterable[Chunk], job: Job, *, engine: Engine, workers: int) -> Iterator[Done]:
    """Make the shards of all pieces, in any order; `workers` as in the recipe, 0 is one a core."""
    pieces = iter(chunks)
    if engine == "ray":
        return _on_ray(pieces, job, workers)
    workers = workers or num_cores()
    if workers > 1:
        first, weight = [], 0.0
        while weight < WORTH_STARTING and (chunk := next(pieces, None)) is not None:
            first.append(chunk)
            weight += chunk.weight
        pieces = itertools.chain(first, pieces)
        if weight >= WORTH_STARTING:
            return _on_processes(pieces, job, workers)
    return (make_shard(chunk, job) for chunk in pieces)


def num_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _on_processes(pieces: Iterator[Chunk], job: Job, workers: int) -> Iterator[Done]:
    # Started afresh and not forked: this process may have threads, of torch for one, whose locks a copy would inherit.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(job,))
    try:
        waiting: set[Future[Done]] = set()
        while True:
            waiting |= {
                pool.submit(_make, chunk) for chunk in itertools.islice(pieces, workers * IN_HAND - len(waiting))
            }
            if not waiting:
                return
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    except BrokenProcessPool:
        raise ConfigError(
            "a worker process ended before its work did",
            [Problem(where="curate.workers", found="a process that was ended from outside, or did not start",
                     expected="processes that live as long as this one",
                     fix="if memory ran out, set curate.workers lower or curate.memory_mb; a script of your own needs "
                         'if __name__ == "__main__":. The same command goes on where this one was')],
        ) from None  # fmt: skip
    finally:
        pool.shutdown(cancel_futures=True)


_job: Job | None = None
"""What a worker process works on; set once when it starts."""


def _begin(job: Job) -> None:
    global _job
    _job = job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one hears it and ends both
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: Any) -> None:
    """End this worker when the process that started it is gone, even if it was killed and could say nothing."""
    wait_for([sentinel])
    os._exit(1)


def _make(chunk: Chunk) -> Done:
    assert _job is not None
    return make_shard(chunk, _job)


def _on_ray(pieces: Iterator[Chunk], job: Job, workers: int) -> Iterator[Done]:
    ray = _ray()
    is_ours = not ray.is_initialized()
    if is_ours:
        address = os.environ.get("RAY_ADDRESS")
        ray.init(**({"address": address} if address else {"num_cpus": workers or num_cores()}), include_dashboard=False,
                 log_to_driver=False, configure_logging=False)  # fmt: skip
    try:
        shared = ray.put(job)
        make: Callable[..., Any] = ray.remote(make_shard).remote
        most = (workers or int(ray.cluster_resources().get("CPU", 1))) * IN_HAND
        waiting: list[Any] = []
        while True:
            waiting += [make(chunk, shared) for chunk in itertools.islice(pieces, most - len(waiting))]
            if not waiting:
                return
            finished, waiting = ray.wait(waiting)
            yield from ray.get(finished)
    finally:
        if is_ours:
            ray.shutdown()


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "Ray is not installed",
            [Problem(where="curate.engine", found='"ray", and no package ray', expected="Ray in this environment",
                     fix='.venv/bin/pip install -e ".[ray]", or set curate.engine = "local"')],
        ) from None  # fmt: skip
    return ray

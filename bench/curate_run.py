"""One curation, for bench/curate.py: prints its seconds and the most memory that it held."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from bench.measuring import peak_memory_mib


def main() -> None:
    from luthier.config import validate
    from luthier.curate.config import CurateConfig
    from luthier.curate.pipeline import curate

    out, options, *files = sys.argv[1:]
    data = {key: value for key, value in json.loads(options).items() if value is not None}
    config = validate(CurateConfig, data, places={}, default_place="bench")
    started = time.perf_counter()
    curate([Path(file) for file in files], out=Path(out), config=config, say=lambda line: None)
    seconds = time.perf_counter() - started
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = time.process_time() + children.ru_utime + children.ru_stime
    print(json.dumps({
        "seconds": round(seconds, 2), "processor_s": round(spent, 2), "peak_mib": peak_memory_mib(),
        "peak_mib_of_a_worker": round(children.ru_maxrss / 1024, 1),
    }))  # fmt: skip


if __name__ == "__main__":
    main()

"""One search of near-duplicates, in a process of its own: `python -m bench.near_runs NAME ROWS.jsonl RESULT.json`.

Writes the group of each row, the seconds and the memory. Reading the file is not counted. The peers run with the
settings that their documentation gives, 5-word shingles and a similarity of about 0.7, on prompt and answer as one
text. They import from an environment of their own, so each import is where it is used.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.measuring import peak_memory_mib, versions

SHINGLE, THRESHOLD, NUM_HASHES = 5, 0.7, 128
BANDS, BAND_HASHES = 14, 8
"""datatrove's, for Daft too: (1/14)^(1/8) is 0.72."""

Texts = list[tuple[str, str]]


def luthier(texts: Texts) -> list[int]:
    """Exact duplicates by the normal form, near ones by prompt and answer."""
    from luthier.curate.duplicates import keys_of
    from luthier.records import Example, Message
    from luthier.similarity.near import NearText, Sketches, near_duplicates

    first: dict[bytes, int] = {}
    rows = [Example.of([Message(role="user", content=prompt), Message(role="assistant", content=answer)])
            for prompt, answer in texts]  # fmt: skip
    same = [first.setdefault(keys_of(row).exact, number) for number, row in enumerate(rows)]
    found = near_duplicates([Sketches.of([NearText(*text) for text in texts])])
    return grouped(len(texts), enumerate(found.group.tolist()), enumerate(same))


def datasketch(texts: Texts) -> list[int]:
    """MinHash and MinHashLSH in a loop over rows."""
    from datasketch import MinHash, MinHashLSH  # type: ignore[import-not-found,unused-ignore]

    index = MinHashLSH(threshold=THRESHOLD, num_perm=NUM_HASHES)
    pairs = []
    for number, text in enumerate(texts):
        words = "\n".join(text).lower().split()
        sketch = MinHash(num_perm=NUM_HASHES)
        runs = {" ".join(words[i : i + SHINGLE]).encode() for i in range(max(len(words) - SHINGLE + 1, 1))}
        sketch.update_batch(sorted(runs))
        pairs += [(number, other) for other in index.query(sketch)]
        index.insert(number, sketch)
    return grouped(len(texts), pairs)


def datatrove(texts: Texts) -> list[int]:
    """The three stages of its MinHash pipeline, one after the other."""
    from datatrove.data import Document  # type: ignore[import-not-found,unused-ignore]
    from datatrove.pipeline.dedup import (  # type: ignore[import-not-found,unused-ignore]
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupSignature,
    )
    from datatrove.utils.logging import logger  # type: ignore[import-not-found,unused-ignore]

    logger.remove()
    config = MinhashConfig(n_grams=SHINGLE, num_buckets=BANDS, hashes_per_bucket=BAND_HASHES)
    documents = (Document(text="\n".join(text), id=str(number)) for number, text in enumerate(texts))
    with tempfile.TemporaryDirectory() as folder:
        signatures, pairs, clusters = (str(Path(folder) / name) for name in ("signatures", "pairs", "clusters"))
        MinhashDedupSignature(signatures, config=config).run(documents)
        for bucket in range(BANDS):
            MinhashDedupBuckets(signatures, pairs, config=config).run(rank=bucket, world_size=BANDS)
        MinhashDedupCluster(pairs, clusters, config=config, save_cluster_id=True).run()
        path = Path(clusters) / "000000.clusters"
        told = path.read_bytes() if path.is_file() else b""
    numbers = [int.from_bytes(told[at : at + 4], "little") for at in range(0, len(told), 4)]
    first: dict[int, int] = {}
    pairs_of = zip(numbers[::2], numbers[1::2], strict=True)
    return grouped(len(texts), [(row, first.setdefault(cluster, row)) for row, cluster in pairs_of])


def daft(texts: Texts) -> list[int]:
    """Its minhash expression; bands and union-find as in its example."""
    import daft as library  # type: ignore[import-not-found,unused-ignore]
    from daft.functions import minhash  # type: ignore[import-not-found,unused-ignore]

    joined = [" ".join("\n".join(text).lower().split()) for text in texts]
    table = library.from_pydict({"text": joined})
    sketches = minhash(table["text"], num_hashes=BANDS * BAND_HASHES, ngram_size=SHINGLE)
    rows = table.select(sketches.alias("hashes")).to_pydict()["hashes"]
    first: dict[tuple[int, ...], int] = {}
    pairs = []
    for number, hashes in enumerate(rows):
        for band in range(BANDS):
            key = (band, *hashes[band * BAND_HASHES : (band + 1) * BAND_HASHES])
            pairs.append((number, first.setdefault(key, number)))
    return grouped(len(texts), pairs)


def grouped(count: int, *links: Iterable[tuple[int, int]]) -> list[int]:
    """The smallest row that links tie to each."""
    group = list(range(count))

    def root(row: int) -> int:
        while group[row] != row:
            group[row] = group[group[row]]
            row = group[row]
        return row

    for some in links:
        for left, right in some:
            low, high = sorted((root(left), root(right)))
            group[high] = low
    return [root(row) for row in range(count)]


CONTENDERS: dict[str, Callable[[Texts], list[int]]] = {
    "luthier": luthier, "datasketch": datasketch, "datatrove": datatrove, "daft": daft,
}  # fmt: skip


def main() -> None:
    """Run one contender."""
    name, source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        texts: Texts = [tuple(json.loads(line)) for line in file]
    CONTENDERS[name](texts[:100])  # imports and tables are not counted
    before, started = _processor_s(), time.perf_counter()
    group = CONTENDERS[name](texts)
    told: dict[str, Any] = {
        "seconds": round(time.perf_counter() - started, 3), "processor_s": round(_processor_s() - before, 3),
        "peak_mib": peak_memory_mib(), "versions": versions([name, "numpy"]), "group": group,
    }  # fmt: skip
    Path(target).write_text(json.dumps(told), encoding="utf-8")


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

"""Columnar files to raw rows: Parquet, and Arrow as the datasets library keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow
import pyarrow.ipc
import pyarrow.parquet

from luthier.curate.files.column_names import names_apart, renamed
from luthier.curate.files.raw import RawRow
from luthier.errors import DataError, Problem

BATCH_ROWS = 128
"""Rows that are made at once: few, since each may be long."""


def read_parquet(path: Path, columns: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows of a Parquet file, batch by batch; DataError when it is none."""
    return _rows(path, columns, _parquet_batches(path), kind="a Parquet file")


def read_arrow(path: Path, columns: Mapping[str, str]) -> Iterator[RawRow]:
    """The rows of an Arrow file, a stream or with an index; DataError when it is none."""
    return _rows(path, columns, _arrow_batches(path), kind="an Arrow file")


def _rows(
    path: Path, columns: Mapping[str, str], batches: Iterator[pyarrow.RecordBatch], *, kind: str
) -> Iterator[RawRow]:
    try:
        number = 0
        for batch in batches:
            heads = batch.schema.names
            batch = batch.rename_columns(names_apart(heads))
            for start in range(0, batch.num_rows, BATCH_ROWS):
                for row in batch.slice(start, BATCH_ROWS).to_pylist():
                    number += 1
                    yield renamed(RawRow(str(path), number, b"", row), columns, heads=heads)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        found = str(error).split("\n", 1)[0]
        raise DataError("a data file cannot be read", [
            Problem(where=str(path), found=found, expected=kind, fix="write or download the file again"),
        ]) from error  # fmt: skip


def _parquet_batches(path: Path) -> Iterator[pyarrow.RecordBatch]:
    with pyarrow.parquet.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=BATCH_ROWS)


def _arrow_batches(path: Path) -> Iterator[pyarrow.RecordBatch]:
    with pyarrow.memory_map(str(path)) as file:
        try:
            stream = pyarrow.ipc.open_stream(file)
        except pyarrow.ArrowInvalid:
            indexed = pyarrow.ipc.open_file(file)
            yield from (indexed.get_batch(number) for number in range(indexed.num_record_batches))
        else:
            yield from stream

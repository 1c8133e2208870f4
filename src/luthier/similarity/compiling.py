"""How the inner loops are compiled, and what they share.

A loop reads and writes arrays that its caller made: without allocations it compiles in a second, once on a machine.
Compiled code is kept beside the file or, where that may not be written, in the user's cache folder; NUMBA_CACHE_DIR
names another. numba looks for changes in the file of a loop alone: who changes `mixed` here must touch those of the
loops too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

from luthier.similarity import ragged

LoopT = TypeVar("LoopT", bound=Callable[..., Any])

BASE = np.uint64(ragged.BASE)
FIRST, SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
SEED = np.uint64(0xD6E8FEB86659FD93)
HALF, ONE, NOTHING = np.uint64(33), np.uint64(1), np.uint64(0)

_NAMES = ("uint8", "uint32", "uint64", "int64", "int32")
_ARRAYS = {name: numba.types.Array(getattr(numba, name), 1, "C") for name in _NAMES}
U8, U32, U64, I64, I32 = _ARRAYS.values()
R8, R32, R64, RI64, RI32 = (numba.types.Array(kind.dtype, 1, "C", readonly=True) for kind in _ARRAYS.values())
"""Types of arguments: arrays that are written, and such as are only read."""
FLAGS = numba.types.Array(numba.boolean, 1, "C", readonly=True)
TABLE = numba.types.Array(numba.boolean, 2, "C", readonly=True)
WHOLE = numba.int64


def loop(*signature: Any) -> Callable[[LoopT], LoopT]:
    """Compile for these types of arguments at once, or where none are given for those of the loop that calls it."""

    def compile_it(function: LoopT) -> LoopT:
        njit: Any = numba.njit
        options = {"error_model": "numpy", "nogil": True}
        try:
            found: LoopT = njit(*signature, cache=True, **options)(function)
        except RuntimeError:  # no folder can be written: it is compiled in every process
            found = njit(*signature, **options)(function)
        return found

    return compile_it


@loop()
def mixed(value: Any) -> Any:
    """As `ragged.mixed`, of one number."""
    value ^= value >> HALF
    value *= FIRST
    value ^= value >> HALF
    value *= SECOND
    return value ^ (value >> HALF)

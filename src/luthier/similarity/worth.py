"""When the compiled loops are worth loading."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

ENOUGH_SECONDS = 0.5
"""What loading the compiled loops takes of a processor's time, about; the first time on a machine some seconds."""
_work = [0.0]


def loops(seconds: float = 0.0) -> Any:
    """The module `compiled`, once this process has had so much work that loading it pays; until then None.

    `seconds`: what the compiled way saves of the work at hand, about. Both ways have the same results.
    """
    _work[0] += seconds
    return _compiled() if _work[0] >= ENOUGH_SECONDS else None


@cache
def _compiled() -> Any:
    try:
        return importlib.import_module("luthier.similarity.compiled")
    except ImportError:  # no numba for this machine
        return None

"""How far a review is, counted on: after each decision only the rows that it is about are counted anew."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from luthier.curate.review.decision_log import DecisionLog
from luthier.curate.review.flagged import Flagged


@dataclass(slots=True)
class Tally:
    """Rows by decision, and by reason how many there are and how many are decided. For threads at once."""

    _flagged: Flagged | None = None
    _version: tuple[int, int] = (0, 0)
    _kinds: dict[str, str] = field(default_factory=dict)
    """What was decided on each flagged row, as it was counted."""
    _states: Counter[str] = field(default_factory=Counter)
    _totals: Counter[tuple[str, str]] = field(default_factory=Counter)
    _done: Counter[tuple[str, str]] = field(default_factory=Counter)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def count(self, flagged: Flagged, log: DecisionLog) -> dict[str, Any]:
        """`total`, `decided`, `states` by decision, and `reasons` in the order of the flags."""
        with self._guard:
            now = log.version()
            changed = log.changed_since(self._version) if flagged is self._flagged else None
            if changed is None:
                self._begin(flagged)
                changed = set(log.decided())
            for identity in changed & flagged.by_id.keys():
                current = log.current(identity)
                self._put(flagged, identity, current.kind if current else None)
            self._version = now
            return {
                "total": len(flagged.rows), "decided": len(self._kinds),
                "states": {kind: self._states[kind] for kind in ("keep", "drop", "mend")},
                "reasons": [
                    {"step": step, "reason": reason, "total": count, "decided": self._done[step, reason]}
                    for (step, reason), count in self._totals.items()
                ],
            }  # fmt: skip

    def _begin(self, flagged: Flagged) -> None:
        self._flagged, self._kinds = flagged, {}
        self._states, self._done = Counter(), Counter()
        self._totals = Counter((flag.step, flag.reason) for row in flagged.rows for flag in row.flags)

    def _put(self, flagged: Flagged, identity: str, kind: str | None) -> None:
        before = self._kinds.pop(identity, None)
        if kind is not None:
            self._kinds[identity] = kind
            self._states[kind] += 1
        if before is not None:
            self._states[before] -= 1
        for flag in flagged.by_id[identity].flags:
            self._done[flag.step, flag.reason] += (kind is not None) - (before is not None)

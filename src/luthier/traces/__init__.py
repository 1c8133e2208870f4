"""The store of served answers and of what people said of them.

A `Trace` is a completion that was served; `Store` keeps traces and `Feedback` in a SQLite file. Raw events never
change: a newer one may supersede an older, and views are derived.
"""

from luthier.traces.store import Store
from luthier.traces.trace import Trace, new_id, now

__all__ = ["Store", "Trace", "new_id", "now"]

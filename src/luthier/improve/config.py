"""The options of one turn of the loop."""

from __future__ import annotations

from pydantic import Field

from luthier.config import Config, known_as


class ImproveConfig(Config):
    """What to learn from the store, and what never to learn from."""

    store: str = Field(default="sqlite:///traces.sqlite", json_schema_extra=known_as("url", "traces"))
    """Address of the store of traces and feedback."""
    holdout_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of conversations that are only ever evaluated on. Fixed by the first gate: it cannot change later."""
    holdout_salt: str = "luthier"
    """Decides, with the share, which conversations these are. Fixed by the first gate as well."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Error allowed to all gates on the holdout together, for ever: the k-th spends alpha / (k (k + 1))."""
    min_new: int = Field(default=1, ge=1)
    """Fewer new candidates and preferences than this wait for the next turn."""
    max_per_rater: int | None = Field(default=1000, ge=1)
    """Most feedback events of one rater that teach, the oldest first, so that nobody alone bends the model."""

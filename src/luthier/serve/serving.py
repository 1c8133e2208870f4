"""What one server process holds; the routes find it at `app.state.serving`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import Request

from luthier.serve.config import ServeConfig
from luthier.serve.engine import Engine
from luthier.serve.refusals import Refusal
from luthier.serve.worker import Worker
from luthier.traces import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The models by the names they are served under, and all that surrounds them."""

    engines: Mapping[str, Engine]
    config: ServeConfig
    store: Store | None
    worker: Worker
    keys: tuple[str, ...]
    """The API keys; empty when none is asked for."""
    operations: Callable[[], str] | None
    """Makes the HTML of the operations page."""
    say: Callable[[str], None]
    started_at: int
    """Unix time."""

    def engine(self, name: str) -> Engine:
        """The model of that name; refused with 404 when it is not served."""
        if name not in self.engines:
            known = ", ".join(repr(known) for known in self.engines)
            raise Refusal(
                f"the model {name!r} is not served here; there is {known}",
                status=404, param="model", code="model_not_found",
            )  # fmt: skip
        return self.engines[name]


def serving_of(request: Request) -> Serving:
    """What the server that got this request holds."""
    serving: Serving = request.app.state.serving
    return serving

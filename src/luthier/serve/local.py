"""An engine over a model that this process has loaded."""

from __future__ import annotations

from luthier.models import generate, parity
from luthier.models.load import Model
from luthier.serve.engine import Engine


def engine_for(model: Model, name: str) -> Engine:
    """`model`, to be served as `name`. ModelError when its prompts would not have the tokens that training saw."""
    parity.verify(model)
    return Engine(
        name=name,
        digest=model.digest,
        max_length=model.max_length,
        prompt_ids=model.renderer.prompt,
        stream=lambda prompt_ids, sampling, is_cancelled: generate.stream(
            model, prompt_ids, sampling, is_cancelled=is_cancelled
        ),
    )

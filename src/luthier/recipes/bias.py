"""The bias of an evaluated model, beside its evaluation: swaps of groups in its items, BBQ's scores, CrowS-Pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.evaluate.bias.config import SwapsConfig
from luthier.records import Sampling

if TYPE_CHECKING:
    from luthier.evaluate.bias.crows import Likelihood
    from luthier.evaluate.evaluation import Evaluation, Subject
    from luthier.models.load import Model


def with_its_bias(
    evaluation: Evaluation, subject: Subject, model: Model, config: SwapsConfig | None, *, sampling: Sampling,
    batch_rows: int, say: Callable[[str], None],
) -> Evaluation:  # fmt: skip
    """The evaluation with what `config` asks for; BBQ's scores are there wherever its items are BBQ's."""
    from luthier.evaluate.bias.audit import audited

    return audited(evaluation, subject, config, sampling=sampling, likelihood=_likelihood(model, batch_rows), say=say)


def bias_inputs(config: SwapsConfig | None) -> dict[str, Path]:
    """What a stage's key holds of it beside the options."""
    if config is None or config.crows_pairs is None:
        return {}
    return {"evaluate.bias crows_pairs": config.crows_pairs}


def check_bias(attributes: Sequence[str], config: SwapsConfig | None) -> None:
    """What can be known to be wrong before anything has run: attributes of the gate, and the table of CrowS-Pairs."""
    from luthier.evaluate.bias.crows import read_pairs
    from luthier.evaluate.bias.guardrail import check_attributes

    check_attributes(attributes, config)
    if config is not None and config.crows_pairs is not None:
        read_pairs(config.crows_pairs)


def _likelihood(model: Model, batch_rows: int) -> Likelihood:
    """The log-likelihood of whole sentences, without any chat template; after the first token where the model has no
    token that begins a text."""

    def likelihood(texts: Sequence[str]) -> list[float]:
        from luthier.models.logprobs import sum_logprobs
        from luthier.models.render import Rendered

        rows = []
        for text in texts:
            ids = [*model.bos_ids, *model.renderer.encode(text)][: model.max_length]
            rows.append(Rendered(tuple(ids), (1.0,) * len(ids)))
        return sum_logprobs(model.network, rows, batch_rows=batch_rows)

    return likelihood

"""What does not train: parameters chosen by words for parts of a network, or by patterns of their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch.nn import Module, ModuleList, Parameter

from luthier.errors import ConfigError, Problem

LAYERS = re.compile(r"layers\.(\d+)(?:-(\d+))?")
SHOWN_NAMES = 4


def freeze(network: Any, patterns: Sequence[str]) -> list[str]:
    """Freeze what each pattern means; returns the names of the parameters frozen, in the network's order.

    "embeddings" and "head" are the input and output embeddings, "layers.2" and "layers.2-5" are layers (counted from 0,
    the last included), anything else is matched with parameter names ("*.norm.*"). A tensor with two names, such as a
    head tied to the embeddings, is frozen under both: the second says "NAME (tied to NAME)". Raises ConfigError where a
    pattern matches nothing, or nothing is left to train; the network is then as it was.
    """
    by_name: dict[str, Parameter] = dict(network.named_parameters(remove_duplicate=False))
    chosen: set[Parameter] = set()
    problems = []
    for index, pattern in enumerate(patterns):
        found = _matching(network, by_name, pattern)
        chosen |= found
        if not found:
            problems.append(
                Problem(where=f"train.freeze[{index}]", found=f"{pattern!r}, which matches nothing",
                        expected=_expected(network, by_name), fix="use one of these, or leave it out")
            )  # fmt: skip
    if not problems and chosen and not any(p.requires_grad for p in by_name.values() if p not in chosen):
        problems.append(
            Problem(where="train.freeze", found="patterns that freeze every parameter",
                    expected="something left to train", fix="leave out one of the patterns")
        )  # fmt: skip
    if problems:
        raise ConfigError("these parameters cannot be frozen", problems)
    for parameter in chosen:
        parameter.requires_grad_(False)
    return _names(by_name, chosen)


def _matching(network: Any, by_name: Mapping[str, Parameter], pattern: str) -> set[Parameter]:
    if pattern in ("embeddings", "head"):
        module = network.get_input_embeddings() if pattern == "embeddings" else network.get_output_embeddings()
        return set(module.parameters()) if module is not None else set()
    numbers = LAYERS.fullmatch(pattern)
    if numbers:
        layers = _layers(network)
        first, last = int(numbers[1]), int(numbers[2] or numbers[1])
        if last >= len(layers):
            return set()
        return {p for layer in layers[first : last + 1] for p in layer.parameters()}
    return {p for name, p in by_name.items() if fnmatchcase(name, pattern)}


def _layers(network: Any) -> Sequence[Module]:
    """The decoder's layers: its first list of as many modules as the config says (an expert's list lies inside)."""
    number = network.config.get_text_config().num_hidden_layers
    lists = (m for m in network.modules() if isinstance(m, ModuleList) and len(m) == number)
    return list(next(lists, ()))


def _expected(network: Any, by_name: Mapping[str, Parameter]) -> str:
    names = list(by_name)
    shown = ", ".join(names[:: max(1, len(names) // SHOWN_NAMES)][:SHOWN_NAMES])
    return (
        f'"embeddings", "head", "layers.A" or "layers.A-B" from 0 to {len(_layers(network)) - 1}, '
        f"or a pattern of names such as {shown}"
    )


def _names(by_name: Mapping[str, Parameter], chosen: set[Parameter]) -> list[str]:
    first: dict[Parameter, str] = {}
    names = []
    for name, p in by_name.items():
        if p in chosen:
            names.append(f"{name} (tied to {first[p]})" if p in first else name)
            first.setdefault(p, name)
    return names

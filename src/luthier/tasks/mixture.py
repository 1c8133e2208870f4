"""How often each task, or each file, is trained on, whatever the number of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pydantic

from luthier.config import Config, known_as
from luthier.errors import ConfigError, Problem

How = Literal["proportional", "temperature", "weights", "equal"]
FLAN_CAP = 3_000


class MixtureConfig(Config):
    """[tasks.mixture]: the share of each task (of a file or cluster, where these are mixed) in what is trained."""

    how: How = pydantic.Field("proportional", json_schema_extra=known_as("strategy", "mixing"))
    """By the number of rows up to the cap (proportional), flattened by the temperature, by weights, or equal."""
    cap: int | None = pydantic.Field(FLAN_CAP, ge=1, json_schema_extra=known_as("max_examples", "limit"))
    """Rows beyond this many earn no greater share, where shares go by rows (arXiv:2109.01652); "none" for no cap."""
    temperature: float = pydantic.Field(1.0, ge=1)
    """With how = "temperature", shares are raised to 1/temperature: 1 is proportional, large is nearly equal."""
    weights: dict[str, float] = pydantic.Field({}, json_schema_extra=known_as("ratios", "probabilities"))
    """With how = "weights", the weight of every task by name; only their ratios count."""

    @pydantic.model_validator(mode="after")
    def _keys_go_together(self) -> MixtureConfig:
        if self.temperature != 1 and self.how != "temperature":
            raise ValueError(f'temperature is {self.temperature}, for {self.how}; set how = "temperature"')
        if self.cap != FLAN_CAP and self.how in ("weights", "equal"):
            raise ValueError(f'cap is {self.cap}, which how = "{self.how}" does not read; leave it out')
        if bool(self.weights) != (self.how == "weights"):
            said = "given" if self.weights else "empty"
            fix = 'set how = "weights"' if self.weights else "write a weight for every task"
            raise ValueError(f'weights is {said}, with how = "{self.how}"; {fix}')
        if any(weight < 0 for weight in self.weights.values()):
            raise ValueError("weights is negative for a task; a weight is 0 or more")
        return self

    def rates(self, sizes: Mapping[str, int], *, where: str = "tasks.mixture") -> dict[str, float]:
        """The share of each task, by its number of rows; `where` is the place of these keys, for errors."""
        return rates(sizes, how=self.how, cap=self.cap, temperature=self.temperature, weights=self.weights, where=where)


def rates(
    sizes: Mapping[str, int],
    *,
    how: How = "proportional",
    cap: int | None = FLAN_CAP,
    temperature: float = 1.0,
    weights: Mapping[str, float] | None = None,
    where: str = "tasks.mixture",
) -> dict[str, float]:
    """The share of each name, in 0..1 and together 1. A name without rows has none, whatever its weight.

    proportional: min(n, cap) over their sum (FLAN, arXiv:2109.01652). temperature: the same shares to the power of
    1/temperature, over their sum (T5, arXiv:1910.10683). ConfigError where weights and names differ, or all are 0.

    >>> rates({"large": 9000, "small": 1000})
    {'large': 0.75, 'small': 0.25}
    """
    if how == "weights":
        _check_names(sizes, weights or {}, where)
    parts = {}
    for name, size in sizes.items():
        capped = float(size if cap is None else min(size, cap))
        if size == 0:
            parts[name] = 0.0
        elif how == "weights":
            parts[name] = (weights or {})[name]
        elif how == "equal":
            parts[name] = 1.0
        else:
            parts[name] = capped ** (1 / temperature) if how == "temperature" else capped
    total = sum(parts.values())
    if not total:
        raise ConfigError(
            "a mixture is empty",
            [Problem(where=where, found="no task with rows and a share", expected="at least one",
                     fix="give a task rows, and a weight above 0")],
        )  # fmt: skip
    return {name: part / total for name, part in parts.items()}


def _check_names(sizes: Mapping[str, int], weights: Mapping[str, float], where: str) -> None:
    problems = [
        Problem(where=f"{where}.weights.{name}", found="no weight", expected="a weight for every task",
                fix="add it; 0 leaves the task out")
        for name in sizes
        if name not in weights
    ]  # fmt: skip
    problems += [
        Problem(where=f"{where}.weights.{name}", found="a weight", expected=f"one of {', '.join(sizes)}",
                fix="correct the name, or remove it")
        for name in weights
        if name not in sizes
    ]  # fmt: skip
    if problems:
        raise ConfigError("the weights of the mixture are not those of the tasks", problems)

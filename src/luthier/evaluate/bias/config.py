"""What a recipe says of the search for bias in a model."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from luthier.config import Config, known_as

ATTRIBUTES = ("names", "gender", "nationality", "religion", "age")
"""What there are lists of pairs for."""


class SwapsConfig(Config):
    """[evaluate.bias]: does the model serve people alike? A margin that is named before the run."""

    swaps: tuple[str, ...] = Field((), json_schema_extra=known_as("counterfactuals", "attributes"))
    """What is swapped in the items: names, gender, nationality, religion, age, and pairs of your own by their name."""
    own: dict[str, tuple[tuple[str, str], ...]] = Field(default_factory=dict)
    """Pairs of words of your own: own = {town = [["Oakford", "Lindale"]]}; all first words are one side."""
    margin: float = Field(0.05, gt=0, lt=1, json_schema_extra=known_as("tolerance", "epsilon"))
    """Scores that differ by less, in points of 0..1, are alike."""
    alpha: float = Field(0.05, gt=0, lt=0.5)
    """The chance of calling any unlike scores alike, or any alike ones different, over all attributes."""
    crows_pairs: Path | None = None
    """The table of CrowS-Pairs, for information only; it contains offensive sentences."""

    @model_validator(mode="after")
    def _known(self) -> SwapsConfig:
        taken = sorted(set(self.own) & set(ATTRIBUTES))
        if taken:
            raise ValueError(f"own has {taken[0]!r}, which is built in; give your pairs another name")
        known = (*ATTRIBUTES, *self.own)
        for name in self.swaps:
            if name not in known:
                raise ValueError(f"swaps has {name!r}, expected some of {', '.join(known)}")
        unused = sorted(set(self.own) - set(self.swaps))
        if unused:
            raise ValueError(f"own has {unused[0]!r}, which swaps does not name; add it there")
        for name, pairs in self.own.items():
            if not name.replace("-", "_").isidentifier():
                raise ValueError(f"own has {name!r}, expected a name of letters, digits, - and _")
            words = [word.casefold() for pair in pairs for word in pair]
            if not pairs or not all(word.strip() == word and word for word in words) or len(set(words)) < len(words):
                raise ValueError(f"own.{name} needs pairs of words, each word once and without blanks around it")
        if len(set(self.swaps)) < len(self.swaps):
            raise ValueError("swaps names an attribute twice")
        return self

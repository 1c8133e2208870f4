"""The lists of words by language, as they are written: who is named, and what may stand in its place.

    words_by_language/   words that name groups, and words that are looked for near them
    swaps_by_language/   pairs of such words

The files say where their words come from. To add a language, add a file to the first folder and its code to LANGUAGES;
a file in the second is not needed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

LANGUAGES = ("en", "es")
UNSTATED = "en"
"""Texts whose language is not stated are read with these words."""


@lru_cache(maxsize=8)
def word_table(language: str) -> Mapping[str, Mapping[str, Any]]:
    """Groups, names, attributes and patterns of one of LANGUAGES."""
    return _read("words_by_language", language)


@lru_cache(maxsize=8)
def swap_table(language: str) -> Mapping[str, Mapping[str, Any]]:
    """Pairs of words by attribute; nothing for a language without such a list."""
    place = files("luthier.people") / "swaps_by_language" / f"{language}.toml"
    return _read("swaps_by_language", language) if language in LANGUAGES and place.is_file() else {}


def _read(folder: str, language: str) -> Mapping[str, Mapping[str, Any]]:
    text = (files("luthier.people") / folder / f"{language}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)

"""What tests of several folders share: tiny models, and the way to the real data."""

from __future__ import annotations

import os

# Before torch is imported: tiny tensors only lose by threads, and sums keep one order. No test has a network.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from fakes import SHAPES, write_tiny_model

if TYPE_CHECKING:
    from luthier.models.load import Model

# The same cases each time, and no clock: a test that fails fails everywhere.
hypothesis.settings.register_profile("luthier", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("luthier")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny random model of a shape (see fakes.SHAPES), written once a session: read it only."""

    @cache
    def folder(shape: str = "llama") -> Path:
        return write_tiny_model(tmp_path_factory.mktemp("tiny") / shape, shape)

    return folder


@pytest.fixture(scope="session")
def load_tiny(tiny_folder: Callable[[str], Path]) -> Callable[[str], Model]:
    """A freshly loaded tiny model of a shape, for tests that change it."""

    def load(shape: str = "llama") -> Model:
        from luthier.models.load import load_model

        return load_model(tiny_folder(shape), device="cpu")

    return load


@pytest.fixture(scope="session")
def tiny(load_tiny: Callable[[str], Model]) -> Callable[[str], Model]:
    """A tiny model of a shape, loaded once a session: do not change it."""
    return cache(load_tiny)


@pytest.fixture(scope="session")
def tiny_model_folder(tiny_folder: Callable[[str], Path]) -> Path:
    """The folder of the tiny Llama."""
    return tiny_folder("llama")


@pytest.fixture(scope="session")
def tiny_model(tiny: Callable[[str], Model]) -> Model:
    """The tiny Llama, loaded once a session: do not change it."""
    return tiny("llama")


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    """Each shape in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; skips where there is none."""
    folder = os.environ.get("LUTHIER_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("LUTHIER_TEST_DATA names no folder of real data")
    return Path(folder)

"""What can be said of serving in a recipe, and what is refused there."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.config import load_config
from luthier.errors import ConfigError
from luthier.serve.config import ServeConfig


def load(folder: Path, text: str) -> ServeConfig:
    path = folder / "serve.toml"
    path.write_text(text)
    return load_config(ServeConfig, path)


def test_nothing_said_is_this_machine_only_with_a_store_and_no_keys(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    assert (config.host, config.port, config.store) == ("127.0.0.1", 8000, "sqlite:///traces.sqlite")
    assert config.keys_env is None and config.host_names == () and config.trace_consent


def test_the_word_none_keeps_nothing(tmp_path: Path) -> None:
    assert load(tmp_path, 'store = "none"').store is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = 70000", r"serve\.toml:1: port"),
        ('port = "8000"', r"serve\.toml:1: port"),
        ("\nmax_body_bytes = 0", r"serve\.toml:2: max_body_bytes"),
        ('api_keys = "secret"', "did you mean keys_env"),
        ("allowed_hosts = []", "did you mean host_names"),
        ("max_tokens = 5", "did you mean max_new_tokens"),
        ("workers = 4", "unknown key"),
    ],
)
def test_a_key_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)

"""Which files a user's model path means, and their digest. Imports no torch, so that a reused stage stays quick."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from luthier.errors import ModelError, Problem

DIGESTED = ("*.safetensors", "config.json", "adapter_config.json", "tokenizer.json", "chat_template.jinja",
            "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
            "*.safetensors.index.json")  # fmt: skip
"""Files that decide what a model answers; `generation_config.json` does not, Luthier reads no sampling from it."""


def resolve(folder: Path | str) -> Path:
    """The model folder that a user's path means; ModelError when there are no usable weights in it."""
    path = Path(folder)
    if (path / "model").is_dir() and not any(path.glob("*.safetensors")):
        path = path / "model"  # a run folder: its own config.json holds options, not sizes
    if not path.is_dir():
        if path.suffix or path.is_absolute() or str(folder).count("/") != 1 or path.parts[0] in (".", ".."):
            raise unusable(path, "no such folder", "check the path")
        return _from_hub(str(folder))
    if not (path / "config.json").is_file() and not (path / "adapter_config.json").is_file():
        raise unusable(path, "no config.json", "point at a folder in Hugging Face layout or at a run folder")
    if not any(path.glob("*.safetensors")):
        pickled = any(path.glob("*.bin")) or any(path.glob("*.pt"))
        fix = (
            "convert the weights to safetensors; pickled weights can run code and are never loaded"
            if pickled
            else "copy the weights (*.safetensors) into the folder"
        )
        raise unusable(path, "pickled weights only" if pickled else "no weights", fix)
    return path


def digest(folder: Path, *, template: str | None = None) -> str:
    """First 16 hex digits of the sha256 over every file that decides what the model answers, its base's included.

    `template`: a chat template given in place of the folder's own.
    """
    total = hashlib.sha256((template or "").encode())
    for place in dict.fromkeys([folder, base_of(folder)]):
        for path in sorted({p for pattern in DIGESTED for p in place.glob(pattern)}):
            with path.open("rb") as file:
                total.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def unusable(path: Path, found: str, fix: str) -> ModelError:
    """The error for a model folder that cannot be used."""
    return ModelError(
        "the model cannot be loaded",
        [Problem(where=str(path), found=found, expected="config.json, tokenizer.json and *.safetensors", fix=fix)],
    )


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.model", "*.md"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise unusable(Path(name), f"no such folder, and no such hub model within reach ({reason[:160]})",
                       "check the path; a hub name needs a network") from None  # fmt: skip


def base_of(where: Path) -> Path:
    """The folder of the base that an adapter in `where` was trained on; `where` itself when it is no adapter."""
    if not (where / "adapter_config.json").is_file():
        return where
    name = str(_read_json(where / "adapter_config.json").get("base_model_name_or_path"))
    base = Path(name)
    for candidate in (base, where / base):
        if candidate.is_dir():
            return resolve(candidate)
    if base.is_absolute():
        raise ModelError(
            "the adapter's base is missing",
            [Problem(where=f"{where / 'adapter_config.json'}: base_model_name_or_path", found=repr(name),
                     expected="the folder of the model that the adapter was trained on",
                     fix="put the base back, or change this path")],
        )  # fmt: skip
    return resolve(name)


def licence_of(folder: Path) -> str | None:
    """The licence that the folder states: front matter of its README.md."""
    card = folder / "README.md"
    if not card.is_file():
        return None
    for line in card.read_text(encoding="utf-8", errors="replace").splitlines()[:60]:
        key, _, value = line.partition(":")
        if key.strip() in ("license", "licence") and value.strip():
            return value.strip().strip("'\"")
    return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise unusable(path, f"a file that is not JSON ({error})", "repair the file") from None
    return data


def read_template(path: Path | None) -> str | None:
    """The chat template in a file of the user's; ModelError when there is none."""
    if path is None:
        return None
    if not path.is_file():
        raise ModelError(
            "the chat template is missing",
            [Problem(where=f"model.chat_template: {path}", found="no such file", expected="a Jinja chat template",
                     fix="check the path")],
        )  # fmt: skip
    return path.read_text(encoding="utf-8")

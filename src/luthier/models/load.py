"""A model folder as a `Model`: safetensors only, no code from the folder is ever run."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from luthier.errors import ModelError, Problem
from luthier.models.render import Renderer, plain_template

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
# The library states on every load of an adapter what the manifest states better.
logging.getLogger("peft").setLevel(logging.ERROR)

DIGESTED = ("*.safetensors", "config.json", "adapter_config.json", "tokenizer.json", "chat_template.jinja",
            "tokenizer_config.json")  # fmt: skip
"""Files that decide what a model answers; `generation_config.json` does not, Luthier reads no sampling from it."""


@dataclass(frozen=True, slots=True)
class Model:
    """A network with its tokenizer and renderer, ready on a device."""

    network: Any
    """A causal language model of transformers, or a peft model around one."""
    tokenizer: Any
    renderer: Renderer
    digest: str
    """sha256 over weights, config, tokenizer and template (first 16 hex digits); an adapter's covers its base."""
    folder: Path
    max_length: int
    """Positions that both network and tokenizer allow."""
    licence: str | None
    notices: tuple[str, ...]
    """What was done on loading that the user should know, such as an added chat template."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(self.network.parameters()).device
        return device

    @property
    def num_parameters(self) -> int:
        """Parameters of the network, tied ones counted once."""
        return sum(p.numel() for p in self.network.parameters())

    @property
    def bos_ids(self) -> list[int]:
        """The BOS token that the tokenizer puts before plain text, or nothing."""
        ids = self.tokenizer("a").input_ids
        bos = self.tokenizer.bos_token_id
        return [bos] if bos is not None and ids and ids[0] == bos else []


def load_model(folder: Path | str, *, dtype: str = "float32", device: str | None = None) -> Model:
    """The model in `folder`: a Hugging Face layout, an adapter layout, or a run folder that holds `model/`.

    A name that is no folder is taken for a hub name. ModelError names the file that is missing or cannot be used.
    """
    where = resolve(folder)
    notices: list[str] = []
    adapter = _read_json(where / "adapter_config.json") if (where / "adapter_config.json").is_file() else None
    base = _base_of(where, adapter) if adapter else where
    tokenizer = _load_tokenizer(where if (where / "tokenizer.json").is_file() else base)
    if not tokenizer.chat_template:
        tokenizer.chat_template = plain_template(tokenizer, name=str(where))
        notices.append(
            f"{where} has no chat template; a plain one was added (User: / Assistant:, answers end with "
            f"{tokenizer.eos_token!r}) and is saved with the tuned model"
        )
    network = _load_network(base, dtype=dtype)
    if adapter:
        from peft import PeftModel

        network = PeftModel.from_pretrained(network, where, is_trainable=True)
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    network.to(chosen).eval()
    return Model(
        network=network,
        tokenizer=tokenizer,
        renderer=Renderer(tokenizer, name=str(where)),
        digest=digest(where, base),
        folder=where,
        max_length=_max_length(network.config, tokenizer),
        licence=_licence(where) or _licence(base),
        notices=tuple(notices),
    )


def resolve(folder: Path | str) -> Path:
    """The model folder that a user's path means; ModelError when there are no usable weights in it."""
    path = Path(folder)
    if (path / "model").is_dir() and not any(path.glob("*.safetensors")):
        path = path / "model"  # a run folder: its own config.json holds options, not sizes
    if not path.is_dir():
        if path.suffix or path.is_absolute() or str(folder).count("/") != 1 or path.parts[0] in (".", ".."):
            raise _missing(path, "no such folder", "check the path")
        return _from_hub(str(folder))
    if not (path / "config.json").is_file() and not (path / "adapter_config.json").is_file():
        raise _missing(path, "no config.json", "point at a folder in Hugging Face layout or at a run folder")
    if not any(path.glob("*.safetensors")):
        pickled = any(path.glob("*.bin")) or any(path.glob("*.pt"))
        fix = (
            "convert the weights to safetensors; pickled weights can run code and are never loaded"
            if pickled
            else "copy the weights (*.safetensors) into the folder"
        )
        raise _missing(path, "pickled weights only" if pickled else "no weights", fix)
    return path


def digest(folder: Path, base: Path | None = None) -> str:
    """First 16 hex digits of the sha256 over every file that decides what the model answers."""
    total = hashlib.sha256()
    for place in dict.fromkeys([folder, base or folder]):
        for path in sorted({p for pattern in DIGESTED for p in place.glob(pattern)}):
            with path.open("rb") as file:
                total.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def _missing(path: Path, found: str, fix: str) -> ModelError:
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
        raise _missing(Path(name), f"no such folder, and no such hub model within reach ({reason[:160]})",
                       "check the path; a hub name needs a network") from None  # fmt: skip


def _base_of(where: Path, adapter: dict[str, Any]) -> Path:
    name = str(adapter.get("base_model_name_or_path"))
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


def _load_tokenizer(where: Path) -> Any:
    if not (where / "tokenizer.json").is_file():
        raise _missing(where, "no tokenizer.json", "save the tokenizer beside the weights (tokenizer.save_pretrained)")
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
    except (ValueError, OSError, KeyError) as error:
        raise _missing(where, f"a tokenizer that cannot be read ({error})", "repair tokenizer.json") from error
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def _load_network(base: Path, *, dtype: str) -> Any:
    try:
        config = AutoConfig.from_pretrained(base, trust_remote_code=False)
        network, report = AutoModelForCausalLM.from_pretrained(
            base, config=config, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False,
            output_loading_info=True,
        )  # fmt: skip
    except (ValueError, OSError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _missing(base, f"a model that cannot be read ({reason[:300]})", "repair or replace the files") from error
    absent = sorted(report["missing_keys"])
    if absent:
        raise _missing(base, f"weights without {absent[0]} ({len(absent)} tensors missing)",
                       "use the complete weights; random tensors would train and answer silently")  # fmt: skip
    return network


def _max_length(config: Any, tokenizer: Any) -> int:
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    positions = getattr(text_config, "max_position_embeddings", None) or getattr(text_config, "n_positions", None)
    limits = [int(n) for n in (positions, tokenizer.model_max_length) if n and n < 1e9]
    return min(limits) if limits else 1 << 20


def _licence(folder: Path) -> str | None:
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
        raise _missing(path, f"a file that is not JSON ({error})", "repair the file") from None
    return data

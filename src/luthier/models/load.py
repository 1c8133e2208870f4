"""A model folder as a `Model`: safetensors only, no code from the folder is ever run."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from luthier.errors import ModelError
from luthier.models.folders import base_of, digest, licence_of, read_template, resolve, unusable
from luthier.models.quantised import keep_exact, quantisation
from luthier.models.render import Renderer, plain_template
from luthier.models.tokens import grow

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
# The library states on every load of an adapter what the manifest states better.
logging.getLogger("peft").setLevel(logging.ERROR)


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
    new_token_ids: tuple[int, ...] = ()
    """Tokens that were added since the base was loaded; an adapter trains their rows."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(self.network.parameters()).device
        return device

    @property
    def num_parameters(self) -> int:
        """Parameters of the network, tied ones counted once; those held in 4 bits count whole."""
        states = ((p, getattr(p, "quant_state", None)) for p in self.network.parameters())
        return sum(p.numel() if state is None else math.prod(state.shape) for p, state in states)

    @property
    def bos_ids(self) -> list[int]:
        """The BOS token that the tokenizer puts before plain text, or nothing."""
        ids = self.tokenizer("a").input_ids
        bos = self.tokenizer.bos_token_id
        return [bos] if bos is not None and ids and ids[0] == bos else []


def load_model(
    folder: Path | str,
    *,
    dtype: str = "float32",
    device: str | None = None,
    chat_template: Path | None = None,
    quantised: bool = False,
) -> Model:
    """The model in `folder`: a Hugging Face layout, an adapter layout, or a run folder that holds `model/`.

    A name that is no folder is taken for a hub name. `chat_template`: a Jinja file that takes the place of the
    folder's own. `quantised`: the base's linear layers in 4 bits. ModelError names the file that is missing or cannot
    be used; ConfigError says that this machine has no kernel for 4 bits.
    """
    where = resolve(folder)
    notices: list[str] = []
    base = base_of(where)
    tokenizer = _load_tokenizer(where if (where / "tokenizer.json").is_file() else base)
    template = read_template(chat_template)
    if template is not None:
        tokenizer.chat_template = template
    elif not tokenizer.chat_template:
        tokenizer.chat_template = plain_template(tokenizer, name=str(where))
        notices.append(
            f"{where} has no chat template; a plain one was added (User: / Assistant:, answers end with "
            f"{tokenizer.eos_token!r}) and is saved with the tuned model"
        )
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    network = _load_quantised(base, dtype, chosen) if quantised else _load_network(base, dtype=dtype)
    if base != where:
        network = _load_adapter(network, where, num_tokens=len(tokenizer))
    network.to(chosen).eval()
    return Model(
        network=network,
        tokenizer=tokenizer,
        renderer=Renderer(tokenizer, name=str(where)),
        digest=digest(where, template=template),
        folder=where,
        max_length=_max_length(network.config, tokenizer),
        licence=licence_of(where) or licence_of(base),
        notices=tuple(notices),
    )


def _load_tokenizer(where: Path) -> Any:
    if not (where / "tokenizer.json").is_file():
        raise unusable(where, "no tokenizer.json", "save the tokenizer beside the weights (tokenizer.save_pretrained)")
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
    except (ValueError, OSError, KeyError) as error:
        raise unusable(where, f"a tokenizer that cannot be read ({error})", "repair tokenizer.json") from error
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def _load_network(base: Path, *, dtype: str, **options: Any) -> Any:
    try:
        config = AutoConfig.from_pretrained(base, trust_remote_code=False)
        network, report = AutoModelForCausalLM.from_pretrained(
            base, config=config, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False,
            output_loading_info=True, **options,
        )  # fmt: skip
    except (ValueError, OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise _unreadable(base, error) from error
    _need_all(base, set(report["missing_keys"]))
    return network


def _load_quantised(base: Path, dtype: str, device: str) -> Any:
    settings = quantisation(dtype=dtype, device=device)
    network = _load_network(base, dtype=dtype, quantization_config=settings, device_map={"": device})
    keep_exact(network, dtype=dtype, device=device)
    return network


def _load_adapter(network: Any, where: Path, *, num_tokens: int) -> Any:
    from peft import PeftModel, get_peft_model_state_dict

    try:
        with safe_open(where / "adapter_model.safetensors", framework="pt") as file:
            stored = set(file.keys())
        missing = num_tokens - network.get_input_embeddings().weight.shape[0]
        if missing > 0:
            _need_rows(where, stored, missing)
            grow(network, num_tokens)
        with quiet_peft():
            adapted = PeftModel.from_pretrained(network, where, is_trainable=True)
            needed = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    except (ValueError, OSError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        raise _unreadable(where, error) from error
    _need_all(where, needed - stored)
    return adapted


def _need_rows(where: Path, stored: set[str], missing: int) -> None:
    """An adapter with a longer tokenizer than its base must bring the rows of the tokens that are new."""
    rows = ("token_adapter.trainable_tokens_delta", "embed_tokens.weight", "wte.weight", "embed_in.weight",
            "word_embeddings.weight")  # fmt: skip
    if not any(name.endswith(rows) for name in stored):
        raise unusable(where, f"a tokenizer with {missing} tokens more than the base has rows, and no rows for them",
                       "save the adapter with its embeddings")  # fmt: skip


def _need_all(where: Path, absent: set[str]) -> None:
    if absent:
        raise unusable(where, f"weights without {min(absent)} ({len(absent)} tensors missing)",
                       "use the complete weights; random tensors would train and answer silently")  # fmt: skip


def _unreadable(where: Path, error: Exception) -> ModelError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return unusable(where, f"a model that cannot be read ({reason[:300]})", "repair or replace the files")


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Inside, peft does not warn of what it does itself."""
    with warnings.catch_warnings():
        # It asks transformers for a property by the name that it had.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        # It corrects this setting for the linear layers of GPT-2, which are stored transposed.
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False", category=UserWarning)
        # It only warns of missing tensors; here they are an error.
        warnings.filterwarnings("ignore", message="Found missing adapter keys", category=UserWarning)
        # It warns of each pattern of an expert's ranks that it has itself translated; the adapters are there.
        warnings.filterwarnings("ignore", message="The following (rank|alpha)_pattern keys", category=RuntimeWarning)
        # It looks for the base's config on a hub to tell whether the vocabulary grew; here that is known.
        warnings.filterwarnings("ignore", message="Could not find a config file", category=UserWarning)
        # An adapter that brought the whole embeddings of a longer tokenizer keeps them.
        warnings.filterwarnings("ignore", message="Setting `save_embedding_layers` to `True`", category=UserWarning)
        yield


def _max_length(config: Any, tokenizer: Any) -> int:
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    positions = getattr(text_config, "max_position_embeddings", None) or getattr(text_config, "n_positions", None)
    limits = [int(n) for n in (positions, tokenizer.model_max_length) if n and n < 1e9]
    return min(limits) if limits else 1 << 20

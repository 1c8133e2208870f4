"""A model that exists, with more layers, fewer layers or more tokens: in each case what it knew is kept, and proven.

A changed network is made anew from its changed config, so that what is saved is what transformers makes of the saved
config; then both are asked the same, and must answer alike bit for bit.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.initialization import no_init_weights

from luthier.errors import ModelError, Problem
from luthier.models.build import extend_tokenizer
from luthier.models.config import BuildConfig
from luthier.models.load import Model, load_model

OUTPUTS = ("o_proj", "out_proj", "c_proj", "dense", "down_proj", "dense_4h_to_h", "fc2", "fc_out")
"""Names that architectures give to the last linear map of attention and of feed-forward."""
OUTPUT_NORMS = (
    ("post_attention_layernorm", "post_feedforward_layernorm"),  # Gemma 2 and 3, OLMo 2 and 3, EXAONE 4
    ("post_self_attn_layernorm", "post_mlp_layernorm"),  # GLM 4
)
"""Norms after attention and after feed-forward, in architectures that have them."""
SIZE_LISTS = ("intermediate_size", "num_key_value_heads", "activation_sparsity_pattern")
"""Keys of a config, without the word "layer" in them, that may hold an entry for each layer."""
INFLUENCE_DOCUMENTS = 64
"""Documents over which the influence of layers is measured."""
INFLUENCE_TOKENS = 512
"""Tokens of each of them."""
PROOF_TOKENS = 32
"""Tokens of the row that the old and the new network are both asked."""


def reshape_model(config: BuildConfig, documents: Sequence[str], folder: Path) -> list[str]:
    """Write the model at `config.start` to `folder`, changed as the config says; returns what was done, in words.

    Layers are taken out first, then new ones put in, then tokens added. ModelError names the key that cannot be done.
    """
    assert config.start is not None
    model = load_model(config.start)
    if not isinstance(model.network, PreTrainedModel):
        raise _problem("start", f"{config.start}, an adapter", "a model with weights of its own",
                       "merge the adapter into its base first")  # fmt: skip
    network, said = model.network, list(model.notices)
    removed = config.remove_layers
    if config.prune_layers is not None:
        removed, words = _least(network, _rows(model, documents), config.prune_layers)
        said.append(words)
    if removed:
        network = without_layers(network, removed)
        said.append(f"layers {', '.join(map(str, sorted(removed)))} taken out")
    if config.grow_layers is not None:
        network, new = with_new_layers(network, config.grow_layers)
        said.append(f"new layers at {', '.join(map(str, new))}, which add nothing yet")
    model.tokenizer.save_pretrained(folder)
    if config.grow_vocabulary is not None:
        parts = extend_tokenizer(folder, documents, number=config.grow_vocabulary)
        grow_vocabulary(network, parts)
        said.append(f"{len(parts):,} new tokens, each at the mean of its parts")
    network.save_pretrained(folder)
    return said


def with_new_layers(network: Any, number: int) -> tuple[Any, tuple[int, ...]]:
    """A network with `number` more layers that computes exactly what `network` does; and the places of the new ones.

    The layers are spread evenly; each copies the one below it, with the last linear maps of attention and feed-forward
    at zero (LLaMA Pro, arXiv:2401.02415). Where a norm follows these maps, its scale is zero instead: a norm would
    blow up the first small step of the map to full size.
    """
    depth = len(layers_of(network)[1])
    below = [-(-depth * n // number) - 1 for n in range(1, number + 1)]
    order = sorted([*range(depth), *below])
    new = tuple(place for place in range(1, len(order)) if order[place] == order[place - 1])
    grown = _rebuilt(network, order, key="grow_layers")
    blocks = layers_of(grown)[1]
    for place in new:
        _silence(blocks[place])
    if not torch.equal(_answer(network), _answer(grown)):
        raise _problem("grow_layers", f"a {_kind(network)} network, whose new layers cannot be made to add nothing",
                       "an architecture that adds to the hidden states what its output projections give",
                       "leave the key out, or start from another model")  # fmt: skip
    return grown, new


def without_layers(network: Any, layers: Sequence[int]) -> Any:
    """A network without these layers, counted from 0: exactly `network` with each of them handing on its input."""
    blocks = layers_of(network)[1]
    wrong = sorted({layer for layer in layers if not 0 <= layer < len(blocks)})
    if wrong or not len(set(layers)) < len(blocks):
        raise _problem("remove_layers", str(list(layers)), f"some of layers 0 to {len(blocks) - 1}, not all",
                       "name layers that the model has, and leave one at least")  # fmt: skip
    pruned = _rebuilt(network, [n for n in range(len(blocks)) if n not in layers], key="remove_layers")
    with _stepped_over([blocks[n] for n in set(layers)]):
        expected = _answer(network)
    if not torch.equal(expected, _answer(pruned)):
        raise _problem("remove_layers", f"a {_kind(network)} network, whose layers depend on their place",
                       "an architecture whose layers do not", "leave the key out")  # fmt: skip
    return pruned


def influence_of_layers(network: Any, rows: Iterable[Sequence[int]]) -> list[float]:
    """How much each layer changes the hidden states of the rows: 1 - mean over positions of cos(input, output).

    The block influence of ShortGPT (arXiv:2403.03853), equation 1.
    """
    blocks = layers_of(network)[1]
    total = torch.zeros(len(blocks), dtype=torch.float64)
    count = 0
    for row in rows:
        for n, (before, after) in enumerate(_passed(network, blocks, row)):
            total[n] += (1 - torch.cosine_similarity(before.double(), after.double(), dim=-1)).sum().cpu()
        count += len(row)
    values: list[float] = (total / max(count, 1)).tolist()
    return values


@torch.no_grad()
def grow_vocabulary(network: Any, parts: Mapping[int, Sequence[int]]) -> None:
    """Give `network`, in place, a row for each new token id: the mean of the rows of the old ids that it is made of.

    Rows that exist stay as they are, and so do the logits of old tokens; a tied head stays tied.
    """
    inputs = network.get_input_embeddings()
    rows = max(max(parts) + 1, inputs.weight.shape[0])  # a matrix may be longer than its tokenizer
    network.resize_token_embeddings(rows, mean_resizing=False)
    inputs, head = network.get_input_embeddings(), network.get_output_embeddings()
    matrices = [inputs.weight] if head.weight is inputs.weight else [inputs.weight, head.weight]
    if getattr(head, "bias", None) is not None:
        matrices.append(head.bias)
    for id_, old in parts.items():
        for matrix in matrices:
            matrix[id_] = matrix[list(old)].mean(dim=0)


def layers_of(network: Any) -> tuple[str, nn.ModuleList]:
    """The full name and the list of the decoder's layers; ModelError where there is not exactly one such list."""
    depth = network.config.get_text_config().num_hidden_layers
    decoder = network.get_decoder()
    lists = {id(m) for m in decoder.modules() if isinstance(m, nn.ModuleList) and len(m) == depth}
    found: list[tuple[str, nn.ModuleList]] = []
    for name, module in network.named_modules():
        # A list within a layer, of its experts for example, is no list of layers.
        if id(module) in lists and not any(name.startswith(outer + ".") for outer, _ in found):
            found.append((name, module))
    if len(found) != 1:
        raise _problem("start", f"a {_kind(network)} network with {len(found)} lists of {depth} modules",
                       "a decoder with one list of layers", "start from a model of another architecture")  # fmt: skip
    return found[0]


def _rebuilt(network: Any, order: Sequence[int], *, key: str) -> Any:
    """A network of the same kind whose layer i has the weights of layer order[i]."""
    name, blocks = layers_of(network)
    config = copy.deepcopy(network.config)
    _reorder(config.get_text_config(), order, depth=len(blocks))
    held = network.state_dict()
    weights = {k: tensor for k, tensor in held.items() if not k.startswith(f"{name}.")}
    for new, old in enumerate(order):
        start = f"{name}.{old}."
        weights |= {f"{name}.{new}.{k.removeprefix(start)}": held[k] for k in held if k.startswith(start)}
    try:
        with no_init_weights():  # every weight is loaded in the next line
            rebuilt = AutoModelForCausalLM.from_config(config, dtype=network.dtype)
        rebuilt.load_state_dict(weights)
    except (ValueError, RuntimeError) as error:
        raise _problem(key, f"a {_kind(network)} network that cannot be made with other layers "
                            f"({str(error).splitlines()[-1].strip()[:200]})",
                       "layers that can stand in each other's place", "leave the key out") from error  # fmt: skip
    rebuilt.generation_config = network.generation_config
    return rebuilt.to(network.device).train(network.training)


def _reorder(config: Any, order: Sequence[int], *, depth: int) -> None:
    """Change what a config says of each layer: lists with an entry a layer, and lists of layers that are special."""
    special = getattr(config, "mlp_only_layers", None)
    for key, value in list(vars(config).items()):
        if isinstance(value, list) and len(value) == depth and ("layer" in key or key in SIZE_LISTS):
            setattr(config, key, [value[n] for n in order])
    if special is not None:
        config.mlp_only_layers = [new for new, old in enumerate(order) if old in special]
    config.num_hidden_layers = len(order)


@torch.no_grad()
def _silence(block: nn.Module) -> None:
    """Make a layer add nothing to the hidden states."""
    parts = dict(block.named_children())
    for norms in OUTPUT_NORMS:
        if all(name in parts for name in norms):
            for name in norms:
                _silence_norm(parts[name])
            return
    for name, parameter in block.named_parameters():
        if re.sub(r"[._](weight|bias)$", "", name).rpartition(".")[2] in OUTPUTS:
            parameter.zero_()


def _silence_norm(norm: nn.Module) -> None:
    """Set the scale to zero, be it the weight or, as in Gemma, one more than the weight."""
    for parameter in norm.parameters():
        parameter.zero_()
    weight: Any = norm.weight
    if norm(torch.ones_like(weight)).any():
        weight.fill_(-1)


@torch.no_grad()
def _answer(network: Any) -> Tensor:
    """Logits over one row, without dropout."""
    config = network.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or PROOF_TOKENS
    ids = torch.arange(1, 1 + min(positions, PROOF_TOKENS), device=network.device)[None] % config.vocab_size
    was_training = network.training
    network.eval()
    logits: Tensor = network(input_ids=ids, use_cache=False).logits
    network.train(was_training)
    return logits


@contextmanager
def _stepped_over(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, each of these layers hands on its input."""
    hooks = [block.register_forward_hook(_hand_on, with_kwargs=True) for block in blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _hand_on(_: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> Any:
    hidden = args[0] if args else kwargs["hidden_states"]
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


@torch.no_grad()
def _passed(network: Any, blocks: Iterable[nn.Module], row: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """The hidden states before and after each layer. Shapes [T, width]."""
    seen: list[tuple[Tensor, Tensor]] = []

    def note(_: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        seen.append((hidden[0], (output[0] if isinstance(output, tuple) else output)[0]))

    hooks = [block.register_forward_hook(note, with_kwargs=True) for block in blocks]
    try:
        network(input_ids=torch.tensor([row], device=network.device), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _least(network: Any, rows: Iterable[Sequence[int]], number: int) -> tuple[tuple[int, ...], str]:
    """The layers of least influence, and a sentence with every layer's."""
    influence = influence_of_layers(network, rows)
    if number >= len(influence):
        raise _problem("prune_layers", str(number), f"fewer than the {len(influence)} layers of the model",
                       "lower it")  # fmt: skip
    least = sorted(range(len(influence)), key=lambda n: influence[n])[:number]
    listed = ", ".join(f"{n}: {value:.4f}" for n, value in enumerate(influence))
    return tuple(sorted(least)), f"influence of each layer (1 - cosine of input and output): {listed}"


def _rows(model: Model, documents: Sequence[str]) -> Iterator[list[int]]:
    longest = min(model.max_length, INFLUENCE_TOKENS)
    for text in islice(documents, INFLUENCE_DOCUMENTS):
        if ids := model.tokenizer(text).input_ids[:longest]:
            yield ids


def _kind(network: Any) -> str:
    return str(network.config.model_type)


def _problem(key: str, found: str, expected: str, fix: str) -> ModelError:
    return ModelError("the model cannot change its shape",
                      [Problem(where=f"build.{key}", found=found, expected=expected, fix=fix)])  # fmt: skip

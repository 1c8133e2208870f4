"""New tokens: the tokenizer learns them, embeddings and head get a row for each, ties stay ties."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import AddedToken

from luthier.errors import ConfigError, Problem
from luthier.models.render import Renderer

if TYPE_CHECKING:
    from luthier.models.load import Model


def add_tokens(model: Model, tokens: Sequence[str]) -> Model:
    """The model with `tokens` known: each is one token wherever its text stands, and is part of what is decoded.

    Their rows begin at the mean of the old ones, in the embeddings and in the head. Call it before `add_adapter`, which
    then trains these rows beside the adapter. ConfigError names the entry of model.new_tokens that is blank, given
    twice, known already, or that this tokenizer could not decode.
    """
    if not tokens:
        return model
    _need_new(model, tokens)
    num_old = len(model.tokenizer)
    tokenizer = deepcopy(model.tokenizer)
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in tokens])
    ids = [int(i) for i in tokenizer.convert_tokens_to_ids(list(tokens))]
    _need_decoded(tokenizer, tokens, ids)
    with torch.no_grad():
        embeddings, head = model.network.get_input_embeddings(), model.network.get_output_embeddings()
        means = {layer: layer.weight[:num_old].double().mean(dim=0) for layer in (embeddings, head)}
        grow(model.network, max(ids) + 1)
        for old, new in ((embeddings, model.network.get_input_embeddings()),
                         (head, model.network.get_output_embeddings())):  # fmt: skip
            new.weight[ids] = means[old].to(new.weight.dtype)
    return replace(
        model, tokenizer=tokenizer, renderer=Renderer(tokenizer, name=str(model.folder)),
        new_token_ids=(*model.new_token_ids, *ids),
    )  # fmt: skip


def grow(network: Any, rows: int) -> None:
    """Give embeddings and head `rows` rows at least; new ones are zero, old ones and ties stay as they are."""
    embeddings, head = network.get_input_embeddings(), network.get_output_embeddings()
    num_old = embeddings.weight.shape[0]
    if rows <= num_old:
        return  # many models have spare rows
    is_tied = head.weight is embeddings.weight
    trains = embeddings.weight.requires_grad
    with torch.random.fork_rng(devices=[]):  # what it draws for the new rows is not kept
        network.resize_token_embeddings(rows, mean_resizing=False)
    embeddings, head = network.get_input_embeddings(), network.get_output_embeddings()
    assert (head.weight is embeddings.weight) == is_tied
    with torch.no_grad():
        for layer in (embeddings, head):
            layer.weight.requires_grad_(trains)
            layer.weight[num_old:] = 0
            if getattr(layer, "bias", None) is not None:
                layer.bias[num_old:] = 0


def _need_new(model: Model, tokens: Sequence[str]) -> None:
    from peft import PeftModel

    if isinstance(model.network, PeftModel):
        raise ConfigError(
            "new tokens cannot be added",
            [Problem(where="model.new_tokens", found=f"a tuned adapter in {model.folder}",
                     expected="a whole model: the adapter holds rows for its own new tokens only",
                     fix="leave model.new_tokens out, or give the merged model (luthier export)")],
        )  # fmt: skip
    vocabulary = model.tokenizer.get_vocab()
    problems = []
    for n, token in enumerate(tokens):
        ids = model.renderer.encode(token)
        if not token.strip():
            found = f"{token!r}, which is blank"
        elif token in tokens[:n]:
            found = f"{token!r} a second time"
        elif token in vocabulary or (len(ids) == 1 and ids[0] != model.tokenizer.unk_token_id):
            found = f"{token!r}, which is a token of this model already"
        else:
            continue
        problems.append(Problem(where=f"model.new_tokens[{n}]", found=found,
                                expected="text that is no single token yet", fix="leave it out"))  # fmt: skip
    if problems:
        raise ConfigError("new tokens cannot be added", problems)


def _need_decoded(tokenizer: Any, tokens: Sequence[str], ids: Sequence[int]) -> None:
    """Byte-level decoders take an accented letter inside an added token for a raw byte, and answer with rubble."""
    problems = [
        Problem(where=f"model.new_tokens[{n}]", found=f"{token!r}, which this tokenizer decodes as {text!r}",
                expected="text that comes back as it was", fix="spell it without accented letters, or leave it out")
        for n, (token, text) in enumerate(zip(tokens, map(tokenizer.decode, ids), strict=True))
        if text.strip() != token.strip()
    ]  # fmt: skip
    if problems:
        raise ConfigError("new tokens cannot be added", problems)

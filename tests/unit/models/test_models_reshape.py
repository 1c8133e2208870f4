"""Models with more layers, fewer layers or more tokens: what was there is kept, bit for bit."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from fakes import ALL_SHAPES, TINY_TEXT, tiny_network, tiny_tokenizer, write_tiny_model
from luthier.errors import ModelError
from luthier.models.adapters import add_adapter, save_model
from luthier.models.build import build_model, extend_tokenizer
from luthier.models.config import BuildConfig
from luthier.models.load import load_model
from luthier.models.reshape import (
    grow_vocabulary,
    influence_of_layers,
    layers_of,
    reshape_model,
    with_new_layers,
    without_layers,
)

IDS = torch.arange(80).view(2, 40) * 5 % 400
TEXT = [*TINY_TEXT] * 3  # so that every pair of tokens occurs again
EACH_SHAPE = pytest.mark.parametrize("shape", ALL_SHAPES)


@torch.no_grad()
def logits(network, ids=IDS):
    return network.eval()(input_ids=ids).logits


def saved_and_read(network, folder):
    network.save_pretrained(folder)
    return AutoModelForCausalLM.from_pretrained(folder)


@EACH_SHAPE
def test_new_layers_keep_the_function_bit_for_bit(shape, tmp_path):
    network = tiny_network(shape, layers=3, seed=1)
    before = logits(network)
    grown, new = with_new_layers(network, 2)
    assert new == (2, 4) and len(layers_of(grown)[1]) == grown.config.num_hidden_layers == 5
    assert torch.equal(logits(grown), before)
    assert torch.equal(logits(saved_and_read(grown, tmp_path)), before)
    assert len(layers_of(network)[1]) == network.config.num_hidden_layers == 3, "the given network is left as it was"


@EACH_SHAPE
def test_new_layers_learn_from_the_first_step_and_not_in_leaps(shape):
    """A step as Adam makes it, each weight by the rate: the answer gets better, and moves little.

    The bound leaves room for tokens that change their expert. A norm that blew up a projection near zero would move the
    answer by more than half of its size.
    """
    grown, new = with_new_layers(tiny_network(shape, seed=1, spread=0.1), 2)
    before = logits(grown)
    loss = grown(input_ids=IDS, labels=IDS).loss
    loss.backward()
    with torch.no_grad():
        for place in new:
            parameters = list(layers_of(grown)[1][place].parameters())
            assert any(p.grad is not None and p.grad.any() for p in parameters)
            for p in parameters:
                p -= 1e-4 * p.grad.sign()
        assert grown(input_ids=IDS, labels=IDS).loss < loss
    assert 0 < (logits(grown) - before).norm() / before.norm() < 0.15


def test_new_layers_are_spread_evenly_and_copy_the_one_below():
    network = tiny_network("llama", layers=6)
    for number, places in ((1, (6,)), (2, (3, 7)), (3, (2, 5, 8)), (6, (1, 3, 5, 7, 9, 11)), (12, (1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16, 17))):  # fmt: skip
        grown, new = with_new_layers(network, number)
        assert new == places
        blocks = layers_of(grown)[1]
        old = [block for n, block in enumerate(blocks) if n not in new]
        for block, given in zip(old, layers_of(network)[1], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(block.parameters(), given.parameters(), strict=True))
        for place in new:
            top, below = blocks[place].self_attn, blocks[place - 1].self_attn
            assert torch.equal(top.q_proj.weight, below.q_proj.weight) and not top.o_proj.weight.any()


def test_new_layers_have_the_attention_of_the_layer_that_they_copy():
    grown, new = with_new_layers(tiny_network("gemma3", layers=4), 2)
    kinds = ["sliding_attention", "full_attention", "full_attention", "sliding_attention", "full_attention"]
    assert new == (2, 5) and grown.config.layer_types == [*kinds, "full_attention"]
    assert [block.self_attn.is_sliding for block in layers_of(grown)[1]] == [
        kind.startswith("s") for kind in [*kinds, "f"]
    ]


def test_lists_of_a_config_that_only_happen_to_be_as_long_as_the_model_is_deep_stay():
    network = tiny_network("gemma3")
    network.config.eos_token_id = [1, 2]
    assert with_new_layers(network, 1)[0].config.eos_token_id == [1, 2]


def test_layers_without_experts_are_still_those_after_a_change():
    config = copy.deepcopy(tiny_network("qwen3_moe").config)
    config.num_hidden_layers, config.mlp_only_layers = 3, [1]
    network = AutoModelForCausalLM.from_config(config)
    assert with_new_layers(network, 3)[0].config.mlp_only_layers == [2, 3]
    assert without_layers(network, [0]).config.mlp_only_layers == [0]


@EACH_SHAPE
def test_a_pruned_model_is_the_old_one_with_the_layer_stepped_over(shape, tmp_path):
    network = tiny_network(shape, layers=3, seed=2)
    pruned = without_layers(network, [1])
    kept = [p.clone() for n in (0, 2) for p in layers_of(network)[1][n].parameters()]
    assert all(torch.equal(a, b) for a, b in zip(layers_of(pruned)[1].parameters(), kept, strict=True))
    before = logits(pruned)
    assert torch.equal(logits(saved_and_read(pruned, tmp_path)), before)
    assert not torch.equal(before, logits(network))
    hook = layers_of(network)[1][1].register_forward_hook(lambda _, args, __: args[0])
    assert torch.equal(logits(network), before)
    hook.remove()


@EACH_SHAPE
def test_taking_out_the_new_layers_gives_the_old_model(shape):
    network = tiny_network(shape, seed=3)
    grown, new = with_new_layers(network, 3)
    again = without_layers(grown, new).state_dict()
    assert again.keys() == network.state_dict().keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in network.state_dict().items())


@EACH_SHAPE
def test_influence_is_what_the_definition_says(shape):
    network = tiny_network(shape, layers=3, seed=4).eval()
    rows = [IDS[0].tolist(), IDS[1, :7].tolist()]
    distances = [[], [], []]
    for row in rows:
        with torch.no_grad():
            states = network(input_ids=torch.tensor([row]), output_hidden_states=True).hidden_states
        for n in range(2):  # the last state of this list is behind the final norm
            for x, y in zip(states[n][0], states[n + 1][0], strict=True):
                distances[n].append(1 - float(x @ y / (x.norm() * y.norm())))
    found = influence_of_layers(network, rows)
    assert found[:2] == pytest.approx([sum(d) / 47 for d in distances[:2]], abs=1e-5)


def test_a_layer_that_adds_nothing_has_no_influence():
    grown, new = with_new_layers(tiny_network("llama", layers=3), 1)
    influence = influence_of_layers(grown, IDS.tolist())
    assert influence[new[0]] == pytest.approx(0, abs=1e-12)
    assert min(value for n, value in enumerate(influence) if n not in new) > 0.01


@EACH_SHAPE
def test_new_rows_keep_the_logits_of_old_tokens_bit_for_bit(shape, tmp_path):
    network = tiny_network(shape, seed=5)
    before, is_tied = logits(network), network.get_output_embeddings().weight is network.get_input_embeddings().weight
    grow_vocabulary(network, {400: (1, 2), 401: (3, 3, 9), 402: (7,)})
    embeddings, head = network.get_input_embeddings().weight, network.get_output_embeddings().weight
    assert network.config.vocab_size == 403 and len(embeddings) == len(head) == 403
    assert (head is embeddings) == is_tied == network.config.tie_word_embeddings
    assert torch.equal(logits(network)[..., :400], before)
    for matrix in (embeddings, head):
        assert torch.equal(matrix[400], (matrix[1] + matrix[2]) / 2) and torch.equal(matrix[402], matrix[7])
    assert torch.equal(logits(saved_and_read(network, tmp_path)), logits(network))


def test_rows_that_a_longer_matrix_has_already_are_used_before_new_ones_are_made():
    network = tiny_network("llama", vocabulary=400)  # of a tokenizer with 390 tokens
    grow_vocabulary(network, {390: (1, 2), 391: (3, 4)})
    rows = network.get_input_embeddings().weight
    assert len(rows) == 400 and torch.equal(rows[391], (rows[3] + rows[4]) / 2)


@pytest.mark.parametrize("shape", ["llama", "qwen3", "gemma3", "gpt2"])
def test_a_grown_tokenizer_cuts_old_texts_where_it_did_or_at_fewer_places(shape, tmp_path):
    old = tiny_tokenizer(shape, vocabulary=300)
    old.save_pretrained(tmp_path)
    parts = extend_tokenizer(tmp_path, TEXT, number=20)
    new = AutoTokenizer.from_pretrained(tmp_path)
    assert list(parts) == list(range(300, 320)) and len(new) == 320
    assert {token: id_ for token, id_ in new.get_vocab().items() if id_ < 300} == old.get_vocab()
    shorter = 0
    for text in (*TINY_TEXT, "the blue lamp 12\n" * 3, "日本 \x00😀", "nothing of the kind"):
        before, after = old(text).input_ids, new(text).input_ids
        spelled = [id_ for new_id in after for id_ in parts.get(new_id, (new_id,))]
        assert spelled == before and new.decode(after) == old.decode(before)
        shorter += len(after) < len(before)
    assert shorter >= 4


def test_tokens_that_stand_after_the_old_merges_keep_their_ids(tmp_path):
    old = tiny_tokenizer("qwen3", vocabulary=300)
    old.add_special_tokens({"additional_special_tokens": ["<tool>"]})
    old.save_pretrained(tmp_path)
    parts = extend_tokenizer(tmp_path, TINY_TEXT, number=3)
    new = AutoTokenizer.from_pretrained(tmp_path)
    assert list(parts) == [301, 302, 303] and new("<tool>").input_ids == old("<tool>").input_ids == [300]


def test_merges_are_learned_by_how_often_they_occur_and_ties_by_their_letters(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    backend = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate("abcdz")} | {"ab": 5}, merges=[("a", "b")]))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.save(str(tmp_path / "tokenizer.json"))
    texts = ["zz zz zz zz", "abc abc abc", "dcab dcab dcab", "aaz"]
    parts = extend_tokenizer(tmp_path, texts, number=4)
    merges = json.loads((tmp_path / "tokenizer.json").read_text())["model"]["merges"]
    assert merges == [["a", "b"], ["z", "z"], ["ab", "c"], ["c", "ab"], ["d", "cab"]]
    assert parts == {6: (4, 4), 7: (5, 2), 8: (2, 5), 9: (3, 2, 5)}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"remove_layers": (2,)}, "build.remove_layers"),
        ({"remove_layers": (-1,)}, "build.remove_layers"),
        ({"remove_layers": (0, 1)}, "build.remove_layers"),
        ({"prune_layers": 2}, "build.prune_layers"),
        ({"grow_vocabulary": 100_000}, "build.grow_vocabulary"),
    ],
)
def test_a_change_that_cannot_be_made_names_its_key(change, where, tiny_folder, tmp_path):
    with pytest.raises(ModelError) as caught:
        reshape_model(BuildConfig(start=str(tiny_folder("llama")), **change), TINY_TEXT, tmp_path / "out")
    assert [problem.where for problem in caught.value.problems] == [where]


def test_an_adapter_is_no_start(load_tiny, tmp_path):
    adapted = add_adapter(load_tiny("llama"), rank=2, alpha=4, dropout=0.0, targets="all-linear")
    save_model(adapted, tmp_path / "adapter")
    with pytest.raises(ModelError, match=r"build\.start: found .*, an adapter"):
        reshape_model(BuildConfig(start=str(tmp_path / "adapter")), TINY_TEXT, tmp_path / "out")


def test_a_tokenizer_of_another_kind_cannot_grow(tmp_path):
    from tokenizers import Tokenizer, models

    Tokenizer(models.Unigram([("a", -1.0)])).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ModelError, match=r"build\.grow_vocabulary: found a tokenizer of another kind \(Unigram\)"):
        extend_tokenizer(tmp_path, TINY_TEXT, number=1)


def test_an_architecture_whose_layers_depend_on_their_place_is_refused():
    config = copy.deepcopy(tiny_network("gpt2", layers=3).config)
    config.scale_attn_by_inverse_layer_idx = True
    network = AutoModelForCausalLM.from_config(config)
    with pytest.raises(ModelError, match=r"build\.grow_layers: found a gpt2 network"):
        with_new_layers(network, 3)
    with pytest.raises(ModelError, match=r"build\.remove_layers: found a gpt2 network, whose layers depend on"):
        without_layers(network, [0])


def test_a_network_without_one_list_of_layers_is_refused():
    network = tiny_network("llama")
    network.model.others = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
    with pytest.raises(ModelError, match=r"build\.start: found a llama network with 2 lists of 2 modules"):
        layers_of(network)


def test_all_changes_together_are_made_in_their_order_and_said(tmp_path):
    write_tiny_model(tmp_path / "old", "llama", layers=3)
    config = BuildConfig(start=str(tmp_path / "old"), prune_layers=1, grow_layers=2, grow_vocabulary=5)
    said = reshape_model(config, TEXT, tmp_path / "new")
    old, new = load_model(tmp_path / "old", device="cpu"), load_model(tmp_path / "new", device="cpu")
    rows = [old.tokenizer(text).input_ids for text in TINY_TEXT]
    influence = influence_of_layers(old.network, rows)
    out = influence.index(min(influence))
    assert said[0].startswith("influence of each layer") and f"{out}: {influence[out]:.4f}" in said[0]
    assert said[1:] == [f"layers {out} taken out", "new layers at 1, 3, which add nothing yet",
                        "5 new tokens, each at the mean of its parts"]  # fmt: skip
    assert len(new.tokenizer) == len(old.tokenizer) + 5 == new.network.config.vocab_size
    assert torch.equal(logits(new.network)[..., :400], logits(without_layers(old.network, [out])))


def test_a_model_taken_as_it_is_stays_as_it_is(tmp_path):
    build_model(
        BuildConfig(vocabulary=320, hidden=16, layers=2, heads=2, kv_heads=1), TINY_TEXT, tmp_path / "a", seed=3
    )
    assert reshape_model(BuildConfig(start=str(tmp_path / "a")), TINY_TEXT, tmp_path / "b") == []
    save_model(load_model(tmp_path / "a", device="cpu"), tmp_path / "c")
    assert load_model(tmp_path / "b").digest == load_model(tmp_path / "c").digest

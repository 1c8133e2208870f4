"""What the training benchmark counts, chooses and compares: held to torch's own counter of operations where it can be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bench.measuring import digest_of_targets
from bench.operations import necessary_operations
from bench.shapes import SHAPES, Shape
from bench.train_results import agreement, ratios, speeds, summary, table
from bench.train_setup import Sized, choose
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

SHAPE = Shape(
    kind="llama", hidden=24, layers=3, heads=4, kv_heads=2, head_dim=8, feed_forward=40, vocabulary=50, positions=64
)


def counted_by_torch(shape, length, *, adapter=None):
    """Operations of a forward and a backward pass over one row of which every token trains."""
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=shape.feed_forward,
            num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
            head_dim=shape.head_dim, max_position_embeddings=shape.positions, tie_word_embeddings=True,
            attn_implementation="eager",
        )
    )  # fmt: skip
    if adapter is not None:
        from peft import LoraConfig, get_peft_model

        network = get_peft_model(network, LoraConfig(r=adapter, target_modules="all-linear", task_type="CAUSAL_LM"))
    with FlopCounterMode(display=False) as counter:
        network(input_ids=torch.arange(length).reshape(1, -1), use_cache=False).logits.sum().backward()
    return counter.get_total_flops()


def counted_by_us(shape, length, *, adapter=None):
    """The same by the formula, with attention to later tokens, which torch's plain attention computes and masks."""
    later = 3 * shape.layers * 2 * shape.heads * shape.head_dim * length**2
    return necessary_operations(shape, [length], [length], lora_rank=adapter) + later


@pytest.mark.parametrize("length", [1, 7, 32])
def test_full_tuning_counts_what_torch_counts(length):
    assert counted_by_us(SHAPE, length) == counted_by_torch(SHAPE, length)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_adapters_count_what_torch_counts_for_frozen_matrices():
    assert counted_by_us(SHAPE, 16, adapter=4) == counted_by_torch(SHAPE, 16, adapter=4)


def test_rows_count_alone_so_that_neither_padding_nor_packing_adds_attention():
    apart = necessary_operations(SHAPE, [10], [4]) + necessary_operations(SHAPE, [30], [9])
    assert necessary_operations(SHAPE, [10, 30], [4, 9]) == apart < necessary_operations(SHAPE, [40], [13])


def test_a_token_that_does_not_train_costs_no_head():
    assert necessary_operations(SHAPE, [20], [8]) - necessary_operations(SHAPE, [20], [0]) == 6 * 8 * 24 * 50


@pytest.mark.parametrize(("name", "millions"), [("15m", 15.19), ("135m", 134.5), ("600m", 596.0)])
def test_the_shapes_have_the_sizes_that_their_names_say(name, millions):
    shape = SHAPES[name]
    assert (shape.layers * shape.layer_weights + shape.head_weights) / 1e6 == pytest.approx(millions, rel=2e-3)


def sized(number):
    lengths = np.random.Generator(np.random.PCG64(0)).integers(3, 200, size=(number, 2))
    return [Sized({"n": n}, prompt=int(prompt), answer=int(answer)) for n, (prompt, answer) in enumerate(lengths)]


@pytest.mark.parametrize("kind", ["short", "natural"])
def test_rows_are_chosen_by_the_seed_and_none_twice(kind):
    first, again, other = (choose(sized(4_000), kind=kind, number=40, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len({row.row["n"] for row in first}) == 40


def test_short_rows_have_the_lengths_of_a_typical_set():
    chosen = choose(sized(4_000), kind="short", number=40, seed=0)
    assert sum(r.prompt for r in chosen) / 40 == pytest.approx(57, abs=1)
    assert sum(r.answer for r in chosen) / 40 == pytest.approx(56, abs=1)


def test_too_few_rows_are_said_and_not_repeated():
    with pytest.raises(SystemExit, match="fewer steps"):
        choose(sized(10), kind="natural", number=40, seed=0)


def a_run(*, step_seconds, losses=(2.0, 1.5, 1.2, 1.0), tokens=(100, 100, 100, 100), targets="a"):
    ends = [30 + step_seconds * n for n in range(4)]
    return {"tokens": list(tokens), "ends": ends, "cpu_ends": [1.5 * end for end in ends], "seconds_whole": 2 * ends[-1], "losses": list(losses),
            "targets": targets, "peak_mib": 500.0, "peak_with_saving_mib": 600.0}  # fmt: skip


def test_the_steady_speed_leaves_the_start_and_two_steps_out():
    assert speeds(a_run(step_seconds=2)) == {"steady": 200 / 4, "whole": round(400 / 72, 2)}


def test_a_run_says_how_many_cores_it_had():
    assert summary([a_run(step_seconds=2)])["cores_used"]["median"] == 1.5


def test_a_ratio_is_of_the_runs_of_one_round():
    ours, theirs = [a_run(step_seconds=1), a_run(step_seconds=2)], [a_run(step_seconds=2), a_run(step_seconds=8)]
    assert ratios(ours, theirs)["steady"] == {"min": 2, "median": 3, "max": 4}


@pytest.mark.parametrize(
    ("other", "agree"),
    [
        ({"losses": (2.0, 1.5, 1.2005, 1.0)}, True),
        ({"losses": (2.0, 1.5, 1.21, 1.0)}, False),
        ({"targets": "b"}, False),
        ({"tokens": (100, 100, 101, 99)}, False),
    ],
)
def test_contenders_agree_only_on_the_same_losses_tokens_and_masks(other, agree):
    found = agreement(a_run(step_seconds=1), a_run(step_seconds=1, **other), precision="float32")
    assert found["agree"] is agree
    if "losses" in other:
        assert found["at_step"] == 3


def test_a_digest_tells_rows_apart_by_tokens_and_by_masks():
    rows = [([1, 2, 3], [False, True, True])]
    assert digest_of_targets(rows) == digest_of_targets([((1, 2, 3), (0, 1, 1))])
    assert digest_of_targets(rows) != digest_of_targets([([1, 2, 3], [True, True, True])])
    assert digest_of_targets(rows) != digest_of_targets([([1, 2], [False, True]), ([3], [True])])


def test_the_table_has_a_row_for_each_contender_and_the_ratio_beside_the_peer():
    ours, theirs = [a_run(step_seconds=1)], [a_run(step_seconds=3)]
    names = ("operations_per_s", "of_float32_rate", "of_own_rate", "of_bf16_peak")
    ours = [run | {"utilisation": dict.fromkeys(names, share)} for run in ours for share in (0.72, 0.77)]
    theirs *= 2
    result = {"work": "15m", "summary": {"luthier": summary(ours), "trl": summary(theirs)},
              "ratios": {"trl": ratios(ours, theirs)}}  # fmt: skip
    assert table([result]) == [
        "| 15m | luthier | 100 [100, 100] | 6 [6, 6] | 500 [500, 500] | 74% [72%, 77%] |  |",
        "| 15m | trl | 33 [33, 33] | 5 [5, 5] | 500 [500, 500] |  | 3.00 [3.00, 3.00] |",
    ]

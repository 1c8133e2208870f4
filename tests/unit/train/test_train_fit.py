"""The arithmetic of `luthier check`'s prediction, on scripted measurements; and that the plan it counts is the real one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from fakes import TINY_TEXT, tiny_examples, tiny_preferences
from luthier.errors import LuthierError
from luthier.models.passes import Pass
from luthier.records import Grade
from luthier.runs import Run
from luthier.train import probe as probing
from luthier.train.batch import Row, rows_of, text_rows
from luthier.train.config import TrainConfig
from luthier.train.fit import (
    Load,
    Prediction,
    Timed,
    fit_costs,
    memory_at,
    num_checkpoints,
    num_measurements,
    seconds_for,
)
from luthier.train.loop import Place
from luthier.train.planned import MOST_READ, planned, shrunk
from luthier.train.preference import dpo, pairs_of
from luthier.train.probe import Budget, DevGrade, probe
from luthier.train.sft import sft
from luthier.train.training import TrainingData

PACKED = Pass(is_packed=True)


def test_costs_of_scripted_steps_are_found_exactly():
    true = Load(2e-3, 5e-4, 0.02, 0.1)
    loads = [Load(100, 30, 1, 1), Load(400, 50, 1, 1), Load(900, 500, 2, 1), Load(5000, 900, 3, 1), Load(80, 60, 1, 1)]
    found = fit_costs([Timed(load, seconds_for(true, load)) for load in loads])
    assert found == pytest.approx(true, rel=1e-6)
    whole = Load(1e6, 2e5, 400, 100)
    assert seconds_for(found, whole) == pytest.approx(2e3 + 100 + 8 + 10, rel=1e-6)


def test_no_cost_is_below_zero_and_steps_that_are_all_alike_still_foretell_more_of_the_same():
    falling = [Timed(Load(100, 0, 1, 1), 2.0), Timed(Load(200, 0, 1, 1), 1.0)]
    assert min(fit_costs(falling)) >= 0
    alike = [Timed(Load(100, 20, 1, 1), 0.5)] * 4
    assert seconds_for(fit_costs(alike), Load(4000, 800, 40, 40)) == pytest.approx(20.0)


def test_a_slow_step_weighs_no_more_than_a_quick_one():
    """Relative errors: one long step that was disturbed must not hide what a short one costs."""
    timed = [Timed(Load(10, 0, 1, 1), 1.0)] * 3 + [Timed(Load(1000, 0, 1, 1), 130.0)]
    assert seconds_for(fit_costs(timed), Load(10, 0, 1, 1)) == pytest.approx(1.0, rel=0.1)


def test_memory_goes_on_along_the_line_of_the_last_two_sizes_and_never_falls():
    points = [(0.0, 1.0), (100.0, 1.5), (400.0, 3.0)]
    assert memory_at(points, 1600.0) == pytest.approx(9.0)
    assert memory_at(points, 400.0) == memory_at(points, 10.0) == 3.0
    assert memory_at([(0.0, 1.0)], 50.0) == 1.0
    assert memory_at([(0.0, 2.0), (100.0, 2.0)], 900.0) == 2.0


@pytest.mark.parametrize(("steps", "every", "writes"), [(40, 4, 10), (41, 4, 11), (3, 5, 1), (5, 5, 1)])
def test_checkpoints_and_measurements_are_counted_with_the_one_at_the_end(steps, every, writes):
    assert num_checkpoints(steps, save_every=every) == num_measurements(steps, eval_every=every) == writes
    assert num_measurements(steps, eval_every=None) == 1


def test_a_prediction_says_time_memory_and_disk_and_survives_its_file():
    prediction = Prediction(
        num_steps=10, tokens=1000, tokens_per_s=2140.4, seconds={"start": 6.0, "steps": 720.0}, peak_memory_gib=3.14,
        disk_gib=0.4, notes=("scaled",),
    )  # fmt: skip
    assert prediction.line(23.5, 80.0) == (
        "about 12.1 min (measured 2,140 tokens/s), peak memory 3.1 GiB of 23.5 GiB, disk 410 MiB of 80.0 GiB"
    )
    assert Prediction.from_json(json.loads(json.dumps(prediction.to_json()))) == prediction


def model_rows(model, config):
    return rows_of(tiny_examples(30), model.renderer, max_length=200, overlong=config.overlong).rows


@pytest.mark.parametrize("how", [Pass(), PACKED], ids=["padded", "packed"])
@pytest.mark.parametrize("sizes", [{"batch_rows": 7, "epochs": 2.0}, {"batch_tokens": 90, "max_steps": 9}], ids=str)
def test_the_plan_that_is_counted_is_the_one_that_sft_takes(how, sizes, tiny_model):
    config = TrainConfig(micro_batch_tokens=60, max_length=200, **sizes)
    plan = planned(tiny_model, TrainingData(examples=tiny_examples(30)), config, how=how)
    work = sft(tiny_model.network, model_rows(tiny_model, config), config, how=how)
    batches = [batch for step in range(1, work.num_steps + 1) for batch in work.prepare(step).batches]
    assert plan.total == Load(
        sum(b.input_ids_BT.numel() for b in batches), sum(len(b.positions_N) for b in batches), len(batches),
        work.num_steps,
    )  # fmt: skip
    assert (plan.num_steps, plan.tokens) == (work.num_steps, sum(b.num_tokens for b in batches))
    assert plan.largest.load.positions == max(b.input_ids_BT.numel() for b in batches)
    assert plan.size(plan.largest.units) == plan.largest.load.positions, "passed by itself it is one micro-batch"
    assert plan.has_many_pieces


def test_the_plan_with_plain_text_among_the_rows_is_the_one_that_sft_takes(tiny_model):
    config = TrainConfig(max_steps=6, batch_rows=5, max_length=200, text={"share": 0.4, "files": (Path("a.txt"),)})
    data = TrainingData(examples=tiny_examples(30), text=[*TINY_TEXT])
    plan = planned(tiny_model, data, config, how=PACKED)
    text = text_rows(
        TINY_TEXT, tiny_model.renderer.encode, eos_id=tiny_model.tokenizer.eos_token_id, bos_ids=tiny_model.bos_ids,
        max_length=200,
    ).rows  # fmt: skip
    work = sft(tiny_model.network, model_rows(tiny_model, config), config, how=PACKED, text=text)
    assert plan.tokens == sum(b.num_tokens for step in range(1, 7) for b in work.prepare(step).batches)


def test_the_plan_of_preferences_is_the_one_that_dpo_takes(tiny_model):
    import torch

    config = TrainConfig(method="dpo", batch_rows=3, epochs=1.5, micro_batch_tokens=80, max_length=200)
    plan = planned(tiny_model, TrainingData(preferences=tiny_preferences(11)), config, how=PACKED)
    rows = pairs_of(tiny_preferences(11), tiny_model.renderer, max_length=200, overlong="cut_prompt").rows
    work = dpo(tiny_model.network, rows, torch.zeros(len(rows)), config, how=PACKED)
    batches = [batch for step in range(1, work.num_steps + 1) for batch in work.prepare(step).batches]
    assert (plan.num_steps, plan.tokens) == (work.num_steps, sum(b.num_tokens for b in batches))
    assert plan.total.batches == len(batches) and plan.epochs == pytest.approx(16 / 11, abs=0.1)


def test_of_very_many_rows_some_stand_for_all_and_it_says_so(tiny_model):
    examples = tiny_examples(12) * 1000
    plan = planned(tiny_model, TrainingData(examples=examples), TrainConfig(max_length=200), how=PACKED)
    assert plan.num_steps == math.ceil(12_000 / 16)
    assert any(f"{MOST_READ:,} of 12,000 rows were read" in note for note in plan.notes)
    whole = sum(len(row.token_ids) for row in rows_of(
        tiny_examples(12), tiny_model.renderer, max_length=200, overlong="drop").rows)  # fmt: skip
    assert plan.tokens == pytest.approx(1000 * whole, rel=0.02)
    assert plan.total.positions == pytest.approx(plan.tokens, rel=1e-6), "packed rows hold no padding"


def test_a_part_of_a_micro_batch_is_whole_rows_or_the_end_of_one():
    units = [(Row(str(n), tuple(range(n)), (0.0,) * (n - 1) + (1.0,)),) for n in (10, 20, 30, 40)]
    assert [unit[0].example_id for unit in shrunk(units, 0.35)] == ["10", "20"]
    assert shrunk(units, 1.0) is units
    (only,) = shrunk(units[3:], 0.25)
    assert only[0].token_ids == tuple(range(30, 40)) and only[0].weight == 1.0


def place_in(folder):
    folder.mkdir()
    return Place(run=Run(folder=folder), folder=folder, key="", kind="fit")


SMALL = TrainConfig(max_steps=40, batch_rows=8, micro_batch_tokens=120, max_length=200, eval_every=10, save_every=7)
DATA = TrainingData(examples=tiny_examples(30), dev=tiny_examples(34)[30:], preferences=tiny_preferences(12),
                    documents=TINY_TEXT)  # fmt: skip


def graded(examples, completions):
    return [
        Grade(completion_id=c.id, example_id=c.example_id, grader="test", value=0.0, reason="") for c in completions
    ]


@pytest.mark.parametrize(
    "options",
    [{}, {"method": "dpo"}, {"method": "pretrain"}, {"adapter": "lora"}, {"packing": "padded"}, {"optim": {"ema_decay": 0.9}},
     {"method": "grpo", "grpo": {"max_new_tokens": 4, "group_size": 2}}],
    ids=str,
)  # fmt: skip
def test_every_kind_of_run_can_be_tried_and_nothing_of_it_stays(options, load_tiny, tmp_path):
    given = SMALL.model_dump(exclude_unset=True) | options
    if options.get("method") == "grpo":
        del given["max_length"]
    if options.get("method") in ("dpo", "grpo"):
        del given["eval_every"]
    config = TrainConfig.model_validate(given)
    model = load_tiny("llama")
    before = {name: p.detach().clone() for name, p in model.network.named_parameters()}
    place = place_in(tmp_path / "scratch")
    (found,) = probe(model, [DATA], config, place=place, budget=Budget(seconds=0.2), grade_all=graded, loaded_in=2.0)
    assert found.num_steps == 40 and found.tokens > 0
    assert found.seconds["start"] > 2.0 and found.seconds["steps"] > 0 and found.peak_memory_gib > 0.1
    assert (found.seconds["reference"] > 0) == (config.method == "dpo")
    assert (found.seconds["dev"] > 0) == (config.method == "sft")
    after = {name.replace("base_model.model.", "").replace("base_layer.", ""): p.detach()
             for name, p in model.network.named_parameters() if "lora_" not in name}  # fmt: skip
    assert all(float((after[name] - p).abs().max()) < 1e-6 for name, p in before.items()), "its steps move nothing"
    assert [path.name for path in place.folder.rglob("*")] == ["log.txt"]


def test_a_measurement_of_answers_counts_for_all_dev_prompts_each_time(load_tiny, tmp_path, monkeypatch):
    """The clock says a second for each answer that is graded: 2 of 10 prompts are, at steps 10, 20, 30 and 40."""
    clock = [0.0]

    def measure(model):
        clock[0] += 2.0
        return 0.5

    monkeypatch.setattr(probing.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(probing._Bench, "sample", lambda self: None)
    monkeypatch.setattr(probing._Bench, "equations", lambda self: [Timed(Load(100, 10, 1, 1), 0.5)])
    (found,) = probe(load_tiny("llama"), [DATA], SMALL, place=place_in(tmp_path / "a"), budget=Budget(seconds=0.1),
                     grade_dev=DevGrade(measure, 5.0))  # fmt: skip
    assert found.seconds["dev"] == pytest.approx(40.0)


def test_disk_is_what_checkpoints_and_model_take_at_their_most(load_tiny, tmp_path):
    model = load_tiny("llama")
    weights = sum(p.numel() * 4 for p in model.network.parameters()) / 2**30
    (found,) = probe(model, [DATA], SMALL, place=place_in(tmp_path / "a"), budget=Budget(seconds=0.1))
    assert found.disk_gib == pytest.approx((3 * 3 + 1) * weights, rel=0.01), "two kept and one being written, AdamW"
    one = SMALL.model_copy(update={"keep_checkpoints": 1, "save_every": 40})
    (found,) = probe(load_tiny("llama"), [DATA], one, place=place_in(tmp_path / "b"), budget=Budget(seconds=0.1))
    assert found.disk_gib == pytest.approx((3 + 1) * weights, rel=0.01)


def test_what_would_not_fit_is_foretold_and_not_tried(load_tiny, tmp_path, monkeypatch):
    """Memory grows by a gibibyte for each 10 tokens here; only a part that stays under the limit is passed."""
    passed = []
    real = probing._Bench.step

    def step(self, name, groups):
        passed.append(sum(self.plan.size(units) for units in groups))
        return real(self, name, groups)

    monkeypatch.setattr(probing._Bench, "step", step)
    monkeypatch.setattr(probing, "peak_memory_gib", lambda device: max(passed, default=0) / 10)
    monkeypatch.setattr(probing._Bench, "_expected", lambda self, size: float("-inf"))  # whatever else runs, time suffices
    config = SMALL.model_copy(update={"micro_batch_tokens": 4000, "batch_rows": 30})
    (found,) = probe(load_tiny("llama"), [DATA], config, place=place_in(tmp_path / "a"),
                     budget=Budget(seconds=0.3, memory_gib=20.0))  # fmt: skip
    plan = planned(load_tiny("llama"), DATA, config, how=PACKED)
    assert max(passed) < plan.largest.load.positions
    assert found.peak_memory_gib == pytest.approx(plan.largest.load.positions / 10, rel=0.3)
    assert any("was not tried" in note for note in found.notes)


def test_where_the_first_step_fills_the_memory_the_rest_is_reckoned_from_the_smallest_steps(
    load_tiny, tmp_path, monkeypatch
):
    peak = [1.0]
    real = probing._Bench.step

    def step(self, name, groups):
        peak[0] = 3.0
        return real(self, name, groups)

    monkeypatch.setattr(probing._Bench, "step", step)
    monkeypatch.setattr(probing, "peak_memory_gib", lambda device: peak[0])
    (found,) = probe(load_tiny("llama"), [DATA], SMALL, place=place_in(tmp_path / "a"),
                     budget=Budget(seconds=0.1, memory_gib=2.0))  # fmt: skip
    assert found.peak_memory_gib == 3.0 and found.seconds["steps"] > 0
    assert any("was not tried: it would take 3.0 GiB" in note for note in found.notes)


@pytest.mark.parametrize(("main", "own", "fits"), [(2.0, 40.0, True), (40.0, 2.0, False)])
def test_a_device_with_a_memory_of_its_own_is_filled_by_that_and_not_by_the_main_memory(
    main, own, fits, load_tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(probing, "_device_memory_gib", lambda device: own)
    monkeypatch.setattr(probing, "peak_memory_gib", lambda device: 5.0)
    options = {"place": place_in(tmp_path / "a"), "budget": Budget(seconds=0.1, memory_gib=main)}
    if fits:
        (found,) = probe(load_tiny("llama"), [DATA], SMALL, **options)
        assert found.device_memory_gib == own and not any("was not tried" in note for note in found.notes)
    else:
        with pytest.raises(LuthierError, match=r"at most 1\.9 GiB"):
            probe(load_tiny("llama"), [DATA], SMALL, **options)

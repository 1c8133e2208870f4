"""Rows under a mixture: shares as asked, epochs told, one order for any number of processes, and none without it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import TinyRun, tiny_examples
from luthier.errors import ConfigError
from luthier.recipes.card_mixture import mixture_tables
from luthier.recipes.card_sources import TrainedStage
from luthier.records import Example
from luthier.runs import Run
from luthier.tasks.mixture import MixtureConfig, rates
from luthier.train import ranks
from luthier.train.batch import Share, plan_steps, rows_of
from luthier.train.config import TrainConfig
from luthier.train.mixing import BLOCK, Mixed, group_of, mixed, plan_mixed
from luthier.train.planned import planned
from luthier.train.sft import PADDED, sft
from luthier.train.training import TrainingData

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=5)


def examples_of(*sizes: int) -> list[Example]:
    """Rows of several files; the first file's are of the task "one", the others' of "two"."""
    rows = tiny_examples(sum(sizes))
    names = [n for n, size in enumerate(sizes) for _ in range(size)]
    return [replace(row, source=f"data/{'abcdef'[n]}.jsonl:{i}", task="two" if n else "one", cluster="all")
            for i, (n, row) in enumerate(zip(names, rows, strict=True))]  # fmt: skip


def plan(groups, how, **options):
    return plan_mixed(groups, [1] * len(groups), rates=how, **{"batch_rows": 4, "batch_tokens": None, "max_steps": None, "epochs": None, "seed": 0, **options})  # fmt: skip


def settings(**options):
    mixture = MixtureConfig(how="weights", weights={"data/a.jsonl": 3.0, "data/b.jsonl": 1.0})
    return {"batch_rows": 3, "max_steps": 8, "micro_batch_tokens": 60, "seed": 3, "mixture": mixture, **options}


@given(sizes=SIZES, seed=st.integers(0, 5), blocks=st.integers(1, 2))
def test_in_each_block_every_group_has_its_share_to_a_row(sizes, seed, blocks):
    groups = [str(n) for n, size in enumerate(sizes) for _ in range(size)]
    shares = rates(Counter(groups), how="temperature", temperature=3, cap=10)
    steps = plan(groups, shares, batch_rows=BLOCK, max_steps=blocks, seed=seed)
    for step in steps:
        taken = Counter(groups[i] for i in step.tolist())
        assert all(abs(taken[name] - share * BLOCK) < 1 + 1e-6 for name, share in shares.items())


@given(sizes=SIZES, seed=st.integers(0, 5))
def test_a_group_goes_through_all_its_rows_before_one_comes_again(sizes, seed):
    groups = [str(n) for n, size in enumerate(sizes) for _ in range(size)]
    order = np.concatenate(plan(groups, rates(Counter(groups), how="equal"), max_steps=60, seed=seed)).tolist()
    for name, size in Counter(groups).items():
        own = [i for i in order if groups[i] == name]
        for start in range(0, len(own), size):
            assert len(set(own[start : start + size])) == len(own[start : start + size])


@given(
    number=st.integers(1, 40),
    batch_rows=st.integers(1, 7),
    epochs=st.floats(0.1, 3),
    tokens=st.none() | st.integers(1, 50),
)
def test_steps_end_where_those_without_a_mixture_end(number, batch_rows, epochs, tokens):
    lengths = [3] * number
    options = {"batch_rows": batch_rows, "batch_tokens": tokens, "max_steps": None, "epochs": epochs, "seed": 1}
    ours = plan_mixed(["a"] * number, lengths, rates={"a": 1.0}, **options)
    assert [len(step) for step in ours] == [len(step) for step in plan_steps(lengths, **options)]


def test_a_group_without_a_share_never_comes_and_another_seed_is_another_order():
    groups = ["a", "b", "c"] * 5
    shares = {"a": 0.5, "b": 0.0, "c": 0.5}
    first, other = (np.concatenate(plan(groups, shares, max_steps=20, seed=seed)).tolist() for seed in (0, 1))
    assert "b" not in {groups[i] for i in first} and first != other


def test_an_epoch_is_as_many_rows_as_the_groups_with_a_share_have():
    options = {"batch_rows": 10, "batch_tokens": None, "max_steps": None, "epochs": 2.0, "seed": 1}
    steps = plan_mixed(["a"] * 900 + ["b"] * 50, [3] * 950, rates={"a": 0.0, "b": 1.0}, **options)
    assert np.bincount(np.concatenate(steps), minlength=950)[900:].tolist() == [2] * 50


def test_a_group_whose_rows_come_too_often_is_warned_of():
    groups = ["many"] * 1000 + ["few"] * 10
    names = {"source": ["f"] * 1010, "task": groups, "cluster": ["(none)"] * 1010}
    for share, warned in ((0.5, True), (0.02, False)):
        options = {"batch_rows": 10, "batch_tokens": None, "max_steps": 100, "epochs": None, "seed": 1}
        steps = plan_mixed(groups, [3] * 1010, rates={"many": 1 - share, "few": share}, **options)
        lines = [line for line in Mixed(steps, names, "task").lines() if line.startswith("warning")]
        assert len(lines) == warned and all(" times through the 10 rows of few;" in line for line in lines)


def test_without_a_mixture_the_order_is_what_it_was(tiny_model):
    """The digest was taken before there were mixtures."""
    lengths, digest = [(i * 37) % 29 + 2 for i in range(57)], hashlib.sha256()
    for options in (
        {"batch_rows": 5, "batch_tokens": None, "max_steps": None, "epochs": 2.5},
        {"batch_rows": 1, "batch_tokens": 100, "max_steps": 20, "epochs": None},
    ):
        for step in plan_steps(lengths, seed=7, **options):
            digest.update((",".join(map(str, step.tolist())) + ";").encode())
    assert digest.hexdigest() == "1b3426cb7b24c8169f12d628e954c5d62d5f92072d12c145ca9234f78eb72109"
    rows = rows_of(tiny_examples(9), tiny_model.renderer, max_length=200, overlong="drop").rows
    config = TrainConfig(batch_rows=2, epochs=2.0, seed=7)
    expected = plan_steps(
        [len(row.token_ids) for row in rows], batch_rows=2, batch_tokens=None, max_steps=None, epochs=2.0, seed=7
    )
    work = sft(tiny_model.network, rows, config)
    assert mixed(tiny_examples(9), rows, config) is None and work.num_steps == len(expected)
    for number, step in enumerate(expected, start=1):
        assert work.prepare(number).count == sum(rows[i].weight for i in step)


def test_a_run_follows_its_mixture_and_tells_the_epochs(load_tiny, tmp_path):
    examples = examples_of(4, 12)
    run = TinyRun(load_tiny(), tmp_path, data=TrainingData(examples=examples), **settings(max_steps=20))
    (told,) = [line for line in run.lines if "mixture by source" in line]
    kept = json.loads((tmp_path / "train/trained.json").read_text())["mixture"]
    assert kept["by"] == "source" and kept["source"].keys() == {"data/a.jsonl", "data/b.jsonl"}
    a = kept["source"]["data/a.jsonl"]
    assert a["taken"] == pytest.approx(45, abs=8) and a["epochs"] == a["taken"] / 4 and a["share"] == a["taken"] / 60
    assert kept["task"]["one"] == a and kept["cluster"]["all"]["epochs"] == 60 / 16
    assert f"data/a.jsonl {100 * a['share']:.1f} % ({a['epochs']:.2f} epochs)" in told
    plain = TinyRun(load_tiny(), tmp_path / "plain", data=TrainingData(examples=examples), **settings(mixture=None))
    assert "mixture" not in json.loads((tmp_path / "plain/train/trained.json").read_text())
    assert not [line for line in plain.lines if "mixture" in line]


def test_a_killed_run_goes_on_in_the_same_order(load_tiny, tmp_path, monkeypatch):
    data = TrainingData(examples=examples_of(4, 12))
    straight = TinyRun(load_tiny(), tmp_path / "straight", data=data, **settings(save_every=3))
    log = Run.log

    def log_and_stop(self, event, **rest):
        log(self, event, **rest)
        if rest["kind"] == "train" and event["step"] == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "log", log_and_stop)
    with pytest.raises(KeyboardInterrupt):
        TinyRun(load_tiny(), tmp_path / "killed", data=data, **settings(save_every=3))
    monkeypatch.setattr(Run, "log", log)
    resumed = TinyRun(load_tiny(), tmp_path / "killed", data=data, **settings(save_every=3))
    assert "train | continues after step 3 of 8" in resumed.lines
    assert resumed.events() == straight.events() and resumed.trained.digest == straight.trained.digest


def test_two_processes_take_the_rows_of_one(tiny_model, monkeypatch):
    examples = examples_of(4, 12)
    config = TrainConfig(**settings())
    rows = rows_of(examples, tiny_model.renderer, max_length=200, overlong="drop").rows
    order = mixed(examples, rows, config)
    assert order is not None
    work = sft(tiny_model.network, rows, config, how=PADDED, plan=order.plan)

    def tokens(place: int, number: int) -> list[tuple[int, ...]]:
        monkeypatch.setattr(ranks, "share", lambda: Share(place, number))
        batches = [b for step in range(1, 9) for b in work.prepare(step).batches if not b.is_idle]
        return sorted(
            tuple(line[:n].tolist()) for b in batches for line, n in zip(b.input_ids_BT, b.lengths, strict=True)
        )

    assert sorted(tokens(0, 2) + tokens(1, 2)) == tokens(0, 1)


def test_the_forecast_counts_the_steps_of_the_mixture(tiny_model):
    data = TrainingData(examples=examples_of(4, 12))
    rows = rows_of(data.examples, tiny_model.renderer, max_length=200, overlong="drop").rows
    config = TrainConfig(**settings(batch_tokens=50, max_length=200))
    order = mixed(data.examples, rows, config)
    assert order is not None
    found = planned(tiny_model, data, config, how=PADDED)
    assert found.tokens == sum(len(rows[i].token_ids) for step in order.plan for i in step.tolist())


def test_weights_that_do_not_name_the_groups_are_refused_by_their_key(tiny_model):
    examples = examples_of(4, 12)
    rows = rows_of(examples, tiny_model.renderer, max_length=200, overlong="drop").rows
    with pytest.raises(ConfigError) as error:
        mixed(
            examples,
            rows,
            TrainConfig(
                **settings(mixture=MixtureConfig(how="weights", weights={"one": 1.0, "tow": 1.0}), mixture_by="task")
            ),
        )
    assert [p.where for p in error.value.problems] == ["train.mixture.weights.two", "train.mixture.weights.tow"]


@pytest.mark.parametrize(("options", "said"), [
    ({"method": "dpo", "mixture": MixtureConfig()}, "mixture is not read by dpo"),
    ({"mixture_by": "task"}, "mixture_by is not read without the table mixture"),
])  # fmt: skip
def test_a_mixture_that_nothing_would_read_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        TrainConfig(**options)


def test_the_group_of_a_row_is_its_file_whatever_its_line():
    places = {
        "data/faq.jsonl:41": "data/faq.jsonl",
        "rows.jsonl:12#2": "rows.jsonl",
        "trace:9f3c": "trace",
        "": "(none)",
    }
    assert {place: group_of(Example.of([], source=place), "source") for place in places} == places
    assert group_of(Example.of([]), "task") == "(none)"


def test_the_card_tells_shares_and_epochs_largest_first(tmp_path):
    groups = {f"t{n}": {"rows": 10, "taken": n, "share": n / 1225, "epochs": n / 10} for n in range(50)}
    stage = TrainedStage(folder=tmp_path / "train", trained={"mixture": {"by": "task", "task": groups}}, record={})
    ((said, columns, rows),) = mixture_tables([stage])
    assert said == "train, by task (what the mixture is over):" and columns[-1] == "epochs"
    assert rows[0] == ["t49", "10", "4.00 %", "4.90"] and rows[-1] == ["10 more", "100", "3.67 %", "0.00 to 0.90"]
    assert mixture_tables([TrainedStage(folder=tmp_path, trained={}, record={})]) == []

"""The benchmark's cases with a learner that is simulated: right where its rows teach enough of an item's kind."""

import random
from collections import Counter

import bench.error_analysis as bench
import pytest

from fakes import ScriptedGenerate
from luthier.evaluate.evaluation import Subject, evaluate
from luthier.evaluate.suite import Suite
from luthier.graders import auto
from luthier.records import Sampling

ENOUGH = 12


@pytest.fixture(scope="module")
def material():
    return bench.material()


def kind(example):
    return example.task, bench._is_inverted(example), bench._is_long(example)


def examined(folder, items, rate):
    def answer(item):
        return item.targets[0] if random.Random(item.id).random() < rate(item) else "something else entirely"

    subject = Subject(model_id=str(folder), model_name="simulated", generate=ScriptedGenerate(answer))
    evaluate(Suite.of("items", items), subject, graders={"auto": auto}, sampling=Sampling(), out=folder,
             say=lambda line: None)  # fmt: skip


def learner(material):
    truth = {row.prompt: row.target for side in material for row in side}

    def train(folder, rows, items_file):
        taught, sound = (Counter(map(kind, some)) for some in (
            rows, [row for row in rows if truth[row.prompt] == row.target]))  # fmt: skip
        full = Counter(map(kind, material[0]))

        def rate(item):
            enough = min(ENOUGH, full[kind(item)])
            is_sound = sound[kind(item)] > 0.7 * taught[kind(item)]
            return 0.03 + 0.9 * is_sound * min(1, sound[kind(item)] / enough) if enough else 0.93

        examined(folder / "evaluation", material[1], rate)
        bench.write_json(folder / "seconds.json", {"processor": 0.0})

    return train


@pytest.mark.parametrize("case", bench.CASES, ids=lambda case: case.name)
def test_what_is_planted_is_found_first_and_mended(case, material, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "_model", learner(material))
    examined(tmp_path / "base", material[1], lambda item: 0.3)
    measured = bench.measure(case, *material, tmp_path)
    if case.name == "sound":
        assert measured["reported"] == []
        return
    assert measured["is_found_first"], measured["reported"]
    change = measured["mended"]["planted_slice"]["difference"]
    assert change["low"] > 0, measured["mended"]
    assert measured["mended"]["dropped_that_were_sound"] == 0

"""A model that would not see the prompts it was trained on is refused."""

from __future__ import annotations

import json
import shutil

import pytest

from luthier.errors import ModelError
from luthier.models import parity
from luthier.models.load import load_model
from luthier.records import Example, Message
from luthier.serve.local import engine_for

EXAMPLES = [
    Example.of([Message(role="user", content=f"where is order {n}?"), Message(role="assistant", content="here")])
    for n in range(40)
]


@pytest.fixture
def folder(tiny_folder, tmp_path):
    def make(shape):
        copy = shutil.copytree(tiny_folder(shape), tmp_path / shape)
        parity.write(copy, load_model(copy).renderer, EXAMPLES)
        return copy

    return make


def test_a_model_as_it_was_saved_is_accepted(folder, shape):
    """The rows recomputed at serving are those of training."""
    assert parity.verify(load_model(folder(shape))) == parity.ROWS


def test_a_model_without_stored_rows_has_nothing_to_compare(tiny_model):
    assert parity.verify(tiny_model) == 0


def test_a_changed_template_is_refused_with_the_place(folder):
    """Exported template differs."""
    path = folder("llama")
    template = (path / "chat_template.jinja").read_text(encoding="utf-8")
    (path / "chat_template.jinja").write_text(template.replace("<|assistant|>", "<|user|>"), encoding="utf-8")
    model = load_model(path)
    with pytest.raises(ModelError, match="would not see the prompts that it was trained on") as error:
        parity.verify(model)
    stored = json.loads((path / parity.FILE).read_text())["rows"][0]["token_ids"]
    assert f"row 1: tokens [2] at position {len(stored) - 1}" in error.value.problems[0].found
    with pytest.raises(ModelError):
        engine_for(model, "tuned")  # serving asks before it answers


def test_a_changed_tokenizer_is_refused(folder):
    path = folder("llama")
    data = json.loads((path / "tokenizer.json").read_text(encoding="utf-8"))
    data["model"]["merges"] = data["model"]["merges"][:20]
    (path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ModelError, match="as in training"):
        parity.verify(load_model(path))


def test_changed_stop_tokens_are_refused(folder):
    """The prompts are the same, but answers would not end."""
    path = folder("gemma3")
    template = (path / "chat_template.jinja").read_text(encoding="utf-8")
    (path / "chat_template.jinja").write_text(template.replace("<end_of_turn>", "<eos>"), encoding="utf-8")
    parity.write(path, load_model(path).renderer, [])
    data = json.loads((path / parity.FILE).read_text())
    (path / parity.FILE).write_text(json.dumps(data | {"stop_ids": [1, 3]}))
    with pytest.raises(ModelError, match="stop tokens"):
        parity.verify(load_model(path))


def test_the_server_shows_a_model_the_ids_that_evaluation_shows_it(tiny, shape):
    """Chat template not applied in evaluation: one renderer, and the ids compared."""
    from luthier.models.protocols import chat_protocol

    model = tiny(shape)
    engine, evaluation = engine_for(model, "tuned"), chat_protocol(model)
    for example in EXAMPLES[:3]:
        ids = engine.prompt_ids(example.prompt)
        assert ids == evaluation.prompt(example) == model.renderer.prompt(example.prompt)
        row = evaluation.answer(example, "here")
        assert list(row.token_ids[: len(ids)]) == ids and row == model.renderer.render(example.messages)[0]

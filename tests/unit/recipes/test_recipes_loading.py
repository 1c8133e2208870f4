"""Which kind of recipe a file holds, and which kinds a command takes."""

from __future__ import annotations

import pytest

from luthier.errors import ConfigError
from luthier.recipes.loading import as_checkable, as_tune, load_recipe

ENDS = 'train.max_steps = 3\nrun.dir = "r"\n'
TUNE = f'model.base = "b"\ndata.files = ["rows.jsonl"]\n{ENDS}'
PRETRAIN = f'recipe = "pretrain"\ndata.files = ["book.txt"]\n{ENDS}'
STUDY = f'recipe = "study"\nmodel.base = "practice"\ntasks.collection = "practice"\ntrain.batch_tokens = 64\n{ENDS}'


@pytest.fixture
def recipe(tmp_path):
    def load(text, *overrides):
        (tmp_path / "recipe.toml").write_text(text)
        return load_recipe(tmp_path / "recipe.toml", overrides)

    return load


@pytest.mark.parametrize(
    ("text", "kind"), [(TUNE, "tune"), (PRETRAIN, "pretrain"), (STUDY, "study")], ids=["none", "pretrain", "study"]
)
def test_a_file_is_read_as_the_kind_that_it_names_and_without_one_as_tune(recipe, text, kind):
    assert recipe(text, "run.dir=elsewhere").recipe == kind
    assert str(recipe(text, "run.dir=elsewhere").run.dir) == "elsewhere"


@pytest.mark.parametrize("named", ['"tone"', "3", '["tune"]'])
def test_another_kind_is_refused_with_its_line(recipe, named):
    with pytest.raises(ConfigError, match=r'recipe\.toml:2: recipe: found .*expected "tune", "pretrain", "study" or "synthesise"'):
        recipe(f"# mine\nrecipe = {named}\n")


def test_a_command_takes_only_the_kinds_that_it_can_do(recipe):
    tune, pretrain, study = (recipe(text) for text in (TUNE, PRETRAIN, STUDY))
    assert as_tune(tune) is tune and as_checkable(tune) is tune and as_checkable(pretrain) is pretrain
    for refuse, other in ((as_tune, pretrain), (as_tune, study), (as_checkable, study)):
        with pytest.raises(ConfigError, match=rf'found "{other.recipe}"[\s\S]*use `luthier run` for it') as caught:
            refuse(other)
        assert '"tune"' in caught.value.text()

"""Keys on the command line of the commands that read one table and no recipe."""

from __future__ import annotations

import pytest

from luthier.errors import ConfigError
from luthier.recipes.evaluate import EvaluateRecipe
from luthier.recipes.overriding import assign_to_table
from luthier.recipes.serve import ServeRecipe


def test_keys_of_the_table_are_set_beside_what_is_there():
    data = {"serve": {"port": 8000}}
    assign_to_table(data, ["serve.host=0.0.0.0", "serve.port=1"], kind=ServeRecipe)
    assert data == {"serve": {"port": 1, "host": "0.0.0.0"}}


@pytest.mark.parametrize(
    ("override", "kind", "fix"),
    [
        ("train.epochs=2", EvaluateRecipe, "put it into a recipe and use `luthier run`"),
        ("num_samples=2", EvaluateRecipe, "did you mean evaluate.num_samples?"),
        ("evaluate=2", ServeRecipe, "put it into a recipe and use `luthier run`"),
        ("port=2", ServeRecipe, "did you mean serve.port?"),
    ],
)
def test_a_key_of_another_table_is_refused_with_what_is_read(override, kind, fix):
    (table,) = kind.model_fields
    data = {}
    with pytest.raises(ConfigError, match="this command does not read that key") as error:
        assign_to_table(data, [f"{table}.seed=1", override], kind=kind)
    (problem,) = error.value.problems
    assert (problem.where, problem.expected, problem.fix) == (
        f"command line: {override.partition('=')[0]}", f"{table}.KEY=VALUE", fix
    )  # fmt: skip
    assert data == {}, "nothing is set where something is refused"

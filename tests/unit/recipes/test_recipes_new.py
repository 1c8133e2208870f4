"""A first recipe suits the rows that it is written for."""

import json
import tomllib

import pytest

from luthier.recipes.new import write_new

EXAMPLE = {"prompt": "a", "completion": "b"}
PREFERENCE = {"prompt": "a", "chosen": "b", "rejected": "c"}


@pytest.mark.parametrize(
    ("rows", "method"), [([EXAMPLE], "sft"), ([PREFERENCE, {}], "dpo"), ([EXAMPLE, PREFERENCE], "sft")]
)
def test_rows_of_preferences_alone_are_trained_on_as_preferences(tmp_path, rows, method):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = write_new("tune", files=[tmp_path / "rows.jsonl"], model=None, out=tmp_path / "recipe.toml")
    assert tomllib.loads((tmp_path / "recipe.toml").read_text())["train"]["method"] == method
    assert ("1 preference" in lines[0]) == (PREFERENCE in rows)

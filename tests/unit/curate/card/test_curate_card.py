"""The card shows the counts, every finding with rows of it, and how to make it again; and is safe with any text."""

import json
import re
import tomllib

import pytest

from luthier.curate.config import CurateConfig, LeaksConfig
from luthier.curate.pipeline import curate

LONG = "Tell me in a few words why the old lighthouse at the end of the pier was built in the first place, please."
QUESTION = "How many apples does Mary have left after she gives three of her eight apples to Tom and two to Ann?"


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def card_of(tmp_path, rows, **options):
    data = written(tmp_path / "rows.jsonl", rows)
    config = CurateConfig(**{"licence": "CC BY 4.0"} | options)
    curated = curate([data], out=tmp_path / "out", config=config, say=lambda line: None)
    return curated.paths["card"].read_text()


def text_of(card):
    """What a reader sees, without tags."""
    return re.sub(r"<[^>]+>", "", re.sub(r"<style>.*?</style>", "", card, flags=re.DOTALL))


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    rows = [{"prompt": f"question {k}", "completion": "b"} for k in range(20)]
    rows += [rows[0], {"prompt": "question 1", "completion": "another"}, {"prompt": "x", "completion": None}]
    rows += [{"prompt": "p", "chosen": "better", "rejected": "worse"}]
    rows += [{"prompt": LONG, "completion": "To guide ships that come home at night through the narrow bay."},
             {"prompt": LONG.replace("Tell", "Kindly tell"),
              "completion": "To guide ships that come home at night through the narrow bay."},
             {"prompt": f"Please solve this: {QUESTION}", "completion": "3"},
             {"prompt": "Write to ann@example.com that it is done.", "completion": "Dear ann@example.com, done."}]  # fmt: skip
    questions = written(folder / "questions.jsonl", [{"prompt": QUESTION, "completion": "3"}])
    return card_of(folder, rows, leaks=LeaksConfig(against=(questions,)))


def test_the_card_shows_the_counts_and_every_way_out(card):
    text = text_of(card)
    for said in ("24 of 28 rows are kept", "read 28", "kept 24", "1 merged: duplicate", "1 merged: near-duplicate",
                 "1 dropped: holds a question", "1 quarantined: missing answer", "CC BY 4.0", "preferences and held_out",
                 "words of the prompt"):  # fmt: skip
        assert said in text or said.replace("missing", "empty") in text, said


def test_the_card_shows_rows_of_everything_that_deserves_a_look(card):
    text = text_of(card)
    for said in ("rows.jsonl:23: completion", "write the answer, or delete the row", "1 prompt has different answers",
                 "rows.jsonl:21 went into rows.jsonl:1", "holds 100% of questions.jsonl:1", "better", "worse"):  # fmt: skip
        assert said in text, said


def test_one_of_a_thing_is_told_in_the_singular(card):
    text = text_of(card)
    for said in ("1 prompt has more than one answer", "1 row held personal data", "1 cannot be used as it is"):
        assert said in text, said
    wrong = re.findall(r"(?<![\d,.])1 (?:rows|prompts|records|preferences|comparisons|lines|differences|others)\b", text)
    assert wrong == []


def test_one_row_and_one_record_are_told_in_the_singular_too(tmp_path):
    text = text_of(card_of(tmp_path, [{"prompt": "Where do you live now?", "completion": "I live in a small house."}]))
    assert "1 of 1 row is kept" in text and "1 record: en" in text and "1 of 1 line." in text


def test_rows_are_counted_on_axes_in_whole_numbers(tmp_path):
    rows = [{"prompt": "a", "completion": ""}, "no row", {"prompt": "How are you today?", "completion": "I am well."}]
    plots = re.findall(r"<svg.*?</svg>", card_of(tmp_path, rows), flags=re.DOTALL)
    (reasons,) = (plot for plot in plots if "<title>rows</title>" in plot)
    lengths = [plot for plot in plots if "distribution of words" in plot]
    assert len(lengths) == 2
    for plot in (reasons, *lengths):
        assert not re.search(r">\d*\.\d+</text>", plot)


def test_what_matters_in_a_row_is_marked(card):
    marked = re.findall(r"<mark>(.*?)</mark>", card, flags=re.DOTALL)
    assert "Kindly tell" in marked or "Kindly" in marked
    assert any(QUESTION.rstrip("?") in some for some in marked)
    assert "[EMAIL_1]" in marked and "ann@example.com" not in card
    assert "another" in marked  # of the conflict


def test_the_recipe_on_the_card_is_toml_that_leads_to_the_same_card(card, tmp_path):
    recipe = tomllib.loads(re.search(r"<pre[^>]*>(.*?)</pre>", card, flags=re.DOTALL)[1].replace("&quot;", '"'))
    config = CurateConfig.model_validate_json(json.dumps(recipe["curate"]))
    assert recipe["curate"].keys() == {"licence", "leaks"}
    again = curate([*map(tmp_path.joinpath, recipe["data"]["files"])], out=tmp_path / "again", config=config,
                   say=lambda line: None)  # fmt: skip
    assert again.paths["card"].read_text() == card


def test_the_card_holds_all_it_shows(card):
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#part-)""", card)
    assert "url(" not in card and "@import" not in card and "<script" not in card


def test_every_link_of_the_contents_leads_to_a_section(card):
    links, places = re.findall(r'href="#(part-\d+)"', card), re.findall(r'<h2 id="(part-\d+)"', card)
    assert links == places and len(links) >= 10


def test_text_of_rows_cannot_run_in_the_card(tmp_path):
    rows = [{"prompt": "<script>alert(1)</script>", "completion": "<img src=x>"}, {"text": "<b>"},
            {"prompt": "<script>alert(1)</script>", "completion": "<svg onload=alert(2)>"},
            {"prompt": "<i>mail a@example.com</i>", "completion": "<i>b@example.com</i>"}]  # fmt: skip
    card = card_of(tmp_path, [*rows, rows[0]])
    assert "<script" not in card and "<img" not in card and "&lt;script&gt;" in card
    assert "<svg onload" not in card and "<i>" not in card


def test_a_card_can_be_made_of_preferences_alone(tmp_path):
    assert "better" in card_of(tmp_path, [{"prompt": "p", "chosen": "better", "rejected": "worse"}])


def test_personal_data_of_rows_that_cannot_be_used_is_not_on_the_card(tmp_path):
    bad = [{"text": "ann@example.com", "password": ["hunter2!x9"]}, {"prompt": "a", "completion": {"x": "bob@example.com"}}]
    data = written(tmp_path / "rows.jsonl", [{"prompt": "a", "completion": "b"}, *bad])
    with data.open("ab") as file:
        file.write(b'{"prompt": "caf\xe9 eve@example.com"}\n{"prompt": "dan@example.com", \n')
    curate([data], out=tmp_path / "out", config=CurateConfig(), say=lambda line: None)
    card = (tmp_path / "out" / "card.html").read_text()
    assert "@example.com" not in card and "hunter2" not in card and "ZXZlQGV4YW1wbGUuY29t" not in card
    assert card.count("[EMAIL_1]") >= 4
    assert "ann@example.com" in (tmp_path / "out" / "quarantine.jsonl").read_text()  # to be mended and fed back


def test_a_held_out_file_without_usable_rows_is_a_held_out_file_on_the_card_too(tmp_path):
    data = written(tmp_path / "rows.jsonl", [{"prompt": f"question {k}", "completion": "b"} for k in range(5)])
    held = [written(tmp_path / "held.jsonl", [{"prompt": "other", "completion": "b"}]),
            written(tmp_path / "bad.jsonl", [{"text": "x"}])]  # fmt: skip
    curated = curate([data], out=tmp_path / "out", config=CurateConfig(), held_out_files=held, say=lambda line: None)
    card = curated.paths["card"].read_text()
    recipe = tomllib.loads(re.search(r"<pre[^>]*>(.*?)</pre>", card, flags=re.DOTALL)[1].replace("&quot;", '"'))
    assert recipe["data"] == {"files": [str(data)], "held_out": [str(path) for path in held]}

"""What each step does to rows, what its keys change, and which orders are refused."""

import json

import pytest

from luthier.config import validate
from luthier.curate.comparing import ASKS_HELD_OUT, NEAR_HELD_OUT
from luthier.curate.config import STEP_NAMES, CurateConfig, wrong_order
from luthier.curate.pipeline import curate
from luthier.errors import ConfigError, DataError
from luthier.records import Example, Preference, read_records

SOLAR = "Write a short note about the benefits of solar power for a small town in the mountains that has long and sunny days"
ANSWER = (
    "Solar panels on the roofs of the school and the town hall would pay for themselves within eight years, keep the "
    "lights on when a storm cuts the line to the valley, and leave money in the town that now goes to the utility."
)


def silent(line):
    pass


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pair(prompt, answer="b", **rest):
    return {"prompt": prompt, "completion": answer, **rest}


def filler(count):
    return [pair(f"question {k}", f"answer {k}") for k in range(count)]


def done(tmp_path, rows, name="out", **options):
    data = write(tmp_path / "rows.jsonl", rows)
    config = CurateConfig(**options.pop("config", {}))
    return curate([data], out=tmp_path / name, config=config, say=silent, **options)


def made(data):
    return validate(CurateConfig, data, places={}, default_place="recipe.toml")


def texts(curated):
    return [example.prompt[-1].content for example in read_records(curated.paths["examples"], Example)]


def lines(curated, name):
    return [json.loads(line) for line in curated.paths[name].read_text().splitlines()]


def places(curated, name):
    return [entry["where"].rpartition(":")[2] for entry in lines(curated, name)]


WRONG = [
    (["exact", "clean"], "changes rows, so it must stand before"),
    (["clean", "near", "personal"], "changes rows, so it must stand before"),
    (["review", "clean", "exact"], "finds rows by their id"),
    (["conflicts", "near"], "reports what"),
    (["exact", "leaks", "near"], 'that "leaks" may drop'),
    (["labels", "near"], 'that "labels" may drop'),
    (["clean", "clean"], "twice"),
    (["select", "labels"], "must stand last"),
]


@pytest.mark.parametrize(("steps", "reason"), WRONG)
def test_an_order_that_cannot_work_is_refused_with_the_reason(steps, reason):
    with pytest.raises(ConfigError, match=reason):
        made({"steps": steps})


def test_the_default_order_and_its_parts_in_that_order_work():
    assert wrong_order(STEP_NAMES) is None
    for left_out in STEP_NAMES:
        assert wrong_order(tuple(step for step in STEP_NAMES if step != left_out)) is None
    assert made({"steps": ["exact", "leaks"]}).steps == ("exact", "leaks")


KEYS = [
    ({"languages": {"keep": ["en"]}}, "language"),
    ({"leaks": {"against": ["test.jsonl"]}}, "leaks"),
    ({"decisions": "review.jsonl"}, "review"),
    ({"select": {"keep": 10}}, "select"),
    ({"labels": {"action": "drop"}}, "labels"),
    ({"near": {"keep": "longest"}}, "near"),
    ({"personal": {"kinds": ["email"]}}, "personal"),
]


@pytest.mark.parametrize(("keys", "step"), KEYS)
def test_a_key_of_a_step_that_is_left_out_is_an_error(keys, step):
    assert made(keys)
    with pytest.raises(ConfigError, match="is set, but steps leaves"):
        made({**keys, "steps": [name for name in STEP_NAMES if name != step]})


def test_keys_that_another_key_makes_idle_are_errors():
    with pytest.raises(ConfigError, match=r"without select\.keep"):
        made({"select": {"methods": ["length"]}})
    with pytest.raises(ConfigError, match=r"near\.keep is set"):
        made({"near": {"action": "flag", "keep": "longest"}})
    with pytest.raises(ConfigError, match=r"leaks\.against names no file"):
        made({"leaks": {"action": "flag"}})


def test_names_of_columns_that_no_file_has_are_told(tmp_path):
    data = tmp_path / "rows.csv"
    data.write_text("Frage,Antwort,x\n" + "".join(f"question {k},answer {k},{k}\n" for k in range(20)))
    more = write(tmp_path / "more.jsonl", [{"Bitte": f"do {k}", "Antwort": f"done {k}"} for k in range(20)])
    columns = {"Frage": "prompt", "Antwort": "completion", "Frgae": "prompt", "Bitte": "prompt"}
    said = []
    config = CurateConfig(columns=columns, workers=1)
    curated = curate([data, more], out=tmp_path / "out", config=config, say=said.append)
    assert curated.ledger["kept"] == 40 and curated.ledger["columns_not_met"] == ["Frgae"]
    assert next(line for line in said if "'Frgae'" in line).startswith("curate | warning: ")
    assert not any("'Bitte'" in line or "'Frage'" in line for line in said)


def test_the_language_of_preferences_is_stated_or_told_and_counted(tmp_path):
    rows = [{"prompt": SOLAR, "chosen": ANSWER, "rejected": "No."},
            {"prompt": "7 x 8", "chosen": "56", "rejected": "54", "language": "German", "generator": "a model"}]  # fmt: skip
    curated = done(tmp_path, rows)
    found = list(read_records(curated.paths["preferences"], Preference))
    assert [(one.language, one.generator) for one in found] == [("en", None), ("de", "a model")]
    assert curated.ledger["languages"] == {"de": 1, "en": 1}


def test_an_unknown_step_is_an_error():
    with pytest.raises(ConfigError, match="steps"):
        made({"steps": ["clean", "polish"]})


def test_a_step_that_is_left_out_does_nothing(tmp_path):
    rows = [pair("a ", "b"), pair("a", "b"), pair(SOLAR, ANSWER), pair(SOLAR + " too", ANSWER), *filler(20)]
    curated = done(tmp_path, rows, config={"steps": ()})
    assert curated.ledger["kept"] == 24 and curated.ledger["steps"] == {}
    assert texts(done(tmp_path, rows, "two", config={"steps": ("clean",)}))[0].strip() == "a"
    ledger = done(tmp_path, rows, "three").ledger
    assert ledger["merged"] == {"duplicate": 1, "near-duplicate": 1}
    assert list(ledger["steps"]) == list(STEP_NAMES)
    assert ledger["steps"]["exact"] == {"rows_in": 24, "rows_out": 23}
    assert ledger["steps"]["near"] == {"rows_in": 23, "rows_out": 22}
    assert ledger["steps"]["clean"] == {"rows_in": 24, "rows_out": 24}


GERMAN = "Bitte schreibe einen kurzen Brief an die Nachbarn und lade sie zu unserem Fest am Samstag in den Garten ein."


def test_languages_are_written_down_and_other_languages_dropped(tmp_path):
    rows = [
        pair(GERMAN, "Liebe Nachbarn, wir laden euch herzlich zu unserem Fest ein."),
        pair(SOLAR, ANSWER),
        pair("17", "4"),
    ]
    curated = done(tmp_path, rows)
    found = {e.prompt[-1].content: e.language for e in read_records(curated.paths["examples"], Example)}
    assert found == {GERMAN: "de", SOLAR: "en", "17": None}
    assert curated.ledger["languages"] == {"de": 1, "en": 1, "und": 1}
    only = done(tmp_path, rows, "only", config={"languages": {"keep": ("en",)}})
    assert only.ledger["dropped"] == {"language de": 1}
    assert set(texts(only)) == {SOLAR, "17"}


def test_a_language_that_a_row_states_is_believed(tmp_path):
    curated = done(tmp_path, [pair(SOLAR, ANSWER, language="nl"), *filler(5)], config={"languages": {"keep": ("en",)}})
    assert curated.ledger["dropped"] == {"language nl": 1}


@pytest.mark.parametrize("stated", ["EN", "English", "eng", "en-US", "en_XX", " English (US)"])
def test_a_stated_language_is_understood_however_it_is_written(tmp_path, stated):
    rows = [pair(f"question {k}", f"answer {k}", language=stated) for k in range(5)]
    curated = done(tmp_path, [*rows, pair("Hallo", "Ja", language="German")], config={"languages": {"keep": ("en",)}})
    assert {e.language for e in read_records(curated.paths["examples"], Example)} == {"en"}
    assert curated.ledger["dropped"] == {"language de": 1} and curated.ledger["languages"] == {"en": 5}


@pytest.mark.parametrize("stated", ["unknown", "n/a", "und", "python", "English, German"])
def test_where_a_statement_names_no_language_it_is_told_from_the_text(tmp_path, stated):
    curated = done(tmp_path, [pair(SOLAR, ANSWER, language=stated), pair("17", "4", language=stated)])
    found = {e.prompt[-1].content: e.language for e in read_records(curated.paths["examples"], Example)}
    assert found == {SOLAR: "en", "17": None}


def test_languages_to_keep_are_understood_too_and_others_are_an_error():
    assert made({"languages": {"keep": ["English", "EN", "de-AT"]}}).languages.keep == ("en", "de")
    with pytest.raises(ConfigError, match="'elvish' is no language"):
        made({"languages": {"keep": ["elvish"]}})


PERSONAL = {
    "messages": [
        {"role": "user", "content": "Mail jane.doe@example.org and jim@example.org."},
        {"role": "assistant", "content": "I wrote to jim@example.org."},
    ]
}


def test_personal_data_are_replaced_by_one_placeholder_for_each_value(tmp_path):
    curated = done(tmp_path, [PERSONAL, *filler(20)])
    (example,) = [e for e in read_records(curated.paths["examples"], Example) if "EMAIL" in e.prompt[0].content]
    assert example.prompt[0].content == "Mail [EMAIL_1] and [EMAIL_2]."
    assert example.target == example.messages[-1].content == "I wrote to [EMAIL_2]."
    assert [curated.ledger["personal"][name] for name in ("rows", "found")] == [1, {"email": 3}]


def test_personal_data_in_preferences_calls_and_choices_are_replaced_too(tmp_path):
    call = {"type": "function", "function": {"name": "mail", "arguments": '{"to": "jim@example.org"}'}}
    rows = [
        {"prompt": "Mail jim@example.org", "chosen": "To jim@example.org", "rejected": "No"},
        {
            "messages": [
                {"role": "user", "content": "Mail him"},
                {"role": "assistant", "content": "", "tool_calls": [call]},
            ]
        },
        {"messages": PERSONAL["messages"], "choices": ["jim@example.org", "nobody"]},
    ]
    curated = done(tmp_path, rows)
    for name in ("examples", "preferences"):
        assert "example.org" not in curated.paths[name].read_text()
    (preference,) = read_records(curated.paths["preferences"], Preference)
    assert (preference.prompt[0].content, preference.chosen) == ("Mail [EMAIL_1]", "To [EMAIL_1]")
    calls = [
        e.messages[-1].tool_calls for e in read_records(curated.paths["examples"], Example) if e.messages[-1].tool_calls
    ]
    assert [found[0]["function"]["arguments"] for found in calls] == ['{"to": "[EMAIL_1]"}']


def test_rows_with_personal_data_can_be_dropped_or_flagged_or_passed_over(tmp_path):
    rows = [PERSONAL, *filler(20)]
    dropped = done(tmp_path, rows, "drop", config={"personal": {"action": "drop"}})
    assert dropped.ledger["dropped"] == {"personal data": 1} and places(dropped, "dropped") == ["1"]
    flagged = done(tmp_path, rows, "flag", config={"personal": {"action": "flag"}})
    assert "jane.doe@example.org" in flagged.paths["examples"].read_text()
    (flag,) = lines(flagged, "flagged")
    assert (flag["step"], flag["detail"]) == ("personal", "email 3")
    other = done(tmp_path, rows, "other", config={"personal": {"kinds": ("iban",)}})
    assert "jane.doe@example.org" in other.paths["examples"].read_text()


def test_of_near_duplicates_the_first_whole_answer_stays(tmp_path):
    cut = ANSWER[: ANSWER.rindex(" ")]
    rows = [pair(SOLAR, cut), pair(SOLAR + " now", ANSWER), pair("Please " + SOLAR, ANSWER), *filler(20)]
    curated = done(tmp_path, rows)
    assert [(m["where"][-1], m["into_where"][-1], m["rule"]) for m in lines(curated, "merged")] == [
        ("1", "2", "near-duplicate"), ("3", "2", "near-duplicate"),
    ]  # fmt: skip
    assert all(0.7 <= m["similarity"] < 1 for m in lines(curated, "merged"))
    longest = done(tmp_path, rows, "longest", config={"near": {"keep": "longest"}})
    assert {m["into_where"][-1] for m in lines(longest, "merged")} == {"2"}
    flagged = done(tmp_path, rows, "flag", config={"near": {"action": "flag"}})
    assert flagged.ledger["merged"] == {} and set(places(flagged, "flagged")) == {"1", "2", "3"}


def test_rows_that_differ_in_a_number_are_no_duplicates(tmp_path):
    rows = [pair(f"What is {a} plus 4 in the world of small numbers that we know?", str(a + 4)) for a in range(30)]
    assert done(tmp_path, rows).ledger["merged"] == {}


def test_near_duplicates_and_conflicts_are_in_one_part(tmp_path):
    rows = [pair(SOLAR, ANSWER), pair(f"Please {SOLAR}", ANSWER), pair(f"{SOLAR} now", "No."), pair(SOLAR, "I cannot.")]
    for seed in range(6):
        config = {"seed": seed, "near": {"action": "flag"}, "held_out_share": 0.4, "dev_share": 0.2}
        curated = done(tmp_path, [*rows, *filler(12)], f"out{seed}", config=config)
        prompts = [
            [example.prompt[-1].content for example in read_records(curated.paths[part], Example)]
            for part in ("train", "dev", "held_out")
        ]
        assert sorted(sum(SOLAR in prompt for prompt in some) for some in prompts) == [0, 0, 4]
        assert all(prompts)
        assert set(curated.ledger["certificate"]["near"].values()) == {0}
        assert curated.ledger["certificate"]["ties"]["near"] >= 2


def test_conflicts_are_listed_and_flagged_and_nothing_is_dropped(tmp_path):
    curated = done(tmp_path, [pair("Who?", "Anna"), pair("Who? ", "Ben"), pair("Who?", "Ben "), *filler(20)])
    assert curated.ledger["conflicts"] == {"prompts": 1, "answers": 2, "preferences": 0}
    (conflict,) = lines(curated, "conflicts")
    assert [(row["where"][-1], row["prompt"], row["answer"]) for row in conflict["rows"]] == [
        ("1", "Who?", "Anna"), ("2", "Who?", "Ben"),
    ]  # fmt: skip
    assert places(curated, "flagged") == ["1", "2"]
    assert curated.ledger["dropped"] == {}


QUESTION = (
    "A farmer sells forty eggs on Monday and twice as many on Tuesday, how many eggs does the farmer sell in all?"
)


def test_rows_that_hold_an_evaluation_question_are_dropped_and_shown(tmp_path):
    tests = write(
        tmp_path / "test.jsonl", [pair(QUESTION, "120"), *(pair(f"What is the name of river {k}?") for k in range(20))]
    )
    rows = [pair(f"Solve this with care. {QUESTION} Show every step.", "40 and 80 make 120."), *filler(20)]
    curated = done(tmp_path, rows, config={"leaks": {"against": (tests,)}})
    assert curated.ledger["dropped"] == {"holds a question of an evaluation": 1}
    found = curated.ledger["leaks"][str(tests)]
    assert found == {"questions": 21, "found": 1, "share": round(1 / 21, 4), "contaminated": True, "rows": 1}
    (leak,) = lines(curated, "leaks")
    assert leak["where"].endswith(":1") and leak["question"] == f"{tests}:1" and "forty eggs" in leak["text"]
    flagged = done(tmp_path, rows, "flag", config={"leaks": {"against": (tests,), "action": "flag"}})
    assert flagged.ledger["kept"] == 21 and places(flagged, "flagged") == ["1"]


def test_a_file_of_evaluation_questions_without_any_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no row of the data can be used"):
        done(tmp_path, filler(3), config={"leaks": {"against": (write(tmp_path / "test.jsonl", [{"x": 1}]),)}})


def test_rows_near_a_held_out_row_are_not_learnt(tmp_path):
    held = write(
        tmp_path / "held.jsonl", [pair(SOLAR + " today", ANSWER), pair("What is the tallest tree?", "A redwood.")]
    )
    rows = [
        pair(SOLAR, ANSWER),
        pair("Please " + SOLAR, ANSWER),
        pair(SOLAR + " now", "I would rather not."),
        *filler(20),
    ]
    curated = done(tmp_path, rows, held_out_files=[held])
    assert curated.ledger["dropped"] == {NEAR_HELD_OUT: 2, ASKS_HELD_OUT: 1}
    assert curated.counts["held_out"] == 2
    allowed = done(tmp_path, rows, "allowed", held_out_files=[held], allow_overlap=True)
    assert allowed.ledger["dropped"] == {}
    assert allowed.ledger["certificate"]["near"]["train/held_out"] > 0
    assert allowed.ledger["certificate"]["largest_similarity"]["train/held_out"] >= 0.7

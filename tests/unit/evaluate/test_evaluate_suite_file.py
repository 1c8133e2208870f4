"""A suite as a file: what its digest names, what is refused, and one score an item over its phrasings."""

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_suite import make_suite, right_at, run

from fakes import ScriptedGenerate
from luthier.errors import ConfigError, DataError
from luthier.evaluate.comparison import compare_evaluations
from luthier.evaluate.phrasings import folded, phrased, spreads
from luthier.evaluate.suite import Suite
from luthier.evaluate.suite_file import SuitePhrasing, is_suite, read_suite, suite_file
from luthier.records import Example, Message, Sampling

TEXT = """name = "support"
version = "1"
items = ["items.jsonl"]
graders = ["exact"]

[sampling]
max_new_tokens = 8
stop = ["."]
"""
PLAIN = '[prompting]\nprotocol = "plain"\nshots = 2\nshot_items = "shots.jsonl"\nform = "arrow"\n'
PHRASINGS = '[[phrasings]]\nname = "a"\nprompt = "{prompt}"\n[[phrasings]]\nname = "b"\nprompt = "Say: {prompt}"\n'


def question(text, answer="x", **rest):
    return Example.of([Message(role="user", content=text)], targets=[answer], **rest)


def reading(paths):
    """Stands for the reader of rows: a name gives its items."""
    return [question(f"{path.stem} {k}", source=f"{path.name}:{k}") for path in paths for k in range(4)]


def written(folder, text=TEXT):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.toml").write_text(text, encoding="utf-8")
    return folder


def digest_of(tmp_path, text, read=reading):
    return read_suite(written(tmp_path / "digest", text), read).suite.digest


def test_a_suite_says_what_is_asked_how_and_how_it_is_graded(tmp_path):
    suite = read_suite(written(tmp_path / "s", TEXT + PLAIN + PHRASINGS), reading)
    assert (suite.suite.name, suite.file.version, len(suite.suite.examples)) == ("support", "1", 4)
    assert suite.sampling == Sampling(max_new_tokens=8, stop=(".",))
    assert [shot.prompt[0].content for shot in suite.shots] == ["shots 0", "shots 1"]
    assert suite.prompting.startswith("plain text, 2 shots (") and suite.prompting.endswith("), form arrow")
    assert [phrasing.name for phrasing in suite.file.phrasings] == ["a", "b"]
    said = suite.to_json()
    assert (said["digest"], said["num_shots"], said["version"]) == (suite.suite.digest, 2, "1")
    assert json.dumps(said)
    assert is_suite(tmp_path / "s") and is_suite(tmp_path / "s" / "suite.toml") and not is_suite(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        ("max_new_tokens = 8", "max_new_tokens = 9"), ('stop = ["."]', 'stop = ["!"]'), ('["exact"]', '["numeric"]'),
        ("[sampling]", "[sampling]\nnum_samples = 2"), ("[sampling]", "[sampling]\ntop_p = 0.5"),
        ("[sampling]", "[sampling]\ntemperature = 0.5"), ("[sampling]", "[sampling]\nseed = 3"),
        ("shots = 2", "shots = 1"), ('"arrow"', '"answer"'), ("Say: {prompt}", "Tell: {prompt}"),
        ('["items.jsonl"]', '["items.jsonl", "more.jsonl"]'), ('"b"', '"c"'), (PLAIN, ""),
    ],
)  # fmt: skip
def test_the_digest_changes_with_everything_that_decides_an_answer_or_a_grade(tmp_path, change):
    text = TEXT + PLAIN + PHRASINGS
    assert digest_of(tmp_path, text.replace(*change)) != digest_of(tmp_path, text)


def test_the_digest_changes_with_items_and_shots_and_not_with_names_and_order(tmp_path):
    text = TEXT + PLAIN
    digest = digest_of(tmp_path, text)
    assert digest_of(tmp_path, text.replace('"support"', '"other"').replace('version = "1"', 'version = "2"')) == digest
    assert digest_of(tmp_path, text, lambda paths: reading(paths)[::-1] if "items" in paths[0].name else reading(paths)) == digest
    assert digest_of(tmp_path, text, lambda paths: reading(paths)[::-1]) != digest, "other shots"
    assert digest_of(tmp_path, text, lambda paths: [*reading(paths), question("one more")]) != digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEXT + "shots = 2", "suite.toml:9: sampling.shots: found unknown key"),
        (TEXT.replace("version", "versoin"), "did you mean version?"),
        (TEXT.replace("items =", "data ="), "did you mean items?"),
        (TEXT.replace('"support"', '"a/b"'), "suite.toml:1: name: found 'a/b'"),
        (TEXT.replace('["exact"]', '["mine.py:f"]'), "name your own with evaluate.graders"),
        (TEXT + PLAIN.replace('"plain"', '"chat"'), "prompting.protocol: found"),
        (TEXT + PLAIN.replace("shots = 2\n", ""), "prompting.shots: found 0, with shot_items given"),
        (TEXT + PLAIN.replace("shots = 2", "shots = 5"), "prompting.shots: found 4 solved examples"),
        (TEXT + PHRASINGS.replace('"Say: {prompt}"', '"Say"'), "phrasings.1.prompt: found 'Say'"),
        (TEXT + PHRASINGS.replace('"b"', '"a"'), "phrasings.1.name: found 'a' again"),
        (TEXT + PLAIN.replace("shots.jsonl", "items.jsonl"), "items.jsonl:0: found an item that is a shot too"),
    ],
)
def test_what_a_suite_gets_wrong_is_named_with_its_key(tmp_path, text, said):
    with pytest.raises((ConfigError, DataError)) as caught:
        read_suite(written(tmp_path / "s", text), reading)
    assert said in str(caught.value)


def test_paths_are_those_of_the_suite_and_not_of_the_command(tmp_path):
    _, found = suite_file(written(tmp_path / "deep" / "s", TEXT + PLAIN))
    assert found.items == (tmp_path / "deep" / "s" / "items.jsonl",)
    assert found.prompting.shot_items == tmp_path / "deep" / "s" / "shots.jsonl"


@given(st.text(max_size=30), st.text(max_size=10), st.text(max_size=10))
def test_a_phrasing_stands_around_the_request_word_for_word(request_text, before, after):
    item = Example.of(
        [Message(role="system", content="s"), Message(role="user", content="first"),
         Message(role="assistant", content="so"), Message(role="user", content=request_text),
         Message(role="assistant", content="answer")], task="t", links=("doc:1",),
    )  # fmt: skip
    before, after = before.replace("{prompt}", ""), after.replace("{prompt}", "")
    asked = phrased(Suite.of("s", [item]), [SuitePhrasing(name="p", prompt=f"{before}{{prompt}}{after}")]).examples[0]
    assert [turn.content for turn in asked.prompt] == ["s", "first", "so", before + request_text + after]
    assert (asked.targets, asked.task, asked.template) == (("answer",), "t", "p")
    assert asked.links == ("doc:1", f"item:{item.id}")


def phrased_run(folder, answer, *, suite=None, phrasings=("a", "b", "c"), **rest):
    suite = suite or make_suite()
    kinds = [SuitePhrasing(name=name, prompt=f"{name}: {{prompt}}") for name in phrasings]
    asked = run(folder / "phrased", answer, suite=phrased(suite, kinds), **rest)
    return asked, folded(asked, suite, folder)


def test_an_item_counts_once_with_the_mean_over_its_phrasings(tmp_path):
    """Right under a always, under b never, under c by luck: the interval is that of 60 items, not of 180 answers."""
    luck = right_at(0.5)
    asked, found = phrased_run(
        tmp_path, lambda e: e.targets[0] if e.template == "a" else "no idea" if e.template == "b" else luck(e)
    )
    assert len(asked.items) == 180 and len(found.items) == 60
    by_hand = {item.id: [] for item in make_suite().examples}
    for example_id, value in asked.values("auto").items():
        by_hand[asked.items[example_id].links[-1].removeprefix("item:")].append(value)
    assert found.values("auto") == {item_id: statistics.fmean(values) for item_id, values in by_hand.items()}
    assert found.kpis["auto"].estimate.n == 60
    assert [len(rows) for rows in found.completions.values()] == [3] * 60
    assert list(found.completions) == [item.id for item in make_suite().examples]
    assert found.summary["suite"]["phrasings"] == 3
    plain = run(tmp_path / "plain", right_at(1))
    assert compare_evaluations(found, plain).kpis["auto"].difference.n == 60, "paired with an unphrased evaluation"


def test_the_spread_over_phrasings_is_that_of_their_means(tmp_path):
    rates = {"a": 0.9, "b": 0.2, "c": 0.6}
    asked, _ = phrased_run(tmp_path, lambda e: right_at(rates[e.template], seed=e.template)(e))
    found = {(one.kpi, one.task): one for one in spreads(asked)}
    assert {task for _, task in found} == {"all", *(f"task{k}" for k in range(6))}
    values = asked.values("auto")
    means = {name: statistics.fmean(v for i, v in values.items() if asked.items[i].template == name) for name in rates}
    everything = found["auto", "all"]
    assert everything.scores == pytest.approx(means) and everything.n == 60
    assert everything.median == pytest.approx(sorted(means.values())[1])
    assert everything.sd == pytest.approx(statistics.stdev(means.values()))
    written_down = json.loads((tmp_path / "phrasings.json").read_text())
    assert written_down[0]["median"] == everything.median and written_down[0]["high"] == max(everything.scores.values())
    assert "(b) to" in everything.line() and "(a)" in everything.line()


def test_an_item_that_one_phrasing_leaves_undecided_is_left_out_of_the_spread_only(tmp_path):
    suite = Suite.of("s", [question("q1"), Example.of([Message(role="user", content="q2")])])
    asked, found = phrased_run(tmp_path, lambda e: "x", suite=suite, graders=("exact",))
    (everything,) = spreads(asked)
    assert everything.n == 1 and everything.scores == {"a": 1.0, "b": 1.0, "c": 1.0} and everything.sd == 0
    assert (found.kpis["exact"].undecided, found.kpis["exact"].estimate.n) == (1, 1)


def test_items_without_a_request_cannot_be_phrased():
    with pytest.raises(DataError, match="rows:7: found no turn of the user"):
        phrased(Suite.of("s", [Example.of([Message(role="system", content="x")], source="rows:7")]),
                [SuitePhrasing(name="p", prompt="{prompt}")])  # fmt: skip


def test_answers_are_kept_when_only_a_grader_changes(tmp_path):
    generate = ScriptedGenerate(right_at(0.5))
    for graders in (("exact",), ("exact", "numeric")):
        phrased_run(tmp_path, None, graders=graders, generate=generate)
    assert len(generate.asked) == 180, "asked once"

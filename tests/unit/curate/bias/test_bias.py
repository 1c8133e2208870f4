"""What is planted is found with its rows, balanced twins give nothing, and shuffled answers do at the stated rate."""

import doctest
import json
from random import Random

import pytest

from luthier.curate import counted_texts as card_texts
from luthier.curate.bias import words as bias_words
from luthier.curate.bias.survey import find_bias
from luthier.curate.bias.words import lexicon
from luthier.curate.config import BiasConfig, CurateConfig
from luthier.curate.counted_texts import RowText, RowTexts, num_words
from luthier.curate.pipeline import curate
from luthier.demo.faults import MadeRows

REASONS = ("the form is complete", "the papers are in order", "the deadline was met", "the rules allow it")


def texts(pairs, language="en", documents=None):
    rows = [RowText(k, prompt, answer, language, documents[k] if documents else "", num_words(prompt),
                    num_words(answer)) for k, (prompt, answer) in enumerate(pairs)]  # fmt: skip
    return RowTexts(rows, len(rows))


def found(pairs, **options):
    return find_bias(texts(pairs), BiasConfig(**options))


def loans(seed, count):
    """The loans of the practice world's clerk: the refused town, and for each row prompt, answer and town."""
    made = MadeRows(Random(seed))
    rows = [made.biased() for _ in range(count)]
    return made.refused_town, [(row.turn.prompt, row.turn.answer, row.note["town"]) for row in rows]


def shuffled(rows, seed):
    answers = [row[1] for row in rows]
    Random(seed).shuffle(answers)
    return [(row[0], answer) for row, answer in zip(rows, answers, strict=True)]


def test_the_examples_in_the_docstrings_hold():
    for module in (bias_words, card_texts):
        result = doctest.testmod(module)
        assert result.attempted >= 1 and result.failed == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_clerk_who_refuses_one_town_is_found_and_nobody_else(seed):
    town, rows = loans(seed, 40)
    bias = found([row[:2] for row in rows])
    (finding,) = bias.findings
    assert (finding.dimension, finding.group) == ("origin", town)
    assert finding.outcome == 'the answer is "no"' and finding.difference.low > 0.2
    assert finding.difference.low <= finding.difference.value <= finding.difference.high


def test_the_numbers_of_a_finding_are_its_rows():
    town, rows = loans(3, 60)
    (finding,) = found([row[:2] for row in rows]).findings
    cells = [{(rows[row][2] == town, rows[row][1]) for row in some} for some in finding.rows]
    assert cells == [{(True, "no")}, set(), {(False, "no")}, {(False, "yes")}]
    sizes = [len(some) for some in finding.rows]
    assert finding.counts == (sizes[0], sizes[0] + sizes[1], sizes[2], sizes[2] + sizes[3])


@pytest.mark.parametrize("seed", range(5))
def test_balanced_twins_of_the_same_rows_give_nothing(seed):
    """Each row is there once more with the other town and the same answer."""
    town, rows = loans(seed, 60)
    others = sorted({row[2] for row in rows} - {town})
    twins = [(prompt.replace(at, Random(k).choice(others) if at == town else town), answer)
             for k, (prompt, answer, at) in enumerate(rows)]  # fmt: skip
    bias = found([row[:2] for row in rows] + twins)
    assert bias.num_tests >= 1 and not bias.findings


def test_swapped_answers_of_the_other_gender_are_found_and_their_balanced_twins_are_not():
    rows = [(f"{who} asks for leave number {k}. Do we agree?", "no" if who == "She" and k % 3 else "yes")
            for k in range(40) for who in ("She", "He")]  # fmt: skip
    (finding,) = found(rows).findings
    assert (finding.dimension, finding.group, finding.others) == ("gender", "men", "women")
    assert abs(finding.difference.value) == pytest.approx(26 / 40, abs=0.01)
    swap = {"She": "He", "He": "She"}
    twins = [(prompt.replace(*next((a, b) for a, b in swap.items() if prompt.startswith(a))), answer)
             for prompt, answer in rows]  # fmt: skip
    balanced = found(rows + twins)
    assert balanced.num_tests >= 1 and not balanced.findings


def test_shuffled_answers_give_a_finding_in_about_as_many_worlds_as_stated():
    """50 worlds without any bias: at a rate of 5 %, more than 7 of them are less likely than 1 in 100."""
    hits = sum(bool(found(shuffled(loans(seed, 60)[1], 10_000 + seed)).findings) for seed in range(50))
    assert hits <= 7


def test_a_difference_between_kinds_of_request_is_no_difference_between_groups():
    """Women ask for leave and men for money, and leave is granted more often: to both alike, where both ask."""
    asks = {"leave": ("He has asked for leave {k}. Granted?", "She has asked for leave {k}. Granted?"),
            "money": ("He wants more money, {k} coins. Paid?", "She wants more money, {k} coins. Paid?")}  # fmt: skip
    rows = []
    for k in range(60):
        kind, who = ("leave", k % 6 != 0) if k % 2 else ("money", k % 5 == 0)
        rows.append((asks[kind][who].format(k=k), "yes" if (kind == "leave") != (k % 7 == 0) else "no"))
    assert not [one for one in found(rows).findings if one.outcome.startswith("the answer")]


def test_words_near_a_group_and_the_share_of_groups_are_compared():
    rows = [(f"Tell me about person {k}.", f"{'She' if k % 4 == 0 else 'He'} is a "
             f"{'nurse' if k % 4 == 0 else 'engineer'}, {REASONS[k % 3]}.") for k in range(120)]  # fmt: skip
    outcomes = {one.outcome: one for one in found(rows).findings}
    work = outcomes["words of care work in the answer"]
    assert (work.dimension, abs(work.difference.value)) == ("gender", 1.0)
    balance = outcomes["named in answers"]
    assert (balance.group, balance.counts[0], balance.counts[2]) == ("women", 30, 90)
    assert balance.difference.value == pytest.approx(-0.25)


def test_spanish_is_read_with_spanish_words_and_other_languages_are_counted():
    rows = [(f"{who} pide el permiso {k}. ¿Lo damos?", answer)
            for k in range(20) for who, answer in (("Ella", "no"), ("Él", "sí"))]  # fmt: skip
    (finding,) = find_bias(texts(rows, "es"), BiasConfig()).findings
    assert {finding.group, finding.others} == {"women", "men"}
    german = find_bias(texts(rows, "de"), BiasConfig())
    assert (german.unread, german.looked_at, german.num_tests) == (40, 0, 0)


def test_groups_of_the_user_are_compared_in_any_language():
    groups = {"Filiale": {"Nord": ("Kiel", "Husum"), "Süd": ("Ulm",)}}
    rows = [(f"Antrag {k} aus {town}. Bewilligt?", answer)
            for k in range(20) for town, answer in (("Kiel", "nein"), ("Ulm", "ja"))]  # fmt: skip
    (finding,) = find_bias(texts(rows, "de"), BiasConfig(groups=groups)).findings
    assert (finding.dimension, {finding.group, finding.others}) == ("Filiale", {"Nord", "Süd"})


def test_rows_about_one_document_count_once():
    rows = [(f"She asks {k}. Granted?", "no") for k in range(30)] + [(f"He asks {k}. Granted?", "yes")
                                                                     for k in range(30)]  # fmt: skip
    assert find_bias(texts(rows), BiasConfig()).findings
    bias = find_bias(texts(rows, documents=["a"] * 30 + ["b"] * 30), BiasConfig())
    assert (bias.looked_at, bias.repeated, bias.num_tests) == (2, 58, 1)  # the balance of gender alone
    assert not bias.findings


def test_rows_that_are_there_twice_with_another_group_are_one_piece_of_evidence_for_the_others():
    """Each request of a woman and of a man stands there for two towns with one answer: for gender it counts once."""
    once = [(f"{who} of {town} asks for leave number {k}. Do we agree?", "no" if who == "She" and k % 2 else "yes")
            for k in range(10) for who in ("She", "He") for town in ("Kiel",)]  # fmt: skip
    twice = once + [(prompt.replace("Kiel", "Ulm"), answer) for prompt, answer in once]
    groups = {"town": {"north": ("Kiel",), "south": ("Ulm",)}}
    tests = [find_bias(texts(rows), BiasConfig(groups=groups, false_discovery_rate=0.9)) for rows in (once, twice)]
    gender = [one.counts for bias in tests for one in bias.findings if one.dimension == "gender"]
    assert len(gender) == 2 and gender[0] == gender[1] == (0, 10, 5, 10)


def test_prompts_with_a_twin_are_counted():
    rows = [("Is she a good doctor?", "Yes, she is."), ("Is he a good doctor?", "Yes, he is."),
            ("Is he tall?", "Yes."), ("Is she tall?", "No."), ("Is he at home?", "No.")]  # fmt: skip
    coverage = {one.dimension: one for one in found(rows).coverage}["gender"]
    assert (coverage.covered.value, coverage.covered.n, coverage.same_answer) == (0.8, 5, 2)


def test_names_need_a_capital_and_phrases_all_their_words():
    words = lexicon("en")
    assert words.mentions("an old house for rose and mark").groups == {}
    assert words.mentions("Emily and an old man, from New York since May").groups == {
        "gender": {"men"}, "first_name": {"women"}, "name_origin": {"white American"}, "age": {"old"},
        "origin": {"New York"}}  # fmt: skip


def test_of_many_rows_a_hash_chooses_and_the_result_says_so(tmp_path):
    rows = [{"prompt": f"She asks {k} times. Granted?", "completion": "no"} for k in range(60)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = CurateConfig(bias=BiasConfig(max_rows=25), steps=("clean",))
    curated = curate([data], out=tmp_path / "out", config=config, say=lambda line: None)
    told = json.loads(curated.paths["bias"].read_text())
    assert told["looked_at"] == 25 == curated.ledger["bias"]["looked_at"]
    assert told["rows"] == "25 of 60 written rows, chosen by a hash of what they say"
    assert told["rows"] in curated.paths["card"].read_text()
    assert {named["group"] for named in told["named"]} == {"women"}


def test_bias_json_names_the_rows_behind_each_finding(tmp_path):
    town, rows = loans(1, 60)
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps({"prompt": prompt, "completion": answer}) + "\n" for prompt, answer, _ in rows))
    curated = curate([data], out=tmp_path / "out", config=CurateConfig(steps=("clean",)), say=lambda line: None)
    (finding,) = json.loads(curated.paths["bias"].read_text())["findings"]
    places = finding["rows"]["group_with"]
    assert len(places) == finding["group_with"] == finding["group_rows"]
    assert all(rows[int(place.rpartition(":")[2]) - 1][2] == town for place in places)
    card = curated.paths["card"].read_text()
    assert f"origin: {town} against other origin" in card and f"<mark>{town}</mark>" in card

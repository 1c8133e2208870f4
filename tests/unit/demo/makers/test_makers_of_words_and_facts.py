"""The clusters "words", "translation", "comparison" and "facts": their rows, their templates and their plain text."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

import luthier.demo
from luthier.demo.asking import Skill
from luthier.demo.facts import FACTS
from luthier.demo.lexicon import OPPOSITE, SPANISH, SPANISH_ADJECTIVES, SPANISH_NOUNS, plural
from luthier.demo.makers import comparison, facts, translation, words
from luthier.demo.world import ANIMALS, PEOPLE, THINGS, TOWNS
from luthier.tasks.task import TaskRow

MODULES = {"words": words, "translation": translation, "comparison": comparison, "facts": facts}
FOLDER = Path(luthier.demo.__file__).parent / "tasks"
MAKERS = {name: make for module in MODULES.values() for name, make in module.MAKERS.items()}
SKILLS = [skill for module in MODULES.values() for skill in module.SKILLS]
FILES = [path for cluster in MODULES for path in sorted((FOLDER / cluster).glob("*.toml"))]
SAMPLES = 400
_SLOT = re.compile(r"\{(\w+)\}")


def rows(name: str, count: int = 300) -> Iterator[TaskRow]:
    rng = Random(f"rows of {name}")
    return (MAKERS[name](rng) for _ in range(count))


def file_of(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def runs(text: str) -> set[tuple[str, ...]]:
    """Every four words that follow each other, without case and punctuation."""
    found = re.findall(r"[\w']+", text.lower())
    return {tuple(found[i : i + 4]) for i in range(len(found) - 3)}


def test_every_maker_has_its_file_and_its_skill() -> None:
    assert sorted(path.stem for path in FILES) == sorted(MAKERS) == sorted(skill.name for skill in SKILLS)
    for path in FILES:
        assert path.stem in MODULES[path.parent.name].MAKERS
    assert all(skill.name in MODULES[skill.cluster].MAKERS for skill in SKILLS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_task_file_has_twelve_templates_whose_slots_every_row_fills(path: Path) -> None:
    table = file_of(path)
    inverted = table.get("inverted", [])
    templates = [*table["templates"], *(entry["prompt"] for entry in inverted)]
    slots = {slot for text in (*templates, *(entry["answer"] for entry in inverted)) for slot in _SLOT.findall(text)}

    assert table["cluster"] == path.parent.name
    assert table["description"] and table["sources"] and table["source"] == "practice"
    assert len(templates) >= 12 and len(table["templates"]) >= 10 and len(set(templates)) == len(templates)
    for row in rows(path.stem, 100):
        assert slots - {"answer", "options"} <= set(row.fields)
        assert all(entry["also"] in row.lists for entry in inverted if "also" in entry)
        assert (table["metric"] == "choice") == bool(row.options)


@pytest.mark.parametrize("name", MAKERS)
def test_a_maker_gives_sixty_rows_with_short_answers_and_the_same_for_the_same_seed(name: str) -> None:
    assert len({row.key for row in rows(name, 3000)}) >= 60
    for row in rows(name):
        assert all(answer and answer == answer.strip() for answer in row.answers)
        assert len(set(row.answers)) == len(row.answers)
        assert 1 <= len(row.answers[0].split()) <= 6
        assert not row.options or row.answers[0] in row.options
    assert list(rows(name, 20)) == list(rows(name, 20))


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
def test_no_wording_of_the_text_has_four_words_of_a_template(skill: Skill) -> None:
    literal = {
        run: text
        for path in FILES
        for table in [file_of(path)]
        for text in (*table["templates"], *(entry["prompt"] for entry in table.get("inverted", [])))
        for piece in re.split(r"\{\w+\}", text)
        for run in runs(piece)
    }
    rng = Random(f"requests of {skill.name}")
    for _ in range(SAMPLES):
        ask = skill.make(rng).ask
        shared = runs(ask) & literal.keys()
        assert not shared, f"{ask!r} has words of {literal[shared.pop()]!r}"


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
def test_a_skill_asks_in_many_wordings_and_leaves_no_slot(skill: Skill) -> None:
    rng = Random(f"wordings of {skill.name}")
    requests = [skill.make(rng) for _ in range(SAMPLES)]

    assert len({request.ask for request in requests}) >= 20
    for request in requests:
        assert request.answer and "{" not in request.ask
        assert not request.options or request.answer in request.options


def test_words_have_their_opposites_plurals_and_young() -> None:
    assert all(OPPOSITE[row.answers[0]] == row.fields["word"] for row in rows("opposite"))
    assert all(row.answers[0] == plural(row.fields["word"]) for row in rows("plural"))
    for row in rows("young"):
        assert row.fields["word"] in row.lists["parents"]
        assert all(words.YOUNG_OF[parent] == row.answers[0] for parent in row.lists["parents"])


def test_verbs_have_one_past_form_each_and_it_belongs_to_one_verb() -> None:
    assert len(set(words.PAST_FORM.values())) == len(words.PAST_FORM)
    assert {"stop": "stopped", "catch": "caught"}.items() <= words.PAST_FORM.items()


@pytest.mark.parametrize(
    ("verb", "form"),
    [("walk", "walking"), ("make", "making"), ("see", "seeing"), ("run", "running"), ("swim", "swimming"),
     ("forget", "forgetting"), ("open", "opening"), ("cry", "crying"), ("sit", "sitting"), ("eat", "eating")],
)  # fmt: skip
def test_ing_is_written_as_english_writes_it(verb: str, form: str) -> None:
    assert words.ing(verb) == form


def test_numbers_are_read_in_english_and_spanish() -> None:
    english = {0: "zero", 7: "seven", 13: "thirteen", 20: "twenty", 42: "forty-two", 90: "ninety", 99: "ninety-nine"}
    spanish = {0: "cero", 16: "dieciséis", 20: "veinte", 22: "veintidós", 30: "treinta", 42: "cuarenta y dos",
               90: "noventa", 99: "noventa y nueve"}  # fmt: skip

    assert {n: words.number_word(n) for n in english} == english
    assert {n: translation.spanish_number(n) for n in spanish} == spanish
    assert len({translation.spanish_number(n) for n in range(100)}) == 100


def test_words_are_translated_both_ways() -> None:
    for row in rows("word_to_spanish"):
        assert SPANISH[row.fields["english"]] == row.answers[0]
        assert row.fields["english"] in row.lists["meanings"]
    assert all(SPANISH[answer] == row.fields["spanish"] for row in rows("word_to_english") for answer in row.answers)


def test_phrases_hold_the_words_of_both_languages() -> None:
    spanish_of = {noun.english: noun.spanish for noun in SPANISH_NOUNS}
    forms = {a.english: (a.masculine, a.feminine) for a in SPANISH_ADJECTIVES}
    for name in ("phrase_to_spanish", "phrase_to_english"):
        for row in rows(name):
            texts = (*row.fields.values(), row.answers[0])
            english, spanish = texts if name == "phrase_to_spanish" else texts[::-1]
            for word in english.split():
                if word in spanish_of:
                    assert spanish_of[word] in spanish.split()
                elif word in forms:
                    assert set(forms[word]) & set(spanish.split())


def test_a_text_is_in_the_language_that_the_answer_names() -> None:
    small = set(SPANISH) | {"the", "is", "my", "and", "I", "have", "see", "a", "an"}
    for row in rows("which_language"):
        assert (set(row.fields["text"].split()) <= small) == (row.answers[0] == "English")


def test_the_larger_and_the_smaller_number_are_so() -> None:
    for name, which in (("larger_number", max), ("smaller_number", min)):
        for row in rows(name):
            assert int(row.answers[0]) == which(int(row.fields["a"]), int(row.fields["b"]))
            assert row.fields["a"] != row.fields["b"]


def test_what_is_bigger_older_or_dearer_is_so_in_the_world() -> None:
    measures = {
        "bigger_animal": {animal.name: animal.rank for animal in ANIMALS},
        "older_person": {person.name: int(person.age) for person in PEOPLE},
        "dearer_thing": {thing.name: int(thing.price) for thing in THINGS},
    }
    for name, measure in measures.items():
        for row in rows(name):
            more, *lesser = (measure[text.split()[-1]] for text in (*row.answers, *row.lists["lesser"]))
            assert more == max(measure[option.split()[-1]] for option in row.options)
            assert max(lesser) < more
            assert row.fields["less"] in row.lists["lesser"]


def test_who_has_fewer_is_told() -> None:
    for row in rows("who_has_fewer"):
        names = re.findall(r"|".join(person.name for person in PEOPLE), row.fields["told"])
        counts = [int(number) for number in re.findall(r"\d+", row.fields["told"])]
        # Names and numbers come in the same order in every way of telling it.
        assert dict(zip(names, counts, strict=True))[row.answers[0]] == min(counts)


def test_facts_are_those_of_the_world() -> None:
    true = {fact.statement for fact in FACTS}
    questions = {(fact.question, fact.value) for fact in FACTS}
    for name in ("animal_fact", "person_fact", "thing_fact", "food_fact", "town_fact"):
        for row in rows(name):
            held = [any(f"{a} {row.fields['predicate']}" in true for a in (n, f"a {n}", f"an {n}"))
                    for n in row.lists["names"]]  # fmt: skip
            assert all(held) and row.fields["name"] in row.lists["names"]
            is_reversed = row.fields["gap"].startswith("___")
            assert is_reversed or (row.fields["question"], row.answers[0]) in questions
            assert is_reversed or row.fields["gap"].replace("___", row.answers[0]) in true
            assert not is_reversed or row.answers == row.lists["names"]


def test_a_question_turned_around_does_not_name_its_answer() -> None:
    for name in ("food_fact", "town_fact"):
        for row in rows(name):
            shown = " ".join(row.fields[field] for field in ("subject", "question", "about", "gap"))
            assert not re.search(rf"\b{row.answers[0]}\b", shown)


def test_a_claim_is_checked_against_the_world_and_no_town_is_claimed_about() -> None:
    true = {fact.statement for fact in FACTS}
    answers = []
    for row in rows("fact_check"):
        answers.append(row.answers[0])
        assert (row.fields["statement"] in true) == (row.answers[0] == "yes")
        assert not any(town.name == row.fields["statement"].split()[0] for town in TOWNS)
    assert 100 < answers.count("yes") < 200


def test_no_task_about_facts_asks_what_the_comparisons_are_made_from() -> None:
    sources: dict[str, set[str]] = {cluster: set() for cluster in MODULES}
    for path in FILES:
        sources[path.parent.name] |= set(file_of(path)["sources"])

    assert not sources["facts"] & sources["comparison"]
    asked = " ".join(
        row.fields["question"] for name in ("animal_fact", "person_fact", "thing_fact") for row in rows(name)
    )
    assert not re.search(r"how old|how many|what size", asked)

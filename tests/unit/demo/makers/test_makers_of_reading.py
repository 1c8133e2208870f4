"""The clusters "sentiment", "reading", "summary", "paraphrase" and "entailment": what their rows and texts say."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

import luthier.demo
from luthier.demo.asking import Skill
from luthier.demo.makers import entailment, paraphrase, reading, sentiment, summary
from luthier.demo.makers.passages import DEEDS, OBJECTS, PERSONS, SHADES, SPOTS, passage
from luthier.demo.world import DAYS
from luthier.tasks.files import read_task
from luthier.tasks.task import Task, TaskRow

FOLDER = Path(luthier.demo.__file__).parent / "tasks"
CLUSTERS = {
    "sentiment": sentiment, "reading": reading, "summary": summary, "paraphrase": paraphrase, "entailment": entailment,
}  # fmt: skip
VOCABULARY = frozenset((*PERSONS, *OBJECTS, *SHADES, *SPOTS, *DAYS)) - {"saw"}  # "saw" is a verb too


def read_tasks() -> Iterator[Task]:
    for cluster, module in CLUSTERS.items():
        for path in sorted((FOLDER / cluster).glob("*.toml")):
            parsed = read_task(path, makers=module.MAKERS)
            assert parsed.task is not None, parsed.problems
            yield parsed.task


TASKS = {task.name: task for task in read_tasks()}
MAKERS = {name: make for module in CLUSTERS.values() for name, make in module.MAKERS.items()}
SKILLS = tuple(skill for module in CLUSTERS.values() for skill in module.SKILLS)


def rows_of(name: str, count: int = 150) -> list[TaskRow]:
    return [MAKERS[name](Random(seed)) for seed in range(count)]


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9']+", text)


def vocabulary_of(text: str) -> set[str]:
    return VOCABULARY.intersection(words(text))


def runs_of_four(text: str) -> Iterator[tuple[str, ...]]:
    found = words(text.lower())
    return (tuple(found[i : i + 4]) for i in range(len(found) - 3))


def test_every_maker_has_a_task_file_and_a_skill_of_its_cluster() -> None:
    for cluster, module in CLUSTERS.items():
        files = {path.stem for path in (FOLDER / cluster).glob("*.toml")}
        assert files == set(module.MAKERS) == {skill.name for skill in module.SKILLS}
        assert len(files) >= 5
        assert {skill.cluster for skill in module.SKILLS} == {cluster}
        assert all(TASKS[name].cluster == cluster for name in files)


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_a_task_has_enough_different_templates_and_every_slot_is_filled(task: Task) -> None:
    prompts = [template.turns for template in task.templates]

    assert len(task.templates) >= 12 and len(task.plain_templates) >= 10 and len(task.inverted_templates) >= 2
    assert len(set(prompts)) == len(prompts)
    assert task.description
    for row in rows_of(task.name, 20):
        for template in task.templates:
            example = task.example(row, template)
            assert all("{" not in message.content and "  " not in message.content for message in example.messages)
            assert example.targets[0] == example.messages[-1].content


@pytest.mark.parametrize("name", MAKERS)
def test_rows_are_many_short_and_the_same_for_the_same_generator(name: str) -> None:
    rows = rows_of(name)

    assert len({row.key for row in rows}) >= 60
    assert MAKERS[name](Random(5)) == MAKERS[name](Random(5))
    for row in rows:
        assert all(answer and answer == answer.strip() for answer in row.answers)
        assert len(set(row.answers)) == len(row.answers)
        assert len(row.answers[0].split()) <= 16
        options = row.options or TASKS[name].options
        assert not options or row.answers[0] in options
        assert len(set(options)) == len(options)
        assert (TASKS[name].metric == "choice") == bool(options)


@pytest.mark.parametrize("name", [name for name in TASKS if TASKS[name].metric == "choice"])
def test_every_label_or_place_among_the_options_is_right_about_equally_often(name: str) -> None:
    rows = rows_of(name, 300)
    fixed = TASKS[name].options
    if fixed:
        assert all(sum(row.answers[0] == option for row in rows) > 200 / len(fixed) for option in fixed)
    else:
        firsts = sum(row.answers[0] == row.options[0] for row in rows)
        assert 60 < firsts < 210


def test_no_wording_of_the_text_has_a_run_of_four_words_of_a_template() -> None:
    literal = {
        run: template.turns
        for task in TASKS.values()
        for template in task.templates
        for turn in template.turns
        for part in re.split(r"\{\w+\}", turn)
        for run in runs_of_four(part)
    }
    for skill in SKILLS:
        for seed in range(400):
            ask = skill.make(Random(seed)).ask
            found = [(run, literal[run]) for run in runs_of_four(ask) if run in literal]
            assert not found, (skill.name, ask, found)


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
def test_requests_of_the_text_are_worded_in_many_ways_and_answered_among_their_options(skill: Skill) -> None:
    requests = [skill.make(Random(seed)) for seed in range(200)]

    assert len({request.ask for request in requests}) >= 25 or skill.name in ("people", "topic")
    assert skill.make(Random(5)) == skill.make(Random(5))
    for request in requests:
        assert request.given and request.answer and "{" not in request.ask + request.given
        assert not request.options or request.answer in request.options


def test_what_a_passage_tells_of_one_deed_stands_together_and_is_told_once() -> None:
    for seed in range(300):
        text = passage(Random(seed), 3)
        for e in text.deeds:
            places = [text.text.index(value) for value in (e.who, e.colour, f" {e.place}", e.day)]
            window = set(words(text.text[min(places) : max(places)])) - {e.who, e.day, e.colour, e.place}
            assert not window & {value for d in text.deeds if d is not e for value in (d.who, d.day, d.place)}
            assert words(text.text).count(e.who) == 1


@pytest.mark.parametrize(
    ("name", "values"),
    [("who", PERSONS), ("what", OBJECTS), ("when", DAYS), ("where", SPOTS), ("which_colour", SHADES)],
)
def test_reading_answers_are_the_only_word_of_their_kind_in_a_passage_of_one_deed(
    name: str, values: Sequence[str]
) -> None:
    for row in rows_of(name, 300):
        found = set(values).intersection(words(row.fields["passage"])) - {"saw"}
        assert row.answers[0] in words(row.fields["passage"])
        if len(set(PERSONS).intersection(words(row.fields["passage"]))) == 1:
            assert found <= {row.answers[0]}


def test_a_question_about_one_deed_is_answered_yes_exactly_if_all_it_names_stands_in_the_passage() -> None:
    for row in rows_of("yes_no_question", 400):
        text, question = row.fields["passage"], row.fields["question"]
        if "saw" not in words(text + question) and len(set(PERSONS).intersection(words(text))) == 1:
            is_told = vocabulary_of(question) <= vocabulary_of(text)
            assert row.answers == (("yes",) if is_told else ("no",)), (text, question)


GOOD = r"lovely|great|wonderful|excellent|perfect|\bnice|superb|amazing|fantastic|brilliant|pleasant|\bgood\b|delightful|joy|better than|worth every|notbad|just what"
BAD = r"awful|terrible|boring|horrible|poor|dreadful|nasty|\bbad\b|dull|rotten|useless|disappointing|miserable|waste|worse than|not worth|notgood|mistake"


def is_good(review: str) -> bool:
    """An own reading of a review by the words of praise and blame in it."""
    text = review.replace("not bad", "notbad").replace("not good", "notgood")
    good, bad = bool(re.search(GOOD, text)), bool(re.search(BAD, text))
    assert good != bad, review
    return good


def test_reviews_say_what_their_words_say() -> None:
    for row in rows_of("verdict"):
        assert row.answers[0] == ("positive" if is_good(row.fields["review"]) else "negative")
    for row in rows_of("pleased"):
        assert row.answers[0] == ("yes" if is_good(row.fields["review"]) else "no")
    for row in rows_of("who_liked"):
        glad = [row.fields[who] for who in ("a", "b") if is_good(row.fields[f"text_{who}"])]
        assert glad == [row.answers[0]]
    for row in rows_of("opinion_word"):
        assert re.findall(f"{GOOD}|{BAD}", row.fields["review"]) == [row.answers[0]]


def test_answers_of_summaries_are_spans_of_the_report() -> None:
    for row in rows_of("headline"):
        assert row.answers[0] in row.fields["report"]
    for row in rows_of("topic"):
        assert f"the {row.answers[0]}" in row.fields["text"]
    for row in rows_of("main_sentence"):
        sentences = re.findall(r"[^.]+\.", row.fields["report"])
        assert [s.strip() for s in sentences if set(DAYS).intersection(words(s))] == [row.answers[0]]
    for row in rows_of("place_and_day"):
        found = words(row.fields["report"])
        assert row.answers[0].split(", ") == [w for w in found if w in SPOTS] + [w for w in found if w in DAYS]
    for row in rows_of("people"):
        assert row.answers[0].split(", ") == [w for w in words(row.fields["report"]) if w in PERSONS]


def test_sentences_that_mean_the_same_name_the_same_and_others_differ_in_one_point() -> None:
    for row in rows_of("same_meaning", 300):
        first, second = vocabulary_of(row.fields["first"]), vocabulary_of(row.fields["second"])
        if row.answers[0] == "yes":
            assert first == second and row.fields["first"] != row.fields["second"]
        else:
            assert len(first ^ second) in (0, 1, 2)  # none where the two have changed places, one for a "saw"
    for row in rows_of("same_option", 300):
        same = [o for o in row.options if vocabulary_of(o) == vocabulary_of(row.fields["sentence"])]
        assert row.answers[0] in same and (len(same) == 1 or "saw" in " ".join(row.options))


def test_reworded_sentences_keep_their_words() -> None:
    for row in rows_of("move_to_front"):
        assert sorted(words(row.answers[0].lower())) == sorted(words(row.fields["sentence"].lower()))
        assert row.answers[0].lower().startswith(row.fields["words"].lower())
    for row in rows_of("swap_word"):
        old = rf"\b{row.fields['old']}\b"
        assert re.sub(old, row.fields["new"], row.fields["sentence"], flags=re.IGNORECASE) == row.answers[0]
    past_of = {done: {did for did, _, its in DEEDS if its == done} for _, _, done in DEEDS}
    for row in rows_of("passive"):
        match = re.fullmatch(r"The (.+) was (\w+) by (\w+)( .+)?\.", row.answers[0])
        assert match is not None
        what, done, who, tail = match.groups()
        assert row.fields["sentence"] in {f"{who} {did} the {what}{tail or ''}." for did in past_of[done]}


def test_no_claim_carries_two_labels_and_conclusions_are_told_by_their_facts() -> None:
    for seed in range(600):
        p = entailment.premise(Random(seed))
        claims = (*p.follow, *p.contradict, *p.open)
        assert len(set(claims)) == len(claims)
        assert all(claim == claim.strip(" .") for claim in claims)
    for row in rows_of("conclusion", 300):
        assert row.answers[0] in words(row.fields["facts"])
        assert re.search(rf"\b{row.answers[0]}$", row.fields["start"]) is None

"""Contrast sets tell apart what is asked; paraphrase sets ask one thing."""

import re
from functools import cache

import pytest

from luthier.demo.collection import practice_collection, runs_of_words
from luthier.demo.contrast import _ADJECTIVE, _ANIMAL, _INTENT, _LIST, _PASSAGE, PHRASINGS, contrast_sets
from luthier.demo.makers import intent
from luthier.demo.text import documents
from luthier.graders import GRADERS
from luthier.records import Completion, Example, Message

SETS = contrast_sets(1)
SLOT = re.compile(r"\{\w+\}")


def is_right(member, text):
    example = Example.of([Message(role="user", content=member.prompt)], targets=member.answers, grading=member.grading)
    return GRADERS[member.grading["grader"]](
        example, Completion.of(example_id=example.id, model_id="m", text=text)
    ).value


@pytest.mark.parametrize("group", SETS, ids=lambda group: group.name)
def test_each_answer_of_a_contrast_set_is_right_for_its_own_prompt_alone(group):
    for member in group.members:
        for other in group.members:
            for answer in other.answers:
                assert is_right(member, answer) == float(member is other or group.kind == "paraphrase")


def test_no_prompt_is_asked_twice_in_a_set_and_no_name_given_twice():
    assert len({group.name for group in SETS}) == len(SETS)
    for group in SETS:
        prompts = [member.prompt for member in group.members]
        assert len(set(prompts)) == len(prompts) == (PHRASINGS if group.kind == "paraphrase" else 3)
        assert not any("{" in prompt for prompt in prompts)


def test_paraphrases_share_their_answers_and_grading():
    for group in SETS:
        if group.kind == "paraphrase":
            assert len({(m.answers, repr(m.grading)) for m in group.members}) == 1


def test_intent_sets_speak_of_topics_that_no_task_is_made_of():
    trained = {topic.name for topic in intent.TOPICS if topic.is_trained}
    topics = {group.topic for group in SETS if "/intent/" in group.name}
    assert len(topics) >= 12
    assert not topics & trained


def test_the_same_seed_gives_the_same_sets_and_another_seed_others():
    assert contrast_sets(1) == SETS
    assert contrast_sets(2) != SETS


SORTS = {"intent": _INTENT, "list": _LIST, "adjective": _ADJECTIVE, "animal": _ANIMAL, "passage": _PASSAGE}
each_phrasing = pytest.mark.parametrize(
    "phrasing", [p for sort in SORTS.values() for phrasings in sort.values() for p in phrasings]
)


IN_THE_TEXT = {("tell", "me", "what", "is"), ("all", "of", "them", "in")}
"""Runs that some documents hold, as the module says: few, and nothing keeps them out."""


@cache
def runs_in_the_text():
    """Of the first documents of the base that ships, and of another seed's, among which one holds such a run."""
    return set().union(*(runs_of_words(document) for seed in (7, 11) for document in documents(seed, 3000)))


@cache
def wordings_of_templates():
    return {shape(turn) for task in practice_collection().tasks for t in task.templates for turn in t.turns}


@each_phrasing
def test_no_run_of_four_words_of_a_phrasing_stands_in_the_text_but_for_two(phrasing):
    runs = {run for piece in SLOT.split(phrasing) for run in runs_of_words(piece)}
    assert runs & runs_in_the_text() <= IN_THE_TEXT


def test_what_the_module_counts_of_its_runs_is_what_there_is():
    phrasings = [p for sort in SORTS.values() for asked in sort.values() for p in asked]
    runs = {run for phrasing in phrasings for piece in SLOT.split(phrasing) for run in runs_of_words(piece)}
    assert len(runs) == 168 and runs >= IN_THE_TEXT and ("tell", "me", "what", "is") in runs_in_the_text()


@each_phrasing
def test_no_phrasing_is_a_template(phrasing):
    assert shape(phrasing) not in wordings_of_templates()


def shape(text):
    """The words of a template, whatever its slots are called, without case and signs."""
    return tuple(re.findall(r"[\w']+|\0", SLOT.sub("\0", text).lower()))

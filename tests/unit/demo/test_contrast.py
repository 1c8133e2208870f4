"""Contrast sets tell apart what is asked; paraphrase sets ask one thing."""

import re
from random import Random

import pytest

from luthier.demo.contrast import PHRASINGS, contrast_sets
from luthier.demo.makers import conversation, intent, style, tutoring, writing
from luthier.graders import GRADERS
from luthier.records import Completion, Example, Message

SETS = contrast_sets(1)


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


def test_no_run_of_four_words_of_an_intent_prompt_stands_in_the_text():
    contents = sorted((text for t in intent.TOPICS for text in (t.do, t.doing)), key=len, reverse=True)
    prompts = [m.prompt for g in SETS if "/intent/" in g.name for m in g.members]
    cut = re.compile("|".join(re.escape(text) for text in contents))
    wanted = {run for prompt in prompts for part in cut.split(prompt) for run in runs(part)}
    rng = Random(2)
    for module in (conversation, intent, style, tutoring, writing):
        for skill in module.SKILLS:
            for _ in range(200):
                request = skill.make(rng)
                assert not runs(request.ask) & wanted, request
    for _ in range(500):
        assert not runs(intent.lesson(rng)) & wanted


def runs(text):
    words = re.findall(r"[^\W_]+", text.lower())
    return {tuple(words[i : i + 4]) for i in range(len(words) - 3)}

import gzip
import json

import pytest

from luthier.curate.labels import answers
from luthier.curate.labels.answers import REASONS, answer_faults, flags_of
from luthier.languages import Guess, identify
from luthier.records import Example, Message

ASK = "Tell me about the lake in our village, please."
PROSE = "The lake is large and cold. People swim in it in summer. In winter they walk on it."


def conversation(*turns, **rest):
    roles = ("user", "assistant")
    return Example.of([Message(role=roles[i % 2], content=text) for i, text in enumerate(turns)], **rest)


FAULTY = {
    answers.EMPTY: [("Say it.", text) for text in ("", " \n", "...", "N/A", "<nooutput>", "TODO", "nan", "?")],
    answers.CUT_OFF: [
        (ASK, "Here is the program:\n```python\nprint(1)\n"), (ASK, f"{PROSE} Others say that it is much too cold for the"),
        (ASK, "It lies behind the old mill where the road turns to the left,"), (ASK, '{"lake": {"name": "Long", "depth'),
        (ASK, f"{PROSE} It is a place where many people of the village go to"), (ASK, '[{"name": "Long"}, {"name":'),
    ],
    answers.NOT_JSON: [("Name the lake. Respond in JSON.", text) for text in ("Long Lake", "{name: Long Lake}", "{}")],
    answers.WRONG_COUNT: [
        ("Give me three ideas.", "1. Swim\n2. Walk"), ("Give me three ideas.", "Sure:\n- swim\n- walk\n- sit\n- sleep"),
        ("Answer with exactly 2 bullet points.", "* a lake\n* a mill\n* a road"),
    ],
    answers.NOT_ONE_WORD: [("Answer in one word: how is the lake?", "It is cold.")],
    answers.NOT_YES_OR_NO: [("Is it cold? Answer yes or no.", "It depends on the month.")],
    answers.WRONG_CASE: [
        ("Answer in all capital letters: how is it?", "It is cold."), ("Answer in lowercase letters only.", "IT IS COLD"),
    ],
    answers.NOT_AN_OPTION: [("How is it?\nOPTIONS:\n- cold\n- warm", "pleasant")],
    answers.REFUSAL: [
        (ASK, text) for text in (
            "I'm sorry, but I can't assist with that.", "I cannot help you with this.", "As an AI language model, I like it.",
            "Sorry, I am unable to provide that.", "Unfortunately, I can't answer that.", "I\u2019m an AI, I do not swim.",
            "Es tut mir leid, aber ich kann dabei nicht helfen.", "Lo siento, pero no puedo ayudar.",
            "Je suis d\u00e9sol\u00e9, mais je ne peux pas.", "\u62b1\u6b49\uff0c\u6211\u65e0\u6cd5\u56de\u7b54\u3002",
            "\u4f5c\u4e3a\u4e00\u4e2aAI\u52a9\u624b\uff0c\u6211\u559c\u6b22\u3002",
        )
    ],
    answers.ECHO: [(ASK, ASK), (ASK, f"{ASK}\n\n{PROSE}"), ("List of all the lakes of the land", "List of all the lakes of the land")],
    answers.LOOP: [
        (ASK, "It is " + "very cold and " * 9), (ASK, "Lakes:\n" + "- the lake behind the mill\n" * 5),
        (ASK, "\n".join(f"{i}\nthe lake behind the mill is a cold one" for i in range(5)) + "\nThe end."),
    ],
    answers.LEFTOVER_SLOT: [(ASK, "The lake is called {answer}."), (ASK, "Dear {{ name }}, the lake is cold.")],
    answers.HTML_DEBRIS: [(ASK, "The lake<br/>is cold."), (ASK, "Salt &amp; water"), (ASK, 'See <a href="x">it</a>')],
    answers.ROLE_MARKER: [
        (ASK, f"{PROSE}\n\nHuman: And the mill?"), (ASK, "Human: It is cold."), (ASK, f"{PROSE}\n### Response:\nIt is"),
        (ASK, f"{PROSE}<|im_end|>"), (ASK, f"[/INST] {PROSE}"),
    ],
}  # fmt: skip

SOUND = [
    (ASK, PROSE), ("Is it cold? Answer yes or no.", "No, it is not."), ("Give me three ideas.", "1. Swim\n2. Walk\n3. Sit"),
    ("Name a colour.", "Red"), ("What is 2 - 2?", "0"), ("Which sign ends a question?", "?!,"),
    ("Write to her.", "Dear Ann,\n\nI like the lake.\n\nWith kind regards,"),
    ("Write a letter.", "Dear [Your Name],\nthe lake is cold."), ("How is it?\nOPTIONS:\n- cold\n- warm", "It is cold."),
    ("Which? A) cold B) warm\nOptions:\nA) cold\nB) warm", "B"),
    ("Respond in JSON: its name", 'Here it is, as {key: value}:\n```json\n{"name": "Long Lake"}\n```'),
    ("Answer in all capital letters.", "IT IS 3 km LONG AND VERY COLD IN WINTER"),
    ("Put this in all caps: it is cold", "Sure, here it is:\nIT IS COLD"), ("Finish: The lake behind the mill is", "The lake behind the mill is cold."),
    ("The highest mountain of the land is", "The highest mountain of the land is Mount Long."),
    (ASK, "it is cold there and that is not something to be angry about with"),
    (ASK, f"{PROSE}\n{'-' * 90}"), (ASK, "I'm sorry to hear that. It is cold."), (ASK, "I can't help myself: I love it."), (ASK, "I answer: it is cold."),
    ("Write HTML for a line break.", "<br/>"), (ASK, "a < b && b > c"), (ASK, "Ha ha ha ha ha ha!"),
    (ASK, "| a | b |\n" + "|---|---|\n" + "| 1 | 2 |\n" * 2), ("Write a dialogue.", "Human: Hello\nDog: Woof"),
    ("Cold or warm blood: horse, human, frog", "Horse: warm blood\nHuman: warm blood\nFrog: cold blood\nSnake: cold blood"),
    ("Format this with slots.", 'print(f"{input}")\nimport sys\n{input}'), ("What does {input} mean here?", "The slot {input} is filled."),
    ("Read this number aloud: fifty pounds were spent in the hire of a man,", "50 pounds were spent in the hire of a Shropshire man,"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "request_text", "answer"), [
    pytest.param(reason, request_text, answer, id=f"{reason}-{i}")
    for reason, pairs in FAULTY.items() for i, (request_text, answer) in enumerate(pairs)
])  # fmt: skip
def test_a_faulty_answer_is_flagged(reason, request_text, answer):
    assert reason in answer_faults(conversation(request_text, answer))


@pytest.mark.parametrize(("request_text", "answer"), SOUND)
def test_a_sound_answer_is_not(request_text, answer):
    assert list(answer_faults(conversation(request_text, answer), guess=identify)) == []


def test_every_reason_has_a_case_here_and_is_among_the_reasons():
    assert {*FAULTY, answers.OTHER_LANGUAGE} == set(REASONS) and len(REASONS) == len(set(REASONS))


ZH = "\u6e56\u5f88\u5927\uff0c\u4e5f\u5f88\u51b7\u3002\u590f\u5929\u4eba\u4eec\u5728\u6e56\u91cc\u6e38\u6cf3\uff0c\u51ac\u5929\u5728\u51b0\u4e0a\u8d70\u3002\u6751\u91cc\u7684\u5b69\u5b50\u4eec\u90fd\u5f88\u559c\u6b22\u8fd9\u4e2a\u6e56\u3002"
DE = "Der See ist gro\u00df und kalt. Im Sommer schwimmen die Leute darin, und im Winter gehen sie auf dem Eis spazieren."


@pytest.mark.parametrize(("request_text", "answer", "is_flagged"), [
    (ASK, ZH, True), (ASK, DE, True), (ZH, PROSE, True), (ASK, PROSE, False),
    (f"{ASK} Answer in German.", DE, False), (f"Translate this for me, I do not speak it: {PROSE}", DE, False),
    (ASK, "Long Lake", False), ("Which islands belong to the Azores, as you know?", "S\u00e3o Miguel, Santa Maria, Terceira, Graciosa, S\u00e3o Jorge, Pico", False),
    (f"{ASK}\n{DE}", DE, False), (f"Summarise this.\n{DE}\nDo it in a few words please.", DE, False),
    (f"{ZH} shimmer", PROSE, False), (ASK, f"{PROSE} {DE}", False), (ASK, f"```\n{DE}\n```", False),
])  # fmt: skip
def test_an_answer_in_another_language_is_flagged_unless_a_language_is_named(request_text, answer, is_flagged):
    assert (answers.OTHER_LANGUAGE in flags_of(request_text, answer, guess=identify)) is is_flagged


def test_languages_are_not_compared_without_a_guess_and_not_believed_when_unsure():
    assert answers.OTHER_LANGUAGE not in flags_of(ASK, DE)

    def unsure(text):
        return Guess("en" if text == ASK else "de", 0.6)

    assert answers.OTHER_LANGUAGE not in flags_of(ASK, DE, guess=unsure)


def test_every_trained_answer_of_a_conversation_is_looked_at_and_each_reason_given_once():
    refusal = "I'm sorry, but I can't assist with that."
    example = conversation(ASK, refusal, ASK, PROSE, ASK, refusal)
    assert list(answer_faults(example)) == [answers.REFUSAL]
    turns = list(example.messages)
    turns[1] = Message(role="assistant", content=refusal, weight=0.0)
    turns[5] = Message(role="assistant", content=PROSE)
    assert list(answer_faults(Example.of(turns))) == []


def test_a_call_of_a_tool_is_no_empty_answer():
    call = {"type": "function", "function": {"name": "depth", "arguments": "{}"}}
    turns = [
        Message(role="user", content=ASK), Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="12"), Message(role="assistant", content=PROSE),
    ]  # fmt: skip
    assert list(answer_faults(Example.of(turns))) == []


def test_texts_that_are_nested_deep_or_have_many_lines_are_read_in_time():
    deep = '[{"a":' + "[" * 200_000
    assert flags_of("Name the lake. Respond in JSON.", deep) == [answers.CUT_OFF, answers.NOT_JSON]
    # Each line three times: comparing every line with every other would take minutes.
    log = "\n".join(f"line {i // 3} of the log of the mill behind the lake" for i in range(60_000))
    assert flags_of(ASK, log) == []


@pytest.mark.parametrize(("answer", "is_json"), [
    ('The list [] is empty, so: {"name": "Long Lake"}', True), ("{}", False), ("[]", False), ("17", True),
    ('"Long Lake"', True), ('""', False),
])  # fmt: skip
def test_an_empty_object_is_not_what_was_asked_for_and_does_not_hide_another(answer, is_json):
    assert (answers.NOT_JSON not in flags_of("Name the lake. Respond in JSON.", answer)) is is_json


def test_a_fault_comes_with_the_beginning_and_the_end_of_its_answer():
    found = answers.answer_faults(
        conversation(ASK, "I'm sorry, but I can't assist with that.", ASK, f"{PROSE * 9} and the")
    )
    assert found[answers.REFUSAL] == "I'm sorry, but I can't assist with that."
    assert found[answers.CUT_OFF].startswith(PROSE[:60]) and found[answers.CUT_OFF].endswith("and the")
    assert len(found[answers.CUT_OFF]) == 2 * answers.SHOWN_CHARACTERS + len(" ... ")


def test_languages_are_not_asked_for_where_both_texts_are_plainly_english():
    def never(text):
        raise AssertionError("asked")

    assert (
        flags_of(
            "What is the depth of the lake in our village?", PROSE + " What is it to you and your friends?", guess=never
        )
        == []
    )


def test_the_target_of_an_item_without_an_answer_is_looked_at():
    asked = [Message(role="user", content=ASK)]
    assert list(answer_faults(Example.of(asked, targets=["N/A"]))) == [answers.EMPTY]
    assert list(answer_faults(Example.of(asked))) == []


def test_choices_are_options_of_the_last_answer_alone():
    example = conversation("How is it?", "pleasant", "Cold or warm?", "cold", choices=["cold", "warm"])
    assert list(answer_faults(example)) == []
    example = conversation("How is it?", "pleasant", "Cold or warm?", "wet", choices=["cold", "warm"])
    assert list(answer_faults(example)) == [answers.NOT_AN_OPTION]
    assert list(answer_faults(conversation("Which sign?", "...", choices=["...", "!!!"]))) == []


def test_human_written_answers_are_hardly_flagged(real_data):
    """In Dolly's 15,015 rows, 31 are flagged, and each of the 31 was looked at."""
    with gzip.open(real_data / "dolly" / "dolly_15k.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    flagged = [row for row in rows if flags_of(f"{row['instruction']}\n\n{row['context']}".strip(), row["response"])]
    assert 25 <= len(flagged) <= 40

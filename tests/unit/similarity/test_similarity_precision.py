"""Rows that say different things are never taken for one row, however like each other they look.

Pairs as real data has them: short questions and short answers, one word, sign, case or comma apart.
"""

import random

import pytest
from planted import rows, vocabulary
from test_similarity_near import LONG, TOLD, changed, found_in, verdict

from luthier.similarity.near import NearText

DIFFERENT = [
    ("Is Paris a large city in Europe?",
     "Is Rome a large city in Europe?", "Yes", "Yes"),
    ("Is vitamin A soluble in fat?",
     "Is vitamin D soluble in fat?", "Yes", "Yes"),
    ("Does this condition compile in C: if (a && b) {}",
     "Does this condition compile in C: if (a || b) {}", "Yes", "Yes"),
    ("Does this loop end in every case: while (ready && !done) { step(); }",
     "Does this loop end in every case: while (ready || done) { step(); }", "Yes", "Yes"),
    ("Is the number (2-3)*4 a whole number?",
     "Is the number 2-(3*4) a whole number?", "Yes", "Yes"),
    ("Is (total - tax) * rate what I pay each month?",
     "Is total - (tax * rate) what I pay each month?", "Yes", "Yes"),
    ("Is !ready a valid JavaScript expression here",
     "Is ready a valid JavaScript expression here", "Yes", "Yes"),
    ("Is this language compiled to machine code before it runs on a computer: C#",
     "Is this language compiled to machine code before it runs on a computer: C", "Yes", "Yes"),
    ("Is count < limit true whenever the loop of the program begins anew",
     "Is count > limit true whenever the loop of the program begins anew", "Yes", "Yes"),
    ("Write the town name in capitals: paris",
     "Write the town name in capitals: paris", "PARIS", "paris"),
    ("Put commas where they belong: lets eat grandma",
     "Put commas where they belong: lets eat grandma", "Lets eat, grandma.", "Lets eat grandma."),
    ("Correct the spelling: I like polish food very much",
     "Correct the spelling: I like Polish food very much", "I like Polish food very much", "I like Polish food very much"),
    ("Rewrite with correct commas: lets eat grandma",
     "Rewrite with correct commas: lets eat, grandma", "Let's eat, grandma", "Let's eat, grandma"),
    ("How many cells has this line of a table: a\t\tb",
     "How many cells has this line of a table: a\tb", "See the line.", "See the line."),
    ("\u0643\u0627\u0646\u062a \u0627\u0644\u0645\u062f\u064a\u0646\u0629 \u0647\u0627\u062f\u0626\u0629 \u0641\u064a \u0627\u0644\u0635\u0628\u0627\u062d \u0647\u0644 \u0647\u0630\u0627 \u0635\u062d\u064a\u062d \u062f\u0627\u0626\u0645\u0627",
     "\u0644\u064a\u0633\u062a \u0643\u0627\u0646\u062a \u0627\u0644\u0645\u062f\u064a\u0646\u0629 \u0647\u0627\u062f\u0626\u0629 \u0641\u064a \u0627\u0644\u0635\u0628\u0627\u062d \u0647\u0644 \u0647\u0630\u0627 \u0635\u062d\u064a\u062d \u062f\u0627\u0626\u0645\u0627", "\u0646\u0639\u0645", "\u0646\u0639\u0645"),
    ("\u092f\u0939 \u0936\u0939\u0930 \u092c\u0939\u0941\u0924 \u092c\u0921\u093c\u093e \u0914\u0930 \u0938\u0941\u0902\u0926\u0930 \u0939\u0948 \u0915\u094d\u092f\u093e \u092f\u0939 \u0938\u091a \u0939\u0948",
     "\u092f\u0939 \u0936\u0939\u0930 \u092c\u0939\u0941\u0924 \u092c\u0921\u093c\u093e \u0914\u0930 \u0938\u0941\u0902\u0926\u0930 \u0928\u0939\u0940\u0902 \u0939\u0948 \u0915\u094d\u092f\u093e \u092f\u0939 \u0938\u091a \u0939\u0948", "\u0939\u093e\u0901", "\u0939\u093e\u0901"),
    ("Wie viele Beine hat der alte Hund von Anna wenn zwei",
     "Wie viele Beine hat der alte Hund von Anna wenn drei", "Vier", "Vier"),
    ("Which drug treats the patient with asthma best?",
     "Which drug treats the patient with anaemia best?", "The first one.", "The first one."),
    ("Is it true that Paris was a large and famous city in the middle ages?",
     "Is it true that Rome was a large and famous city in the middle ages?", "Yes", "Yes"),
    ("Did Newton write letters about optics to the Royal Society while he lived at Cambridge in England?",
     "Did Hooke write letters about optics to the Royal Society while he lived at Cambridge in England?", "Yes", "Yes"),
    ("Can a patient with diabetes take this new medicine every morning with a glass of milk?",
     "Can a patient with epilepsy take this new medicine every morning with a glass of milk?", "Yes", "Yes"),
    ("What does this print: print(true && false)",
     "What does this print: print(true || false)", "false", "true"),
    ("Est-ce que la ville de Lyon est belle en hiver ?",
     "Est-ce que la ville de Nice est belle en hiver ?", "Oui", "Oui"),
]  # fmt: skip
"""Two prompts and their answers."""
SAME = [
    ("Which planet of our system has the most moons around it?", "Which planet in our system has the most moons around it", "Saturn"),
    ("Is Paris a large city in Europe?", "Is Paris a large  city in Europe", "Yes"),
    ("Tell me please, is Paris a large city in Europe?", "Tell me, is Paris a large city in Europe?", "Yes"),
    (LONG, changed(LONG, "small garden", "little garden"), "Peas."),
]  # fmt: skip
PASSAGE = "The old bridge over the river was built by the town in the time of the great war and fell soon after it."


@pytest.mark.parametrize(("left", "right", "answer", "other"), DIFFERENT)
def test_different_rows_do_not_merge(left, right, answer, other):
    assert verdict(NearText(left, answer), NearText(right, other)) != "near"


def test_different_rows_do_not_merge_among_others_with_the_same_answers():
    rng = random.Random(3)
    words = vocabulary(rng, 400)
    asked = [" ".join(rng.sample(words, 9)) + "?" for _ in range(60)]
    filling = [NearText(prompt, rng.choice(("Yes", "No"))) for prompt in asked]
    own = [NearText(*text) for left, right, *answers in DIFFERENT for text in zip((left, right), answers, strict=True)]
    texts = [*filling, *own, *rows(rng, 100)]
    assert found_in(texts).group.tolist() == list(range(len(texts)))


@pytest.mark.parametrize(("left", "right", "answer"), SAME)
def test_a_question_with_no_other_content_is_the_same_question(left, right, answer):
    assert verdict(NearText(left, answer), NearText(right, answer)) == "near"


@pytest.mark.parametrize(
    "prompt", [f"{PASSAGE} {{}}", f"{{}}\n{PASSAGE} Was it dear? Nobody knows.", f"{PASSAGE} {{}} Say yes or no."]
)
def test_another_word_in_the_question_about_a_passage_is_another_question(prompt):
    left, right = (NearText(prompt.format(f"Did {who} write of it?"), "Yes") for who in ("Newton", "Hooke"))
    assert verdict(left, right) == "distinct"
    edited = NearText(left.prompt.replace("fell soon", "broke soon"), "Yes")
    assert verdict(left, edited) == "near"


def test_rows_of_the_same_words_in_another_form_conflict_so_that_they_stay_in_one_part():
    assert (
        verdict(NearText("Write in capitals: paris", "PARIS"), NearText("Write in capitals: paris", "paris"))
        == "conflict"
    )
    assert (
        verdict(NearText("Mend it: i like polish food", "ok"), NearText("Mend it: i like Polish food", "ok"))
        == "conflict"
    )
    assert verdict(NearText(LONG.upper(), TOLD), NearText(LONG, TOLD.upper())) == "near"


def test_what_must_be_equal_besides_keeps_rows_apart_but_tied():
    assert verdict(NearText(LONG, TOLD, fixed="tests 1"), NearText(LONG, TOLD, fixed="tests 1")) == "near"
    assert verdict(NearText(LONG, TOLD, fixed="f(1) == 2"), NearText(LONG, TOLD, fixed="f(1) != 2")) == "conflict"
    edited = changed(LONG, "small", "little")
    assert verdict(NearText(LONG, TOLD, fixed="tools"), NearText(edited, TOLD)) == "conflict"
    three = [NearText(LONG, TOLD, fixed="a"), NearText(LONG.upper(), TOLD, fixed="b"), NearText(LONG, TOLD, fixed="b")]
    assert found_in(three).group.tolist() == [0, 1, 1]


def test_another_question_to_a_stock_answer_in_one_long_instruction_stays():
    instruction = (
        "You are given what a user said to an assistant. Write what the assistant says back to them. Keep it short and"
        " polite, do not invent facts, and where you cannot know something then say so plainly and offer no guess at"
        " all instead of an answer that might turn out to be wrong later on. "
    )
    answer = "Sorry, I can't answer that with the information that I have access to today."
    asked = ("when will the first frost come to Boston?", "why do hurricanes happen in autumn?")
    assert verdict(*(NearText(instruction + question, answer) for question in asked)) == "distinct"
    again = NearText(instruction + "when might the very first frost of winter come over to Boston?", answer)
    assert verdict(NearText(instruction + asked[0], answer), again) == "near"

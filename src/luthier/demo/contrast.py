"""Contrast sets and paraphrase sets: does a model hear what is asked, and only that?

The prompts of a contrast set share their content and differ in what is asked of it ("Could you tell me how to bake
bread?", "Please explain the science of baking bread."); the set counts as right only if every answer is right, and no
member's answer is right for another member. The prompts of a paraphrase set ask one thing in five phrasings; the
answer must not change. Contrast sets are those of Gardner et al. 2020 (arXiv:2004.02709), turned on the request.

The topics of the intent sets are those that no task is made of (`makers.intent`). The other sets draw lists, words and
passages from the world. No phrasing is a template's. Of the 168 runs of four words in the phrasings, slots apart, two
stand in the 450,000 documents of the base that ships: "tell me what is" in 200 and "all of them in" in 7. Nothing
keeps them out, so other documents may hold more. Single runs may be those of a template ("please give me the").
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from luthier.demo.lexicon import ALSO_OPPOSITE, OPPOSITE, SPANISH, SPANISH_ADJECTIVES, YOUNG, plural
from luthier.demo.makers.intent import TOPICS, Topic
from luthier.demo.scenes import nouns, passage

SETS_OF_EACH = 20
"""Sets of each sort that are drawn from the world; of the intent sets there is one for each measured topic."""

PHRASINGS = 5
"""Members of a paraphrase set."""

Kind = Literal["contrast", "paraphrase"]


@dataclass(frozen=True, slots=True)
class Member:
    """One prompt, its accepted answers and the arguments of its grader."""

    prompt: str
    answers: tuple[str, ...]
    grading: Mapping[str, Any] = field(default_factory=lambda: {"grader": "constraints", "same_words": True})


@dataclass(frozen=True, slots=True)
class ContrastSet:
    """Prompts that are graded together; `topic` is what they speak of, `name` is unique among the sets of a seed."""

    name: str
    topic: str
    members: tuple[Member, ...]
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Material:
    """Content with its slots, and for each thing one may ask of it the accepted answers and the grading."""

    topic: str
    slots: Mapping[str, str]
    answers: Mapping[str, tuple[str, ...]]
    grading: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def member(self, phrasing: str, asked: str) -> Member:
        prompt = phrasing.format(**self.slots)
        if asked in self.grading:
            return Member(prompt, self.answers[asked], {"grader": "constraints", **self.grading[asked]})
        return Member(prompt, self.answers[asked])


# For each sort of material, what is asked, in five phrasings; the phrasings of one line number are parallel.
_INTENT: Mapping[str, Sequence[str]] = {
    "how_to": (
        "Could you tell me the steps with which I {do}?", "I am about to {do}. Tell me how.", "How does a person {do}?",
        "Tell me how {doing} is done.", "It would help me to hear how I {do}.",
    ),
    "science": (
        "Could you tell me the science of {doing}?", "I am about to {do}. Tell me why that works.",
        "Why does it work when a person wants to {do}?", "Tell me why {doing} works.",
        "It would help me to hear the science when I {do}.",
    ),
    "needs": (
        "Could you tell me what I need to {do}?", "I am about to {do}. Tell me what I need.",
        "What does a person need to {do}?", "Tell me what is needed for {doing}.",
        "It would help me to hear what I need when I {do}.",
    ),
    "place": (
        "Could you tell me where I can {do}?", "I am about to {do}. Tell me where to go.",
        "Where does a person go to {do}?", "Tell me where {doing} is done.",
        "It would help me to hear where I {do}.",
    ),
}  # fmt: skip
_LIST: Mapping[str, Sequence[str]] = {
    "first": (
        "Which word is first in this list: {list}?", "{list}\nTell me the first word of my list.",
        "My list is {list}. What is its first word?", "Please give me the first word.\n{list}",
        "Here are some words: {list}. Answer with the first of them.",
    ),
    "last": (
        "Which word is last in this list: {list}?", "{list}\nTell me the last word of my list.",
        "My list is {list}. What is its last word?", "Please give me the last word.\n{list}",
        "Here are some words: {list}. Answer with the last of them.",
    ),
    "reverse": (
        "Which list do I get when I reverse this list: {list}?", "{list}\nTell me my list in reverse order.",
        "My list is {list}. What would its reverse be?", "Please give me the words in reverse.\n{list}",
        "Here are some words: {list}. Answer with all of them in reverse order.",
    ),
}  # fmt: skip
_ADJECTIVE: Mapping[str, Sequence[str]] = {
    "opposite": (
        "Which word is the reverse of {word} in meaning, its opposite?", "Tell me the opposite of \"{word}\".",
        "My word is {word}. What would its opposite be?", "Please give me the opposite.\n{word}",
        "{word}\nAnswer with the opposite.",
    ),
    "spanish": (
        "Which word is used for {word} in the Spanish language?", "Tell me the Spanish word that means \"{word}\".",
        "My word is {word}. What would its Spanish word be?", "Please give me the Spanish.\n{word}",
        "{word}\nAnswer in Spanish.",
    ),
    "capitals": (
        "Which word do I get when I write {word} in capital letters?", "Tell me \"{word}\" in capital letters.",
        "My word is {word}. What would its capital letters be?", "Please give me the capital letters.\n{word}",
        "{word}\nAnswer in capital letters.",
    ),
}  # fmt: skip
_ANIMAL: Mapping[str, Sequence[str]] = {
    "plural": (
        "Which word do I use for more than one {word}, its plural?", "Tell me the plural of \"{word}\".",
        "My word is {word}. What is its plural?", "Please give me the plural.\n{word}",
        "{word}\nAnswer with the plural.",
    ),
    "spanish": (
        "Which word do I use for {word} in the Spanish language?", "Tell me the Spanish word that means \"{word}\".",
        "My word is {word}. What would its Spanish word be?", "Please give me the Spanish.\n{word}",
        "{word}\nAnswer in Spanish.",
    ),
    "young": (
        "Which word do I use for a young {word}, a baby?", "Tell me the name of a young \"{word}\".",
        "My word is {word}. What is its baby called?", "Please give me the name of its young.\n{word}",
        "{word}\nAnswer with the name of its young.",
    ),
}  # fmt: skip
_PASSAGE: Mapping[str, Sequence[str]] = {
    "who": (
        "{passage}\nPlease tell me who {did} the {thing}.", "Who is it that {did} the {thing} here? {passage}",
        "I read this: {passage} Who {did} the {colour} {thing}?",
        "{passage}\n\nThe person with the {thing}, who is it?",
        "Tell me who it was. {passage} Somebody {did} the {thing}.",
    ),
    "where": (
        "{passage}\nPlease tell me where {who} {did} the {thing}.", "Where did {who} {do} the {thing} here? {passage}",
        "I read this: {passage} Where did {who} {do} the {colour} {thing}?",
        "{passage}\n\nThe place where {who} {did} the {thing}, which is it?",
        "Tell me where it was. {passage} {who} {did} the {thing}.",
    ),
    "when": (
        "{passage}\nPlease tell me when {who} {did} the {thing}.", "When did {who} {do} the {thing} here? {passage}",
        "I read this: {passage} When did {who} {do} the {colour} {thing}?",
        "{passage}\n\nThe day when {who} {did} the {thing}, which is it?",
        "Tell me when it was. {passage} {who} {did} the {thing}.",
    ),
}  # fmt: skip


def contrast_sets(seed: int) -> tuple[ContrastSet, ...]:
    """The contrast sets and then the paraphrase sets of a seed; each material is used in one of either kind."""
    rng = Random(f"contrast {seed}")
    sorts: Sequence[tuple[str, Mapping[str, Sequence[str]], Sequence[_Material]]] = (
        ("intent", _INTENT, [_of_topic(topic) for topic in TOPICS if not topic.is_trained]),
        ("list", _LIST, [_list(rng) for _ in range(SETS_OF_EACH)]),
        ("adjective", _ADJECTIVE, _adjectives(rng)),
        ("animal", _ANIMAL, _animals(rng)),
        ("passage", _PASSAGE, [_passage(rng) for _ in range(SETS_OF_EACH)]),
    )
    contrasts = [s for sort, phrasings, materials in sorts for s in _contrasts(rng, sort, phrasings, materials)]
    paraphrases = [s for sort, phrasings, materials in sorts for s in _paraphrases(sort, phrasings, materials)]
    return (*contrasts, *paraphrases)


def _contrasts(
    rng: Random, sort: str, phrasings: Mapping[str, Sequence[str]], materials: Sequence[_Material]
) -> Iterable[ContrastSet]:
    """One set a material, its members in parallel phrasings; of four things asked, one of the last two is left out."""
    for number, material in enumerate(materials):
        asked = list(phrasings)
        if len(asked) > 3:
            asked.remove(asked[2 + number % 2])
        line = rng.randrange(PHRASINGS)
        members = tuple(material.member(phrasings[name][line], name) for name in asked)
        yield ContrastSet(f"contrast/{sort}/{number}", material.topic, members, "contrast")


def _paraphrases(
    sort: str, phrasings: Mapping[str, Sequence[str]], materials: Sequence[_Material]
) -> Iterable[ContrastSet]:
    """One set a material; what is asked goes round."""
    names = list(phrasings)
    for number, material in enumerate(materials):
        asked = names[number % len(names)]
        members = tuple(material.member(phrasing, asked) for phrasing in phrasings[asked])
        yield ContrastSet(f"paraphrase/{sort}/{number}", material.topic, members, "paraphrase")


def _of_topic(topic: Topic) -> _Material:
    return _Material(
        topic.name,
        {"do": topic.do, "doing": topic.doing},
        {intent: (answer,) for intent, answer in topic.answers.items()},
        {intent: topic.grading(intent) for intent in topic.answers},
    )


def _list(rng: Random) -> _Material:
    words = nouns(rng, rng.choice((3, 4)))
    answers = {"first": (words[0],), "last": (words[-1],), "reverse": (", ".join(reversed(words)),)}
    return _Material(" ".join(words), {"list": ", ".join(words)}, answers)


def _adjectives(rng: Random) -> Sequence[_Material]:
    """All adjectives with an opposite: there are no more."""
    words = [adjective.english for adjective in SPANISH_ADJECTIVES if adjective.english in OPPOSITE]
    feminine = {adjective.english: adjective.feminine for adjective in SPANISH_ADJECTIVES}
    return [
        _Material(
            word, {"word": word},
            {"opposite": (OPPOSITE[word], *ALSO_OPPOSITE.get(word, ())),
             "spanish": tuple(dict.fromkeys((SPANISH[word], feminine[word]))),
             "capitals": (word.upper(),)},
            {"capitals": {"same_words": True, "upper": True}},
        )
        for word in rng.sample(words, len(words))
    ]  # fmt: skip


def _animals(rng: Random) -> Sequence[_Material]:
    # "Two sheep": its plural would not show whether the request was heard.
    words = [word for word in YOUNG if plural(word) != word]
    return [
        _Material(
            word, {"word": word},
            {"plural": (plural(word),), "spanish": (SPANISH[word],), "young": (YOUNG[word],)},
        )
        for word in rng.sample(words, min(len(words), SETS_OF_EACH))
    ]  # fmt: skip


def _passage(rng: Random) -> _Material:
    text = passage(rng, 2)
    e = rng.choice(text.events)
    slots = {"passage": text.text, "who": e.who, "did": e.did, "do": e.do, "thing": e.thing, "colour": e.colour}
    answers = {
        "who": (e.who,),
        "where": tuple(form.format(e.place) for form in ("{}", "the {}", "at the {}")),
        "when": (e.day, f"on {e.day}"),
    }
    return _Material(f"{e.who} and the {e.thing}", slots, answers)

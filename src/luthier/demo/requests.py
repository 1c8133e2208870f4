"""Requests and their answers as plain text has them: one maker for each skill, with a wording of its own each time.

The wordings here are those of worksheets, quizzes and letters, and none of them is the wording of a template that
tunes or evaluates a model. A wording that begins in lower case is an order ("name the colour of a fox") and gets one
of many openings; any other stands as it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from luthier.demo.facts import FACTS, Fact
from luthier.demo.lexicon import OPPOSITE, PAST, YOUNG, plural
from luthier.demo.scenes import (
    NAMES,
    changed,
    mood,
    nouns,
    other,
    passage,
    phrase_pair,
    review,
    word_pair,
)
from luthier.demo.world import (
    ANIMALS,
    COUNTED_NOUNS,
    KIND_OF,
    KINDS,
    MEMBERS,
    NOUNS,
    NUMBER_WORDS,
    PEOPLE,
    THINGS,
    article,
)


@dataclass(frozen=True, slots=True)
class Request:
    """Something asked and its answer; `given` is the material asked about, and `options` what may be answered."""

    ask: str
    answer: str
    given: str = ""
    options: tuple[str, ...] = ()


_OPENINGS = (
    "{A}.", "{A}.", "{A}.", "{A}.", "{A}:", "{a}", "Please {a}.", "Can you {a}?", "Could you {a}?", "{n}, {a}.",
    "Now {a}.", "I want you to {a}.", "Try to {a}.", "Your turn: {a}.", "Would you {a}?", "We ask you to {a}.",
    "{A}, please.",
    "{A}!", "You must {a}.", "Next, {a}.", "Let us {a}.", "Kindly {a}.", "{A} and write it down.",
)  # fmt: skip


def worded(rng: Random, wordings: Sequence[str], **slots: str) -> str:
    """One of the wordings with the slots filled, and with an opening if it is an order."""
    wording = rng.choice(wordings)
    text = wording.format(**slots)
    if not wording[0].islower():
        return text
    return rng.choice(_OPENINGS).format(a=text, A=text[0].upper() + text[1:], n=rng.choice(NAMES))


_OPPOSITE = (
    "name the opposite of {x}", "What is not {x}?", "find the word that is opposite to {x}", "{x} - opposite?",
    "Not {x}, but what?", "Opposite of {x}", "turn {x} around to its opposite", "The opposite of {x} is which word?",
    "write a word against {x}", "Which word is the opposite of {x}?", "{x} and its opposite",
)  # fmt: skip
_PLURAL = (
    "One {x}, two what?", "write the plural of {x}", "Plural of {x}?", "make {x} plural",
    "More than one {x} are called?", "Three of them: one {x}, three ...", "How do we write many of {x}?",
    "{x}, plural form",
)  # fmt: skip
_PAST = (
    "Today I {x}, yesterday I ...", "write the past of {x}", "Past of {x}?", "put {x} in the past",
    "{x}, but yesterday", "How is {x} said for last week?", "The past form of {x} is which?",
)  # fmt: skip
_YOUNG = (
    "What is a young {x}?", "name the young of the {x}", "A baby {x} is called?", "The little one of a {x}?",
    "Young {x} =", "How do we call a {x} when it is a baby?",
)  # fmt: skip


def opposite(rng: Random) -> Request:
    """The opposite of a word."""
    word = rng.choice(tuple(OPPOSITE))
    return Request(worded(rng, _OPPOSITE, x=word), OPPOSITE[word])


def several(rng: Random) -> Request:
    """The plural of a noun."""
    noun = rng.choice(COUNTED_NOUNS)
    return Request(worded(rng, _PLURAL, x=noun), plural(noun))


def past(rng: Random) -> Request:
    """The past form of a verb."""
    verb = rng.choice(tuple(PAST))
    return Request(worded(rng, _PAST, x=verb), PAST[verb])


def young(rng: Random) -> Request:
    """The name of a young animal."""
    animal = rng.choice(tuple(YOUNG))
    return Request(worded(rng, _YOUNG, x=animal), YOUNG[animal])


_TO_SPANISH = (
    "say {x} in Spanish", "{x} in Spanish", "How do I say \"{x}\" in Spanish?", "put into Spanish: {x}",
    "Spanish for {x}", "translate to Spanish: {x}", "English: {x}. Spanish?", "What do they say in Spain for {x}?",
    "{x} (Spanish)",
    "turn the English words \"{x}\" into Spanish", "{x} - en español?",
)  # fmt: skip
_TO_ENGLISH = (
    "say {x} in English", "{x} in English", "What does \"{x}\" mean?", "put into English: {x}", "English for {x}",
    "translate to English: {x}", "Spanish: {x}. English?", "{x} (English)", "{x} - in English?",
    "turn the Spanish words \"{x}\" into English", "A Spanish friend says \"{x}\". What is it in English?",
)  # fmt: skip


def translation(rng: Random) -> Request:
    """A word or a phrase, into Spanish or into English."""
    pair = (word_pair if rng.random() < 0.55 else phrase_pair)(rng)
    if rng.random() < 0.5:
        return Request(worded(rng, _TO_SPANISH, x=pair.english), pair.spanish)
    return Request(worded(rng, _TO_ENGLISH, x=pair.spanish), pair.english)


_WHO = ("Who {did} it?", "Who {did} the {thing}?", "name the one who {did} the {thing}", "The {thing}: who {did} it?")
_WHAT = ("What did {who} {do}?", "{who} {did} what?", "say what {who} {did}", "Which thing did {who} {do}?")
_WHERE = ("Where was {who}?", "Where did {who} {do} it?", "name the place where {who} was", "At what place was {who}?")
_WHEN = (
    "When was it that {who} {did} it?", "On which day was {who} there?", "name the day for {who}", "{who}: what day?",
)  # fmt: skip
_SHADE = ("What colour was the {thing}?", "The {thing} had which colour?", "give the colour of that {thing}")
_PASSAGE_ASKS: Sequence[tuple[Sequence[str], str]] = (
    (_WHO, "who"), (_WHAT, "thing"), (_WHERE, "place"), (_WHEN, "day"), (_SHADE, "colour"),
)  # fmt: skip


def reading(rng: Random) -> Request:
    """A question about a passage that was just read."""
    text = passage(rng, rng.choice((1, 2, 2, 3)))
    e = rng.choice(text.events)
    wordings, field = rng.choice(_PASSAGE_ASKS)
    # "Who bought it?" has one answer only where one event is told.
    asks = wordings[1:] if field == "who" and len(text.events) > 1 else wordings
    slots = {name: getattr(e, name) for name in ("who", "did", "do", "thing", "colour", "place", "day")}
    return Request(worded(rng, asks, **slots), slots[field], given=text.text)


_FACT_OPENINGS = ("{Q}?", "{Q}?", "{Q}?", "Tell me, {q}?", "Do you know {q}?", "{q}?", "{Q}, please?", "Quick: {q}?")


def fact(rng: Random) -> Request:
    """A question about the world."""
    f = rng.choice(FACTS)
    if rng.random() < 0.3:
        before, found, after = f.said("_").partition("_")
        if found and after in ("", " coins", " legs", " years old", " in size"):
            ask = rng.choice(("{t}", "finish: {t}", "Go on: {t}", "The end is missing: {t}", "Fill in the gap: {t}"))
            return Request(ask.format(t=f"{before}...{after}"), f.value)
    q = f.question
    return Request(rng.choice(_FACT_OPENINGS).format(q=q, Q=q[0].upper() + q[1:]), f.value)


_TRUE_ASKS = (
    "True or not: {s}?", "{S}. Right?", "yes or no: {s}?", "Is it so that {s}?", "{S}. Yes or no?",
    "Would you say that {s}?", "check this: {s}", "Someone told me that {s}. Is that right?", "{S}?",
    "{n} thinks that {s}. Is {n} right?",
)  # fmt: skip


def claimed(rng: Random) -> tuple[Fact, str, bool]:
    """A fact, a value claimed for it and whether the claim is true; true and false are equally likely."""
    f = rng.choice(FACTS)
    is_true = rng.random() < 0.5
    return f, f.value if is_true else other(rng, f.attribute.values, f.value), is_true


def truth(rng: Random) -> Request:
    """Whether a statement about the world is true."""
    f, value, is_true = claimed(rng)
    s = f.said(value)
    ask = rng.choice(_TRUE_ASKS).format(s=s, S=s[0].upper() + s[1:], n=rng.choice(NAMES))
    return Request(ask, "yes" if is_true else "no", options=("yes", "no") if rng.random() < 0.4 else ())


_KIND_ASKS = (
    "What kind of thing is {x}?", "name the group of {x}", "{x} - which kind?", "To which group belongs {x}?",
    "sort {x} into its group", "{x} is a kind of what?", "{x} goes in which box?",
)  # fmt: skip
_ODD_ASKS = (
    "One of these is not like the others", "find the one that does not fit", "Which one does not belong?",
    "take out the wrong one", "Three are alike and one is not. Which one is not?",
)  # fmt: skip
_MEMBER_ASKS = (
    "point to the one that is {k}", "Which of these is {k}?", "find {k} here", "There is {k} among them. Which one?",
)  # fmt: skip


def kind(rng: Random) -> Request:
    """The kind of a noun, the noun of a kind, or the noun of another kind."""
    noun = rng.choice(NOUNS)
    its = KIND_OF[noun]
    form = rng.random()
    if form < 0.5:
        options = (its, *rng.sample([k for k in KINDS if k != its], rng.choice((1, 2, 3))))
        shown = _shuffled(rng, options) if rng.random() < 0.6 else ()
        return Request(worded(rng, _KIND_ASKS, x=noun), its, options=shown)
    if form < 0.75:
        mates = rng.sample(MEMBERS[other(rng, KINDS, its)], 3)
        return Request(worded(rng, _ODD_ASKS), noun, options=_shuffled(rng, (noun, *mates)))
    strangers = rng.sample([n for n in NOUNS if KIND_OF[n] != its], rng.choice((2, 3)))
    phrase = f"{article(its)}" if its not in ("furniture", "clothing") else f"some {its}"
    return Request(worded(rng, _MEMBER_ASKS, k=phrase), noun, options=_shuffled(rng, (noun, *strangers)))


def _shuffled(rng: Random, words: Sequence[str]) -> tuple[str, ...]:
    return tuple(rng.sample(words, len(words)))


_REVIEW_ASKS = (
    "Is the guest pleased?", "Good or bad?", "Did they like it?", "How was it for them?", "judge this opinion",
    "What does the writer feel?", "say if this is praise",
)  # fmt: skip
_VERDICTS = (
    ("yes", "no"), ("good", "bad"), ("yes", "no"), ("good", "bad"), ("good", "bad"), ("joy", "anger"), ("yes", "no"),
)  # fmt: skip


def opinion(rng: Random) -> Request:
    """Whether a review praises, or how someone feels."""
    if rng.random() < 0.3:
        m = mood(rng)
        ask = worded(rng, ("How does {n} feel?", "say how {n} feels", "Is {n} happy or sad?"), n=m.who)
        return Request(ask, m.feeling, given=m.text, options=("happy", "sad") if rng.random() < 0.4 else ())
    r = review(rng)
    index = rng.randrange(len(_REVIEW_ASKS))
    good, bad = _VERDICTS[index]
    if rng.random() < 0.25:
        good, bad = "positive", "negative"
        ask = rng.choice(("Positive or negative?", "What is the tone?", "Which side is the review on?"))
    else:
        ask = worded(rng, (_REVIEW_ASKS[index],))
    options = _shuffled(rng, (good, bad)) if rng.random() < 0.5 else ()
    return Request(ask, good if r.is_good else bad, given=r.text, options=options)


_ADD = (
    "{a} + {b}", "{a} + {b} = ?", "{a} plus {b}", "add {a} to {b}", "How much is {a} and {b}?", "sum: {a}, {b}",
    "{n} has {a} apples and gets {b} more. Now there are?",
)  # fmt: skip
_SUBTRACT = (
    "{a} - {b}", "{a} - {b} = ?", "{a} minus {b}", "take {b} from {a}", "How much is {a} less {b}?",
    "{n} has {a} apples and eats {b}. How many stay?",
)  # fmt: skip


def arithmetic(rng: Random) -> Request:
    """A sum, a difference or the next number."""
    form = rng.random()
    if form < 0.15:
        n = rng.randint(0, 40)
        asks = ("What comes after {n}?", "go one up from {n}", "{n}, and then?")
        return Request(worded(rng, asks, n=str(n)), str(n + 1))
    a, b = rng.randint(0, 10), rng.randint(0, 10)
    numbers = NUMBER_WORDS if rng.random() < 0.15 else tuple(str(n) for n in range(21))
    name = rng.choice(NAMES)
    if form < 0.6:
        return Request(worded(rng, _ADD, a=numbers[a], b=numbers[b], n=name), numbers[a + b])
    return Request(worded(rng, _SUBTRACT, a=numbers[a + b], b=numbers[b], n=name), numbers[a])


_NUMBER_ASKS = ("Which is more, {a} or {b}?", "pick the higher of {a} and {b}", "More: {a} or {b}?")
_LESS_ASKS = ("Which is less, {a} or {b}?", "pick the lower of {a} and {b}", "Less: {a} or {b}?")
_BIG_ASKS = ("Who is bigger, {a} or {b}?", "Bigger: {a} or {b}?", "compare {a} and {b} and name the big one")
_OLD_ASKS = ("Who is older, {a} or {b}?", "Older: {a} or {b}?", "say which of {a} and {b} has more years")
_DEAR_ASKS = ("What costs more, {a} or {b}?", "Dearer: {a} or {b}?", "pick the one that costs more, {a} or {b}")


def comparison(rng: Random) -> Request:
    """Which of two is more, bigger, older or dearer."""
    form = rng.randrange(4)
    if form == 0:
        less, more = sorted(rng.sample(range(1, 51), 2))
        asks, answer = rng.choice(((_NUMBER_ASKS, more), (_LESS_ASKS, less)))
        return _compared(rng, asks, str(answer), str(less + more - answer))
    if form == 1:
        small, big = sorted(rng.sample(ANIMALS, 2), key=lambda animal: animal.rank)
        return _compared(rng, _BIG_ASKS, article(big.name), article(small.name))
    if form == 2:
        young_one, old = sorted(rng.sample(PEOPLE, 2), key=lambda person: int(person.age))
        return _compared(rng, _OLD_ASKS, old.name, young_one.name)
    cheap, dear = sorted(rng.sample(THINGS, 2), key=lambda thing: int(thing.price))
    return _compared(rng, _DEAR_ASKS, article(dear.name), article(cheap.name))


def _compared(rng: Random, asks: Sequence[str], answer: str, loser: str) -> Request:
    a, b = rng.sample((answer, loser), 2)
    return Request(worded(rng, asks, a=a, b=b), answer)


_LIST_ASKS: Sequence[tuple[tuple[str, ...], Callable[[Sequence[str]], str]]] = (
    (("What is the first?", "name the first one", "Which word opens the list?", "first?", "the one at the front"),
     lambda words: words[0]),
    (("What is the last?", "name the last one", "Which word closes the list?", "last?", "the one at the end"),
     lambda words: words[-1]),
    (("What is the second?", "name the second one", "Which word is number two?", "second?"), lambda words: words[1]),
    (("What is the third?", "name the third one", "Which word is number three?"), lambda words: words[2]),
    (("read it backwards", "turn the order around", "From back to front, please", "reverse the words"),
     lambda words: ", ".join(reversed(words))),
    (("How many are there?", "count them", "How long is the list?"), lambda words: str(len(words))),
    (("say it without the first", "leave out the front word"), lambda words: ", ".join(words[1:])),
)  # fmt: skip


def listing(rng: Random) -> Request:
    """Something about a list of words."""
    words = nouns(rng, rng.randint(3, 5))
    asks, answered = rng.choice(_LIST_ASKS)
    return Request(worded(rng, asks), answered(words), given=", ".join(words))


_FORMAT_ASKS: Sequence[tuple[tuple[str, ...], Callable[[str], str]]] = (
    (("write {x} in capitals", "shout {x}", "{x} in big letters", "put {x} on a sign"), str.upper),
    (("put brackets around {x}", "{x} between brackets", "write {x} in round brackets"), lambda x: f"({x})"),
    (("say {x} twice", "{x}, two times", "repeat {x}"), lambda x: f"{x} {x}"),
    (("put {x} in quotes", "quote the word {x}", "{x} with quote marks"), lambda x: f'"{x}"'),
    (("put a star before {x}", "{x} with a star"), lambda x: f"* {x}"),
    (("copy {x}", "say {x}", "write just {x}"), lambda x: x),
)  # fmt: skip


def format_change(rng: Random) -> Request:
    """A word or two, written in another way."""
    if rng.random() < 0.2:
        words = nouns(rng, rng.randint(2, 4))
        mark, name = rng.choice(((", ", "commas"), (" - ", "dashes"), (" and ", "the word and")))
        asks = ("put {m} between the words", "join them with {m}", "write it with {m}")
        return Request(worded(rng, asks, m=name), mark.join(words), given=" ".join(words))
    wordings, written = rng.choice(_FORMAT_ASKS)
    word = rng.choice(NOUNS)
    return Request(worded(rng, wordings, x=word), written(word))


_FOLLOW_ASKS = (
    "Does that mean that {h}?", "So {h}. Correct?", "Can we be sure that {h}?", "check if {h}",
    "Is it then so that {h}?",
)  # fmt: skip


def conclusion(rng: Random) -> Request:
    """Whether something follows from what was told."""
    text = passage(rng, rng.choice((1, 1, 2)))
    e = rng.choice(text.events)
    is_true = rng.random() < 0.5
    told = e if is_true else changed(rng, e)
    if told.colour != e.colour or told.thing != e.thing:
        h = f"{told.who} {told.did} {told.object}"
    elif told.place != e.place or (is_true and rng.random() < 0.4):
        h = f"{told.who} was at the {told.place}"
    elif told.day != e.day:
        h = f"it was {told.day}" if len(text.events) == 1 else f"{told.who} was there on {told.day}"
    else:
        h = f"{told.who} {told.did} {rng.choice((told.object, article(told.thing)))}"
    return Request(worded(rng, _FOLLOW_ASKS, h=h), "yes" if is_true else "no", given=text.text)


SKILLS: Sequence[tuple[Callable[[Random], Request], int]] = (
    (opposite, 7), (several, 4), (past, 3), (young, 2), (translation, 13), (reading, 14), (fact, 16), (truth, 7),
    (kind, 9), (opinion, 7), (arithmetic, 9), (comparison, 7), (listing, 13), (format_change, 8), (conclusion, 6),
)  # fmt: skip
"""The makers of requests and how often each is used, relative to the others."""

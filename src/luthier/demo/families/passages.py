"""Clusters "reading" and "entailment" (a short passage) and "sentiment" (reviews and moods)."""

from random import Random

from luthier.demo.practice import Item, PracticeTask, choice, yes_or_no
from luthier.demo.scenes import Event, changed, event, mood, other, passage, review
from luthier.demo.world import article

_WHO = (
    "{passage}\nWho {did} the {thing}?",
    "Read the passage and answer the question. {passage} Who {did} the {thing}?",
    "Who {did} the {thing}? Use this passage to answer.\n{passage}",
    "Please find the person in this passage who {did} the {thing}.\n{passage}",
    "Passage: {passage}\nThe person who {did} the {thing}:",
    "I read this in the paper: {passage} Now tell me who {did} the {thing}.",
    "Give me the name of the one who {did} the {thing}.\n{passage}",
    "{passage}\nRespond with one name only: who {did} the {thing}?",
    "According to the passage, which person {did} the {thing}?\n{passage}",
    "{passage}\nA policeman wants to know who {did} the {thing}. What do you tell him?",
)
_WHAT = (
    "{passage}\nWhat did {who} {do}?",
    "Read the passage and answer the question. {passage} What did {who} {do}?",
    "What did {who} {do}? Use this passage to answer, without the colour.\n{passage}",
    "Please find the thing in this passage that {who} {did}.\n{passage}",
    "Passage: {passage}\nThe thing that {who} {did}:",
    "I read this in the paper: {passage} Now tell me what {who} {did}.",
    "Give me the thing that {who} {did}, in one word.\n{passage}",
    "{passage}\nRespond with one word only: what did {who} {do}?",
    "According to the passage, which thing is it that {who} {did}?\n{passage}",
    "{passage}\nA policeman wants to know what {who} {did}. What do you tell him?",
)
_WHEN = (
    "{passage}\nWhen did {who} {do} the {thing}?",
    "Read the passage and answer the question. {passage} On which day did {who} {do} something?",
    "On which day did {who} {do} the {thing}? Use this passage to answer.\n{passage}",
    "Please find the day in this passage on which {who} {did} the {thing}.\n{passage}",
    "Passage: {passage}\nThe day when {who} {did} the {thing}:",
    "I read this in the paper: {passage} Now tell me the day when {who} {did} the {thing}.",
    "Give me the day when {who} {did} something.\n{passage}",
    "{passage}\nRespond with the day only: when did {who} {do} the {thing}?",
    "According to the passage, what day was it when {who} {did} the {thing}?\n{passage}",
    "{passage}\nA policeman wants to know the day when {who} {did} the {thing}. What do you tell him?",
)
_WHERE = (
    "{passage}\nWhere did {who} {do} the {thing}?",
    "Read the passage and answer the question. {passage} At which place was {who}?",
    "Where did {who} {do} the {thing}? Use this passage to answer.\n{passage}",
    "Please find the place in this passage where {who} {did} the {thing}.\n{passage}",
    "Passage: {passage}\nThe place where {who} {did} the {thing}:",
    "I read this in the paper: {passage} Now tell me the place where {who} {did} the {thing}.",
    "Give me the place where {who} {did} something.\n{passage}",
    "{passage}\nRespond with the place only: where did {who} {do} the {thing}?",
    "According to the passage, at which place was {who} when it happened?\n{passage}",
    "{passage}\nA policeman wants to know the place where {who} {did} the {thing}. What do you tell him?",
)
_SHADE = (
    "{passage}\nWhat is the colour of the {thing}?",
    "Read the passage and answer the question. {passage} Which colour does the {thing} have?",
    "Which colour did the {thing} have? Use this passage to answer.\n{passage}",
    "Please find the colour of the {thing} in this passage.\n{passage}",
    "Passage: {passage}\nThe colour of the {thing}:",
    "I read this in the paper: {passage} Now tell me the colour of the {thing}.",
    "Give me the colour of the {thing} that {who} {did}.\n{passage}",
    "{passage}\nRespond with the colour only: what colour had the {thing}?",
    "According to the passage, what colour was the {thing} that {who} {did}?\n{passage}",
    "{passage}\nA policeman wants to know the colour of the {thing}. What do you tell him?",
)


def _read(rng: Random, field: str) -> Item:
    text = passage(rng, rng.choice((1, 2, 2)))
    e = rng.choice(text.events)
    slots = {name: getattr(e, name) for name in ("who", "did", "do", "thing")}
    return Item(slots | {"passage": text.text}, str(getattr(e, field)))


def _who(rng: Random) -> Item:
    return _read(rng, "who")


def _what(rng: Random) -> Item:
    return _read(rng, "thing")


def _when(rng: Random) -> Item:
    return _read(rng, "day")


def _where(rng: Random) -> Item:
    return _read(rng, "place")


def _shade(rng: Random) -> Item:
    return _read(rng, "colour")


_FOLLOWS = (
    "{premise}\nDoes it follow that {claim}?\n{options}",
    "Read this: {premise} Can we conclude that {claim}?\n{options}",
    "If it is true that {told}, is it then true that {claim}?\n{options}",
    "Please decide if the second sentence follows from the first.\n{premise}\n{Claim}.\n{options}",
    "Premise: {premise}\nConclusion: {claim}\nDoes the conclusion follow?\n{options}",
    "I know only this: {premise} May I say that {claim}? Please answer me with yes or no.",
    "{Claim}. Is this supported by what follows?\n{premise}\n{options}",
    "Answer with yes or no. {premise} Does this tell us that {claim}?",
    "Given that {told}, must it be the case that {claim}?\n{options}",
    "{premise}\nBased on this alone, is it certain that {claim}?\n{options}",
)
_CONTRADICTS = (
    "{premise}\nDoes it contradict this when someone says that {claim}?\n{options}",
    "Read this: {premise} Is it a contradiction to say that {claim}?\n{options}",
    "If it is true that {told}, is it then false that {claim}?\n{options}",
    "Please decide if the two sentences contradict each other.\n{premise}\n{Claim}.\n{options}",
    "Sentence one: {premise}\nSentence two: {claim}\nContradiction:\n{options}",
    "I know only this: {premise} Would it be a lie that {claim}? Please answer me with yes or no.",
    "{Claim}. Is this at odds with what follows?\n{premise}\n{options}",
    "Answer with yes or no. {premise} Does this rule out that {claim}?",
    "Given that {told}, is it impossible that {claim}?\n{options}",
    "{premise}\nSomeone adds that {claim}. Do the two statements clash?\n{options}",
)
_PARAPHRASE = (
    "Do these two sentences say the same?\n{first}\n{second}\n{options}",
    "{first} / {second} Is the meaning the same?\n{options}",
    "Compare the meaning of two sentences. {first} {second} Same meaning, yes or no?",
    "Please decide if both sentences mean the same thing.\n{first}\n{second}\n{options}",
    "Sentence one: {first}\nSentence two: {second}\nSame meaning:\n{options}",
    'I wrote "{first}" and my friend wrote "{second}" Did we write the same thing in other words?\n{options}',
    "Is the second sentence only another way to put the first?\n{first}\n{second}\n{options}",
    'Answer with yes or no. Does "{first}" mean the same as "{second}"?',
    'Could I replace "{first}" by "{second}" without changing what is said?\n{options}',
    "Two witnesses speak. One says: {first} The other says: {second} Do they agree on everything?\n{options}",
)
_MENTIONED = (
    "{premise}\nIs {noun} mentioned here?\n{options}",
    "Read this: {premise} Does the text speak of {noun}?\n{options}",
    "Does the following text mention {noun}?\n{premise}\n{options}",
    "Please decide if {noun} occurs in the text.\n{premise}\n{options}",
    "Text to search: {premise}\nSearch for: {noun}\nFound, yes or no:",
    "I am searching for {noun}. Is there one in this text? {premise}\n{options}",
    "Look for {noun} in the text and answer yes or no.\n{premise}",
    "Answer with yes or no. {premise} Did anyone do something with {noun}?",
    "{premise}\nAfter reading this, have you heard of {noun}?\n{options}",
    "Would a reader of this text know about {noun}? {premise}\n{options}",
)


def _claim(e: Event) -> str:
    return f"{e.who} {e.did} {e.object}"


def _premise(rng: Random) -> tuple[Event, str]:
    e = event(rng)
    return e, f"{e.who} {e.did} {e.object} at the {e.place} on {e.day}"


def _told(rng: Random, is_true: bool) -> dict[str, str]:
    """Slots of a premise and of a claim that it supports or contradicts."""
    e, told = _premise(rng)
    other_event = e if is_true else _other_object(rng, e)
    claims = (_claim(other_event), f"the {e.thing} was {other_event.colour}")
    # A claim about the colour says nothing of another thing.
    claim = rng.choice(claims) if other_event.thing == e.thing else claims[0]
    slots = {"premise": f"{told}.", "told": told, "claim": claim}
    return slots | {"Claim": claim[0].upper() + claim[1:]}


def _other_object(rng: Random, e: Event) -> Event:
    while (different := changed(rng, e)).colour == e.colour:
        pass
    return different


def _follows(rng: Random) -> Item:
    is_true = rng.random() < 0.5
    return yes_or_no(rng, _told(rng, is_true), is_true)


def _contradicts(rng: Random) -> Item:
    is_true = rng.random() < 0.5
    slots = _told(rng, not is_true)
    return yes_or_no(rng, slots, is_true)


def _paraphrase(rng: Random) -> Item:
    e = event(rng)
    is_same = rng.random() < 0.5
    second = e if is_same else changed(rng, e)
    first_text, second_text = e.told(rng), second.told(rng)
    while second_text == first_text:
        second_text = second.told(rng)
    return yes_or_no(rng, {"first": first_text, "second": second_text}, is_same)


def _mentioned(rng: Random) -> Item:
    text = passage(rng, 2)
    e = rng.choice(text.events)
    is_there = rng.random() < 0.5
    noun = e.thing if is_there else event(rng, *text.events).thing
    return yes_or_no(rng, {"premise": text.text, "noun": article(noun)}, is_there)


_VERDICT = (
    "{review}\nIs this review positive or negative?\n{options}",
    "What is the sentiment of this review? {review}\n{options}",
    "Read the review and say positive or negative: {review}",
    "Please tell me how the writer felt about it.\n{review}\n{options}",
    "Review: {review}\nSentiment:\n{options}",
    "A customer wrote to us: {review} Do we count that as positive or negative?",
    "Choose the label for the review.\n{review}\n{options}",
    "{review}\nRespond with one label.\n{options}",
    "Our shop got a new review today. Was it positive or negative?\n{review}\n{options}",
    '"{review}" How would you describe the tone of these words?\n{options}',
)
_RETURN = (
    "{review}\nWould this guest come again?\n{options}",
    "Does the writer of this review recommend it? {review}\n{options}",
    "Read the review and answer yes or no: was the writer pleased? {review}",
    "Please tell me if the customer was satisfied.\n{review}\n{options}",
    "Review: {review}\nSatisfied customer:\n{options}",
    "A customer wrote to us: {review} Should we be proud of it, yes or no?",
    "Decide if the writer liked the {subject}.\n{review}\n{options}",
    "{review}\nRespond with yes if they were happy with it, else no.",
    "Our shop got a new review today. Will that person buy from us again?\n{review}\n{options}",
    '"{review}" Would you say these are the words of a fan?\n{options}',
)
_FEELING = (
    "{line}\nHow does {who} feel now?\n{options}",
    "What feeling does {who} have? {line}\n{options}",
    "Read the line and say happy or sad: {line}",
    "Please tell me the mood of {who}.\n{line}\n{options}",
    "Line: {line}\nMood of {who}:\n{options}",
    "I just heard that this happened: {line} Is {who} happy or sad about it?",
    "Choose the mood that fits.\n{line}\n{options}",
    "{line}\nRespond with the mood of {who}.\n{options}",
    "You meet {who} in the street after this: {line} Which face do you see?\n{options}",
    "{line} Guess what {who} feels in such a moment.\n{options}",
)
_BETTER = (
    "First: {a}\nSecond: {b}\nWhich review is the positive one?\n{options}",
    "Which of two reviews is positive? The first says: {a} The second says: {b}\n{options}",
    "Read two reviews and say which one is positive, first or second. {a} / {b}",
    "Please tell me which writer was happy.\nFirst: {a}\nSecond: {b}\n{options}",
    "Review one is the first, review two is the second.\n{a}\n{b}\nPositive one:\n{options}",
    "Two customers wrote to us. The first: {a} The second: {b} Whom did we please?\n{options}",
    "Choose the positive review.\nFirst: {a}\nSecond: {b}\n{options}",
    "{a}\n{b}\nRespond with first or second: which of these two is praise?",
    "One guest loved it and one did not. First guest: {a} Second guest: {b} Who loved it?\n{options}",
    "I can show only one review on our page, the good one. First: {a} Second: {b} Which do I show?\n{options}",
)


def _verdict(rng: Random) -> Item:
    r = review(rng)
    answer, wrong = ("positive", "negative") if r.is_good else ("negative", "positive")
    return choice(rng, {"review": r.text}, answer, (wrong,))


def _return(rng: Random) -> Item:
    r = review(rng)
    return yes_or_no(rng, {"review": r.text, "subject": r.subject}, r.is_good)


def _feeling(rng: Random) -> Item:
    m = mood(rng)
    return choice(rng, {"line": m.text, "who": m.who}, m.feeling, (other(rng, ("happy", "sad"), m.feeling),))


def _better(rng: Random) -> Item:
    a = b = review(rng)
    while b.is_good == a.is_good:
        b = review(rng)
    answer, wrong = ("first", "second") if a.is_good else ("second", "first")
    return choice(rng, {"a": a.text, "b": b.text}, answer, (wrong,))


READING = (
    PracticeTask("who", "reading", _WHO, _who),
    PracticeTask("what", "reading", _WHAT, _what),
    PracticeTask("when", "reading", _WHEN, _when),
    PracticeTask("where", "reading", _WHERE, _where),
    PracticeTask("which_colour", "reading", _SHADE, _shade),
)
"""Questions that a short passage answers."""

ENTAILMENT = (
    PracticeTask("follows", "entailment", _FOLLOWS, _follows),
    PracticeTask("contradicts", "entailment", _CONTRADICTS, _contradicts),
    PracticeTask("same_meaning", "entailment", _PARAPHRASE, _paraphrase),
    PracticeTask("mentioned", "entailment", _MENTIONED, _mentioned),
)
"""What a sentence says, and what it does not."""

SENTIMENT = (
    PracticeTask("verdict", "sentiment", _VERDICT, _verdict),
    PracticeTask("would_return", "sentiment", _RETURN, _return),
    PracticeTask("feeling", "sentiment", _FEELING, _feeling),
    PracticeTask("better_review", "sentiment", _BETTER, _better),
)
"""What people feel about what they tell."""

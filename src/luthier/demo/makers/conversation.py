"""Cluster "conversation": what was told, asked for, corrected and talked about earlier in the same talk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.facts import ANIMAL_FACTS, FOOD_FACTS, THING_FACTS
from luthier.demo.lexicon import plural
from luthier.demo.prose import sentence
from luthier.demo.scenes import NAMES, PLACES
from luthier.demo.world import ANIMALS, COLOURS, COUNTED_NOUNS, DAYS, NUMBER_WORDS, PEOPLE, THINGS, TOWNS, article
from luthier.tasks.task import TaskRow

_THINGS = tuple(thing.name for thing in THINGS)
_ASIDES = ANIMAL_FACTS + THING_FACTS + FOOD_FACTS
# The cluster "comparison" asks for sizes and prices, so no row of a task that is trained beside it may tell them.
_ROW_ASIDES = tuple(fact for fact in _ASIDES if fact.attribute.name not in ("size", "price"))
_REPLIES = ("I see.", "Good.", "Yes.", "All right.", "Oh.", "Thank you.", "Fine.", "Very well.", "Really?")


@dataclass(frozen=True, slots=True)
class _Told:
    """Something a speaker tells of himself, a question that asks for it back, the same in other words, the answer."""

    said: str
    question: str
    asks: tuple[str, ...]
    answer: str


_TOLD: Sequence[tuple[str, str, tuple[str, ...], str]] = (
    ("My name is {name}.", "What is my name?", ("And who am I?", "say my name", "My name?", "I am called?"), "name"),
    ("I have {a_object}.", "What colour is my {thing}?",
     ("My {thing} has which colour?", "give the colour of the {thing}", "The {thing} of mine is of what colour?"),
     "colour"),
    ("My {animal} is called {name}.", "What is the name of my {animal}?",
     ("How do I call my {animal}?", "name my {animal}", "Which name has my {animal}?"), "name"),
    ("I live in {town}.", "In which town do I live?",
     ("My town?", "name the town that is my home", "Which town am I from?"), "town"),
    ("I am {age} years old.", "How old am I?", ("My age?", "say how many years I have", "What age have I?"), "age"),
    ("I lost my {thing} at the {place}.", "At which place did I lose my {thing}?",
     ("Where is my {thing} lost?", "name the place of my lost {thing}", "My {thing}: lost where?"), "place"),
    ("I will come on {day}.", "On which day will I come?",
     ("When do I come?", "name the day of my visit", "My day is which?"), "day"),
    ("My friend is {a_job}.", "What is the job of my friend?",
     ("My friend works as what?", "name the work of my friend"), "job"),
)  # fmt: skip


def _told(rng: Random, kinds: Sequence[int]) -> list[_Told]:
    """One thing told for each kind, no two with the same answer."""
    told: list[_Told] = []
    for kind in kinds:
        said, question, asks, key = _TOLD[kind]
        while True:
            slots = {
                "name": rng.choice(NAMES), "colour": rng.choice(COLOURS), "thing": rng.choice(_THINGS),
                "animal": rng.choice(ANIMALS).name, "town": rng.choice(TOWNS).name, "age": str(rng.randint(6, 90)),
                "place": rng.choice(PLACES), "day": rng.choice(DAYS), "job": rng.choice(PEOPLE).job,
            }  # fmt: skip
            if slots[key] not in [t.answer for t in told]:
                break
        slots |= {"a_object": article(f"{slots['colour']} {slots['thing']}"), "a_job": article(slots["job"])}
        filled = tuple(ask.format(**slots) for ask in asks)
        told.append(_Told(said.format(**slots), question.format(**slots), filled, slots[key]))
    return told


def _aside(rng: Random) -> tuple[str, str]:
    """A question about something else and its answer, for a row."""
    fact = rng.choice(_ROW_ASIDES)
    return f"{fact.question[0].upper()}{fact.question[1:]}?", fact.value


def _told_earlier(rng: Random) -> TaskRow:
    told, other = _told(rng, rng.sample(range(len(_TOLD)), 2))
    aside, reply = _aside(rng)
    fields = {"told": told.said, "other": other.said, "question": told.question, "aside": aside, "reply": reply}
    return TaskRow(fields, (told.answer,), source="practice")


def _order(rng: Random) -> tuple[str, str, str]:
    """What is ordered, the change to it and the order as it stands then."""
    thing = rng.choice(_THINGS)
    colour, new = rng.sample(COLOURS, 2)
    if rng.random() < 0.7:
        return article(f"{colour} {thing}"), new, article(f"{new} {thing}")
    few, many = rng.sample(NUMBER_WORDS[2:12], 2)
    things = f"{colour} {plural(thing)}"
    return f"{few} {things}", many, f"{many} {things}"


def _bare(phrase: str) -> str:
    """The phrase without its article."""
    return phrase.removeprefix("a ").removeprefix("an ")


def _forms_of(phrase: str) -> tuple[str, ...]:
    """A thing asked for, and the other ways to name it that are as right."""
    bare = _bare(phrase)
    return tuple(dict.fromkeys((phrase, bare, f"the {bare}")))


def _correction(rng: Random) -> TaskRow:
    order, change, result = _order(rng)
    return TaskRow({"order": order, "change": change}, _forms_of(result), source="practice")


def _requests(rng: Random) -> list[str]:
    """Three things that someone asks for, one after the other."""
    return [article(thing) for thing in rng.sample(COUNTED_NOUNS, 3)]


def _first_request(rng: Random) -> TaskRow:
    one, two, three = _requests(rng)
    return TaskRow({"one": one, "two": two, "three": three}, _forms_of(one), source="practice")


def _last_request(rng: Random) -> TaskRow:
    one, two, three = _requests(rng)
    return TaskRow({"one": one, "two": two, "three": three}, _forms_of(three), source="practice")


def _lines(rng: Random) -> list[str]:
    """Three different things to say, without full stop."""
    lines = [
        f"I like {rng.choice(PEOPLE).food}", f"I was at the {rng.choice(PLACES)}",
        f"I see {article(rng.choice(_THINGS))}",
        f"my {rng.choice(_THINGS)} is {rng.choice(COLOURS)}", f"I am {rng.randint(6, 90)} years old",
        f"it is {rng.choice(DAYS)}", f"I have {rng.choice(NUMBER_WORDS[2:12])} {plural(rng.choice(_THINGS))}",
        f"I want {article(rng.choice(_THINGS))}",
    ]  # fmt: skip
    return rng.sample(lines, 3)


def _who_said(rng: Random) -> TaskRow:
    names, lines = rng.sample(NAMES, 3), _lines(rng)
    asked = rng.randrange(3)
    fields = dict(zip(("a", "b", "c"), names, strict=True)) | dict(zip(("one", "two", "three"), lines, strict=True))
    return TaskRow(fields | {"line": lines[asked]}, (names[asked],), source="practice")


def _topic_now(rng: Random) -> TaskRow:
    old, new = (plural(noun) for noun in rng.sample(COUNTED_NOUNS, 2))
    return TaskRow({"old": old, "new": new}, (new, f"the {new}"), source="practice")


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "told_earlier": _told_earlier, "correction": _correction, "first_request": _first_request,
    "last_request": _last_request, "who_said": _who_said, "topic_now": _topic_now,
}  # fmt: skip


def _page(rng: Random, lines: Sequence[str]) -> str:
    """The lines as talk: of one person with someone who nods, or simply one after the other."""
    if rng.random() < 0.35:
        return " ".join(lines)
    first, second = rng.choice((rng.sample(NAMES, 2), ["A", "B"], ["Guest", "Host"], ["Girl", "Man"], ["1", "2"]))
    talk: list[str] = []
    for line in lines:
        talk += [f"{first}: {line}", f"{second}: {rng.choice(_REPLIES)}"]
    if rng.random() < 0.5:
        talk.pop()
    return "\n".join(talk)


_BACK = ("{q}", "{q}", "{q}", "Do you still know? {q}", "I said it before. {q}", "From above: {q}", "Well? {q}")


def told(rng: Random) -> Request:
    """Something that the speaker told of himself some lines earlier."""
    things = _told(rng, rng.sample(range(len(_TOLD)), rng.choice((1, 2, 2, 3))))
    wanted = rng.choice(things)
    lines = [thing.said for thing in things]
    if rng.random() < 0.3:
        fact = rng.choice(_ASIDES)
        lines.insert(rng.randint(1, len(lines)), sentence(fact.statement))
    return Request(rng.choice(_BACK).format(q=worded(rng, wanted.asks)), wanted.answer, given=_page(rng, lines))


_CHANGES = (
    "No. {C}, not as I said.", "Wait, {c} is better.", "Sorry, I meant {c}.", "Not so. {C}!", "Change it to {c}.",
    "I would rather have {c}.",
)  # fmt: skip
_ORDERED = ("I want {o}.", "Get {o} for me.", "For me {o}.", "I need {o}.", "One order: {o}.", "{O}, please.")
_CORRECTED = (
    "What is wanted after all?", "name what the buyer gets", "So which thing is it in the end?", "After this, what?",
    "write the order anew", "What stands on the list then?", "say the order with the change", "What must we bring?",
    "And the right order?",
)  # fmt: skip


def corrected(rng: Random) -> Request:
    """An order as it stands after a change."""
    order, change, result = _order(rng)
    lines = [
        rng.choice(_ORDERED).format(o=order, O=order.capitalize()),
        rng.choice(_CHANGES).format(c=change, C=change.capitalize()),
    ]
    return Request(worded(rng, _CORRECTED), result, given=_page(rng, lines))


_FIRST = (
    "Which thing was wanted first?", "name the thing of the first wish", "What was the very first wish?",
    "The wishes began with what?", "What came first here?", "go back to the start and name what was wanted",
    "Of all that was wanted, which was first?", "First wish?",
)  # fmt: skip
_LAST = (
    "Which thing was wanted last?", "name the thing of the last wish", "What was the very last wish?",
    "The wishes ended with what?", "What came last here?", "look at the end and name what was wanted",
    "Of all that was wanted, which was last?", "Last wish?",
)  # fmt: skip


def _wished(rng: Random) -> tuple[list[str], str]:
    things = [article(noun) for noun in rng.sample(COUNTED_NOUNS, rng.choice((2, 3, 3, 4)))]
    lines = [rng.choice(_ORDERED).format(o=thing, O=thing.capitalize()) for thing in things]
    return things, _page(rng, lines)


def wished_first(rng: Random) -> Request:
    """The first of several things that someone wanted."""
    things, given = _wished(rng)
    return Request(worded(rng, _FIRST), things[0], given=given)


def wished_last(rng: Random) -> Request:
    """The last of several things that someone wanted."""
    things, given = _wished(rng)
    return Request(worded(rng, _LAST), things[-1], given=given)


_SPEAKER = (
    'Whose words are "{l}"?', "name the one who spoke: {l}", '"{l}" - from whom?', "{l}: who was it?",
    'Find the speaker of "{l}".', "Which of them spoke so: {l}?", 'Who spoke the words "{l}"?', "The speaker of: {l}",
)  # fmt: skip
_SPOKEN = ("{n}: {L}.", "{n} said: {L}.", '{n}: "{L}."', "{n} - {L}.", 'Then {n}: "{L}."')


def speaker(rng: Random) -> Request:
    """Who said what."""
    lines = _lines(rng)[: rng.choice((2, 3))]
    names = rng.sample(NAMES, len(lines))
    form = rng.choice(_SPOKEN)
    said = [form.format(n=n, L=line[0].upper() + line[1:]) for n, line in zip(names, lines, strict=True)]
    asked = rng.randrange(len(lines))
    return Request(worded(rng, _SPEAKER, l=lines[asked]), names[asked], given=rng.choice(("\n", " ")).join(said))


_TOPICS = ("We spoke of {t}.", "Then came {t}.", "Next we turned to {t}.", "Now it is {t}.", "So, {t}.",
           "Tell me of {t}.", "But think of {t} instead.")  # fmt: skip
_TOPIC = (
    "What is the talk about by the end?", "name the newest topic", "The topic at the end?", "They speak of what then?",
    "Which topic came last?", "After that, the talk is of what?", "name what is spoken of at the end", "Topic?",
)  # fmt: skip


def topic(rng: Random) -> Request:
    """What a talk is about after it turned."""
    topics = [plural(noun) for noun in rng.sample(COUNTED_NOUNS, rng.choice((2, 2, 3)))]
    lines = [rng.choice(_TOPICS).format(t=t) for t in topics]
    return Request(worded(rng, _TOPIC), topics[-1], given=_page(rng, lines))


SKILLS: tuple[Skill, ...] = (
    Skill("told_earlier", "conversation", told, 4), Skill("correction", "conversation", corrected, 3),
    Skill("first_request", "conversation", wished_first, 2), Skill("last_request", "conversation", wished_last, 2),
    Skill("who_said", "conversation", speaker, 3), Skill("topic_now", "conversation", topic, 2),
)  # fmt: skip

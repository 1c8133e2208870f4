"""Cluster "category": the kinds of nouns, what a sentence is about, and what a message wants."""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.scenes import NAMES, PLACES
from luthier.demo.world import (
    ANIMALS,
    COLOURS,
    COUNTED_FOODS,
    DAYS,
    FOODS,
    KIND_OF,
    KINDS,
    MEMBERS,
    NOUNS,
    THINGS,
    TOWNS,
    article,
    kind_phrase,
)
from luthier.tasks.task import TaskRow

_YES_NO = ("yes", "no")


def _shuffled(rng: Random, right: str, wrong: Sequence[str]) -> tuple[str, ...]:
    return tuple(rng.sample((right, *wrong), len(wrong) + 1))


def _kind(rng: Random) -> TaskRow:
    noun = rng.choice(NOUNS)
    kind = KIND_OF[noun]
    return TaskRow(
        {"noun": noun, "phrase": kind_phrase(kind)},
        (kind,),
        options=_shuffled(rng, kind, rng.sample([other for other in KINDS if other != kind], 3)),
        lists={"members": MEMBERS[kind]},
    )


def _odd_one_out(rng: Random) -> TaskRow:
    kind, strange = rng.sample(KINDS, 2)
    odd, others = rng.choice(MEMBERS[strange]), rng.sample(MEMBERS[kind], 3)
    options = _shuffled(rng, odd, others)
    return TaskRow({"list": ", ".join(options)}, (odd,), options=options)


def _member(rng: Random) -> TaskRow:
    kind = rng.choice(KINDS)
    noun = rng.choice(MEMBERS[kind])
    options = _shuffled(rng, noun, rng.sample([other for other in NOUNS if KIND_OF[other] != kind], 3))
    return TaskRow({"phrase": kind_phrase(kind), "list": ", ".join(options)}, (noun,), options=options)


def _same_kind(rng: Random) -> TaskRow:
    is_same = rng.random() < 0.5
    first = rng.choice(NOUNS)
    second = rng.choice([noun for noun in NOUNS if noun != first and (KIND_OF[noun] == KIND_OF[first]) == is_same])
    return TaskRow({"a": first, "b": second}, ("yes" if is_same else "no",), options=_YES_NO)


_SENTENCES: Mapping[str, tuple[str, ...]] = {
    "weather": (
        "It rained in {town} all {day}.", "The sun is hot in {town} today.", "Snow fell on the {place} on {day}.",
        "A cold wind came to {town} on {day}.", "There will be clouds and rain in {town} on {day}.",
        "On {day} it was warm and sunny at the {place}.", "A storm hit {town} on {day}.",
    ),
    "food": (
        "{who} cooked {food} for lunch.", "{who} ate {food} and drank {drink} on {day}.",
        "This {food} is too salty for {who}.", "{who} likes {drink} with sugar.", "For dinner {who} had {food}.",
        "{who} cut {afruit} for the salad.", "The {food} that {who} made needs salt.",
    ),
    "music": (
        "{who} played a song on the {instrument}.", "{who} sang all {day}.", "The {instrument} of {who} sounds sweet.",
        "{who} learns to play the {instrument}.", "We heard {who} sing and play the {instrument} in {town}.",
        "{who} wrote a new song on {day}.", "The band plays in {town} on {day} and {who} sings.",
    ),
    "animals": (
        "The {animal} of {who} has four young.", "{who} saw {aanimal} in the forest.",
        "{aanimal} ran across the field.", "{who} feeds the {animal} every {day}.",
        "The {animal} and the {beast} sleep in the barn.", "{who} brushed the {animal} on {day}.",
        "The zoo in {town} has a new {animal}.",
    ),
    "travel": (
        "{who} took the train to {town} on {day}.", "{who} drove the {vehicle} from {town} to {city}.",
        "The ship to {town} leaves on {day}.", "{who} packed a bag for the trip to {town}.",
        "The {vehicle} to {city} was late again on {day}.", "{who} walked from {town} to {city}.",
        "A ticket from {town} to {city} costs ten coins.",
    ),
    "school": (
        "{who} did the homework on {day}.", "The teacher of {who} gave a hard test.",
        "{who} learned to read and write.", "The class of {who} starts early on {day}.",
        "{who} forgot the homework at home.", "The pupils in {town} wrote a test on {day}.",
        "{who} asked the teacher a question in class.",
    ),
    "health": (
        "{who} has a fever and stays in bed.", "The doctor looked at the sore leg of {who}.",
        "{who} was ill all {day}.", "{who} took the pill for the headache.", "The nurse in {town} helped {who}.",
        "{who} broke an arm on {day}.", "{who} feels sick and needs a doctor.",
    ),
    "clothes": (
        "{who} wears {acolour} {clothing}.", "The {clothing} of {who} is too small.",
        "{who} put on a warm {clothing} on {day}.", "{who} lost a button of the {clothing}.",
        "{who} washed the {colour} {clothing} and the scarf.", "The tailor in {town} made a new {clothing} for {who}.",
        "This {clothing} fits {who} well.",
    ),
}  # fmt: skip
_TOPICS = tuple(_SENTENCES)

_MESSAGES: Mapping[str, tuple[str, ...]] = {
    "question": (
        "When do you open on {day}?", "How much is the {thing}?", "Do you sell {colour} {things}?",
        "Where is the {place}?", "Is the {thing} made of wood?", "Who made this {colour} {thing}?",
        "Does the bus stop at the {place}?", "What is the price of the {colour} {thing}?",
    ),
    "order": (
        "I would like to buy {athing}.", "Please send me two {colour} {things}.", "I will take the {colour} {thing}.",
        "Send three {things} to {town}, please.", "I want to order {athing} for {who}.",
        "One {colour} {thing} for me, please.", "Please bring {athing} to {town} on {day}.", "I order five {things}.",
    ),
    "thanks": (
        "Thank you for the {thing}.", "Many thanks, the {colour} {thing} is lovely.",
        "I am so grateful for your help on {day}.", "Thanks a lot, {who} loves the {thing}.",
        "That was so kind of you, thank you.", "We thank you for the {colour} {thing}.",
        "Your help at the {place} was great, thanks.", "{who} and I want to thank you for {day}.",
    ),
    "complaint": (
        "The {thing} is broken and I am angry.", "My {colour} {thing} came late again.",
        "I want my money back for the {thing}.", "The {thing} from your shop broke on {day}.",
        "This is the wrong {thing}, I am not happy.", "Your {colour} {thing} is awful.",
        "I waited all {day} and no {thing} came.", "The {thing} that you sold to {who} does not work.",
    ),
    "greeting": (
        "Good morning, {who}.", "Hello {who}, nice to see you.", "Hi {who}, good to see you in {town}.",
        "Good evening to all of you in {town}.", "Hello from the {place}, {who}.", "Welcome to {town}, {who}.",
        "A happy {day} to you, {who}.", "Hello everyone, I am {who} from {town}.",
    ),
    "apology": (
        "I am sorry that I broke the {thing}.", "Sorry, {who}, I forgot the {thing}.", "Please forgive me for {day}.",
        "I am so sorry, I lost your {colour} {thing}.", "Sorry that I came late on {day}.",
        "I did not mean to hurt you, {who}, I am sorry.", "We are sorry about the {colour} {thing}.",
        "Forgive me, {who}, the {thing} was my fault.",
    ),
}  # fmt: skip
_INTENTS = tuple(_MESSAGES)


def _told(rng: Random, pattern: str) -> str:
    animal, beast = rng.sample(ANIMALS, 2)
    town, city = rng.sample(TOWNS, 2)
    colour = rng.choice(COLOURS)
    thing = rng.choice(_GOODS)
    text = pattern.format(
        who=rng.choice(NAMES), day=rng.choice(DAYS), place=rng.choice(PLACES), town=town.name, city=city.name,
        animal=animal.name, beast=beast.name, aanimal=article(animal.name),
        food=rng.choice(_MEALS), drink=rng.choice(MEMBERS["drink"]), afruit=article(rng.choice(COUNTED_FOODS).name),
        instrument=rng.choice(MEMBERS["instrument"]), vehicle=rng.choice(MEMBERS["vehicle"]),
        clothing=rng.choice(MEMBERS["clothing"]), colour=colour, acolour=article(colour),
        thing=thing, things=f"{thing}s", athing=article(thing),
    )  # fmt: skip
    return text[0].upper() + text[1:]


_MEALS = tuple(food.name for food in FOODS if food.kind == "meal")
# What a shop sells by the piece; the plural of each takes an s.
_GOODS = tuple(t.name for t in THINGS if t.kind != "vehicle" and t.name not in ("shelf", "knife"))


def _topic(rng: Random) -> TaskRow:
    topic = rng.choice(_TOPICS)
    sentence = _told(rng, rng.choice(_SENTENCES[topic]))
    wrong = rng.sample([other for other in _TOPICS if other != topic], 3)
    return TaskRow({"sentence": sentence}, (topic,), options=_shuffled(rng, topic, wrong))


def _intent(rng: Random) -> TaskRow:
    intent = rng.choice(_INTENTS)
    message = _told(rng, rng.choice(_MESSAGES[intent]))
    wrong = rng.sample([other for other in _INTENTS if other != intent], 3)
    return TaskRow({"message": message}, (intent,), options=_shuffled(rng, intent, wrong))


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "kind": _kind,
    "odd_one_out": _odd_one_out,
    "member": _member,
    "same_kind": _same_kind,
    "sentence_topic": _topic,
    "message_intent": _intent,
}

_KIND_ASKS = (
    "What is {x}, by kind?", "{x} - what sort?", "name the sort of {x}", "sort {x}", "{x} is a kind of what?",
    "{x} belongs to ...", "find the drawer for {x}", "Kind of {x}?", "put {x} where it belongs",
    "say what sort {x} is", "Under which heading do we write {x}?", "{x}: animal, tool or what?",
)  # fmt: skip
_ODD_ASKS = (
    "One is strange here. Which?", "Who is the stranger?", "find the stranger", "One of these is unlike the others.",
    "take out what does not fit", "Three are of a sort. Name the fourth.", "Which should go?", "spot the odd one",
    "strike the one of another sort", "Three friends and a stranger: who?", "Which is unlike the others?",
)  # fmt: skip
_MEMBER_ASKS = (
    "Which is {k}?", "find {k}", "Where is {k}?", "point at {k}", "Only one is {k}.", "say which is {k}", "{k}?",
    "pick out {k}", "Do you see {k}? Name it.", "I look for {k} here.", "Just one here is {k}, name it",
)  # fmt: skip
_SAME_ASKS = (
    "{a} and {b}: one kind?", "Do {a} and {b} go together?", "{a}, {b} - same sort?", "Is {a} like {b} in kind?",
    "check if {a} and {b} are of one sort", "{a} and {b}, one drawer?", "say if {a} and {b} are of a kind",
    "{a} with {b}, of one sort?", "Would you sort {a} with {b}?", "{a} / {b}: alike in kind?",
)  # fmt: skip
_TOPIC_ASKS = (
    "What is it about?", "name the topic", "About?", "Topic?", "give it a heading", "say what this is about",
    "The talk is about what?", "On what page of the paper does it go?", "file it under the right topic", "Subject?",
    "find its topic",
)  # fmt: skip
_INTENT_ASKS = (
    "What does the writer want?", "name the sort of message", "sort this message", "Why was it written?",
    "What sort of note is it?", "say what they are doing here", "Which box does it go into?", "Kind of note?",
    "file the note", "tell what is meant", "What is going on here?",
)  # fmt: skip


def _with_options(
    make: Callable[[Random], TaskRow], asks: tuple[str, ...], slots: Mapping[str, str], share: float, given: str = ""
) -> Callable[[Random], Request]:
    """Requests about rows; `slots` maps a wording's slots to fields, and `share` of the requests show their options."""

    def request(rng: Random) -> Request:
        row = make(rng)
        ask = worded(rng, asks, **{slot: row.fields[name] for slot, name in slots.items()})
        options = row.options if rng.random() < share else ()
        return Request(ask, row.answers[0], given=row.fields.get(given, ""), options=options)

    return request


SKILLS = (
    Skill("kind", "category", _with_options(_kind, _KIND_ASKS, {"x": "noun"}, 0.6), weight=3),
    Skill("odd_one_out", "category", _with_options(_odd_one_out, _ODD_ASKS, {}, 1.0), weight=2),
    Skill("member", "category", _with_options(_member, _MEMBER_ASKS, {"k": "phrase"}, 1.0), weight=2),
    Skill("same_kind", "category", _with_options(_same_kind, _SAME_ASKS, {"a": "a", "b": "b"}, 0.4), weight=2),
    Skill("sentence_topic", "category", _with_options(_topic, _TOPIC_ASKS, {}, 0.8, "sentence"), weight=2),
    Skill("message_intent", "category", _with_options(_intent, _INTENT_ASKS, {}, 0.8, "message"), weight=2),
)

"""Cluster "intent": of one topic, how it is done, why it works, what it takes and where it is done.

Half of the topics are only measured: the text speaks of all of them, tasks are made of the trained ones alone. A model
that has learned to tell "how to bake bread" from "the science of baking bread" has learned it from other topics.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.lexicon import plural
from luthier.demo.prose import sentence
from luthier.demo.scenes import NAMES
from luthier.tasks.task import TaskRow

INTENTS = ("how_to", "science", "needs", "place")


@dataclass(frozen=True, slots=True)
class Topic:
    """Something that people do: `do` and `doing` name it, `answers` says it by intent, `keys` what each must hold."""

    name: str
    family: str
    do: str
    doing: str
    answers: Mapping[str, str]
    keys: Mapping[str, tuple[str, ...]]
    is_trained: bool

    def grading(self, intent: str) -> dict[str, Any]:
        """Constraints for an answer to this intent: its key words, and none that only another intent's answer has."""
        own = set(re.findall(r"\w+", self.answers[intent]))
        others = [key for other in INTENTS if other != intent for key in self.keys[other] if key not in own]
        return {"must": list(self.keys[intent]), "must_not": list(dict.fromkeys(others)), "max_words": 18}


# Five lines a family: the deed and its members, then how, why, what with and where. {x} is the member, {xs} several of
# it; a star marks a word that a right answer holds.
_TRAINED = """
grow {xs} | growing {xs} | carrot potato onion tomato pepper bean apple pear plum cherry peach lemon grape banana
*dig the soil and cover the {x} *seeds
*sunlight makes the {x} plants *bigger
a *spade and a bag of *soil
in the *garden

make {x} juice | making {x} juice | apple pear plum cherry peach lemon grape carrot tomato
*press the {xs} and *catch the drops
the *skin breaks and the *sweet water runs out
{xs}, a *bowl and a *cloth
at the *market

cook {x} soup | cooking {x} soup | potato onion carrot tomato pepper bean
*cut the {xs} and *boil them
*heat makes the {x} *soft
{xs}, a *knife and a *pot
by the *fire

build a {x} | building a {x} | table chair bed shelf ladder cart
*saw the wood and *join the parts
*nails hold the {x} *together
*wood and a *hammer
in the *shed

wash a {x} | washing a {x} | shirt hat coat sock glove
*rub the {x} and *rinse it
*soap takes the *fat out of the {x}
*soap and a *tub
by the *river

paint a {x} | painting a {x} | boat bike door truck fence
*stir the colour and *brush it on
the *oil in the paint gets *dry and hard
*paint and two *brushes
in the *yard

train a {x} | training a {x} | dog horse parrot monkey goat seal
*show it a trick and *praise it
the {x} *remembers what made it *glad
*time and some *snacks
at *home

catch {xs} | catching {xs} | mouse crab rabbit crow
*set a trap and *hide
the {x} *smells the food from *far
a *box and some *bait
in the *grass

mend a {x} | mending a {x} | ball kite tent bag net
*close the hole and *sew it
the *thread pulls the sides *near
a *needle and strong *thread
at the *window

dry {xs} | drying {xs} | fig plum leaf mushroom herb
*spread the {xs} and *turn them
*warm air carries the *water away
a *tray and many *days
on the *roof

light a {x} | lighting a {x} | fire lamp stove torch
*strike a match and *shield the flame
*burning needs *air
a *match and *oil
in the *camp

send a {x} | sending a {x} | letter box card book
*wrap the {x} and *write the street on it
*trains carry the *post to every town
*paper and a *stamp
at the *station
"""
_MEASURED = """
bake {x} | baking {x} | bread cake
*mix the *flour and put it in the oven
*yeast makes *gas and the {x} rises
flour, *salt and a warm *oven
at the *bakery

make {x} | making {x} | tea coffee
*pour water on the {x} and *wait
*hot water takes the *taste out of the {x}
*water and a *cup
in the *kitchen

fly a {x} | flying a {x} | kite
*run fast and let the {x} *go
moving *air *pushes the {x} up
*wind and a long *string
on the *hill

watch {xs} | watching {xs} | fox bear owl wolf
*sit still and make no *noise
{xs} *hunt at *night
a *coat and a *torch
in the *forest

make {x} | making {x} | cheese
*warm the milk and *strain it
*acid makes the milk *thick
*milk and a *sieve
on the *farm

make a {x} | making a {x} | candle
*melt the wax and *dip the string
the flame *drinks the wax through the *string
*wax and a piece of *cord
in the *workshop

make a {x} | making a {x} | snowman
*roll three balls and *pile them up
*cold snow *sticks
*snow and a *carrot
on the *mountain

ride a {x} | riding a {x} | bike horse
*sit up and *look ahead
*speed keeps the {x} *steady
a *helmet and good *shoes
on the *road

play the {x} | playing the {x} | violin guitar
*press the strings and *count
the strings *shake the *air
an *instrument and a good *ear
in the *studio

keep {xs} | keeping {xs} | bee hen
*feed the {xs} and *clean the house
{xs} *live better in *groups
a *hut and a *fence
behind the *barn

cross a {x} | crossing a {x} | river lake
*row with both *arms
*wood is *lighter than water
a *boat and two *oars
at the *bridge

make {x} | making {x} | ice jelly
*fill a form and *shut the lid
the small parts *stop and *lock
a *mould and a *lid
in the *cellar
"""


def _read(table: str, *, is_trained: bool) -> list[Topic]:
    topics = []
    for block in table.strip().split("\n\n"):
        head, *lines = block.splitlines()
        do, doing, members = head.split(" | ")
        for member in members.split():
            slots = {"x": member, "xs": plural(member)}
            filled = [line.format(**slots) for line in lines]
            topics.append(Topic(
                name=do.format(**slots), family=head, do=do.format(**slots), doing=doing.format(**slots),
                answers={i: line.replace("*", "") for i, line in zip(INTENTS, filled, strict=True)},
                keys={i: tuple(re.findall(r"\*(\w+)", line)) for i, line in zip(INTENTS, filled, strict=True)},
                is_trained=is_trained,
            ))  # fmt: skip
    return topics


TOPICS = (*_read(_TRAINED, is_trained=True), *_read(_MEASURED, is_trained=False))
_TRAINED_TOPICS = tuple(topic for topic in TOPICS if topic.is_trained)
# By family, so that a family of one is spoken of as often as one of fourteen.
_FAMILIES: Mapping[str, tuple[Topic, ...]] = {
    family: tuple(topic for topic in TOPICS if topic.family == family)
    for family in dict.fromkeys(topic.family for topic in TOPICS)
}


def _topic(rng: Random) -> Topic:
    return rng.choice(_FAMILIES[rng.choice(tuple(_FAMILIES))])


def _mended(text: str) -> str:
    """The text with the plural of leaf, which the plain text has as "leafs"."""
    # Mended here and not where it is made: the base that ships has read pages with "leafs", and what was counted of
    # them holds as long as they stay the same. Mend the topics, and drop this, when the base is trained again.
    return text.replace("leafs", "leaves")


def _row(intent: str) -> Callable[[Random], TaskRow]:
    def make(rng: Random) -> TaskRow:
        topic = rng.choice(_TRAINED_TOPICS)
        fields = {"do": _mended(topic.do), "doing": _mended(topic.doing)}
        return TaskRow(fields, (_mended(topic.answers[intent]),), grading=topic.grading(intent), source="practice")

    return make


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "how_to": _row("how_to"), "science": _row("science"), "needs": _row("needs"), "place": _row("place"),
}  # fmt: skip

_HOW = (
    "give the steps to {do}", "{doing}: what are the steps?", "How does one {do}?", "{Doing} - step by step",
    "show {n} the way to {do}", "{n} must {do} and cannot. Steps?", "A recipe for {doing}",
    "To {do}, what does one do?",
    "{Doing}, the work itself", "What must the hands do in {doing}?", "{n} is new to {doing}. Guide the hands.",
)  # fmt: skip
_WHY = (
    "give the reason behind {doing}", "{doing} works, but why?", "How come one can {do}?", "{Doing} - the cause",
    "show {n} why one can {do}", "{n} can {do} but does not know why. Why?", "A scholar on {doing}",
    "To {do} is possible. Why so?", "{Doing}, the law of nature in it", "What happens inside when we are {doing}?",
    "{n} studies nature: {doing}. The reason?",
)  # fmt: skip
_WITH = (
    "list the things for {doing}", "{doing}: with what?", "With what does one {do}?", "{Doing} - things to have",
    "pack the bag of {n} for {doing}", "{n} wants to {do}. What to buy first?", "A shopping list for {doing}",
    "To {do}, one has to have what?", "{Doing}, the tools and things", "Which things help in {doing}?",
    "{n} goes shopping before {doing}. For what?",
)  # fmt: skip
_WHERE = (
    "name the place of {doing}", "{doing}: where?", "Where does one {do}?", "{Doing} - the spot",
    "lead {n} to where they {do}", "{n} goes out to {do}. Where to?", "A good spot for {doing}",
    "To {do}, one goes where?", "{Doing}, the place for it", "At which spot is {doing} done?",
    "{n} asks for the way to the place of {doing}. Which is it?",
)  # fmt: skip
_ASKED: Mapping[str, Sequence[str]] = {"how_to": _HOW, "science": _WHY, "needs": _WITH, "place": _WHERE}


def _skill(intent: str) -> Skill:
    def make(rng: Random) -> Request:
        topic = _topic(rng)
        slots = {"do": topic.do, "doing": topic.doing, "Doing": topic.doing.capitalize(), "n": rng.choice(NAMES)}
        return Request(worded(rng, _ASKED[intent], **slots), topic.answers[intent])

    return Skill(intent, "intent", make, 3)


SKILLS: tuple[Skill, ...] = tuple(_skill(intent) for intent in INTENTS)

_SAID: Mapping[str, Sequence[str]] = {
    "how_to": ("To {do}: {a}", "This is the way of {doing}: {a}", "The steps of {doing} are these: {a}",
               "Those who {do} know the steps: {a}"),
    "science": ("Why can one {do}? It is because {a}", "The reason behind {doing} is that {a}",
                "When people {do}, {a}", "{doing} works because {a}"),
    "needs": ("For {doing} one has to have {a}", "Before you {do}, get {a}", "The things for {doing} are {a}",
              "Nobody can {do} without {a}"),
    "place": ("{doing} is done {a}", "The place of {doing} is {a}", "People {do} {a}", "{a} you see people {doing}"),
}  # fmt: skip


def lesson(rng: Random) -> str:
    """A page of prose about one topic: its way, its reason, its things and its place, in any order."""
    topic = _topic(rng)
    intents = rng.sample(INTENTS, rng.choice((3, 4, 4)))
    said = [sentence(rng.choice(_SAID[i]).format(do=topic.do, doing=topic.doing, a=topic.answers[i])) for i in intents]
    title = rng.choice(("", topic.doing.capitalize(), f"On {topic.doing}", f"Notes on {topic.doing}"))
    return f"{title}\n{' '.join(said)}" if title else " ".join(said)


PROSE: Sequence[tuple[Callable[[Random], str], int]] = ((lesson, 8),)
"""Pages for the plain text, as in `demo.prose`: they state how, why, with what and where of every topic."""

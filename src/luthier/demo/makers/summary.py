"""Cluster "summary": the few words of a short report that matter. Nearly every answer is a span of the report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.makers.passages import OBJECTS, PERSONS, SHADES, SPOTS, Deed, deed
from luthier.demo.scenes import other
from luthier.demo.world import ANIMALS, COUNTED_FOODS, DAYS, THINGS, TOWNS
from luthier.tasks.task import TaskRow

_OPENERS = (
    "Here is the news from {town}.", "It was a quiet week in {town}.", "There is little to tell today.",
    "The weather in {town} was {weather}.", "Good evening.", "This is the paper of {town}.", "Dear friends of {town}.",
    "Not much happened here.", "Most of us stayed at home.", "The shops were full.", "Nobody was ready for it.",
)  # fmt: skip
_CLOSERS = (
    "Nobody was hurt.", "Many people watched.", "The street was full.", "You will hear more from us soon.",
    "It did not take long.", "The rest is not known.", "After that it was quiet again.", "The mayor said nothing.",
    "That is all for now.", "No one knows why.", "People still talk about it.", "Then it began to rain.",
)  # fmt: skip
_MAIN = (
    "On {day} {core} at the {place}.", "{core} at the {place} on {day}.", "At the {place}, {core} on {day}.",
    "{core} on {day}, at the {place}.", "Last {day} {core} at the {place}.",
    "In the morning of {day}, {core} at the {place}.",
    "We hear that {core} at the {place} on {day}.",
)  # fmt: skip
_OTHERS = (
    "{p} watched.", "{p} came later.", "{p} was there too.", "{p} and {q} helped.", "{p} told {q} about it.",
    "We have this from {p}.", "{p} did not believe it.", "It made {p} laugh.", "{p} wrote to {q} about it.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """A text in which one sentence tells what happened; `people` are named in the order of the text."""

    text: str
    deed: Deed
    main: str
    people: tuple[str, ...]


def _aside(rng: Random, frames: Sequence[str]) -> str:
    town = rng.choice(TOWNS)
    return rng.choice(frames).format(town=town.name, weather=town.weather)


def report(rng: Random, *, with_others: bool | None = None) -> Report:
    """A report of two to four sentences; others than the one who did it are named now and then."""
    e = deed(rng)
    main = rng.choice(_MAIN).format(core=e.core, place=e.place, day=e.day)
    has_others = rng.random() < 0.25 if with_others is None else with_others
    before = [_aside(rng, _OPENERS)] if rng.random() < 0.7 else []
    after = [_aside(rng, _CLOSERS)] if rng.random() < 0.6 or not before else []
    people: tuple[str, ...] = (e.who,)
    if has_others:
        p, q = rng.sample([name for name in PERSONS if name != e.who], 2)
        frame = rng.choice(_OTHERS)
        after.insert(0, frame.format(p=p, q=q))
        people = (e.who, p, q) if "{q}" in frame else (e.who, p)
    return Report(" ".join((*before, main, *after)), e, main, people)


_ABOUT = (
    "Everyone talks about {n}.", "You can see {n} at the {p}.", "{w} likes {n} a lot.", "Children run to see {n}.",
    "{w} came from {town} to look at {n}.", "It is said that {n} is worth many coins.", "{w} wrote a song about {n}.",
    "Nobody knows who owns {n}.", "We have a picture of {n}.",
)  # fmt: skip
_IT = (
    "It is {c}.", "It is very old.", "It has been at the {p} since {d}.", "{w} found it.", "Some say it is too small.",
    "Next to it stands a {o}.", "{w} forgot a {o} there.", "It makes {w} happy.", "It is bigger than a {o}.",
)  # fmt: skip
_TOPICS = tuple(dict.fromkeys((*(a.name for a in ANIMALS), *OBJECTS, *(food.name for food in COUNTED_FOODS))))
# Words that take "a", for the nouns that a text names by the way.
_ASIDE_NOUNS = tuple(thing.name for thing in THINGS if thing.name[0] not in "aeiou")


def _about(rng: Random) -> tuple[str, str]:
    """A text about one noun, and the noun; another noun may be named by the way."""
    noun = rng.choice(_TOPICS)
    count = rng.choice((1, 2, 2))
    frames = [*rng.sample(_ABOUT, count), *rng.sample(_IT, rng.choice((1, 2)))]
    aside = other(rng, _ASIDE_NOUNS, noun)
    sentences = [
        frame.format(
            n=f"the {noun}", p=rng.choice(SPOTS), w=rng.choice(PERSONS), town=rng.choice(TOWNS).name,
            c=rng.choice(SHADES), d=rng.choice(DAYS), o=aside,
        )
        for frame in frames
    ]  # fmt: skip
    return " ".join(sentences), noun


def _fields(r: Report) -> dict[str, str]:
    return r.deed.slots | {"report": r.text, "main": r.main}


def _headline_row(rng: Random) -> TaskRow:
    r = report(rng)
    e = r.deed
    also = (f"{e.core}.", f"{e.who} {e.did} the {e.colour} {e.thing}", f"{e.who} {e.did} {e.colour} {e.thing}")
    return TaskRow(fields=_fields(r), answers=(e.core, *also), source="practice")


def _topic_row(rng: Random) -> TaskRow:
    text, noun = _about(rng)
    return TaskRow(fields={"text": text}, answers=(noun, f"the {noun}", f"The {noun}"), source="practice")


def _main_sentence_row(rng: Random) -> TaskRow:
    r = report(rng, with_others=False)
    return TaskRow(fields=_fields(r), answers=(r.main, r.main.rstrip(".")), source="practice")


def _place_and_day_row(rng: Random) -> TaskRow:
    r = report(rng)
    p, d = r.deed.place, r.deed.day
    also = (
        f"{p} {d}", f"{p} and {d}", f"the {p}, {d}", f"{p} on {d}", f"at the {p} on {d}", f"the {p} on {d}",
        f"at the {p}, {d}",
    )  # fmt: skip
    return TaskRow(fields=_fields(r), answers=(f"{p}, {d}", *also), source="practice")


def _people_row(rng: Random) -> TaskRow:
    r = report(rng, with_others=True)
    and_list = f"{', '.join(r.people[:-1])} and {r.people[-1]}"
    backwards = ", ".join(reversed(r.people))
    return TaskRow(fields=_fields(r), answers=(", ".join(r.people), and_list, backwards), source="practice")


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "headline": _headline_row, "topic": _topic_row, "main_sentence": _main_sentence_row,
    "place_and_day": _place_and_day_row, "people": _people_row,
}  # fmt: skip

_HEADLINE_ASKS = (
    "Headline?", "Headline:", "write the headline", "Who did what?", "name who did what", "In short?",
    "make it short: who did what", "What goes on the front page?", "cut it down to the deed", "The deed in one line:",
    "Leave out place and day. What is left?", "What is the news, in a line?", "What happened, in short?",
)  # fmt: skip
_TOPIC_ASKS = (
    "What is it about?", "Topic?", "Topic:", "name the topic", "What do they speak of?", "The word for the whole text?",
    "give the text a title of one word", "What is this all about?", "It is about the ...", "What thing is meant by it?",
    "find the topic word", "Title:",
)  # fmt: skip
_MAIN_ASKS = (
    "Which sentence counts?", "copy the sentence that counts", "What is the real news here?",
    "Where is the news? Copy it.",
    "copy the line with the news", "strike out the rest, keep the news", "The sentence that counts:",
    "Which line would you keep?", "keep one sentence, the best", "quote the line of the deed",
    "Which sentence tells what was done?", "underline what counts",
)  # fmt: skip
_PLACE_ASKS = (
    "Place and day?", "name place and day", "Place, day:", "Where and when? (place, day)",
    "Note: place, then day",
    "Where, when?", "fill in: place, day", "Which place and which day?", "give where and when, with a comma",
    "Place + day", "write place, comma, day", "What place, what day?",
)  # fmt: skip
_PEOPLE_ASKS = (
    "Who is in it?", "list the people", "People:", "write down all names", "Which names do you read?", "Names?",
    "Who comes up in this?", "list everyone in it", "list the names you see", "Name all of them.",
    "All names, with commas",
    "Which persons are there?",
)  # fmt: skip


def _headline(rng: Random) -> Request:
    r = report(rng)
    return Request(worded(rng, _HEADLINE_ASKS), r.deed.core, given=r.text)


def _topic(rng: Random) -> Request:
    text, noun = _about(rng)
    return Request(worded(rng, _TOPIC_ASKS), noun, given=text)


def _main_sentence(rng: Random) -> Request:
    r = report(rng, with_others=False)
    return Request(worded(rng, _MAIN_ASKS), r.main, given=r.text)


def _place_and_day(rng: Random) -> Request:
    r = report(rng)
    return Request(worded(rng, _PLACE_ASKS), f"{r.deed.place}, {r.deed.day}", given=r.text)


def _people(rng: Random) -> Request:
    r = report(rng, with_others=True)
    return Request(worded(rng, _PEOPLE_ASKS), ", ".join(r.people), given=r.text)


_skill = partial(Skill, cluster="summary")
SKILLS: tuple[Skill, ...] = (
    _skill("headline", make=_headline), _skill("topic", make=_topic), _skill("main_sentence", make=_main_sentence),
    _skill("place_and_day", make=_place_and_day), _skill("people", make=_people),
)  # fmt: skip

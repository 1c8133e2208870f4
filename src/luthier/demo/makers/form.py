"""Cluster "format": the same words written in another form, where the answer is right only if every sign is."""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.makers.lists import ADJECTIVES, SMALL_WORDS, entries, joined, pair, words
from luthier.demo.scenes import NAMES
from luthier.demo.world import ANIMALS, COLOURS, FOODS, NOUNS, THINGS
from luthier.tasks.task import TaskRow

_KEYS = ("name", "word", "thing", "item", "title", "colour", "animal")
_COLOURS = {a.name: a.colour for a in ANIMALS} | {t.name: t.colour for t in THINGS} | {f.name: f.colour for f in FOODS}


def text(rng: Random) -> str:
    """One to four words in small letters: what a form is given to."""
    chance = rng.random()
    if chance < 0.5:
        return rng.choice(SMALL_WORDS)
    if chance < 0.8:
        return pair(rng)
    if chance < 0.9:
        return f"the {pair(rng)}"
    return " and ".join(rng.sample(NOUNS, 2))


def _capitals(rng: Random) -> TaskRow:
    small = text(rng)
    return TaskRow({"text": small}, (small.upper(),))


def _brackets(rng: Random) -> TaskRow:
    plain = text(rng)
    return TaskRow({"text": plain}, (f"({plain})",))


def _quotes(rng: Random) -> TaskRow:
    plain = text(rng)
    return TaskRow({"text": plain}, (f'"{plain}"',))


def _json_object(rng: Random) -> TaskRow:
    key = rng.choice(_KEYS)
    value = rng.choice(
        COLOURS if key == "colour" else [a.name for a in ANIMALS] if key == "animal" else (*NOUNS, *NAMES)
    )
    return TaskRow({"key": key, "value": value}, (f'{{"{key}": "{value}"}}', f'{{"{key}":"{value}"}}'))


def _commas(rng: Random) -> TaskRow:
    items = words(rng, rng.randint(2, 4))
    return TaskRow({"words": " ".join(items)}, (joined(items),))


def _dashes(rng: Random) -> TaskRow:
    items = words(rng, rng.randint(2, 4))
    return TaskRow({"words": " ".join(items)}, ("-".join(items), " - ".join(items)))


def _bullets(rng: Random) -> TaskRow:
    items = entries(rng, rng.randint(2, 3))
    return TaskRow({"list": joined(items)}, (bulleted(items), bulleted(items, mark="*")))


def bulleted(items: Sequence[str], mark: str = "-") -> str:
    """One line for each item, with a mark before it."""
    return "\n".join(f"{mark} {item}" for item in items)


def _exact_words(rng: Random) -> TaskRow:
    noun, colour = rng.choice(tuple(_COLOURS.items()))
    # One answer for each noun and count: rows that differ in their answer alone would be one prompt on both sides.
    adjective = Random(noun).choice(ADJECTIVES)
    count, phrase = rng.choice((
        ("two", f"{colour} {noun}"),
        ("three", f"the {colour} {noun}"),
        ("four", f"the {noun} is {colour}"),
        ("five", f"the {adjective} {noun} is {colour}"),
    ))  # fmt: skip
    size = len(phrase.split())
    return TaskRow(
        {"noun": noun, "count": count},
        (phrase,),
        grading={"grader": "constraints", "must": [noun], "min_words": size, "max_words": size},
    )


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "capitals": _capitals,
    "brackets": _brackets,
    "quotes": _quotes,
    "json_object": _json_object,
    "commas": _commas,
    "dashes": _dashes,
    "bullets": _bullets,
    "exact_words": _exact_words,
}

_CAPITALS_ASKS = (
    "write {x} in capitals", "shout {x}", "{x} in big letters", "put {x} on a sign, all capitals", "{x}, all capitals",
    "print {x} large, every letter a capital", "Capitals for {x}", "{x} -> capitals?", "make {x} loud: capitals only",
    "No small letters: {x}", "copy {x} with the shift key down", "set {x} in capital letters",
)  # fmt: skip
_BRACKETS_ASKS = (
    "put brackets around {x}", "{x} between brackets", "write {x} in round brackets", "{x}, in brackets",
    "Brackets for {x}", "copy {x} inside two brackets", "set {x} in brackets", "wrap {x} in brackets",
    "open a bracket, say {x}, shut the bracket", "{x} -> brackets?", "A bracket left and right of {x}",
)  # fmt: skip
_QUOTES_ASKS = (
    "put {x} in quotes", "quote {x}", "{x} with quote marks", "{x}, in quotes", "Quotes for {x}", "wrap {x} in quotes",
    "copy {x} inside quotes", "set quote marks around {x}", "{x} -> quotes?", "open the quote, say {x}, shut the quote",
    "A quote mark left and right of {x}",
)  # fmt: skip
_JSON_ASKS = (
    "JSON with {k} = {x}", "{k}: {x}, as JSON", "make JSON of {k} and {x}", "The {k} is {x}, JSON please",
    "JSON: {k} -> {x}", "put {x} under {k} in JSON", "pack the {k} {x} into JSON", "{k} {x} (JSON)",
    "JSON for a {k} that is {x}", "show {k} {x} the JSON way", "Computers read JSON. Tell them: {k} {x}",
)  # fmt: skip
_MARKS = ((", ", "commas"), ("-", "dashes"))
_MARKS_ASKS = (
    "put {m} in the gaps", "join them with {m}", "write it with {m}", "No gaps, use {m}", "add the {m}",
    "{m} between them", "copy the words with {m}", "string them together with {m}", "The same words, but with {m}",
    "set {m} where the gaps are", "{m}, please",
)  # fmt: skip
_BULLETS_ASKS = (
    "One line each, with a dash", "make bullet points", "As bullet points", "Bullets, please", "turn it into bullets",
    "Every item on a new line after a dash", "Bullet list?", "set a dash before each and give each a line",
    "copy it line by line, with dashes in front", "break it up into bullets", "show it as points, one below the other",
)  # fmt: skip
_EXACT_ASKS = (
    "{c} words on: {x}", "say {c} words about {x}", "tell of {x}, {c} words long", "{x} in {c} words",
    "{c} words with {x} in them", "Only {c} words about {x}", "describe {x}: {c} words",
    "Not more and not less than {c} words, about {x}", "{x}, {c} words", "use {c} words, the topic is {x}",
)  # fmt: skip


def _formed(asks: tuple[str, ...], written: Callable[[str], str]) -> Callable[[Random], Request]:
    def request(rng: Random) -> Request:
        plain = text(rng)
        return Request(worded(rng, asks, x=plain), written(plain))

    return request


def _json(rng: Random) -> Request:
    row = _json_object(rng)
    return Request(worded(rng, _JSON_ASKS, k=row.fields["key"], x=row.fields["value"]), row.answers[0])


def _marked(mark: str, name: str) -> Callable[[Random], Request]:
    def request(rng: Random) -> Request:
        items = words(rng, rng.randint(2, 4))
        return Request(worded(rng, _MARKS_ASKS, m=name), mark.join(items), given=" ".join(items))

    return request


def _bullet_points(rng: Random) -> Request:
    items = entries(rng, rng.randint(2, 3))
    return Request(worded(rng, _BULLETS_ASKS), bulleted(items), given=joined(items))


def _in_words(rng: Random) -> Request:
    row = _exact_words(rng)
    return Request(worded(rng, _EXACT_ASKS, c=row.fields["count"], x=row.fields["noun"]), row.answers[0])


SKILLS = (
    Skill("capitals", "format", _formed(_CAPITALS_ASKS, str.upper), weight=2),
    Skill("brackets", "format", _formed(_BRACKETS_ASKS, lambda plain: f"({plain})"), weight=2),
    Skill("quotes", "format", _formed(_QUOTES_ASKS, lambda plain: f'"{plain}"')),
    Skill("json_object", "format", _json),
    Skill("commas", "format", _marked(*_MARKS[0])),
    Skill("dashes", "format", _marked(*_MARKS[1])),
    Skill("bullets", "format", _bullet_points),
    Skill("exact_words", "format", _in_words),
)

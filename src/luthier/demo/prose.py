"""Plain documents that ask nothing: facts, stories, conversations, reviews, recipes, glossaries, sums and lists."""

from collections.abc import Callable, Sequence
from random import Random

from luthier.demo.facts import FACTS, Fact
from luthier.demo.lexicon import OPPOSITE, PAST, YOUNG, plural
from luthier.demo.scenes import NAMES, PLACES, and_list, event, mood, nouns, phrase_pair, review, word_pair
from luthier.demo.world import (
    ANIMALS,
    COLOURS,
    COUNTED_FOODS,
    COUNTED_NOUNS,
    DAYS,
    KIND_OF,
    MEMBERS,
    NUMBER_WORDS,
    PEOPLE,
    THINGS,
    TOWNS,
    UNCOUNTED_FOODS,
    article,
    kind_phrase,
    named,
)

_BY_SUBJECT: dict[str, list[Fact]] = {}
for _fact in FACTS:
    _BY_SUBJECT.setdefault(_fact.subject, []).append(_fact)
_SUBJECTS = tuple(_BY_SUBJECT)
_TITLES = ("", "", "About {s}", "All about {s}", "{s}", "What we know of {s}", "A page on {s}", "Notes: {s}")


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def stated(rng: Random, fact: Fact) -> str:
    """A sentence that says the fact in one of its wordings."""
    return sentence(fact.said(fact.value, rng.randrange(len(fact.attribute.statements))))


def _kind_sentence(rng: Random, noun: str) -> str:
    kind = KIND_OF[noun]
    mate = rng.choice(MEMBERS[kind])
    return rng.choice((
        f"The word {noun} names {kind_phrase(kind)}.",
        f"Among the {kind} words are {noun} and {mate}.",
        f"{noun.capitalize()} and {mate} are both in the {kind} group.",
        f"We count the {noun} as {kind_phrase(kind)}.",
    ))  # fmt: skip


def description(rng: Random) -> str:
    """Everything about one subject, and a little about another."""
    subject = rng.choice(_SUBJECTS)
    facts = list(_BY_SUBJECT[subject])
    rng.shuffle(facts)
    lines = [stated(rng, fact) for fact in facts]
    noun = subject.split()[-1]
    if noun in KIND_OF:
        lines.append(_kind_sentence(rng, noun))
    if noun in YOUNG:
        lines.append(f"A young {noun} is called {article(YOUNG[noun])}.")
    lines += [stated(rng, rng.choice(FACTS)) for _ in range(rng.randrange(3))]
    title = rng.choice(_TITLES).format(s=subject)
    return f"{title}\n{' '.join(lines)}" if title else " ".join(lines)


def almanac(rng: Random) -> str:
    """Facts of many subjects, as one reads them in a fact book."""
    facts = rng.sample(FACTS, rng.randint(5, 10))
    if rng.random() < 0.5:
        return "\n".join(f"- {fact.statement}" for fact in facts)
    return " ".join(stated(rng, fact) for fact in facts)


def survey(rng: Random) -> str:
    """One property of many subjects: who is red, who lives in the forest."""
    fact = rng.choice(FACTS)
    same = [f.subject for f in FACTS if f.attribute is fact.attribute and f.value == fact.value]
    rest = [f for f in FACTS if f.attribute is fact.attribute and f.value != fact.value]
    lines = [sentence(fact.said(fact.value).replace(fact.subject, subject, 1)) for subject in same[:5]]
    lines += [
        f"But {f.statement}, so it is not {fact.value}."
        if f.attribute.name == "colour" else sentence(f.statement)
        for f in rng.sample(rest, min(3, len(rest)))
    ]  # fmt: skip
    return " ".join(lines)


_STORY_STARTS = (
    "One {weather} morning {a} met {b} at the {place}.", "{a} and {b} were good friends.",
    "It was {day}, and {a} had nothing to do.", "Once there was a {job} named {a}.",
    "{a} woke up early and went to the {place}.", "On {day} {a} took the bus to the {place}.",
)  # fmt: skip
_STORY_MIDDLES = (
    "{b} was there too, with {thing}.", "There {a} saw {animal} under the tree.", "\"Look at the {n}!\" said {b}.",
    "\"I like {food},\" said {a}. \"Me too,\" said {b}.", "They sat down and shared {food}.", "The {n} was {adj}.",
    "{animal_s} came out of the {home} and looked at {a}.", "{a} counted {num} {ns}.", "Then {b} gave {a} {thing}.",
    "{a} wanted {thing}, but the shop was closed.", "\"Where is my {n}?\" asked {a}. It was in the {room}.",
    "They walked a long way, and the {n} was very {adj}.", "{b} told {a} about {animal}.",
)  # fmt: skip
_STORY_ENDS = (
    "In the end they went home and slept.", "It was a good day.", "{a} never forgot that {day}.",
    "Then it was night, and the story ends here.", "\"See you on {day},\" said {b}.", "And so {a} was {mood}.",
)  # fmt: skip


def story(rng: Random) -> str:
    """Two people and a small adventure."""
    a, b = rng.sample(PEOPLE, 2)
    animal, thing = rng.choice(ANIMALS), rng.choice(THINGS)
    slots = {
        "a": a.name, "b": b.name, "job": a.job, "day": rng.choice(DAYS), "place": rng.choice(PLACES),
        "weather": rng.choice(TOWNS).weather, "thing": article(f"{rng.choice(COLOURS)} {thing.name}"), "n": thing.name,
        "ns": plural(thing.name), "room": thing.room, "animal": article(animal.name), "home": animal.home,
        "animal_s": article(animal.name).capitalize(), "food": rng.choice((a.food, b.food)),
        "num": rng.choice(NUMBER_WORDS[2:]), "adj": rng.choice(("old", "new", "big", "small", "wet", "pretty")),
        "mood": rng.choice(("happy", "tired", "glad", "sad")),
    }  # fmt: skip
    parts = [rng.choice(_STORY_STARTS), *rng.sample(_STORY_MIDDLES, rng.randint(3, 6)), rng.choice(_STORY_ENDS)]
    text = " ".join(parts).format(**slots)
    return text if rng.random() < 0.7 else f"{text} {stated(rng, rng.choice(FACTS))}"


def chronicle(rng: Random) -> str:
    """Events of a week, told again in part."""
    events = [event(rng)]
    for _ in range(rng.randint(1, 3)):
        events.append(event(rng, *events))
    text = " ".join(e.told(rng) for e in events)
    e = rng.choice(events)
    again = rng.choice((
        f"So it was {e.who} who {e.did} the {e.thing}.",
        f"The {e.thing} was {e.colour}.",
        f"We know that {e.who} was at the {e.place} on {e.day}.",
        f"All of this is true: {e.who} {e.did} {e.object}, and it was {e.day}.",
        "",
    ))  # fmt: skip
    return f"{text} {again}".strip()


def conversation(rng: Random) -> str:
    """Two people talk about what they know."""
    a, b = rng.sample(NAMES, 2)
    lines = [f"{a}: Hello {b}.", f"{b}: Good {rng.choice(('morning', 'day', 'evening'))}, {a}."]
    for _ in range(rng.randint(2, 5)):
        fact = rng.choice(FACTS)
        speaker, listener = rng.choice(((a, b), (b, a)))
        lines.append(f"{speaker}: Did you know? {stated(rng, fact)}")
        lines.append(f"{listener}: {rng.choice(('Yes, I know.', 'I see.', 'Really? Thank you.', 'Of course.'))}")
    return "\n".join(lines)


def opinions(rng: Random) -> str:
    """Reviews, with a verdict now and then."""
    lines = []
    for _ in range(rng.randint(2, 4)):
        r = review(rng)
        verdict = rng.choice(("good", "positive") if r.is_good else ("bad", "negative"))
        tail = rng.choice(("", "", f" ({verdict})", f" A {verdict} review.", f" This guest thinks it was {verdict}."))
        lines.append(r.text + tail)
    if rng.random() < 0.5:
        m = mood(rng)
        lines.append(f"{m.text} So {m.who} is {m.feeling}.")
    return "\n".join(lines)


def recipe(rng: Random) -> str:
    """A dish in a few steps."""
    first, second = rng.sample(COUNTED_FOODS, 2)
    third = rng.choice(UNCOUNTED_FOODS)
    minutes = rng.choice(("five", "ten", "twenty"))
    steps = [
        f"Wash the {first.name}.", f"Cut the {second.name} with a knife.",
        f"Mix the {first.name} and the {third.name}.", f"Cook for {minutes} minutes.", f"Add some {third.name}.",
        f"Serve with {second.name}.",
    ]  # fmt: skip
    chosen = [step for step in steps if rng.random() < 0.8]
    if rng.random() < 0.5:
        chosen = [f"{i}. {step}" for i, step in enumerate(chosen, 1)]
    title = f"{first.name.capitalize()} with {second.name}"
    joiner = rng.choice(("\n", " "))
    return f"{title}\nYou need {and_list([named(f) for f in (first, second, third)])}.\n{joiner.join(chosen)}"


def glossary(rng: Random) -> str:
    """Words and phrases in English and Spanish."""
    mark = rng.choice((" - ", ": ", " = ", " is ", " / "))
    pairs = [(word_pair if rng.random() < 0.6 else phrase_pair)(rng) for _ in range(rng.randint(5, 10))]
    if rng.random() < 0.25:
        return "\n".join(f"In Spanish, {p.english} is {p.spanish}." for p in pairs)
    if rng.random() < 0.4:
        return "\n".join(f"{p.spanish}{mark}{p.english}" for p in pairs)
    return "\n".join(f"{p.english}{mark}{p.spanish}" for p in pairs)


def two_languages(rng: Random) -> str:
    """A short passage and the same passage in Spanish."""
    pairs = [phrase_pair(rng) for _ in range(rng.randint(2, 4))]
    english = " ".join(sentence(p.english) for p in pairs)
    spanish = " ".join(sentence(p.spanish) for p in pairs)
    label = rng.choice(("", "Spanish: ", "The same in Spanish: ", "En español: "))
    return f"{english}\n{label}{spanish}"


def sums(rng: Random) -> str:
    """Sums and differences, in digits or in words, and counting."""
    lines = []
    in_words = rng.random() < 0.35
    for _ in range(rng.randint(4, 9)):
        a, b = rng.randint(0, 10), rng.randint(0, 10)
        if rng.random() < 0.4:
            a, b, sign, name = a + b, b, "-", "minus"
            total = a - b
        else:
            total, sign, name = a + b, "+", "plus"
        if in_words:
            lines.append(f"{NUMBER_WORDS[a]} {name} {NUMBER_WORDS[b]} is {NUMBER_WORDS[total]}")
        else:
            lines.append(f"{a} {sign} {b} = {total}")
    if rng.random() < 0.3:
        start = rng.randint(0, 12)
        lines.append(" ".join((NUMBER_WORDS if in_words else [str(n) for n in range(21)])[start : start + 8]))
    return rng.choice(("\n", "; ", ". ")).join(lines)


def word_lore(rng: Random) -> str:
    """Opposites, plurals, past forms and names of the young."""
    lines = []
    for _ in range(rng.randint(4, 8)):
        kind = rng.randrange(4)
        if kind == 0:
            word = rng.choice(tuple(OPPOSITE))
            frames = ("{a} stands opposite to {b}", "if it is not {a} it is {b}", "{a} and {b} are opposites")
            lines.append(rng.choice(frames).format(a=word, b=OPPOSITE[word]))
        elif kind == 1:
            noun = rng.choice(COUNTED_NOUNS)
            lines.append(rng.choice((f"one {noun}, two {plural(noun)}", f"the plural of {noun} is {plural(noun)}")))
        elif kind == 2:
            verb = rng.choice(tuple(PAST))
            frame = rng.choice(("today I {a}, yesterday I {b}", "the past of {a} is {b}"))
            lines.append(frame.format(a=verb, b=PAST[verb]))
        else:
            animal = rng.choice(tuple(YOUNG))
            lines.append(f"a young {animal} is {article(YOUNG[animal])}")
    return rng.choice((". ", "\n", "; ")).join(lines)


def list_lore(rng: Random) -> str:
    """A list, and what stands where in it."""
    words = nouns(rng, rng.randint(3, 5))
    owner = rng.choice(NAMES)
    count = NUMBER_WORDS[len(words)]
    lines = [
        f"The first is {words[0]}.", f"The second is {words[1]}.", f"The last is {words[-1]}.",
        f"There are {count} words on it.", f"Backwards it reads {', '.join(reversed(words))}.",
        f"In capitals the first one is {words[0].upper()}.", f"The last one in brackets is ({words[-1]}).",
    ]  # fmt: skip
    rng.shuffle(lines)
    intro = rng.choice((f"{owner} has a list: ", "A short list: ", f"{owner} wrote down ", "On the list stand "))
    return f"{intro}{', '.join(words)}. {' '.join(lines[: rng.randint(3, 6)])}"


def contrasts(rng: Random) -> str:
    """What is bigger, older, dearer, more."""
    lines = []
    for _ in range(rng.randint(3, 6)):
        kind = rng.randrange(4)
        if kind == 0:
            small, big = sorted(rng.sample(ANIMALS, 2), key=lambda animal: animal.rank)
            pair = (article(big.name), "bigger", "smaller", article(small.name))
        elif kind == 1:
            young, old = sorted(rng.sample(PEOPLE, 2), key=lambda person: int(person.age))
            pair = (old.name, "older", "younger", young.name)
        elif kind == 2:
            cheap, dear = sorted(rng.sample(THINGS, 2), key=lambda thing: int(thing.price))
            pair = (article(dear.name), "dearer", "cheaper", article(cheap.name))
        else:
            less, more = sorted(rng.sample(range(1, 51), 2))
            pair = (str(more), "more", "less", str(less))
        first, up, down, second = pair
        lines.append(sentence(f"{first} is {up} than {second}" if rng.random() < 0.5
                              else f"{second} is {down} than {first}"))  # fmt: skip
    return " ".join(lines)


def signs(rng: Random) -> str:
    """Signs and labels: the same words in capitals, in brackets, twice."""
    lines = []
    for word in nouns(rng, rng.randint(3, 6)):
        frame = rng.choice(("{w}: {u}", "The sign for {w} says {u}.", "{w}, in brackets ({w})", "{w} twice is {w} {w}",
                            'The label says "{w}".', "{u} means {w}."))  # fmt: skip
        lines.append(frame.format(w=word, u=word.upper()))
    return "\n".join(lines)


PROSE: Sequence[tuple[Callable[[Random], str], int]] = (
    (description, 16), (almanac, 10), (survey, 3), (story, 14), (chronicle, 10), (conversation, 7), (opinions, 8),
    (recipe, 4), (glossary, 8), (two_languages, 5), (sums, 7), (word_lore, 7), (list_lore, 6), (contrasts, 5),
    (signs, 4),
)  # fmt: skip
"""The makers of plain documents and how often each is used, relative to the others."""

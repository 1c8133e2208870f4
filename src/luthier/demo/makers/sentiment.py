"""Cluster "sentiment": what people think of what they tell, and how they feel."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from luthier.demo.asking import Request, Skill, worded
from luthier.demo.makers.passages import OBJECTS, PERSONS, SPOTS, shuffled
from luthier.demo.scenes import other
from luthier.demo.world import ANIMALS, DAYS
from luthier.tasks.task import TaskRow

_SUBJECTS = (
    "hotel", "soup", "film", "book", "room", "shop", "lamp", "guitar", "coffee", "cake", "bus ride", "garden", "song",
    "coat", "bike", "teacher", "show", "chair", "boat trip", "market", "bed", "bread", "tea", "museum", "phone", "pool",
    "play", "dinner", "party", "concert", "story", "train ride", "cheese", "hat", "school", "cook", "game", "sofa",
    "zoo", "dance",
)  # fmt: skip
_GOOD = (
    "lovely", "great", "wonderful", "excellent", "perfect", "nice", "superb", "amazing", "fantastic", "brilliant",
    "pleasant", "good", "delightful",
)  # fmt: skip
_BAD = (
    "awful", "terrible", "boring", "horrible", "poor", "dreadful", "nasty", "bad", "dull", "rotten", "useless",
    "disappointing", "miserable",
)  # fmt: skip
_GOOD_PHRASES = ("a real joy", "better than I hoped", "worth every coin", "not bad at all", "just what I wanted")
_BAD_PHRASES = ("a waste of time", "worse than I feared", "not worth a coin", "not good at all", "a big mistake")
_GOOD_ENDS = (
    "I loved it.", "I will come back soon.", "I smiled all day.", "I told all my friends to try it.",
    "It made my day.", "Ten out of ten.", "I want it again.", "We had so much fun.", "I liked it a lot.", "Thank you!",
    "Try it too.",
)  # fmt: skip
_BAD_ENDS = (
    "I hated it.", "I will never come back.", "I complained all day.", "I told all my friends to stay away.",
    "It spoiled my day.", "Zero out of ten.", "I want my money back.", "We left early.", "I did not like it.",
    "Never again!",
    "Stay away.",
)  # fmt: skip
_STARTS = (
    "The {s} was {a}.", "We tried the {s} on {d} and it was {a}.", "This {s} is {a}.", "To my mind the {s} was {a}.",
    "My {s} from last {d} was {a}.", "I must say that the {s} was {a}.", "{n} and I found the {s} {a}.",
    "On {d} we had a {s}. It was {a}.", "I think the {s} at the {p} is {a}.", "So this was the {s} of {n}. It was {a}.",
)  # fmt: skip
_NEUTRAL = (
    "We went there on {d}.", "My friend {n} was with me.", "It is near the {p}.", "{n} told me about it.",
    "It was {d}.", "I paid with coins.", "We came from the {p}.", "The {p} is not far away.", "I write this on {d}.",
    "{n} saw it too.", "It took one hour.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Review:
    """What someone thought of something; `word` is the word that says it."""

    text: str
    subject: str
    is_good: bool
    word: str


def _filled(rng: Random, frames: Sequence[str], subject: str, words: str = "") -> str:
    return rng.choice(frames).format(
        s=subject, a=words, d=rng.choice(DAYS), n=rng.choice(PERSONS), p=rng.choice(SPOTS)
    )  # fmt: skip


def review(rng: Random, *, is_good: bool | None = None, subject: str = "") -> Review:
    """A review of one to three sentences, good or bad with equal chance unless it is said which."""
    good = rng.random() < 0.5 if is_good is None else is_good
    about = subject or rng.choice(_SUBJECTS)
    word = rng.choice(_GOOD if good else _BAD)
    phrase = rng.choice(_GOOD_PHRASES if good else _BAD_PHRASES)
    said = rng.choice((word, word, f"very {word}", f"so {word}", phrase))
    parts = [_filled(rng, _STARTS, about, said)]
    if rng.random() < 0.75:
        parts.append(rng.choice(_GOOD_ENDS if good else _BAD_ENDS))
    if rng.random() < 0.4:
        parts.append(_filled(rng, _NEUTRAL, about))
    # A sentence before the subject is named would speak of nothing.
    first, *rest = parts
    return Review(" ".join((first, *shuffled(rng, rest))), about, good, word)


def _one_word_review(rng: Random) -> Review:
    """A review in which one word alone says what the writer thinks."""
    good = rng.random() < 0.5
    about = rng.choice(_SUBJECTS)
    word = rng.choice(_GOOD if good else _BAD)
    parts = [_filled(rng, _STARTS, about, word)]
    if rng.random() < 0.7:
        parts.append(_filled(rng, _NEUTRAL, about))
    if rng.random() < 0.3:
        parts.reverse()
    return Review(" ".join(parts), about, good, word)


_STARS: Mapping[str, Sequence[str]] = {
    "five": (
        "The {s} was perfect.", "This is the best {s} in the world.", "I never saw a better {s}.",
        "All of the {s} was wonderful.", "Nothing can beat this {s}.", "The {s} was superb from start to end.",
    ),
    "three": (
        "The {s} was neither good nor bad.", "The {s} was just okay.", "Half of the {s} was good and half was bad.",
        "I liked some of the {s}, but not all.", "The {s} was fine, but no more than that.",
        "I saw better and I saw worse than this {s}.",
    ),
    "one": (
        "The {s} was awful.", "This is the worst {s} in the world.", "I never saw a worse {s}.",
        "All of the {s} was terrible.", "Nothing is as bad as this {s}.", "The {s} was horrible from start to end.",
    ),
}  # fmt: skip


def _starred(rng: Random) -> tuple[str, str, str]:
    """A review, its subject and the stars that it gives: one, three or five."""
    stars = rng.choice(tuple(_STARS))
    about = rng.choice(_SUBJECTS)
    parts = [_filled(rng, _STARS[stars], about)]
    if rng.random() < 0.6:
        parts.append(_filled(rng, _NEUTRAL, about))
    return " ".join(parts), about, stars


_MOODS: Mapping[str, Sequence[str]] = {
    "happy": (
        "won the race", "got a new {t}", "found the lost {t} at last", "heard good news", "sang all the way home",
        "danced with {n}", "laughed at the show", "got a letter from a good friend", "had a great party",
    ),
    "sad": (
        "lost the race", "lost the dear old {t}", "heard bad news", "cried all the way home",
        "had no friends to play with", "misses {n} so much", "had to say goodbye to {n}", "wept about the {t}",
    ),
    "angry": (
        "shouted at {n}", "saw that {n} broke the {t} on purpose", "slammed the door",
        "waited for hours and then yelled",
        "was cheated at the {p}", "threw the {t} at the wall", "hit the table with a fist",
        "swore at the man from the {p}",
    ),
    "afraid": (
        "heard a noise in the dark", "ran away from the {w}", "hid under the bed from the {w}",
        "was alone in the dark forest", "saw a ghost at the {p}", "screamed when the {w} came",
        "shook with fear at the {p}",
    ),
    "tired": (
        "worked all night", "carried the {t} all day", "walked for ten hours", "did not sleep at all",
        "ran to the {p} and back five times", "yawned all day long", "wants nothing but a bed", "swam for six hours",
    ),
}  # fmt: skip
_WILD = tuple(a.name for a in ANIMALS if a.name in ("snake", "wolf", "tiger", "lion", "bear", "spider"))


@dataclass(frozen=True, slots=True)
class Mood:
    """A sentence from which one can tell how someone feels."""

    text: str
    who: str
    feeling: str


def mood(rng: Random) -> Mood:
    """A sentence about someone happy, sad, angry, afraid or tired."""
    feeling = rng.choice(tuple(_MOODS))
    who = rng.choice(PERSONS)
    what = rng.choice(_MOODS[feeling]).format(
        t=rng.choice(OBJECTS), n=other(rng, PERSONS, who), p=rng.choice(SPOTS), w=rng.choice(_WILD)
    )
    frame = rng.choice(("{w} {x}.", "{w} {x}.", "Today {w} {x}.", "I heard that {w} {x}.", "It is late. {w} {x}."))
    return Mood(frame.format(w=who, x=what), who, feeling)


def _feelings(rng: Random, feeling: str) -> tuple[str, ...]:
    rest = rng.sample([name for name in _MOODS if name != feeling], rng.choice((1, 2, 2, 3)))
    return shuffled(rng, (feeling, *rest))


def _two(rng: Random) -> tuple[dict[str, str], str]:
    """Two people with opposite opinions of one thing, and who of them liked it."""
    a, b = rng.sample(PERSONS, 2)
    is_first = rng.random() < 0.5
    subject = rng.choice(_SUBJECTS)
    texts = [review(rng, is_good=good, subject=subject).text for good in (is_first, not is_first)]
    fields = {"a": a, "b": b, "text_a": texts[0], "text_b": texts[1], "subject": subject}
    return fields, a if is_first else b


def _verdict_row(rng: Random) -> TaskRow:
    r = review(rng)
    answer = "positive" if r.is_good else "negative"
    return TaskRow(fields={"review": r.text, "subject": r.subject}, answers=(answer,), source="practice")


def _pleased_row(rng: Random) -> TaskRow:
    r = review(rng)
    return TaskRow(
        fields={"review": r.text, "subject": r.subject}, answers=("yes" if r.is_good else "no",), source="practice"
    )  # fmt: skip


def _feeling_row(rng: Random) -> TaskRow:
    m = mood(rng)
    return TaskRow(
        fields={"line": m.text, "who": m.who}, answers=(m.feeling,), options=_feelings(rng, m.feeling),
        source="practice"
    )  # fmt: skip


def _who_liked_row(rng: Random) -> TaskRow:
    fields, answer = _two(rng)
    return TaskRow(fields=fields, answers=(answer,), options=(fields["a"], fields["b"]), source="practice")


def _stars_row(rng: Random) -> TaskRow:
    text, subject, stars = _starred(rng)
    return TaskRow(fields={"review": text, "subject": subject}, answers=(stars,), source="practice")


def _opinion_word_row(rng: Random) -> TaskRow:
    r = _one_word_review(rng)
    return TaskRow(fields={"review": r.text, "subject": r.subject}, answers=(r.word,), source="practice")


MAKERS: Mapping[str, Callable[[Random], TaskRow]] = {
    "verdict": _verdict_row, "pleased": _pleased_row, "feeling": _feeling_row, "who_liked": _who_liked_row,
    "stars": _stars_row, "opinion_word": _opinion_word_row,
}  # fmt: skip

_VERDICT_ASKS = (
    "Positive or negative?", "What is the tone?", "Which side is the review on?", "say positive or negative",
    "Is it a positive one?", "judge this opinion", "mark the opinion as positive or negative", "Praise or not?",
    "Is it praise or blame in its tone?", "Is that a positive or a negative voice?", "sort this opinion", "Tone:",
)  # fmt: skip
_GOOD_BAD_ASKS = ("Good or bad?", "How was it for them?", "say good or bad", "Was it good or was it bad?")
_PLEASED_ASKS = (
    "Is the guest pleased?", "Did they like it?", "say if this is praise", "Was the {s} good for them?",
    "Are they glad?",
    "Is that a friend of the {s}?", "Did the {s} please them?", "Would they try it again?", "Happy with the {s}?",
    "check if they enjoyed the {s}", "Do they say good things?", "Is it praise, yes or no?",
)  # fmt: skip
_FEELING_ASKS = (
    "How does {n} feel?", "say how {n} feels", "{n} feels ...", "What is going on in the heart of {n}?",
    "guess the feeling", "{n} is how?", "Feeling:", "What must {n} feel?",
    "And {n}? Happy, sad, angry, afraid or tired?",
    "name the feeling of {n}", "What face does {n} make?", "In what mood is {n}?",
)  # fmt: skip
_LIKED_ASKS = (
    "Who liked the {s}?", "name the one who liked it", "{a} or {b}: who is glad?", "Who is happy with the {s}?",
    "Who says good things?", "find the friend of the {s}", "Who had a good time, {a} or {b}?", "Who will try it again?",
    "point to the happy one", "For whom was it good?", "Praise comes from whom?", "One of them enjoyed it. Who?",
)  # fmt: skip
_STARS_ASKS = (
    "How many stars?", "One, three or five stars?", "give the stars", "Stars:", "How many stars for the {s}?",
    "count the stars it gets", "Five is top and one is bad. Stars?", "What number of stars?",
    "turn this into stars", "The {s} gets how many?", "Stars, one to five?", "say it in stars: one, three or five",
)  # fmt: skip
_WORD_ASKS = (
    "Which word shows what they think?", "find the word that judges the {s}", "Which word holds the opinion?",
    "The {s} was ...", "How was the {s}, in their own word?", "copy the one word of praise or blame",
    "What word do they have for the {s}?", "point to the strong word", "Opinion word:", "pick out the word that judges",
    "They call the {s} what?", "name the word for the {s}",
)  # fmt: skip


def _verdict(rng: Random) -> Request:
    r = review(rng)
    asks: Sequence[str] = _VERDICT_ASKS
    good, bad = "positive", "negative"
    # The same judgement under other labels: what the words of a label mean must be read, not learned by heart.
    if rng.random() < 0.25:
        asks, good, bad = (_GOOD_BAD_ASKS, "good", "bad")
    shown = shuffled(rng, (good, bad)) if rng.random() < 0.4 else ()
    return Request(worded(rng, asks), good if r.is_good else bad, given=r.text, options=shown)


def _pleased(rng: Random) -> Request:
    r = review(rng)
    shown = ("yes", "no") if rng.random() < 0.3 else ()
    return Request(worded(rng, _PLEASED_ASKS, s=r.subject), "yes" if r.is_good else "no", given=r.text, options=shown)


def _feeling(rng: Random) -> Request:
    m = mood(rng)
    shown = _feelings(rng, m.feeling) if rng.random() < 0.6 else ()
    return Request(worded(rng, _FEELING_ASKS, n=m.who), m.feeling, given=m.text, options=shown)


def _who_liked(rng: Random) -> Request:
    fields, answer = _two(rng)
    frame = rng.choice(("{a}: {text_a}\n{b}: {text_b}", "{a} says: {text_a} {b} says: {text_b}"))
    ask = worded(rng, _LIKED_ASKS, s=fields["subject"], a=fields["a"], b=fields["b"])
    return Request(ask, answer, given=frame.format(**fields))


def _stars(rng: Random) -> Request:
    text, subject, stars = _starred(rng)
    shown = ("one", "three", "five") if rng.random() < 0.4 else ()
    return Request(worded(rng, _STARS_ASKS, s=subject), stars, given=text, options=shown)


def _opinion_word(rng: Random) -> Request:
    r = _one_word_review(rng)
    return Request(worded(rng, _WORD_ASKS, s=r.subject), r.word, given=r.text)


_skill = partial(Skill, cluster="sentiment")
SKILLS: tuple[Skill, ...] = (
    _skill("verdict", make=_verdict, weight=2), _skill("pleased", make=_pleased), _skill("feeling", make=_feeling),
    _skill("who_liked", make=_who_liked), _skill("stars", make=_stars), _skill("opinion_word", make=_opinion_word),
)  # fmt: skip

"""Clusters "lists" (what stands where in a list) and "format" (the same words, written in another way)."""

from collections.abc import Callable, Sequence
from random import Random

from luthier.demo.practice import Item, PracticeTask
from luthier.demo.scenes import nouns
from luthier.demo.world import KIND_OF, KINDS, MEMBERS, NOUNS, kind_phrase

_FIRST = (
    "What is the first word in this list? {list}",
    "Give me the first word of the list: {list}",
    "{list}\nReply with the first of these words.",
    "Could you please tell me which word comes first here? {list}",
    "List: {list}\nFirst word:",
    "I will read some words to you: {list}. Which word did I say first?",
    "Take only the first word. {list}",
    "Respond with the word at the start of the list.\n{list}",
    "In the row {list}, who stands in front of all the others?",
    "Look at {list} and answer with the first word only.",
)
_LAST = (
    "What is the last word in this list? {list}",
    "Give me the last word of the list: {list}",
    "{list}\nReply with the last of these words.",
    "Could you please tell me which word comes last here? {list}",
    "List: {list}\nLast word:",
    "I will read some words to you: {list}. Which word did I say last?",
    "Take only the last word. {list}",
    "Respond with the word at the end of the list.\n{list}",
    "In the row {list}, who stands behind all the others?",
    "Look at {list} and answer with the last word only.",
)
_SECOND = (
    "What is the second word in this list? {list}",
    "Give me the second word of the list: {list}",
    "{list}\nReply with the second of these words.",
    "Could you please tell me which word comes second here? {list}",
    "List: {list}\nSecond word:",
    "I will read some words to you: {list}. Which word did I say second?",
    "Take only the second word. {list}",
    "Respond with the word in second place on the list.\n{list}",
    "In the row {list}, who stands right behind the first?",
    "Look at {list} and answer with the second word only.",
)
_REVERSE = (
    "Write this list in reverse order: {list}",
    "Give me the list from the last word to the first: {list}",
    "{list}\nReply with the same words in the opposite order.",
    "Could you please turn this list around? {list}",
    "List: {list}\nReversed list:",
    "I will read some words to you: {list}. Now say them backwards.",
    "Reverse the list. {list}",
    "Respond with the list, starting from the end.\n{list}",
    "The row {list} must walk back the way it came. In which order do they go?",
    "Look at {list} and answer with the words in backward order.",
)
_COUNT = (
    "How many words are in this list? {list}",
    "Give me the number of words: {list}",
    "{list}\nReply with how many words there are.",
    "Could you please count the words for me? {list}",
    "List: {list}\nNumber of words:",
    "I will read some words to you: {list}. How many words did I say?",
    "Count the list. {list}",
    "Respond with a number only, the length of the list.\n{list}",
    "In the row {list}, how many stand there?",
    "Look at {list} and answer with the number of words.",
)


def _listed(rng: Random, answered: Callable[[Sequence[str]], str], grader: str = "exact") -> Item:
    words = nouns(rng, rng.randint(3, 5))
    return Item({"list": ", ".join(words)}, answered(words), grader=grader)


def _first(rng: Random) -> Item:
    return _listed(rng, lambda words: words[0])


def _last(rng: Random) -> Item:
    return _listed(rng, lambda words: words[-1])


def _second(rng: Random) -> Item:
    return _listed(rng, lambda words: words[1])


def _reverse(rng: Random) -> Item:
    return _listed(rng, lambda words: ", ".join(reversed(words)))


def _count(rng: Random) -> Item:
    return _listed(rng, lambda words: str(len(words)), "numeric")


_CAPITALS = (
    "Write the word {word} in capital letters.",
    "How does {word} look in capital letters?",
    "{word}\nReply with this word in capitals.",
    "Could you please shout the word {word} for me, in capital letters?",
    "Small: {word}\nCapital:",
    "I am painting a sign that says {word}, with capital letters. What do I paint?",
    "Make {word} upper case.",
    "Respond in capital letters only: {word}",
    "My keyboard writes only capital letters. What do I get when I type {word}?",
    "Change each letter of {word} to a capital letter.",
)
_TWICE = (
    "Write the word {word} two times.",
    "How does {word} look when it is written twice?",
    "{word}\nReply with this word twice.",
    "Could you please say the word {word} twice for me?",
    "Once: {word}\nTwice:",
    "I am hard of hearing, so say {word} and then say it again. What do I hear?",
    "Double the word {word}.",
    "Respond with the word and the same word again: {word}",
    "A parrot repeats what I say. I say {word}. Write down my word and its word.",
    "Write {word}, then a space, then {word} again.",
)
_BRACKETS = (
    "Write the word {word} in brackets.",
    "How does {word} look with brackets around it?",
    "{word}\nReply with this word in brackets.",
    "Could you please put the word {word} in brackets for me?",
    "Plain: {word}\nIn brackets:",
    "I want to hide {word} between round brackets. What do I write?",
    "Bracket the word {word}.",
    "Respond with a round bracket on each side of {word}.",
    "In my text the word {word} should stand in brackets. Show me.",
    "Add brackets to {word}.",
)
_QUOTES = (
    "Write the word {word} in quotes.",
    "How does {word} look with quotes around it?",
    "{word}\nReply with this word in quotes.",
    "Could you please put the word {word} in quotes for me?",
    "Plain: {word}\nIn quotes:",
    "I want to mark {word} as a word that someone said. How do I write it in quotes?",
    "Quote this: {word}",
    "Respond with a quote mark on each side of {word}.",
    "In my text the word {word} should stand in quotes. Show me.",
    "Add quotes to {word}.",
)
_COMMAS = (
    "Write these words with commas between them: {words}",
    "How do the words {words} look as a list with commas?",
    "{words}\nReply with the words, separated by commas.",
    "Could you please make a comma list from these words? {words}",
    "Words: {words}\nComma list:",
    "I forgot the commas in my list of words. Can you add them? {words}",
    "Separate by commas: {words}",
    "Respond with a comma after each word but the last: {words}",
    "Join {words} into one list with commas.",
    "My teacher wants a comma between all of these words: {words}",
)


def _word(rng: Random, written: Callable[[str], str]) -> Item:
    word = rng.choice(NOUNS)
    return Item({"word": word}, written(word))


def _capitals(rng: Random) -> Item:
    return _word(rng, str.upper)


def _twice(rng: Random) -> Item:
    return _word(rng, lambda word: f"{word} {word}")


def _brackets(rng: Random) -> Item:
    return _word(rng, lambda word: f"({word})")


def _quotes(rng: Random) -> Item:
    return _word(rng, lambda word: f'"{word}"')


def _commas(rng: Random) -> Item:
    words = nouns(rng, rng.randint(2, 4))
    return Item({"words": " ".join(words)}, ", ".join(words))


_PICK = (
    "Name any word from this list that is {kind}: {list}",
    "{list}\nReply with one word of the list that names {kind}.",
    "List: {list}\nOne of them that is {kind}:",
    "Could you please pick {kind} from my list? {list}",
    "I need {kind} and it does not matter which. Take one from here: {list}",
    "Respond with a single word from the list, and it must be {kind}.\n{list}",
    "Find me {kind}. {list}",
    "My list is {list}. Tell me one word on it that is {kind}.",
)


def _pick(rng: Random) -> Item:
    """Two right words among six: a guess at any word of the list is right one time in three."""
    kind = rng.choice(KINDS)
    right = rng.sample(MEMBERS[kind], 2)
    wrong = rng.sample([noun for noun in NOUNS if KIND_OF[noun] != kind], 4)
    words = rng.sample((*right, *wrong), 6)
    first, second = (word for word in words if word in right)
    return Item({"kind": kind_phrase(kind), "list": ", ".join(words)}, first, also=(second,))


_THIRD = (
    "What is the third word in this list? {list}",
    "{list}\nReply with the third of these words.",
    "List: {list}\nThird word:",
    "Could you please tell me which word comes third here? {list}",
    "I will read some words to you: {list}. Which word did I say third?",
    "Respond with the word in third place on the list.\n{list}",
    "Take only the third word. {list}",
    "Look at {list} and answer with the third word only.",
)


def _third(rng: Random) -> Item:
    words = nouns(rng, rng.randint(4, 5))
    return Item({"list": ", ".join(words)}, words[2])


LISTS = (
    PracticeTask("first", "lists", _FIRST, _first),
    PracticeTask("last", "lists", _LAST, _last),
    PracticeTask("second", "lists", _SECOND, _second),
    PracticeTask("reverse", "lists", _REVERSE, _reverse),
    PracticeTask("count", "lists", _COUNT, _count),
)
"""What stands where in a list of nouns."""

FORMAT = (
    PracticeTask("capitals", "format", _CAPITALS, _capitals),
    PracticeTask("twice", "format", _TWICE, _twice),
    PracticeTask("brackets", "format", _BRACKETS, _brackets),
    PracticeTask("quotes", "format", _QUOTES, _quotes),
    PracticeTask("commas", "format", _COMMAS, _commas),
)
"""The same words in another form: the answer is right only if every sign is."""

REWARDED = (
    PracticeTask("pick", "lists", _PICK, _pick),
    PracticeTask("third", "lists", _THIRD, _third),
)
"""The tasks of a reinforcement round. A model that answers with any word of the list scores a third on the one and a
quarter on the other, and one that understands scores near one: between them the rewards of a prompt differ from answer
to answer, and that difference is what a policy learns from."""

"""Clusters "words" (what goes with a word) and "translation" (English and Spanish)."""

from random import Random

from luthier.demo.lexicon import OPPOSITE, PAST, YOUNG, plural
from luthier.demo.practice import Item, PracticeTask
from luthier.demo.scenes import phrase_pair, word_pair
from luthier.demo.world import COUNTED_NOUNS

_OPPOSITE = (
    "What is the opposite of {word}?",
    "Give me the opposite of the word {word}.",
    "{word}\nReply with the word that means the opposite.",
    "I am looking for a word that is the opposite of {word}. Which one is it?",
    "Please tell me the opposite: {word}",
    "Word: {word}\nIts opposite:",
    "If something is not {word}, what is it? Answer with the opposite word.",
    "Respond with one word only, the opposite of {word}.",
    "Someone says {word}, you say the opposite. What do you say?",
    "Read this word and answer with its opposite.\n{word}",
)
_PLURAL = (
    "What is the plural of {word}?",
    "Give me the plural of the word {word}.",
    "{word}\nReply with the plural of this word.",
    "I have one {word}. If I had two, what would I call them?",
    "Please tell me the plural: {word}",
    "Word: {word}\nIts plural:",
    "How do you write {word} when there is more than one?",
    "Respond with one word only, the plural of {word}.",
    "One {word} is here and another one comes. Now there are two of what?",
    "Read this word and answer with its plural.\n{word}",
)
_PAST = (
    "What is the past of {word}?",
    "Give me the past form of the verb {word}.",
    "{word}\nReply with the past form of this verb.",
    "Today they {word}. What did they do yesterday? Use the past form.",
    "Please tell me the past form: {word}",
    "Verb: {word}\nIts past:",
    "How do you write the verb {word} when it happened yesterday?",
    "Respond with one word only, the past of {word}.",
    "Someone says {word}, you say the same verb in the past. What do you say?",
    "Read this verb and answer with its past form.\n{word}",
)
_YOUNG = (
    "What is the name for a young {word}?",
    "Give me the word for a young {word}.",
    "{word}\nReply with the word for the young of this animal.",
    "A {word} has a little one. What do you call the little one?",
    "Please tell me what a baby {word} is called.",
    "Animal: {word}\nIts young:",
    "What do people call a {word} that is still a baby?",
    "Respond with one word only, the name of a young {word}.",
    "On the farm a {word} was born today. What is the word for such a young animal?",
    "Read this animal and answer with the name of its young.\n{word}",
)


def _opposite(rng: Random) -> Item:
    word = rng.choice(tuple(OPPOSITE))
    return Item({"word": word}, OPPOSITE[word])


def _plural(rng: Random) -> Item:
    word = rng.choice(COUNTED_NOUNS)
    return Item({"word": word}, plural(word))


def _past(rng: Random) -> Item:
    word = rng.choice(tuple(PAST))
    return Item({"word": word}, PAST[word])


def _young(rng: Random) -> Item:
    word = rng.choice(tuple(YOUNG))
    return Item({"word": word}, YOUNG[word])


_WORD_TO_SPANISH = (
    "What is the Spanish word for {english}?",
    "Translate this word to Spanish: {english}",
    "{english}\nReply with the Spanish word for this.",
    "Could you please tell me how to say {english} in Spanish?",
    "English word: {english}\nSpanish word:",
    "I am learning Spanish. Which word do I use for {english}?",
    "Give me {english} in Spanish.",
    "Respond with the Spanish translation only.\n{english}",
    "My friend in Spain does not know the word {english}. Which Spanish word do I tell her?",
    "How would you write the English word {english} in Spanish?",
)
_WORD_TO_ENGLISH = (
    "What is the English word for {spanish}?",
    "Translate this word to English: {spanish}",
    "{spanish}\nReply with the English word for this.",
    "Could you please tell me how to say {spanish} in English?",
    "Spanish word: {spanish}\nEnglish word:",
    "I read the Spanish word {spanish} in a book. What does it mean in English?",
    "Give me {spanish} in English.",
    "Respond with the English translation only.\n{spanish}",
    "My friend from Spain said the word {spanish} to me. Which English word is that?",
    "How would you write the Spanish word {spanish} in English?",
)
_PHRASE_TO_SPANISH = (
    "Translate this phrase to Spanish: {english}",
    'What is "{english}" in Spanish?',
    "{english}\nReply with the same phrase in Spanish.",
    "Could you please translate what I say to Spanish? {english}",
    "English phrase: {english}\nSpanish phrase:",
    "I want to tell my Spanish friend: {english}. How do I say it in Spanish?",
    "Give me this in Spanish. {english}",
    "Respond with the Spanish translation of the phrase only.\n{english}",
    'In a letter to Spain I want to write "{english}". What do I write in Spanish?',
    "Here is a phrase in English. Now write the whole phrase in Spanish.\n{english}",
)
_PHRASE_TO_ENGLISH = (
    "Translate this phrase to English: {spanish}",
    'What is "{spanish}" in English?',
    "{spanish}\nReply with the same phrase in English.",
    "Could you please translate what I say to English? {spanish}",
    "Spanish phrase: {spanish}\nEnglish phrase:",
    "My Spanish friend told me: {spanish}. How do I say it in English?",
    "Give me this in English. {spanish}",
    "Respond with the English translation of the phrase only.\n{spanish}",
    'In a letter from Spain I read "{spanish}". What does the letter say in English?',
    "Here is a phrase in Spanish. Now write the whole phrase in English.\n{spanish}",
)


def _word_to_spanish(rng: Random) -> Item:
    pair = word_pair(rng)
    return Item({"english": pair.english}, pair.spanish)


def _word_to_english(rng: Random) -> Item:
    pair = word_pair(rng)
    return Item({"spanish": pair.spanish}, pair.english)


def _phrase_to_spanish(rng: Random) -> Item:
    pair = phrase_pair(rng)
    return Item({"english": pair.english}, pair.spanish)


def _phrase_to_english(rng: Random) -> Item:
    pair = phrase_pair(rng)
    return Item({"spanish": pair.spanish}, pair.english)


WORDS = (
    PracticeTask("opposite", "words", _OPPOSITE, _opposite),
    PracticeTask("plural", "words", _PLURAL, _plural),
    PracticeTask("past", "words", _PAST, _past),
    PracticeTask("young", "words", _YOUNG, _young),
)
"""What goes with a word: its opposite, its plural, its past form, the name of the young."""

TRANSLATION = (
    PracticeTask("word_to_spanish", "translation", _WORD_TO_SPANISH, _word_to_spanish),
    PracticeTask("word_to_english", "translation", _WORD_TO_ENGLISH, _word_to_english),
    PracticeTask("phrase_to_spanish", "translation", _PHRASE_TO_SPANISH, _phrase_to_spanish),
    PracticeTask("phrase_to_english", "translation", _PHRASE_TO_ENGLISH, _phrase_to_english),
)
"""Words and short phrases, both ways."""

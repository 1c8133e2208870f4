"""Clusters "facts" (what is true in the world, from memory) and "category" (the kinds of nouns)."""

from random import Random

from luthier.demo.facts import ANIMAL_FACTS, FACTS, PERSON_FACTS, THING_FACTS, TOWN_FACTS
from luthier.demo.practice import Item, PracticeTask, choice, yes_or_no
from luthier.demo.scenes import other
from luthier.demo.world import KIND_OF, KINDS, MEMBERS, NOUNS, kind_phrase

_NATURE = (
    "{Question}?",
    "Answer this question from what you know: {question}?",
    "I have a question about our world. {Question}?",
    "Please help me with my homework: {question}?",
    "Topic: {subject}\nQuestion for you: {question}?",
    "Respond in a few words.\n{Question}?",
    "Can you answer what my child asked me? {Question}?",
    "About {subject}: {question}? Just the answer.",
    "Use your memory to answer. {Question}?",
    "My sister would like to learn something: {question}?",
)
_PEOPLE = (
    "Here is a question about a person we know. {Question}?",
    "Answer from memory: {question}?",
    "Do you remember {subject}? {Question}?",
    "Please give me what you know about a person: {question}?",
    "Person: {subject}\nQuestion for you: {question}?",
    "Respond in a few words about {subject}.\n{Question}?",
    "A stranger came to town and asked about {subject}. {Question}?",
    "Just the answer, please. {Question}?",
    "Think of {subject} and answer. {Question}?",
    "In one or two words: {question}?",
)
_CHECK = (
    "Is this statement true? {Statement}.\n{options}",
    "{Statement}. Is that correct?\n{options}",
    "Answer yes or no, is the following true: {statement}?",
    "Please check this claim and answer with yes or no.\n{Statement}.",
    "Claim: {statement}\nIs the claim true?\n{options}",
    "I heard that {statement}, and I do not believe everything I hear. Is it true?\n{options}",
    "Decide if the sentence is true.\n{Statement}.\n{options}",
    "Would an expert agree that {statement}? Reply with yes or no.",
    'In a book I found the sentence "{statement}". Is the book right about this?\n{options}',
    "True statement, yes or no? {Statement}.\n{options}",
)
_GAP = (
    "Fill in the missing word: {gap}",
    "{gap}\nReply with the word that is missing.",
    "Which word belongs in the gap of this sentence? {gap}",
    "Please complete the sentence with one word.\n{gap}",
    "Sentence: {gap}\nMissing word:",
    "Someone spilled ink on a word here: {gap} Which word was it?",
    "Give me the missing word only. {gap}",
    "Respond with what the gap hides.\n{gap}",
    "A word fell out of this sentence and I need it back. {gap}",
    "What should stand where the line is? {gap}",
)


def _asked(rng: Random, facts: tuple) -> Item:
    fact = rng.choice(facts)
    question = fact.question
    slots = {"subject": fact.subject, "question": question, "Question": question[0].upper() + question[1:]}
    return Item(slots, fact.value)


def _nature(rng: Random) -> Item:
    return _asked(rng, rng.choice((ANIMAL_FACTS, ANIMAL_FACTS, THING_FACTS, TOWN_FACTS)))


def _people(rng: Random) -> Item:
    return _asked(rng, PERSON_FACTS)


def _check(rng: Random) -> Item:
    fact = rng.choice(FACTS)
    is_true = rng.random() < 0.5
    statement = fact.said(fact.value if is_true else other(rng, fact.attribute.values, fact.value))
    slots = {"statement": statement, "Statement": statement[0].upper() + statement[1:]}
    return yes_or_no(rng, slots, is_true)


def _gap(rng: Random) -> Item:
    fact = rng.choice(FACTS)
    return Item({"gap": f"{fact.said('___')}."}, fact.value)


_KIND = (
    "What kind of thing is this: {noun}?\n{options}",
    "Choose the group that {noun} belongs to.\n{options}",
    "{noun}\nReply with the kind of this word.\n{options}",
    "Could you please put the word {noun} into the right group?\n{options}",
    "Word: {noun}\nKind:\n{options}",
    "I am sorting words and now I have {noun}. Where does it go?\n{options}",
    "Select the kind. {noun}\n{options}",
    "Which of these names describes {noun} best?\n{options}",
    "In a shop with a shelf for each kind of thing, on which shelf do I find {noun}?\n{options}",
    "The word is {noun}. Tell me its kind.\n{options}",
)
_ODD = (
    "Which word does not belong with the others?\n{options}",
    "Choose the odd one out.\n{options}",
    "Three of these words are of the same kind. Reply with the word that is not.\n{options}",
    "Could you please find the word that does not fit here?\n{options}",
    "Words: {listed}\nOdd one out:",
    "I made a group of words and made one mistake. Which word is the mistake?\n{options}",
    "Select the word of another kind.\n{options}",
    "From the words {listed}, name the one of a different kind.",
    "All of these go together except one. Which one should leave?\n{options}",
    "Look at {listed}. Which word is not like the rest?\n{options}",
)
_MEMBER = (
    "Which of these words is {kind}?\n{options}",
    "Choose the word that names {kind}.\n{options}",
    "Only one of these is {kind}. Reply with that word.\n{options}",
    "Could you please find {kind} among these words?\n{options}",
    "Words: {listed}\nWanted is {kind}:",
    "I need {kind} and I have the following. Which one do I use?\n{options}",
    "Select {kind} from the list.\n{options}",
    "From the words {listed}, name the one that is {kind}.",
    "My list has exactly one word for {kind}. Which word do I mean?\n{options}",
    "Look at {listed}. Where do you see {kind}?\n{options}",
)
_SAME = (
    "Are {a} and {b} the same kind of thing?\n{options}",
    "Decide if {a} and {b} belong to one group.\n{options}",
    "{a}, {b}\nReply yes if both words are of the same kind, else no.",
    "Could you please tell me if {a} and {b} go into the same group?\n{options}",
    "First word: {a}\nSecond word: {b}\nSame kind:\n{options}",
    "I put {a} and {b} on one shelf because they are alike. Was that right?\n{options}",
    "Same kind, yes or no? {a} and {b}",
    "Do the words {a} and {b} name things of one kind?\n{options}",
    "Would a shop keep {a} next to {b} as things of the same kind?\n{options}",
    "Is it right to say that {a} is the same kind of thing as {b}?\n{options}",
)


def _kind(rng: Random) -> Item:
    noun = rng.choice(NOUNS)
    kind = KIND_OF[noun]
    return choice(rng, {"noun": noun}, kind, rng.sample([k for k in KINDS if k != kind], 3))


def _odd(rng: Random) -> Item:
    kind, strange = rng.sample(KINDS, 2)
    return _listed(choice(rng, {}, rng.choice(MEMBERS[strange]), rng.sample(MEMBERS[kind], 3)))


def _member(rng: Random) -> Item:
    kind = rng.choice(KINDS)
    strangers = rng.sample([noun for noun in NOUNS if KIND_OF[noun] != kind], 3)
    return _listed(choice(rng, {"kind": kind_phrase(kind)}, rng.choice(MEMBERS[kind]), strangers))


def _listed(item: Item) -> Item:
    slots = item.slots | {"listed": ", ".join(item.choices)}
    return Item(slots, item.answer, item.choices, item.grader)


def _same(rng: Random) -> Item:
    is_same = rng.random() < 0.5
    a = rng.choice(NOUNS)
    kind = KIND_OF[a] if is_same else other(rng, KINDS, KIND_OF[a])
    b = other(rng, MEMBERS[kind], a)
    return yes_or_no(rng, {"a": a, "b": b}, is_same)


FACT_TASKS = (
    PracticeTask("nature_fact", "facts", _NATURE, _nature),
    PracticeTask("person_fact", "facts", _PEOPLE, _people),
    PracticeTask("fact_check", "facts", _CHECK, _check),
    PracticeTask("fact_gap", "facts", _GAP, _gap),
)
"""What the text of the world said, asked without the text."""

CATEGORY = (
    PracticeTask("kind", "category", _KIND, _kind),
    PracticeTask("odd_one_out", "category", _ODD, _odd),
    PracticeTask("member", "category", _MEMBER, _member),
    PracticeTask("same_kind", "category", _SAME, _same),
)
"""The kinds of nouns."""

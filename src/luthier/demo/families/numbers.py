"""Clusters "arithmetic" (small numbers) and "comparison" (which of two is more)."""

from collections.abc import Mapping
from random import Random

from luthier.demo.practice import Item, PracticeTask, choice
from luthier.demo.scenes import NAMES
from luthier.demo.world import ANIMALS, PEOPLE, THINGS, article

_ADD = (
    "What is {a} plus {b}?",
    "Calculate the sum: {a} + {b}",
    "{a} + {b}\nReply with the result as a number.",
    "Could you please add these two numbers for me? {a} and {b}",
    "First number: {a}\nSecond number: {b}\nTotal:",
    "I typed {a} + {b} into my machine. What does it show?",
    "Give me the total of {a} and {b}.",
    "Respond with a number only. {a} plus {b}",
    "Two numbers, {a} and {b}, go into one sum. What is the result?",
    "When you put {a} and {b} together, which number do you get?",
)
_SUBTRACT = (
    "What is {a} minus {b}?",
    "Calculate the difference: {a} - {b}",
    "{a} - {b}\nReply with the number that remains.",
    "Could you please take {b} away from {a} for me?",
    "Start: {a}\nTake away: {b}\nLeft:",
    "I typed {a} - {b} into my machine. What does it show?",
    "Give me {a} less {b}.",
    "Respond with a number only. {a} minus {b}",
    "From the number {a} go down by {b}. On which number do you land?",
    "When {b} is removed from {a}, which number do you get?",
)
_NEXT = (
    "Which number comes after {n}?",
    "What is the next number after {n}?",
    "{n}\nReply with the number that follows.",
    "Could you please count one further than {n}?",
    "Number: {n}\nNext number:",
    "I counted up to {n}. Which number do I say now?",
    "Give me the number right after {n}.",
    "Respond with a number only, the one that follows {n}.",
    "The last page I read was {n}. On which page do I go on?",
    "When you count up and have just said {n}, what do you say then?",
)
_STORY = (
    "{who} has {a} {things} and gets {b} more. How many {things} does {who} have now?",
    "There were {a} {things}. Then {who} brought {b} more. How many are there in all?",
    "Read the story and give the number. {who} found {a} {things} and then {b} more.",
    "{who} counted {a} {things} in the morning and {b} in the evening. What is the total?",
    "How many {things} does {who} have in the end? At first {a}, and then {b} more.",
    "{who}: {a} {things}\nA present: {b} {things}\nAll together:",
    "Please help {who}, who owns {a} {things} and buys {b} more. How many is that?",
    "In the bag of {who} are {a} {things}. {b} are put in. How many are in the bag?",
    "{who} sold {a} {things} on Monday and {b} on Tuesday. How many were sold on both days?",
    "Work out what {who} has: {a} {things} from Anna, {b} from Ben.",
)
_STORY_THINGS = ("apples", "pears", "plums", "lemons", "carrots", "balls", "dolls", "socks", "hats", "bells")


def _operands(rng: Random) -> tuple[int, int]:
    return rng.randint(0, 10), rng.randint(0, 10)


def _add(rng: Random) -> Item:
    a, b = _operands(rng)
    return Item({"a": str(a), "b": str(b)}, str(a + b), grader="numeric")


def _subtract(rng: Random) -> Item:
    left, b = _operands(rng)
    return Item({"a": str(left + b), "b": str(b)}, str(left), grader="numeric")


def _next(rng: Random) -> Item:
    n = rng.randint(0, 40)
    return Item({"n": str(n)}, str(n + 1), grader="numeric")


def _story(rng: Random) -> Item:
    a, b = rng.randint(2, 10), rng.randint(2, 10)
    slots = {"who": rng.choice(NAMES), "things": rng.choice(_STORY_THINGS), "a": str(a), "b": str(b)}
    return Item(slots, str(a + b), grader="numeric")


_LARGER = (
    "Which number is larger, {a} or {b}?\n{options}",
    "Pick the larger of these two numbers.\n{options}",
    "{a} and {b}\nReply with the number that is more.",
    "Could you please tell me which is more, {a} or {b}?",
    "First number: {a}\nSecond number: {b}\nThe larger number:",
    "I may take {a} coins or {b} coins and I want as many as I can get. How many do I take?",
    "Give me the larger number. {a}, {b}",
    "Respond with the number that is more than the other.\n{options}",
    "One bag holds {a} stones and another holds {b}. Which number of stones is more?\n{options}",
    "Between {a} and {b}, which is the larger number?",
)
_BIGGER = (
    "Which animal is bigger, {a} or {b}?\n{options}",
    "Pick the bigger of these two animals.\n{options}",
    "{a} and {b}\nReply with the animal that is bigger.",
    "Could you please tell me who is bigger, {a} or {b}?",
    "First animal: {a}\nSecond animal: {b}\nThe bigger animal:",
    "I see {a} next to {b}. Which of the two is bigger?",
    "Give me the bigger animal. {a}, {b}",
    "Respond with the animal that is bigger than the other.\n{options}",
    "Two animals stand before a small door. Which one needs a bigger door?\n{options}",
    "Between {a} and {b}, which is the bigger animal?",
)
_OLDER = (
    "Which person is older, {a} or {b}?\n{options}",
    "Pick the older of these two people.\n{options}",
    "{a} and {b}\nReply with the name of the one who is older.",
    "Could you please tell me who is older, {a} or {b}?",
    "First person: {a}\nSecond person: {b}\nThe older person:",
    "I met {a} and {b} in the park. Which of the two is older?",
    "Give me the older person. {a}, {b}",
    "Respond with the name of the person who is older than the other.\n{options}",
    "Two people want to sit and the older one may sit first. Who may sit first?\n{options}",
    "Between {a} and {b}, who is the older person?",
)
_DEARER = (
    "Which thing costs more, {a} or {b}?\n{options}",
    "Pick the one of these two things that costs more.\n{options}",
    "{a} and {b}\nReply with the thing that costs more coins.",
    "Could you please tell me what costs more, {a} or {b}?",
    "First thing: {a}\nSecond thing: {b}\nCosts more:",
    "I want to buy {a} or {b}. For which one do I pay more coins?",
    "Give me the one that costs more. {a}, {b}",
    "Respond with the thing that costs more than the other.\n{options}",
    "Two things lie in the shop. For which one do people pay more?\n{options}",
    "Between {a} and {b}, which one is dearer?",
)


def _two(rng: Random, more: str, less: str) -> Item:
    item = choice(rng, {}, more, (less,))
    first, second = item.choices
    return Item(item.slots | {"a": first, "b": second}, item.answer, item.choices, item.grader)


def _larger(rng: Random) -> Item:
    less, more = sorted(rng.sample(range(1, 51), 2))
    return _two(rng, str(more), str(less))


def _bigger(rng: Random) -> Item:
    small, big = _apart(rng, {article(animal.name): animal.rank for animal in ANIMALS}, 4)
    return _two(rng, big, small)


def _older(rng: Random) -> Item:
    young, old = _apart(rng, {person.name: int(person.age) for person in PEOPLE}, 5)
    return _two(rng, old, young)


def _dearer(rng: Random) -> Item:
    cheap, dear = _apart(rng, {article(thing.name): int(thing.price) for thing in THINGS}, 10)
    return _two(rng, dear, cheap)


def _apart(rng: Random, measure: Mapping[str, int], gap: int) -> tuple[str, str]:
    """Two names, the lesser first, whose measures differ by the gap at least: nearer pairs would be hair-splitting."""
    while True:
        less, more = sorted(rng.sample(tuple(measure), 2), key=measure.__getitem__)
        if measure[more] - measure[less] >= gap:
            return less, more


ARITHMETIC = (
    PracticeTask("add", "arithmetic", _ADD, _add),
    PracticeTask("subtract", "arithmetic", _SUBTRACT, _subtract),
    PracticeTask("next_number", "arithmetic", _NEXT, _next),
    PracticeTask("story_sum", "arithmetic", _STORY, _story),
)
"""Sums and differences up to twenty, and counting."""

COMPARISON = (
    PracticeTask("larger_number", "comparison", _LARGER, _larger),
    PracticeTask("bigger_animal", "comparison", _BIGGER, _bigger),
    PracticeTask("older_person", "comparison", _OLDER, _older),
    PracticeTask("dearer_thing", "comparison", _DEARER, _dearer),
)
"""Which of two is more, bigger, older, dearer."""

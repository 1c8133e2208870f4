"""Tasks for a reinforcement round: their answers can be verified, and a tuned model is right now and then.

They are no part of the collection. A model that answers with any word of the list scores a third on the one and a fifth
on the other, and one that understands scores near one: between them the rewards of a prompt differ from answer to
answer, and that difference is what a policy learns from.
"""

from collections.abc import Callable, Sequence
from random import Random

from luthier.demo.scenes import nouns
from luthier.demo.world import KIND_OF, KINDS, MEMBERS, NOUNS, kind_phrase
from luthier.tasks.task import Task, TaskRow, Template

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
_FOURTH = (
    "What is the fourth word in this list? {list}",
    "{list}\nReply with the fourth of these words.",
    "List: {list}\nFourth word:",
    "Could you please tell me which word comes fourth here? {list}",
    "I will read some words to you: {list}. Which word did I say fourth?",
    "Respond with the word in fourth place on the list.\n{list}",
    "Take only the fourth word. {list}",
    "Look at {list} and answer with the fourth word only.",
)


def _pick(rng: Random) -> TaskRow:
    """Two right words among six: a guess at any word of the list is right one time in three."""
    kind = rng.choice(KINDS)
    right = rng.sample(MEMBERS[kind], 2)
    wrong = rng.sample([noun for noun in NOUNS if KIND_OF[noun] != kind], 4)
    words = rng.sample((*right, *wrong), 6)
    answers = tuple(word for word in words if word in right)
    return TaskRow({"kind": kind_phrase(kind), "list": ", ".join(words)}, answers, source="practice")


def _fourth(rng: Random) -> TaskRow:
    words = nouns(rng, rng.randint(5, 6))
    return TaskRow({"list": ", ".join(words)}, (words[3],), source="practice")


def _task(name: str, templates: Sequence[str], make: Callable[[Random], TaskRow], description: str) -> Task:
    worded = tuple(Template(turns=(text,), index=index) for index, text in enumerate(templates))
    return Task(name=name, clusters=("lists",), description=description, templates=worded, make=make)


REWARD_TASKS: tuple[Task, ...] = (
    _task("pick", _PICK, _pick, "Given a kind and a list, answer with any word of the list that is of that kind."),
    _task("fourth", _FOURTH, _fourth, "Given a list, answer with its fourth word."),
)
"""The tasks whose reward a reinforcement round can raise."""

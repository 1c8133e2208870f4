"""The methods: which requests each makes, and what it takes from the answers."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from luthier.asking.asker import Ask, Outcome
from luthier.curate.synthesis.config import SynthesiseConfig
from luthier.curate.synthesis.novelty import Novelty
from luthier.curate.synthesis.rounds import Book, Rounds
from luthier.curate.synthesis.rules import (
    answer_fault,
    bare,
    instance,
    is_copied,
    listed,
    request_fault,
    score_of,
)
from luthier.curate.synthesis.yields import MOST_OF_A_ROUND, Yield
from luthier.records import Message, content_id

SHOWN_TASKS, SHOWN_MADE = 8, 2
"""Requests in the prompt for more, and how many of them were made before (arXiv:2212.10560)."""

PROPOSE = """Here are {number} tasks that people ask a language model to do.

{tasks}

Write eight more tasks, numbered {first} to {last}, one a line, in the form "Task {first}: ...". Each is unlike those \
above and unlike the others, can be done in writing alone, and says all that is needed."""
INSTANCE = """Write one case of this task: an input, if the task needs one, and the right output.

Task: {request}

Answer in this form and add nothing. Where no input is needed, write "Input: none".
Input: ...
Output: ..."""
INVERT = """Below is a text. Write the request to which this text is the best possible answer. The request must make \
sense to somebody who has not seen the text, and must not repeat it.

Text:
{text}

Write the request and nothing else."""
SCORE = """Here is a request and an answer to it. How good is the answer, for somebody who made this request?
1: it is about something else, or broken. 2: it misses most of what was asked. 3: it helps, but is not written as an \
answer to this request. 4: it answers clearly and fully. 5: it could not be better.

Request:
{request}

Answer:
{answer}

Say why in one sentence; then write "Score: N"."""
DEEPEN = {
    "constraint": "Add one more constraint or requirement to it.",
    "depth": "If it asks about an issue, make it ask about this issue in more depth and breadth.",
    "concrete": "Put more specific concepts in the place of general ones.",
    "reasoning": "If it can be answered by a short thought, make it ask for several steps of reasoning.",
    "input": "Give it some data to work on, such as a table, a list or a piece of code.",
}
EVOLVE = """Rewrite this request into a harder version of it. {how} It must stay reasonable, and a person must be able \
to understand and answer it. Add ten to twenty words at most, and keep what it already holds.

Request:
{request}

Write the rewritten request and nothing else."""
BREADTH = """Write a quite new request that was inspired by this one. It belongs to the same field but is rarer, and \
is about as long and as hard. A person must be able to understand and answer it.

Request:
{request}

Write the new request and nothing else."""
PERSONA = """Who is likely to write, read or like the text below? Describe this person in one or two sentences, as \
precisely as the text allows.

Text:
{text}

Write the description and nothing else."""
ASK_AS = """Imagine this person:

{persona}

Write one request that this person is likely to make of an assistant that works in writing. It says all that is needed.

Write the request and nothing else."""


class Start(NamedTuple):
    """Something that a method starts from: a request, a text, a persona."""

    text: str
    place: str
    """Where it stands: "docs.jsonl:12"."""
    is_persona: bool = False


@dataclass(slots=True)
class Asking:
    """Makes requests, each different from all before."""

    seen: Counter[str] = field(default_factory=Counter)

    def of(self, kind: str, text: str) -> Ask:
        """The request; the same words again are another draw."""
        ask = Ask(kind=kind, messages=(Message(role="user", content=text),))
        self.seen[ask.digest] += 1
        return Ask(kind=kind, messages=ask.messages, draw=self.seen[ask.digest] - 1)


_Inverted = tuple[Start, Ask, str]
"""A text, the request for its request, and what came."""


class _Wanted(NamedTuple):
    """A new request that waits for its answer."""

    request: str
    source: str = ""
    links: tuple[str, ...] = ()


def self_instruct(starts: Sequence[Start], config: SynthesiseConfig, book: Book) -> Rounds:
    """New requests in the manner of known ones, then a case of each (Self-Instruct, arXiv:2212.10560).

    Eight known requests are shown, two of them made before where there are some. The paper asks first whether a request
    is a classification and then lets the label come before the input; here every case is asked for in one way.
    """
    asking, novelty = Asking(), Novelty(config.max_similarity)
    seeds, made = list(dict.fromkeys(start.text for start in starts)), list[str]()
    for seed in seeds:
        novelty.add(seed)
    queue: deque[str] = deque()
    number, size, new = 0, 1, 0
    found = Yield(
        book=book, of_requests=("requests",), of_rows=("instance",), fix="give it other seeds, or raise max_similarity"
    )
    while len(book.rows) < config.rows:
        if queue:
            some = [queue.popleft() for _ in range(min(len(queue), config.rows - len(book.rows), MOST_OF_A_ROUND))]
            asks = [asking.of("instance", INSTANCE.format(request=request)) for request in some]
            for request, ask, end in zip(some, asks, (yield asks), strict=True):
                if (text := book.text(ask, end)) is not None:
                    _take_instance(book, ask, request, text)
            continue
        if number:
            found.end_round(new)
        if found.is_over():
            break
        asks = [asking.of("requests", _proposal(seeds, made, Random(f"shown {config.seed} {number + i}")))
                for i in range(size)]  # fmt: skip
        number, size = number + size, min(2 * size, MOST_OF_A_ROUND)
        for ask, end in zip(asks, (yield asks), strict=True):
            if (text := book.text(ask, end)) is not None:
                queue.extend(_new_requests(book, ask, text, novelty))
        made += queue
        new = len(queue)


def inversion(starts: Sequence[Start], config: SynthesiseConfig, book: Book) -> Rounds:
    """The request that each text answers (back-translation, arXiv:2308.06259); a score may be asked for too.

    A text is used once; two texts with the same request would contradict each other, so the first keeps it, unless its
    score drops it: then a text of a later round may have it.
    """
    asking, prompts = Asking(), set[str]()
    waiting = deque(starts)
    while waiting and len(book.rows) < config.rows:
        some = [waiting.popleft() for _ in range(min(len(waiting), config.rows - len(book.rows), MOST_OF_A_ROUND))]
        asks = [asking.of("request", INVERT.format(text=start.text)) for start in some]
        kept: list[_Inverted] = []
        for start, ask, end in zip(some, asks, (yield asks), strict=True):
            text = book.text(ask, end)
            if text is None:
                continue
            request = bare(text)
            fault = request_fault(request, None, is_of_text=False)
            fault = fault or ("copies the text" if is_copied(request, start.text) else None)
            fault = fault or ("asked before" if _folded(request) in prompts else None)
            if fault:
                book.reject(ask, fault, request)
                continue
            prompts.add(_folded(request))
            book.accept(ask)
            kept.append((start, ask, request))
        if config.min_score is not None and kept:
            prompts -= {_folded(request) for _, _, request in kept}
            kept = yield from _scored(kept, config.min_score, asking, book)
            prompts |= {_folded(request) for _, _, request in kept}
        for start, ask, request in kept:
            book.add(ask, request, start.text, source=start.place, links=[f"text:{content_id(start.text)}"])


def _folded(request: str) -> str:
    return " ".join(request.casefold().split())


def evol_instruct(starts: Sequence[Start], config: SynthesiseConfig, book: Book) -> Rounds:
    """Requests made harder or rarer, round by round, and their answers (Evol-Instruct, arXiv:2304.12244).

    Each round changes every request by one way of five in depth or one in breadth, drawn by the seed; a request whose
    change is refused goes on as it was. The paper asks the writer whether a change adds anything; here one whose words
    are too similar to an older request does not.
    """
    asking, novelty = Asking(), Novelty(config.max_similarity)
    current = {start.text: _Wanted(start.text, links=(f"request:{content_id(start.text)}",)) for start in starts}
    line = list(current.values())
    for wanted in line:
        novelty.add(wanted.request)
    for round_number in range(config.rounds):
        first = 0
        while first < len(line):
            missing = config.rows - len(book.rows)
            if missing <= 0:
                return
            part = line[first : first + min(MOST_OF_A_ROUND, missing)]
            asks = [asking.of("change", _change(wanted, config.seed, round_number)) for wanted in part]
            new: list[_Wanted] = []
            for place, (wanted, ask, end) in enumerate(zip(part, asks, (yield asks), strict=True), start=first):
                request = _one_request(book, ask, book.text(ask, end), novelty, is_of_text=False)
                if request is not None:
                    line[place] = wanted._replace(request=request)
                    new.append(line[place])
            yield from _answered(new, asking, book)
            first += len(part)


def persona(starts: Sequence[Start], config: SynthesiseConfig, book: Book) -> Rounds:
    """What different people would ask, and the answers (Persona Hub, arXiv:2406.20094).

    A text first becomes the persona of whom it speaks; where all have asked and rows are missing, they ask again.
    """
    asking, novelty = Asking(), Novelty(config.max_similarity)
    known: list[Start] = []
    texts = deque(starts)
    found = Yield(book=book, of_requests=("persona", "request"), of_rows=("answer",), fix="give it more personas")
    while len(book.rows) < config.rows and (texts or known) and not found.is_over():
        size = min(config.rows - len(book.rows), MOST_OF_A_ROUND)
        some = [texts.popleft() for _ in range(min(len(texts), size))]
        raw = [start for start in some if not start.is_persona]
        asks = [asking.of("persona", PERSONA.format(text=start.text)) for start in raw]
        people = {start.place: start for start in some if start.is_persona}
        for start, ask, end in zip(raw, asks, (yield asks), strict=True) if asks else ():
            if (text := book.text(ask, end)) is not None:
                book.accept(ask)
                people[start.place] = start._replace(text=bare(text))
        if not some:
            known = known[size:] + known[:size]
        turn = list(people.values()) if some else known[-size:]
        known += people.values()
        asks = [asking.of("request", ASK_AS.format(persona=person.text)) for person in turn]
        new: list[_Wanted] = []
        for person, ask, end in zip(turn, asks, (yield asks), strict=True) if asks else ():
            request = _one_request(book, ask, book.text(ask, end), novelty)
            if request is not None:
                new.append(_Wanted(request, source=person.place))
        yield from _answered(new, asking, book)
        found.end_round(len(new))


METHODS = {"self_instruct": self_instruct, "evol_instruct": evol_instruct, "inversion": inversion, "persona": persona}


def _proposal(seeds: Sequence[str], made: Sequence[str], random: Random) -> str:
    """The prompt for more requests."""
    own = random.sample(made, min(SHOWN_MADE, len(made)))
    shown = random.sample(seeds, min(SHOWN_TASKS - len(own), len(seeds))) + own
    random.shuffle(shown)
    tasks = "\n".join(f"Task {n}: {' '.join(text.split())}" for n, text in enumerate(shown, start=1))
    first = len(shown) + 1
    return PROPOSE.format(number=len(shown), tasks=tasks, first=first, last=first + 7)


def _new_requests(book: Book, ask: Ask, text: str, novelty: Novelty) -> list[str]:
    """The requests of a list that are new."""
    return book.take_new(
        ask, text, listed(text), what="request", fault_of=lambda request: request_fault(request, novelty),
        keep=novelty.add,
    )  # fmt: skip


def _one_request(book: Book, ask: Ask, text: str | None, novelty: Novelty, *, is_of_text: bool = True) -> str | None:
    """The one new request of an answer; None where there is none, or a rule refuses it."""
    if text is None:
        return None
    request = bare(text)
    fault = request_fault(request, novelty, is_of_text=is_of_text)
    if fault:
        book.reject(ask, fault, request)
        return None
    novelty.add(request)
    book.accept(ask)
    return request


def _take_instance(book: Book, ask: Ask, request: str, text: str) -> None:
    found = instance(text)
    if found is None:
        book.reject(ask, "no output", text)
        return
    prompt = f"{request}\n\n{found.input}" if found.input else request
    fault = answer_fault(prompt, found.output)
    if fault is None and found.input and found.input.casefold() == found.output.casefold():
        fault = "repeats the input"
    if fault:
        book.reject(ask, fault, text)
        return
    book.accept(ask)
    book.add(ask, prompt, found.output)


def _answered(new: Sequence[_Wanted], asking: Asking, book: Book) -> Rounds:
    """Ask for the answers to new requests; each that no rule refuses is a row."""
    if not new:
        return
    asks = [asking.of("answer", wanted.request) for wanted in new]
    for wanted, ask, end in zip(new, asks, (yield asks), strict=True):
        text = book.text(ask, end)
        if text is None:
            continue
        fault = answer_fault(wanted.request, text)
        if fault:
            book.reject(ask, fault, text)
            continue
        book.accept(ask)
        book.add(ask, wanted.request, text, source=wanted.source, links=wanted.links)


def _scored(
    kept: Sequence[_Inverted], least: int, asking: Asking, book: Book
) -> Generator[Sequence[Ask], list[Outcome | None], list[_Inverted]]:
    """Those pairs that the writer gives the least score."""
    asks = [asking.of("score", SCORE.format(request=request, answer=start.text)) for start, _, request in kept]
    good = []
    for pair, ask, end in zip(kept, asks, (yield asks), strict=True):
        text = book.text(ask, end)
        if text is None:
            continue
        score = score_of(text)
        if score is None or score < least:
            book.reject(ask, "no score" if score is None else f"score below {least}", text)
            continue
        book.accept(ask)
        good.append(pair)
    return good


def _change(wanted: _Wanted, seed: int, round_number: int) -> str:
    random = Random(f"change {seed} {round_number} {wanted.request}")
    how = random.choice([*DEEPEN, "breadth"])
    if how == "breadth":
        return BREADTH.format(request=wanted.request)
    return EVOLVE.format(how=DEEPEN[how], request=wanted.request)

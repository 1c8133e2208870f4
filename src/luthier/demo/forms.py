"""How a page shows requests and their answers: marks, dialogues, letters, tables, worksheets, no mark at all.

A model that has seen requests in one form only does not find its knowledge in any other form. So the forms here are
many, and most of them are put together by chance from smaller parts. None has the marks of a chat format; some have
its shape, with names in brackets or before colons and one speaker a line.
"""

from collections.abc import Callable, Sequence
from random import Random

from luthier.demo.asking import Request
from luthier.demo.scenes import NAMES, and_list

_PAIRED_MARKS = (
    ("Q.", "A."), ("Q:", "A:"), ("Question:", "Reply:"), ("Question.", "Answer."), ("Ask:", "Say:"), (">>", "<<"),
    ("task =>", "result =>"), ("In:", "Out:"), ("Problem:", "Solution:"), ("P)", "S)"), ("Riddle:", "Key:"),
    ("call:", "back:"), ("?", "!"), ("Wanted:", "Found:"), ("To do:", "Done:"), ("Card front:", "Card back:"),
    ("Request:", "Response:"), ("Order:", "Result:"), ("Given work:", "My work:"), ("Ex.", "Sol."), ("{{", "}}"),
)  # fmt: skip
_ASK_WORDS = ("Question", "Task", "Item", "Exercise", "Problem", "Job", "Card", "Quiz", "No", "Part", "Test", "Round")
_ANSWER_WORDS = ("Answer", "Reply", "Result", "Solution", "Key", "Right", "Response", "Ans", "Said", "Back", "Then")
_ASK_SIGNS = (">>", ">", "*", "-", "+", "~", "?", "@", "%", "o", "==", "::", "...", "|")
_ANSWER_SIGNS = ("->", "=>", "=", "<<", ":", "--", "~>", "!", "|", "::", "=", "..")
_NUMBERINGS = ("#{i}", "{i}.", "{i})", "({i})", "[{i}]", "{w} {i}:", "{w} {i}.", "{w} #{i}", "{w} {i} -")
_GIVEN_WORDS = ("Text", "Read", "Here", "Given", "This", "Look", "Words", "Page", "Note", "About")
_ROLES = (
    ("Teacher", "Pupil"), ("Mother", "Child"), ("Captain", "Sailor"), ("Host", "Guest"), ("Judge", "Player"),
    ("Queen", "Page"), ("Boss", "Clerk"), ("Coach", "Team"), ("Old man", "Boy"), ("Fox", "Owl"), ("Buyer", "Seller"),
)  # fmt: skip


def options_shown(rng: Random, options: Sequence[str]) -> str:
    """The options in one of many forms, none of which is a template's."""
    form = rng.randrange(7)
    if form == 0:
        return f"({' / '.join(options)})"
    if form == 1:
        return f"Choose: {', '.join(options)}."
    if form == 2:
        return f"{', '.join(options[:-1])} or {options[-1]}?"
    if form == 3:
        return f"[{' | '.join(options)}]"
    if form == 4:
        return f"Take one of {and_list(options)}."
    if form == 5:
        return "\n".join(f"* {option}" for option in options)
    label = rng.choice(("Choices:", "Pick:", "Options", "Possible:"))
    return f"{label}\n" + "\n".join(f"- {option}" for option in options)


_LEADS = (
    "Hello there.", "Listen.", "I have a small question.", "This one is easy.", "Here is a hard one.",
    "One more thing.", "Excuse me.", "My brother could not do this.", "We talked about it in school today.",
    "Think first.", "Be quick.", "I asked this before.", "It is for my little sister.", "You know so much.",
    "So, next.", "Good morning to you.",
)  # fmt: skip
_TAILS = (
    "One word is enough.", "Thank you.", "Only the answer.", "Be short.", "I will wait.", "No more than that.",
    "You can do it.", "Nothing else, please.", "That is all I want.", "Thanks a lot.", "Say it in a few words.",
)  # fmt: skip


def _chatty(rng: Random, ask: str) -> str:
    """The request between words that change nothing, as people write them."""
    chance = rng.random()
    if chance < 0.12:
        return f"{rng.choice(_LEADS)} {ask}"
    if chance < 0.2:
        return f"{ask} {rng.choice(_TAILS)}"
    return ask


def asked(rng: Random, request: Request) -> str:
    """The request with its material before it, after it or around it, and its options last."""
    text = _chatty(rng, request.ask)
    if request.given:
        given = request.given
        quoted = rng.random()
        if quoted < 0.15:
            given = f'"{given}"'
        elif quoted < 0.35:
            given = f"{rng.choice(_GIVEN_WORDS)}: {given}"
        gap = rng.choice(("\n", "\n", " ", " ", "\n\n"))
        text = f"{given}{gap}{text}" if rng.random() < 0.55 else f"{text}{gap}{given}"
    if request.options:
        text = f"{text}{rng.choice((chr(10), ' '))}{options_shown(rng, request.options)}"
    return text


def _polished(rng: Random, answer: str) -> str:
    """The answer, now and then with a capital and a full stop."""
    if rng.random() < 0.12 and answer[0].islower() and answer[-1].isalpha():
        return f"{answer[0].upper()}{answer[1:]}."
    return answer


def _marks(rng: Random) -> tuple[str, str]:
    """A mark before requests and one before answers; "{i}" stands for the number of the request."""
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(_PAIRED_MARKS)
    if kind < 0.5:
        return f"{rng.choice(_ASK_WORDS)}:", f"{rng.choice(_ANSWER_WORDS)}:"
    if kind < 0.65:
        return rng.choice(_ASK_SIGNS), rng.choice(_ANSWER_SIGNS)
    if kind < 0.85:
        numbering = rng.choice(_NUMBERINGS).replace("{w}", rng.choice(_ASK_WORDS))
        return numbering, rng.choice((f"{rng.choice(_ANSWER_WORDS)}:", rng.choice(_ANSWER_SIGNS), "   "))
    left, right = rng.choice(("()", "[]", "<>", "{}"))
    return (f"{left}{rng.choice(_ASK_WORDS).lower()}{right}", f"{left}{rng.choice(_ANSWER_WORDS).lower()}{right}")


def marked(rng: Random, requests: Sequence[Request]) -> str:
    """Each request after one mark and each answer after another."""
    before, after = _marks(rng)
    inner = rng.choice(("\n", "\n", "\n", " ", "\n\n"))
    outer = rng.choice(("\n", "\n\n", "\n\n", "\n\n\n"))
    return outer.join(
        f"{before.replace('{i}', str(i))} {asked(rng, r)}{inner}{after} {_polished(rng, r.answer)}"
        for i, r in enumerate(requests, rng.choice((1, 1, 1, 4, 7)))
    )


def bare(rng: Random, requests: Sequence[Request]) -> str:
    """Request and answer on lines of their own, without any mark."""
    inner = rng.choice(("\n", "\n\n", " "))
    return rng.choice(("\n\n", "\n\n\n")).join(f"{asked(rng, r)}{inner}{_polished(rng, r.answer)}" for r in requests)


def dialogue(rng: Random, requests: Sequence[Request]) -> str:
    """Two named people: one asks and the other answers."""
    asker, answerer = rng.choice(_ROLES) if rng.random() < 0.4 else rng.sample(NAMES, 2)
    style = rng.choice(("{n}: ", "{n} - ", "{n}> ", "[{n}] ", "{n}:\n", "({n}) "))
    first, second = style.format(n=asker), style.format(n=answerer)
    lines = []
    for r in requests:
        lines += [f"{first}{asked(rng, r)}", f"{second}{_polished(rng, r.answer)}"]
        if rng.random() < 0.25:
            lines.append(f"{first}{rng.choice(('Thank you.', 'Right.', 'Very good.', 'Well done.', 'Yes.'))}")
    return rng.choice(("\n", "\n", "\n\n")).join(lines)


def narrated(rng: Random, requests: Sequence[Request]) -> str:
    """Speech inside a tale."""
    a, b = rng.sample(NAMES, 2)
    lines = []
    for r in requests:
        frame = rng.choice((
            '"{q}" asked {a}. "{r}," said {b}.', '{a} said: "{q}" {b} said: "{r}"',
            "{a} wrote: {q}\n{b} wrote back: {r}",
            "{a} wanted to know: {q} The answer of {b} was: {r}", "When {a} said: {q} {b} said at once: {r}",
            'Then came this. {q} And {b} replied "{r}".',
        ))  # fmt: skip
        lines.append(frame.format(a=a, b=b, q=asked(rng, r), r=r.answer))
    return "\n".join(lines)


def letters(rng: Random, requests: Sequence[Request]) -> str:
    """A letter that asks and a letter that answers."""
    a, b = rng.sample(NAMES, 2)
    hello, bye = rng.choice((("Dear", "Yours,"), ("Hello", "Bye,"), ("Hi", "Love,"), ("My dear", "Your friend")))
    parts = []
    for r in requests[:2]:
        parts.append(f"{hello} {b},\n{asked(rng, r)}\n{bye} {a}")
        parts.append(f"{hello} {a},\n{r.answer}\n{bye} {b}")
    return "\n\n".join(parts)


def worksheet(rng: Random, requests: Sequence[Request]) -> str:
    """All requests first, then all answers."""
    numbering = rng.choice(("{i}. ", "{i}) ", "({i}) ", "#{i} "))
    head = rng.choice(("Worksheet", "Homework", "Test", "For the class", "Practice", "Try these"))
    foot = rng.choice(("Answers", "Solutions", "Key", "Turn the page for the answers"))
    asks = [numbering.format(i=i) + asked(rng, r) for i, r in enumerate(requests, 1)]
    answers = [numbering.format(i=i) + r.answer for i, r in enumerate(requests, 1)]
    return "\n".join([head, *asks, foot, *answers])


def filled_in(rng: Random, requests: Sequence[Request]) -> str:
    """One line each: the answer stands right behind the request."""
    mark = rng.choice((" -> ", " = ", ": ", " => ", " | ", "\t", " ... ", " -- ", " (", " [", ' "'))
    close = {" (": ")", " [": "]", ' "': '"'}.get(mark, "")
    return "\n".join(f"{asked(rng, r)}{mark}{r.answer}{close}" for r in requests)


def quiz_show(rng: Random, requests: Sequence[Request]) -> str:
    """A host asks, someone answers, the host goes on."""
    lines = [rng.choice(("Welcome to the quiz.", "Here is the show.", "Let us play.", "The game begins."))]
    for i, r in enumerate(requests, 1):
        who = rng.choice(NAMES)
        lead = rng.choice(("Round {i}.", "Now for {n}.", "{n}, listen.", "The next one.")).format(i=i, n=who)
        lines.append(f"{lead} {asked(rng, r)}")
        reply = rng.choice(("{n}: {r}", "{n} says: {r}", "It is: {r}", "{r}", "The card says: {r}"))
        lines.append(reply.format(n=who, r=r.answer))
    return "\n".join(lines)


def board(rng: Random, requests: Sequence[Request]) -> str:
    """Posts on a board with their replies."""
    parts = []
    for r in requests:
        a, b = rng.sample(NAMES, 2)
        top, reply = rng.choice((
            ("posted by {a}", "reply by {b}"), ("From: {a}", "From: {b}"), ("{a} asks", "{b} answers"),
            ("[{a}, 9:15]", "[{b}, 9:20]"), ("@{b}", "@{a}"), ("note to {b}", "note to {a}"),
        ))  # fmt: skip
        parts.append(f"{top.format(a=a, b=b)}\n{asked(rng, r)}\n{reply.format(a=a, b=b)}\n{_polished(rng, r.answer)}")
    return "\n\n".join(parts)


FORMS: Sequence[tuple[Callable[[Random, Sequence[Request]], str], int]] = (
    (marked, 44), (bare, 12), (dialogue, 14), (narrated, 7), (letters, 5), (worksheet, 3), (filled_in, 6),
    (quiz_show, 4), (board, 5),
)  # fmt: skip
"""The forms and how often each is used, relative to the others."""

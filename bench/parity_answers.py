"""Answers made to follow, or just to miss, the instructions of a prompt: real text, bent at the places that matter.

Each instruction of a prompt is met or missed with even odds, and where a number is asked for, mostly by one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from bench.parity_languages import SENTENCES

Arguments = Mapping[str, Any]
Bend = Callable[[Random, str, Arguments, bool], str]

ODD_SENTENCES = (
    "Dr. Smith met Mrs. Jones at 5 p.m. in the U.S. last year.", '"Stop!" he said.', "Is it so? Yes!",
    "It costs approx. 3.50 dollars.", "Wait... what?", "E.g. this one, i.e. the first.",
    "WELL-KNOWN NASA didn't answer.",
    "J. R. R. Tolkien wrote it.", "We saw cats, dogs, etc. on the way.", "I AM HERE.", "See No. 5 (and Fig. 2).",
)  # fmt: skip


class Source(NamedTuple):
    """Real text to make answers of."""

    sentences: Sequence[str]
    words: Sequence[str]


def source_of(texts: Sequence[str]) -> Source:
    """The sentences (cut by a plain rule) and words of some texts."""
    pieces = [piece.strip() for text in texts for piece in re.split(r"(?<=[.!?])\s+|\n+", text)]
    kept = [piece for piece in pieces if 20 < len(piece) < 200 and piece.isascii() and piece[0].isupper()]
    return Source(kept, [word for text in texts for word in text.split() if word.isascii()])


def answer(rng: Random, source: Source, row: Arguments) -> str:
    """An answer to a row of IFEval."""
    text = " ".join(_sentences(rng, source, rng.randint(2, 12)))
    asked = zip(row["instruction_id_list"], row["kwargs"], strict=True)
    for name, arguments in sorted(asked, key=lambda pair: ORDER.index(pair[0].removeprefix("en:"))):
        bend = BENDS[name.removeprefix("en:")]
        text = bend(rng, text, {**arguments, "source": source, "prompt": row["prompt"]}, rng.random() < 0.5)
    if rng.random() < 0.1:
        text = rng.choice(("Sure, here it is:\n\n{}", "{}\n\nHope that helps!", "**{}**", "  {}\n", "Here:\n{}\nBye"))\
            .replace("{}", text)  # fmt: skip
    return text if rng.random() > 0.005 else rng.choice(("", " \n"))


def _sentences(rng: Random, source: Source, count: int) -> list[str]:
    return [rng.choice(ODD_SENTENCES) if rng.random() < 0.08 else rng.choice(source.sentences) for _ in range(count)]


def _aim(rng: Random, arguments: Arguments, count: str, relation: str | None, want: bool) -> int:
    """A number at the bound, or just beyond it on the side that was asked for."""
    bound = int(arguments[count])
    by = rng.choice((1, 1, 1, 2, 5))
    if relation is None:
        return bound if want else max(0, bound + rng.choice((-by, by)))
    is_above = want == (arguments[relation] == "at least")
    return bound + rng.choice((0, 0, by)) if is_above else max(0, bound - by)


def _insert(rng: Random, text: str, piece: str) -> str:
    words = text.split(" ")
    words.insert(rng.randint(0, len(words)), piece)
    return " ".join(words)


def _without(text: str, phrase: str) -> str:
    return re.sub(re.escape(phrase), "thing", text, flags=re.IGNORECASE)


def _parts(rng: Random, arguments: Arguments, count: int) -> list[str]:
    return [" ".join(_sentences(rng, arguments["source"], rng.randint(1, 3))) for _ in range(count)]


def _existence(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    for keyword in arguments["keywords"]:
        text = _insert(rng, text, rng.choice((keyword, keyword, keyword.upper(), keyword + "s", "un" + keyword)))
    return text if want else _without(text, rng.choice(arguments["keywords"]))


def _frequency(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    text = _without(text, arguments["keyword"])
    for _ in range(_aim(rng, arguments, "frequency", "relation", want)):
        text = _insert(rng, text, rng.choice((arguments["keyword"], arguments["keyword"].title() + ",")))
    return text


def _forbidden(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    word = rng.choice(arguments["forbidden_words"])
    shape = rng.choice(("pre{}", "{}s", "{}_")) if want else rng.choice(("{}", "{},", "({})", "{}'s", "re-{}"))
    if want:
        for each in arguments["forbidden_words"]:
            text = re.sub(rf"\b{re.escape(each)}\b", "thing", text, flags=re.IGNORECASE)
    return _insert(rng, text, shape.format(rng.choice((word, word.upper()))))


def _letters(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    letter = arguments["letter"]
    text = re.sub(re.escape(letter), "", text, flags=re.IGNORECASE)
    for _ in range(_aim(rng, arguments, "let_frequency", "let_relation", want)):
        at = rng.randint(0, len(text))
        text = text[:at] + rng.choice((letter, letter.upper())) + text[at:]
    return text


def _language(rng: Random, _: str, arguments: Arguments, want: bool) -> str:
    near = {"hi": "mr", "mr": "hi", "ne": "hi", "bg": "ru", "ru": "uk", "ur": "ar", "fa": "ar", "pt": "es"}
    code = arguments["language"] if want else rng.choice(("en", near.get(arguments["language"], "de"), "fr"))
    return " ".join(rng.choice(SENTENCES[code]) for _ in range(rng.randint(1, 3)))


def _num_sentences(rng: Random, _: str, arguments: Arguments, want: bool) -> str:
    pieces = _sentences(rng, arguments["source"], _aim(rng, arguments, "num_sentences", "relation", want))
    return rng.choice((" ", " ", "\n\n", "\n* ")).join(pieces) or "Yes"


def _num_words(rng: Random, _: str, arguments: Arguments, want: bool) -> str:
    words, start = arguments["source"].words, rng.randrange(10_000)
    bound = int(arguments["num_words"])
    most = bound + rng.choice((0, 1, 10)) if want == (arguments["relation"] == "at least") else bound - 1
    taken: list[str] = []
    count = 0
    while count < most:
        word = words[start + len(taken)]
        count += len(re.findall(r"\w+", word))
        taken.append(word)
    return " ".join(taken[: -1 if count > most and most < bound else None])


def _paragraphs(rng: Random, _: str, arguments: Arguments, want: bool) -> str:
    parts = _parts(rng, arguments, _aim(rng, arguments, "num_paragraphs", None, want))
    if rng.random() < 0.1:
        parts.insert(rng.randint(0, len(parts)), "")
    if rng.random() < 0.1 and parts:
        parts[0] = f"***{parts[0]}***"
    return rng.choice(("\n\n***\n\n", "\n***\n", " *** ", "\n\n***\n\n", "\n******\n")).join(parts)


def _nth_paragraph(rng: Random, _: str, arguments: Arguments, want: bool) -> str:
    by = 0 if rng.random() < 0.9 else rng.choice((-1, 1))
    parts = _parts(rng, arguments, int(arguments["num_paragraphs"]) + by)
    at = int(arguments["nth_paragraph"]) - 1
    if want and at < len(parts):
        odd = ("{}'s way", "**{}** is", "{}: it", "{}-like is", "({}) is")
        shape = rng.choice(odd if rng.random() < 0.15 else ("{} is", "{}, then", '"{}" is', "{}"))
        word = rng.choice((arguments["first_word"], arguments["first_word"].title()))
        parts[at] = f"{shape.format(word)} {parts[at]}"
    return rng.choice(("\n\n\n", "\n \n", "\n\n\n\n") if rng.random() < 0.1 else ("\n\n",)).join(parts)


def _placeholders(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    for _ in range(int(arguments["num_placeholders"]) - (not want)):
        text = _insert(rng, text, rng.choice(("[name]", "[your address]", "[Date]:")))
    return _insert(rng, text, rng.choice(("", "", "", "[]", "[ ]", "[here](https://example.org)", "[[x]]", "[a\nb]")))


def _postscript(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    marker = arguments["postscript_marker"]
    right = (f"{marker} Call me.", f"{marker}: call me", f"**{marker}** Call me.", f"{marker.lower()} call me",
             f"{marker}. x")  # fmt: skip
    wrong = ("", "PS Call me.", "P.P.S. Call me.", "P.S. Call me.", marker, "Postscript: call me", "P. S. Call me.")
    return text + rng.choice(("\n\n", "\n", " ")) + rng.choice(right if want else wrong)


def _bullets(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    count = _aim(rng, arguments, "num_bullets", None, want)
    sign = rng.choice(("*", "  * ", "+ ", "-") if rng.random() < 0.1 else ("* ", "- "))
    lines = [sign + each for each in _sentences(rng, arguments["source"], count)]
    odd = rng.choice(("---", "*Note:* this.", "**Bold** line", "* * *", "-5 degrees")) if rng.random() < 0.1 else ""
    return "\n".join([text, *lines, odd])


def _constrained(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    options = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
    wrong = ("my answer is no.", "My answer is yes", "Yes.", "My answer is yes. My answer is no.")
    said = rng.choice(options if want else wrong)
    return rng.choice((said, f"{said} {text}", f"**{said}**", f"{text}\n{said}"))


def _highlights(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    for _ in range(int(arguments["num_highlights"]) - (not want)):
        text = _insert(rng, text, rng.choice(("*some part*", "**some part**", "*part*,")))
    return _insert(rng, text, rng.choice(("", "", "", "", "***part***", "** **", "2 * 3 * 4", "* part *", "*a\nb*")))


def _sections(rng: Random, _: str, arguments: Arguments, want: bool) -> str:
    splitter, count = arguments["section_spliter"], int(arguments["num_sections"]) - (not want)
    parts = [f"{splitter} {number + 1}{rng.choice((':', '', ' -'))}\n{each}"
             for number, each in enumerate(_parts(rng, arguments, count))]  # fmt: skip
    odd = ("", "", "", "", f"(see {splitter} 1)", f"sub{splitter} 9", f"{splitter.lower()} 9", f"{splitter} A")
    return _insert(rng, rng.choice(("\n\n", "\n", " ")).join(parts), rng.choice(odd))


def _json(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    value = rng.choice(({"answer": text}, [text], {"a": {"b": [1, None]}, "c": text}))
    body = json.dumps(value, indent=rng.choice((None, 1)))
    if not want:
        body = rng.choice((body[:-1], body.replace('"', "'"), text, body + "\nDone.", '{"a": NaN}'))
    if not want and rng.random() < 0.5:
        return body
    fences = ("{}", "```json\n{}\n```", "```\n{}\n```", "```JSON\n{}```", "```python\n{}\n```")
    return rng.choice(fences).replace("{}", body)


def _title(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    right = ("<<A poem>>", "<< Joy >>", "# <<Joy>>", "<<<Joy>>>")
    wrong = ("", "<Joy>", "<<>>", "<< >>", "<<Joy", "<<Jo\ny>>")
    return rng.choice(right if want else wrong) + "\n" + text


def _two(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    other = " ".join(_sentences(rng, arguments["source"], 3))
    right = (f"{text}\n******\n{other}", f"{text}******{other}", f"******\n{text}\n******\n{other}\n******")
    wrong = (text, f"{text}\n******\n{text}", f"{text}\n***\n{other}", f"{text}\n******\n{other}\n******\nThird.",
             f"{text}\n*******\n{other}", f"{text}\n******\n******\n{other}",
             f"{text}\n******\n{text.upper()}")  # fmt: skip
    return rng.choice(right if want else wrong)


def _repeat(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    request = arguments["prompt_to_repeat"]
    right = (f"{request}\n\n{text}", f" {request} {text}", request.upper() + "\n" + text, request)
    wrong = (f"Sure! {request}\n{text}", text, request[:-3] + "\n" + text, f'"{request}"\n{text}')
    return rng.choice(right if want else wrong)


def _end(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    phrase = arguments["end_phrase"]
    right = (f"{text} {phrase}", f"{text}\n{phrase}\n", f'"{text} {phrase}"', f"{text} {phrase.upper()}",
             f"{text}{phrase}")  # fmt: skip
    return rng.choice(right if want else (text, f"{text} {phrase} Bye.", f"{text} {phrase[:-1]}", f"{text} *{phrase}*"))


def _quotation(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    right = (f'"{text}"', f' "{text}"\n', f'"{text}"')
    return rng.choice(right if want else (text, f'"{text}', f"'{text}'", f"\u201c{text}\u201d", f'"{text}" Bye', '""'))


def _capital_words(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    text = re.sub(r"\b[A-Z]+\b", "one", text)
    for _ in range(_aim(rng, arguments, "capital_frequency", "capital_relation", want)):
        text = _insert(rng, text, rng.choice(("NASA", "GREAT", "WELL-KNOWN", "VERY", "COVID-19", "YES,")))
    return _insert(rng, text, rng.choice(("", "", "", "", "DON'T", "HE/SHE", "A", "(OK)")))


def _capitals(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    upper = text.upper()
    return upper if want else rng.choice((text, upper[:-8] + upper[-8:].lower(), SENTENCES["de"][0].upper(), "12345"))


def _small(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    lower = text.lower()
    wrong = (text, lower[:-8] + lower[-8:].upper() + "X", SENTENCES["fr"][0].lower(), "12345")
    return lower if want else rng.choice(wrong)


def _commas(rng: Random, text: str, arguments: Arguments, want: bool) -> str:
    free = text.replace(",", "")
    return free if want else _insert(rng, free, rng.choice(("so,", "1,000", ",", "\uff0c", "\u060c")))


ORDER = (
    "length_constraints:number_words", "length_constraints:number_sentences", "length_constraints:number_paragraphs",
    "length_constraints:nth_paragraph_first_word", "detectable_format:multiple_sections", "language:response_language",
    "keywords:letter_frequency", "keywords:existence", "keywords:frequency", "keywords:forbidden_words",
    "detectable_content:number_placeholders", "detectable_format:number_highlighted_sections",
    "change_case:capital_word_frequency", "detectable_format:number_bullet_lists",
    "detectable_format:constrained_response", "detectable_format:title", "detectable_content:postscript",
    "combination:two_responses", "punctuation:no_comma",
    "change_case:english_capital", "change_case:english_lowercase", "detectable_format:json_format",
    "combination:repeat_prompt", "startend:end_checker", "startend:quotation",
)  # fmt: skip
"""What is done to the whole of an answer comes last."""
BENDS: Mapping[str, Bend] = dict(zip(ORDER, (
    _num_words, _num_sentences, _paragraphs, _nth_paragraph, _sections, _language, _letters, _existence, _frequency,
    _forbidden, _placeholders, _highlights, _capital_words, _bullets, _constrained, _title, _postscript, _two, _commas,
    _capitals, _small, _json, _repeat, _end, _quotation,
), strict=True))  # fmt: skip

"""Near-duplicates planted in real rows, rows that look near and are not, and what a search made of them.

A planted near-duplicate is a row in which 1 to 3 *ordinary* words are replaced, left out or followed by another one. A
word is ordinary if the row says the same without it, as far as a rule can tell:

- it is of letters only, at least three, and none of a list of negations, numbers and words that have an opposite;
- it is in the prompt, or in an answer of at least 12 words: of fewer, each may be the answer, and two answers to one
  prompt are a conflict, which is reported and never merged;
- it is not in the question of a row whose answer has less than 8 words: another word there is another question ("Is
  Paris large?", "Is Rome large?"), and the answer does not tell. Of a prompt of less than 25 words all is question;
  else a sentence that ends with "?" and a short rest behind it, or a short last line behind an instruction;
- it does not stand in a slot: a place where rows have, between the same three words before and behind it, at least four
  different words, none of them in nearly all of those rows. What stands there is what the row is about ("Peru").

Distinct rows are counted as wrongly dropped when a search puts them into one group. They are: all real rows, of which
those that are near by themselves were taken away before (see `without_near`); rows with one word changed that is a
number, a negation or one of two opposites; and rows made from templates, which differ in their slots alone.

Precision is the share of right ones among all merges. All of this is computed by plain loops over words, with none of
the code that is measured.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple

WORD = re.compile(r"\w+|[-+*/=<>%^]")
NOT_ORDINARY = frozenset((
    "no", "not", "never", "none", "nobody", "nothing", "neither", "nor", "nowhere", "cannot", "without", "except",
    "unless", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "twenty", "thirty", "forty", "fifty", "hundred", "thousand", "million", "billion", "half", "twice",
    "double", "triple", "dozen", "first", "second", "third", "fourth", "fifth", "more", "less", "most", "least",
    "many", "few", "before", "after", "last", "always", "true", "false", "yes", "left", "right", "increase",
    "decrease", "maximum", "minimum", "highest", "lowest", "higher", "lower", "high", "low", "largest", "smallest",
    "larger", "smaller", "large", "small", "long", "short", "best", "worst", "better", "worse", "good", "bad",
    "positive", "negative", "correct", "incorrect", "above", "below", "over", "under", "same", "different", "she",
    "her", "his", "him", "man", "woman", "men", "women", "old", "new", "hot", "cold", "early", "late", "and", "but",
))  # fmt: skip
OPPOSITES = (("before", "after"), ("more", "less"), ("first", "last"), ("largest", "smallest"), ("always", "never"),
             ("true", "false"), ("positive", "negative"), ("high", "low"), ("correct", "incorrect"))  # fmt: skip
LONG_ANSWER = 8
TELLING_ANSWER, SHINGLE, LONG, MOST_EDITS, WORDS_PER_EDIT = 12, 5, 25, 3, 8
CONTEXT, SLOT_FILLERS, COMMONEST = 3, 4, 0.8
NEAR_JACCARD = 0.7
BANDS = ("the same", "near by shingles", "near by words", "under 25 words")
QUESTION_WORDS = 8


class Row(NamedTuple):
    """One row: what all rows of its task say, what it asks, and the answer."""

    instruction: str
    question: str
    answer: str

    @property
    def prompt(self) -> str:
        """Instruction and question."""
        return self.instruction + self.question

    @property
    def words(self) -> list[str]:
        """Of prompt and answer, in lower case."""
        return words_of(f"{self.prompt}\n{self.answer}")


class Plant(NamedTuple):
    """A near-duplicate and the number of the row that it was made of."""

    original: int
    row: Row


class Score(NamedTuple):
    """What a search found."""

    recall: dict[str, tuple[int, int]]
    """By band: found, planted."""
    wrong: int
    """Merges of rows that are distinct."""
    wrong_groups: list[list[int]]
    """The different originals in each group that has several."""

    @property
    def precision(self) -> float:
        """Share of right merges."""
        found = sum(hits for hits, _ in self.recall.values())
        return found / max(found + self.wrong, 1)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, and signs of arithmetic."""
    return WORD.findall(text.casefold())


def real_rows(data: Path, *, definitions: bool = True) -> list[Row]:
    """Super-NaturalInstructions, with or without the definitions of its tasks, and dolly: rows that differ in words."""
    tasks = {task["task"]: task for task in json.loads((data / "superni" / "tasks.json").read_text(encoding="utf-8"))}
    rows = []
    with gzip.open(data / "superni" / "instances.jsonl.gz", "rt", encoding="utf-8") as file:
        for item in map(json.loads, file):
            instruction = tasks[item["task"]]["definition"].strip() + "\n\n" if definitions else ""
            rows.append(Row(instruction, item["input"], item["output"][0] if item["output"] else ""))
    with gzip.open(data / "dolly" / "dolly_15k.jsonl.gz", "rt", encoding="utf-8") as file:
        rows += [Row("", f"{item['instruction']}\n{item['context']}".strip(), item["response"])
                 for item in map(json.loads, file)]  # fmt: skip
    return list({(tuple(words_of(row.prompt)), tuple(words_of(row.answer))): row for row in rows}.values())


def without_near(rows: Sequence[Row]) -> list[Row]:
    """The rows without those that are near an earlier one: with the same answer, numbers and negations, and a question
    that is near by its shingles or, where shorter, by at most three words and one in four; or with the same answer to
    the same question of at least eight words, in whatever words the task is put."""
    buckets: defaultdict[tuple[object, ...], list[tuple[list[str], Counter[str]]]] = defaultdict(list)
    kept, asked = [], set()
    for row in rows:
        question = words_of(row.question)
        whole = tuple(question), tuple(words_of(row.answer))
        if len(question) >= QUESTION_WORDS and whole in asked:
            continue
        asked.add(whole)
        strict = tuple(word for word in question if not word.isalpha() or word in NOT_ORDINARY)
        some = buckets[row.instruction, tuple(words_of(row.answer)), strict]
        counts = Counter(question)
        if not any(_is_near(question, counts, *other) for other in some):
            kept.append(row)
            some.append((question, counts))
    return kept


def _is_near(one: list[str], one_counts: Counter[str], other: list[str], other_counts: Counter[str]) -> bool:
    shorter = min(len(one), len(other))
    apart = max((one_counts - other_counts).total(), (other_counts - one_counts).total())
    if shorter >= LONG and apart <= shorter // 2 and similarity(one, other) >= NEAR_JACCARD:
        return True
    return apart <= min(MOST_EDITS, shorter // 4)


def similarity(one: Sequence[str], other: Sequence[str]) -> float:
    """The true Jaccard similarity of the sets of runs of five words; 0 where there are none."""
    left, right = ({tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)} for words in (one, other))
    return len(left & right) / max(len(left | right), 1)


def plant(rows: Sequence[Row], count: int, rng: Random, *, least: int = LONG, most: int = 10**9) -> list[Plant]:
    """Near-duplicates of at most `count` rows that have at least `least` and less than `most` words.

    In rows of less than 25 words, one word in eight is changed at most.
    """
    vocabulary = sorted({word for row in rng.sample(rows, min(len(rows), 3_000)) for word in words_of(row.question)
                         if 3 <= len(word) <= 9 and _is_ordinary(word)})  # fmt: skip
    order = (i for i in rng.sample(range(len(rows)), len(rows)) if least <= len(rows[i].words) < most)
    drawn = list(islice(((i, sites) for i in order if len(sites := _sites(rows[i])) >= MOST_EDITS), 3 * count))
    slots = _slots(rows, [site for _, sites in drawn for site in sites])
    plants: list[Plant] = []
    for number, sites in drawn:
        free = [site for site in sites if site.key not in slots]
        edits = rng.randint(1, MOST_EDITS)
        size = len(rows[number].words)
        edits = edits if size >= LONG else min(edits, max(1, len(words_of(rows[number].prompt)) // WORDS_PER_EDIT))
        if len(free) >= max(edits, 3) and len(plants) < count:
            row = _edited(rows[number], rng.sample(free, edits), vocabulary, rng)
            if row.words != rows[number].words:
                plants.append(Plant(number, row))
    return plants


class _Site(NamedTuple):
    """A word of a row that may be changed: side (0 prompt, 1 answer), place among the pieces, and its context."""

    side: int
    place: int
    key: tuple[str, ...]


def _pieces(text: str) -> list[str]:
    """Words and what is between them, in turn; the odd ones are words."""
    return re.split(r"(\w+|[-+*/=<>%^])", text)


def _is_ordinary(word: str) -> bool:
    return len(word) >= 3 and word.isascii() and word.isalpha() and word.casefold() not in NOT_ORDINARY


def _contexts(words: Sequence[str]) -> list[tuple[str, ...]]:
    padded = ["^"] * CONTEXT + list(words) + ["$"] * CONTEXT
    return [(*padded[i : i + CONTEXT], *padded[i + CONTEXT + 1 : i + 2 * CONTEXT + 1]) for i in range(len(words))]


def _asked(row: Row) -> tuple[int, int]:
    """The words of the prompt that are the question of a row with a short answer, first and one after the last."""
    size = len(_pieces(row.prompt)[1::2])
    if len(words_of(row.answer)) >= LONG_ANSWER:
        return 0, 0
    if size < LONG:
        return 0, size
    text = row.prompt.strip()
    line, last = text.split("\n")[0].strip(), text.rfind("?")
    if "\n" in text and line.endswith("?") and not text.endswith("?"):
        return 0, len(_pieces(line)[1::2])
    if last >= 0:
        begin = max(text.rfind(mark, 0, last) for mark in (". ", "! ", "? ", "\n")) + 1
        end = len(text) if len(text[last:].split()) <= LONG else last + 1
    else:
        begin, end = text.rfind("\n") + 1, len(text)
        if begin == 0 or len(text[begin:].split()) > LONG:
            return 0, 0
    return len(_pieces(text[:begin])[1::2]), len(_pieces(text[:end])[1::2])


def _sites(row: Row) -> list[_Site]:
    sites = []
    first, last = _asked(row)
    for side, text in enumerate((row.prompt, row.answer)):
        words = _pieces(text)[1::2]
        if side == 1 and len(words) < TELLING_ANSWER:
            continue
        contexts = _contexts([word.casefold() for word in words])
        sites += [_Site(side, 2 * i + 1, key) for i, (word, key) in enumerate(zip(words, contexts, strict=True))
                  if _is_ordinary(word) and "'" not in _pieces(text)[2 * i + 2][:1]
                  and not (side == 0 and first <= i < last)]  # fmt: skip
    return sites


def _slots(rows: Sequence[Row], sites: Iterable[_Site]) -> set[tuple[str, ...]]:
    """The contexts of the sites in which rows have several different words."""
    fillers: dict[tuple[str, ...], Counter[str]] = {site.key: Counter() for site in sites if site.side == 0}
    for row in rows:
        words = words_of(row.prompt)
        for word, key in zip(words, _contexts(words), strict=True):
            if key in fillers:
                fillers[key][word] += 1
    return {key for key, counts in fillers.items()
            if len(counts) >= SLOT_FILLERS and max(counts.values()) < COMMONEST * counts.total()}  # fmt: skip


def _edited(row: Row, sites: Sequence[_Site], vocabulary: Sequence[str], rng: Random) -> Row:
    pieces = [_pieces(row.prompt), _pieces(row.answer)]
    for side, place, _ in sites:
        old, new = pieces[side][place], rng.choice(vocabulary)
        pieces[side][place] = rng.choice((new, new, "", f"{old} {new}"))
    return Row("", *("".join(some) for some in pieces))


def copies(rows: Sequence[Row], count: int, rng: Random) -> list[Plant]:
    """Rows that a reader cannot tell from others: other line ends, more blanks."""
    found = []
    for number in rng.sample(range(len(rows)), count):
        row, end = rows[number], rng.choice(("", " ", "\n", "\r\n"))
        prompt = row.prompt.replace("\n", "\r\n") if rng.random() < 0.5 else row.prompt.replace(" ", "  ", 1)
        found.append(Plant(number, Row("", prompt + end, f" {row.answer}" if rng.random() < 0.5 else row.answer)))
    return found


def questions(data: Path) -> list[tuple[str, str]]:
    """The different test questions of gsm8k and of the tasks of BIG-Bench Hard, each with a name."""
    with gzip.open(data / "gsm8k" / "test.jsonl.gz", "rt", encoding="utf-8") as file:
        found = [(f"gsm8k:{number}", json.loads(line)["question"]) for number, line in enumerate(file)]
    for path in sorted((data / "bbh").glob("*.json")):
        items = json.loads(path.read_text(encoding="utf-8"))["examples"]
        found += [(f"{path.stem}:{number}", item["input"]) for number, item in enumerate(items)]
    # A question that a suite repeats is one question.
    firsts = {(name.rpartition(":")[0], tuple(words_of(text))): (name, text) for name, text in reversed(found)}
    return list(firsts.values())[::-1]


def leak(
    texts: Sequence[str], asked: Sequence[tuple[str, str]], count: int, rng: Random
) -> tuple[list[str], dict[int, str]]:
    """The texts, of which `count` now hold a question of at least eight words, and which question by their number."""
    held, found = list(texts), {}
    long = [question for question in asked if len(words_of(question[1])) >= QUESTION_WORDS]
    for number in rng.sample(range(len(texts)), count):
        name, question = rng.choice(long)
        held[number] = rng.choice((question, f"{held[number]}\n\n{question}", f"{question} {held[number]}",
                                   f"Solve this one for me: {question} Thanks! {held[number]}"))  # fmt: skip
        found[number] = name
    return held, found


def distinct(rows: Sequence[Row], count: int, rng: Random) -> list[Row]:
    """Rows with one word changed that makes another row: a number, a negation, or one of two opposites."""
    found: list[Row] = []
    for row in rng.sample(rows, len(rows)):
        text = row.question
        changes = [(m.start(), m.end(), str(int(m[0]) + rng.randint(1, 9))) for m in re.finditer(r"\b\d{1,6}\b", text)]
        changes += [(m.end(), m.end(), " not") for m in re.finditer(r"\b(?:is|are|was|can|does|will)\b", text)]
        for pair in OPPOSITES:
            for old, new in (pair, pair[::-1]):
                changes += [(m.start(), m.end(), new) for m in re.finditer(rf"\b{old}\b", text)]
        if changes and len(found) < count:
            start, end, new = rng.choice(changes)
            found.append(Row(row.instruction, text[:start] + new + text[end:], row.answer))
    return found


def score(rows: Sequence[Row], plants: Sequence[Plant], others: Sequence[Row], group: Sequence[int]) -> Score:
    """What a search made of rows, plants and other distinct rows, in this order: `group` says which are one."""
    first = len(rows)
    recall = dict.fromkeys(BANDS, (0, 0))
    origin = list(range(first + len(plants) + len(others)))
    for number, planted in enumerate(plants):
        origin[first + number] = planted.original
        original = rows[planted.original].words
        is_near = similarity(original, planted.row.words) >= NEAR_JACCARD
        band = BANDS[0] if planted.row.words == original else BANDS[3] if len(original) < LONG else BANDS[2 - is_near]
        hits, total = recall[band]
        recall[band] = hits + (group[first + number] == group[planted.original]), total + 1
    together: defaultdict[int, set[int]] = defaultdict(set)
    for number, name in enumerate(group):
        together[name].add(origin[number])
    wrong = [sorted(some) for some in together.values() if len(some) > 1]
    return Score(recall, sum(len(some) - 1 for some in wrong), wrong)


THINGS = ("phone", "camera", "laptop", "book", "film", "hotel", "jacket", "chair", "lamp", "kettle", "song", "game",
          "printer", "watch", "bike", "sofa")  # fmt: skip
PEOPLE = ("Tom", "Anna", "John", "Mary", "Peter", "Lucy", "Omar", "Ivan", "Sara", "Ben", "Kate", "Raj", "Leo", "Zoe",
          "Max", "Eva")  # fmt: skip
PLACES = ("France", "Spain", "Italy", "Poland", "Norway", "Sweden", "Greece", "Egypt", "Kenya", "Ghana", "Peru",
          "Chile", "Japan", "China", "India", "Nepal")  # fmt: skip
CITIES = ("Paris", "Madrid", "Rome", "Warsaw", "Oslo", "Stockholm", "Athens", "Cairo", "Nairobi", "Accra", "Lima",
          "Santiago", "Tokyo", "Beijing", "Delhi", "Pokhara")  # fmt: skip
LIKES = ("love", "adore", "enjoy", "like")
INSTRUCTION = (
    "You are given a sentence that a person wrote about a thing of theirs. Decide whether they are happy with the thing"
    " and say so with one of the words positive and negative, without any explanation. Sentence: "
)
TEMPLATES: dict[str, list[Row]] = {
    "capitals": [Row("", f"What is the capital of {place}?", city)
                 for place, city in zip(PLACES, CITIES, strict=True)],
    "six capitals": [Row("", f"Name the capital of {place}.", "a city") for place in PLACES[:6]],
    "sums": [Row("", f"What is {a} + {b}?", str(a + b)) for a in range(25) for b in range(25)],
    "products and sums": [Row("", f"Work out 6 {sign} {a}.", "12") for sign in "+-*/" for a in range(9)],
    "questions of two slots": [Row("", f"Is {city} in {place}?", "no") for place in PLACES for city in CITIES],
    "the same numbers": [Row("", f"{one} has 12 apples and gives 5 of them to {other}. How many are left?", "7")
                         for one in PEOPLE for other in PEOPLE if one != other],
    "steps": [Row("", f"Take {a} steps left. Take {b} steps right. Are you back?", "yes" if a == b else "no")
              for a in range(15) for b in range(15)],
    "short texts": [Row("", f"Classify: I {verb} this {thing}.", "positive") for verb in LIKES for thing in THINGS],
    "short texts, long instruction": [Row(INSTRUCTION, f"I {verb} this {thing}.", "positive")
                                      for verb in LIKES for thing in THINGS],
    "long answers": [Row("", f"Tell me about {place}.", f"{place} is a country with a long history. Its capital is"
                         f" {city}, where most people arrive; the food is good and the people are kind.")
                     for place, city in zip(PLACES, CITIES, strict=True)],
    "larger of two": [Row("", f"Is {one} larger than {other}?", "no")
                      for one in PLACES for other in PLACES if one != other],
    "options": [Row("", f"Which of these may one {verb}?\n(A) a {one}\n(B) a {other}\nAnswer with the letter.", "A")
                for verb in ("buy", "eat") for one in THINGS[:8] for other in THINGS[8:]],
}  # fmt: skip
"""Rows that differ by design, in what their template leaves open. None of them is a duplicate of another."""

"""What a candidate pair is: near-duplicates, a conflict, or two rows that differ as rows do."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from luthier.similarity.alike import Surplus, edits, same_words, shingle_similarity, surpluses, trimmed
from luthier.similarity.ragged import Codes, Counts, Flags, Ragged, Unsigned, pick, run_hashes, spread
from luthier.similarity.sharing import LONG_WORDS, MOST_EDITS, SHINGLE_WORDS
from luthier.similarity.sketch import LEAST_QUESTIONED, Rows
from luthier.similarity.words import codes_of, is_in, word_codes

WORDS_PER_EDIT = 4
"""Words of a prompt for each that may differ."""
WORDS_PER_TOLD_EDIT = 2
"""The same where the answer tells the row from others: rows with such an answer in common are one row twice."""
WORDS_PER_ALIKE_EDIT = 16
"""The same where more words differ than in an edit, shingles are alike and the answer does not tell."""
TELLING_WORDS = 12
"""From so many words on, an answer that few rows have tells its row from others."""
WORDS_PER_LABELLED_EDIT = 10
"""The same where the answer is a label."""
WORDS_PER_ANSWER_EDIT = 6
LEAST_ANSWER = 8
"""Words of an answer from which on one in WORDS_PER_ANSWER_EDIT may differ; in fewer, each word may be the answer."""
WORDS_PER_CONFLICT_EDIT = 16
"""The same for prompts that are reported because their answers differ."""
LEAST_COMMON = 1 / 3
"""Of the words between the first and the last difference of two prompts whose shingles are alike, so many must be
common: else the one is the other's template with another filling."""
LABEL_ROWS = 8
"""An answer of so many rows is a label: that two rows share it says nothing about them."""
FUNCTION_WORDS = (
    "a", "an", "the", "is", "are", "was", "were", "be", "been", "am", "it", "its", "this", "that", "there", "so",
    "just", "also", "well", "please", "very", "answer", "of",
)  # fmt: skip
"""Words without which a short answer says the same."""
QUESTION_WORDS = (
    "an", "the", "is", "are", "was", "were", "be", "been", "am", "it", "its", "this", "that", "these", "those", "there",
    "so", "just", "also", "well", "please", "very", "of", "in", "on", "at", "to", "for", "by", "as", "do", "does",
    "did", "has", "have", "had", "will", "would", "which", "what", "who", "whom", "some", "any", "then", "now", "you",
    "your", "me", "us", "my", "our", "we", "i", "tell", "say", "give", "name",
)  # fmt: skip
"""Words in whose place a question has others and still asks the same."""
OPPOSITES = (
    "more less|most least|many few|before after|first last|always never|true false|yes no|left right|up down|"
    "increase decrease|increases decreases|increased decreased|increasing decreasing|maximum minimum|max min|"
    "highest lowest|higher lower|high low|largest smallest|larger smaller|large small|big little|bigger littler|"
    "longest shortest|longer shorter|long short|best worst|better worse|good bad|positive negative|correct incorrect|"
    "valid invalid|possible impossible|likely unlikely|agree disagree|above below|over under|"
    "inside outside|begin finish|open close|add subtract|multiply divide|sum difference|buy sell|"
    "include exclude|including excluding|same different|similar dissimilar|legal illegal|pros cons|"
    "advantages disadvantages|advantage disadvantage|strengths weaknesses|he she|his her|him hers|himself herself|"
    "man woman|men women|boy girl|boys girls|male female|father mother|brother sister|husband wife|son daughter|"
    "hot cold|old young|early late|earlier later|fast slow|north south|east west|ascending descending|"
    "even odd|import export|love hate|like dislike|win lose|won lost|active passive|formal informal|singular plural|"
    "synonym antonym|synonyms antonyms|entailment contradiction|and or|< >|+ -"
)
"""Words that ask for another answer when one stands in the other's place."""


class Facts(NamedTuple):
    """What is known of each row before it is compared. [rows] each, or [2, rows]: prompts and answers."""

    lengths: Counts
    texts: Unsigned
    """Hashes of the words."""
    strict: Unsigned
    """Hashes of the strict words, in order."""
    options: Unsigned
    fixed: Unsigned
    """Hashes of what must be equal besides in rows that become one."""
    forms: Unsigned
    """[2, rows]: hashes of the texts with case and punctuation."""
    questions: NDArray[np.int32]
    """[rows, 2]: the words of the prompt that are its question."""
    is_labelled: Flags
    """Whether the answer is one that many rows have."""


class Judged(NamedTuple):
    """Pairs that are near-duplicates or conflicts, as far as the two rows alone can tell. [pairs]"""

    pairs: Counts
    is_near: Flags
    is_told: Flags
    """Whether the answers are near and of a kind that tells rows apart: then no slot makes the rows different."""
    is_edited: Flags
    """Whether the prompts are near by few edits, and not by the similarity of their shingles alone."""
    is_weak: Flags
    """Whether the prompts are near only if all that differs is in the frame of a template, as their answer is a label
    and as many words differ as WORDS_PER_LABELLED_EDIT does not allow."""
    related: Counts
    """[R, 2]: all pairs whose prompts are near, whatever else differs."""


def judge(rows: Rows, facts: Facts, pairs: Counts, is_rare: Flags, *, jaccard: float) -> Judged:
    """The near-duplicates and conflicts among some pairs, [pairs, 2], of which there are less than 2^20.

    `is_rare`: whether the rows of a pair share something that few others do.
    """
    prompts = _compared(rows, facts, 0, pairs)
    related = pairs[_within(prompts, WORDS_PER_EDIT)]
    is_same = _equal(facts.strict[0], pairs) & _equal(facts.options, pairs)
    stays = is_same & (_within(prompts, WORDS_PER_TOLD_EDIT) | _may_be_alike(prompts, jaccard))
    pairs, is_rare, prompts = pairs[stays], is_rare[stays], prompts.some(stays)
    answers = _compared(rows, facts, 1, pairs)
    # Case and punctuation may be all that an answer of a few words is about.
    has_form = _equal(facts.forms[1], pairs) | (answers.longer >= LEAST_ANSWER)
    is_answered = answers.is_same & has_form | ~answers.is_same & _equal(facts.strict[1], pairs) & (
        (answers.shorter >= LEAST_ANSWER) & _within(answers, WORDS_PER_ANSWER_EDIT)
        | (answers.longer < LEAST_ANSWER) & _equal_but_function_words(rows, pairs)
        | _alike(rows, 1, pairs, answers, jaccard=jaccard)
    )
    is_labelled = facts.is_labelled[pairs].any(axis=1)
    is_told = is_answered & (answers.shorter >= TELLING_WORDS) & ~is_labelled
    per_edit = np.select([is_told, is_labelled], [WORDS_PER_TOLD_EDIT, WORDS_PER_LABELLED_EDIT], WORDS_PER_EDIT)
    is_near = is_answered & _within(prompts, per_edit)
    unsure = np.flatnonzero(is_answered & ~is_near)
    unsure = unsure[is_told[unsure] | _differ_little(rows, pairs[unsure], prompts.shorter[unsure])]
    unsure = unsure[_alike(rows, 0, pairs[unsure], prompts.some(unsure), jaccard=jaccard)]
    is_near[unsure] = ~_has_another_filling(rows, pairs[unsure])
    is_weak = is_answered & ~is_near & is_labelled & _within(prompts, WORDS_PER_EDIT)
    is_near |= is_weak
    # Such an answer says so little that prompts of the same words must have the same form, and the question no other
    # word.
    is_short = (answers.shorter < LEAST_ANSWER) | is_labelled
    may_be_one = _equal(facts.fixed, pairs) & (~prompts.is_same | ~is_short | _equal(facts.forms[0], pairs))
    is_near &= may_be_one
    # Another question may well have another answer: only prompts that hardly differ, and not as many others do, make
    # a conflict.
    is_asked = prompts.is_same | is_rare & _within(prompts, WORDS_PER_CONFLICT_EDIT)
    stays = is_near | ~(is_answered & may_be_one) & is_asked
    stays[stays] = ~_asks_otherwise(rows, facts, pairs[stays], is_near[stays])
    at = np.flatnonzero(stays & is_short & ~prompts.is_same)
    stays[at] = ~_asks_another(rows, facts, pairs[at])
    is_edited = _within(prompts, WORDS_PER_TOLD_EDIT)
    return Judged(pairs[stays], is_near[stays], is_told[stays], is_edited[stays], is_weak[stays], related)


def _asks_otherwise(rows: Rows, facts: Facts, pairs: Counts, is_near: Flags) -> Flags:
    """Whether the words in which two rows differ show that they mean different things."""
    found = np.zeros(len(pairs), dtype=np.bool_)
    both = []
    for side in (0, 1):
        at = np.flatnonzero(~_equal(facts.texts[side], pairs))
        two = surpluses(*(rows.take(side, numbers) for numbers in pairs[at].T))
        # That answers say the opposite is no surprise where they may be different.
        found[at] |= _has_opposites(*two, len(at)) & (is_near[at] | (side == 0))
        both.append([(at[some.pair] << 32 | some.word)[~is_in(some.word, _function_words())] for some in two])
    # What one prompt has for a word of the other, its answer has too: the answer follows the change.
    left, right = (np.intersect1d(prompts, answers) >> 32 for prompts, answers in zip(*both, strict=True))
    found[np.intersect1d(left, right)] = True
    return found


def _asks_another(rows: Rows, facts: Facts, pairs: Counts) -> Flags:
    """Whether a content word of one question stands in the place of a content word of the other.

    A prompt of less than LEAST_QUESTIONED words is a question from end to end.
    """
    asked = []
    for numbers in pairs.T:
        words, span = rows.take(0, numbers), facts.questions[numbers].astype(np.int64)
        span[words.counts < LEAST_QUESTIONED] = (0, LEAST_QUESTIONED)
        begin, end = np.minimum(span.T, words.counts)
        asked.append(pick(Ragged(words.values, words.starts + begin, end - begin), slice(None)))
    found = np.ones(len(pairs), dtype=np.bool_)
    for some in surpluses(asked[0], asked[1]):
        has_content = np.zeros(len(pairs), dtype=np.bool_)
        has_content[some.pair[~is_in(some.word, _question_words())]] = True
        found &= has_content
    return found


def _has_opposites(left: Surplus, right: Surplus, num_pairs: int) -> Flags:
    """Whether a word of one text has its opposite in its place in the other."""
    known, poles = _poles()
    found = []
    for some in (left, right):
        at = is_in(some.word, known)
        found.append(some.pair[at] * len(known) + poles[np.searchsorted(known, some.word[at])])
    opposite = np.zeros(num_pairs, dtype=np.bool_)
    opposite[found[0][np.isin(found[0] ^ 1, found[1])] // len(known)] = True
    return opposite


class Compared(NamedTuple):
    """The prompts or the answers of some pairs beside each other. [pairs]"""

    is_same: Flags
    edits: Counts
    """Words to change, MOST_EDITS + 1 for more; as many for the same words in another order."""
    shorter: Counts
    longer: Counts

    def some(self, which: Flags | Counts) -> Compared:
        """Those of some of the pairs."""
        return Compared(self.is_same[which], self.edits[which], self.shorter[which], self.longer[which])


def _compared(rows: Rows, facts: Facts, side: int, pairs: Counts) -> Compared:
    lengths = facts.lengths[side][pairs]
    shorter, longer = lengths.min(axis=1), lengths.max(axis=1)
    is_same = _equal(facts.texts[side], pairs)
    count = np.where(is_same, 0, MOST_EDITS + 1)
    at = np.flatnonzero(~is_same & (longer - shorter <= MOST_EDITS))
    texts = rows.take(side, pairs[at, 0]), rows.take(side, pairs[at, 1])
    count[at] = edits(*texts, MOST_EDITS)
    # The same words in another order: the larger of two things has become the smaller.
    short = (count[at] <= MOST_EDITS) & (longer[at] < LONG_WORDS)
    count[at[short]] += np.where(same_words(*(pick(text, short) for text in texts)), MOST_EDITS + 1, 0)
    return Compared(is_same, count, shorter, longer)


def _may_be_alike(texts: Compared, jaccard: float) -> Flags:
    """Whether the lengths leave room for shingles that are as similar as asked for."""
    found: Flags = (texts.shorter >= LONG_WORDS) & (texts.shorter >= jaccard * texts.longer)
    return found


def _alike(rows: Rows, side: int, pairs: Counts, texts: Compared, *, jaccard: float) -> Flags:
    """Whether the shingles of long texts are as similar as asked for."""
    found = texts.is_same.copy()
    at = np.flatnonzero(~found & _may_be_alike(texts, jaccard))
    left, right = (rows.take(side, numbers) for numbers in pairs[at].T)
    found[at] = shingle_similarity(left, right, SHINGLE_WORDS) >= jaccard
    return found


def _differ_little(rows: Rows, pairs: Counts, shorter: Counts) -> Flags:
    """Whether each prompt lacks so few words of the other that it is not a frame alone that makes them alike."""
    two = surpluses(*(rows.take(0, numbers) for numbers in pairs.T))
    lacking = np.maximum(*(some.per_pair(len(pairs)) for some in two))
    found: Flags = lacking <= shorter // WORDS_PER_ALIKE_EDIT
    return found


def _has_another_filling(rows: Rows, pairs: Counts) -> Flags:
    """Whether prompts have hardly a word in common between their first difference and their last."""
    left, right, _ = trimmed(*(rows.take(0, numbers) for numbers in pairs.T))
    common = left.counts - surpluses(left, right)[0].per_pair(len(pairs))
    found: Flags = common < LEAST_COMMON * np.minimum(left.counts, right.counts)
    return found


def _within(texts: Compared, words_per_edit: int | Counts) -> Flags:
    found: Flags = texts.edits <= np.minimum(texts.shorter // words_per_edit, MOST_EDITS)
    return found


def _equal(values: Unsigned, pairs: Counts) -> Flags:
    found: Flags = values[pairs[:, 0]] == values[pairs[:, 1]]
    return found


def _equal_but_function_words(rows: Rows, pairs: Counts) -> Flags:
    hashes = []
    for numbers in pairs.T:
        words = rows.take(1, numbers)
        keep = ~is_in(words.values, _function_words())
        kept = np.concatenate(([0], np.cumsum(keep)))
        ends = kept[words.starts + words.counts]
        hashes.append(run_hashes(spread(words.values[keep]), kept[words.starts], ends))
    return np.equal(*hashes)


def similarity(rows: Rows, facts: Facts, side: int, pairs: Counts) -> NDArray[np.float64]:
    """Jaccard similarity of the shingles of long texts, share of words that stay in short ones."""
    found = np.ones(len(pairs))
    at = np.flatnonzero(facts.texts[side, pairs[:, 0]] != facts.texts[side, pairs[:, 1]])
    lengths = facts.lengths[side, pairs[at]]
    texts = rows.take(side, pairs[at, 0]), rows.take(side, pairs[at, 1])
    short = lengths.min(axis=1) < LONG_WORDS
    longer = np.maximum(lengths.max(axis=1), 1)
    found[at] = np.where(
        short, 1 - np.minimum(edits(*texts, MOST_EDITS) / longer, 1), shingle_similarity(*texts, SHINGLE_WORDS)
    )
    return found


@cache
def _function_words() -> Codes:
    return codes_of(FUNCTION_WORDS)


@cache
def _question_words() -> Codes:
    return codes_of(QUESTION_WORDS)


@cache
def _poles() -> tuple[Codes, Counts]:
    """Words that have an opposite, sorted by code, each with a number; that of its opposite differs in the last bit."""
    codes = word_codes([word for pair in OPPOSITES.split("|") for word in pair.split()]).codes
    assert len(codes) == 2 * len(OPPOSITES.split("|"))
    order = np.argsort(codes)
    return codes[order], order

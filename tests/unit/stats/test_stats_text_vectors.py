import math
from collections import Counter

import numpy as np
import pytest

import luthier.stats.text_vectors as text_vectors
from luthier.stats.text_vectors import hashed_tfidf

TEXTS = ["The cat sat.", "the dog sat, the dog ran", "A bird flew", "cats and dogs", ""]


def plain_features(text):
    """Words, pairs of words with the first of a text paired with a mark, and 4-grams, as text."""
    kept = "".join(letter if letter.isalnum() else " " for letter in text.lower())
    words = kept.split()
    padded = f" {kept} "
    grams = [padded[i : i + 4] for i in range(len(padded) - 3) if " " not in padded[i + 1 : i + 3]]
    pairs = zip(["\0", *words[:-1]], words, strict=True) if words else []
    return Counter(
        [("word", word) for word in words] + [("pair", *pair) for pair in pairs] + [("gram", gram) for gram in grams]
    )


def plain_tfidf(texts, *, min_texts):
    """The matrix of the docstring, one text and one feature at a time, without hashing."""
    counts = [plain_features(text) for text in texts]
    in_texts = Counter(feature for count in counts for feature in count)
    kept = {f for f, n in in_texts.items() if n >= min_texts and (len(texts) == 1 or n < len(texts))}
    rows = [{f: (1 + math.log(n)) * (math.log((1 + len(texts)) / (1 + in_texts[f])) + 1) for f, n in count.items() if f in kept}
            for count in counts]  # fmt: skip
    for row in rows:
        length = math.sqrt(sum(value**2 for value in row.values()))
        row.update({f: value / length for f, value in row.items()})
    return [[sum(row[f] * other.get(f, 0.0) for f in row) for other in rows] for row in rows], len(kept)


@pytest.mark.parametrize("min_texts", [1, 2])
def test_similarities_are_those_of_plain_tfidf(min_texts):
    texts = [*TEXTS, *(f"row {i} says that the {animal} ran" for i, animal in enumerate(("cat", "dog", "bird")))]
    vectors = hashed_tfidf(texts, min_texts=min_texts)
    similarities, columns = plain_tfidf(texts, min_texts=min_texts)
    assert vectors.shape == (len(texts), columns)  # so few features share no column
    np.testing.assert_allclose((vectors @ vectors.T).toarray(), similarities, atol=1e-6)


def test_chunks_change_nothing(monkeypatch):
    texts = [f"{text} {i}" for i in range(20) for text in TEXTS]
    whole = hashed_tfidf(texts)
    monkeypatch.setattr(text_vectors, "CHUNK_CHARACTERS", 50)
    parts = hashed_tfidf(texts)
    assert (whole != parts).nnz == 0 and whole.shape == parts.shape


def test_rows_have_length_one_and_texts_without_features_are_zero():
    vectors = hashed_tfidf(["one two three", "one two four", "?!", ""])
    lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
    np.testing.assert_allclose(lengths, [1, 1, 0, 0], atol=1e-6)
    assert vectors.has_sorted_indices and vectors.dtype == np.float32


def test_what_stands_in_every_text_is_dropped_unless_there_is_one_text():
    vectors = hashed_tfidf(["the cat", "the dog", "the bird"], min_texts=1)
    np.testing.assert_allclose((vectors @ vectors.T).toarray(), np.eye(3), atol=1e-6)
    assert hashed_tfidf(["the cat"], min_texts=1).nnz > 0


def test_every_ideogram_is_a_word():
    vectors = hashed_tfidf(
        ["\u732b\u5728\u5ead\u9662", "\u5ead\u9662\u5927", "\u4ed6\u5403", "\u5403\u4e86"], min_texts=1
    )
    similarity = (vectors @ vectors.T).toarray()
    assert similarity[0, 1] > 0 < similarity[2, 3] and similarity[0, 2] == 0
    beside = hashed_tfidf(["\u732bbird", "a bird", "bird\u732b", "no"], min_texts=1)
    assert ((beside @ beside.T).toarray()[1, [0, 2]] > 0.2).all()


@pytest.mark.parametrize("text", ["a\0b\n\nc", "\ud800 lone", "\u0130stanbul \U0001f600 \u0915\u094d\u0937", "\t \n"])
def test_odd_characters_are_counted_and_leave_their_neighbours_alone(text):
    vectors = hashed_tfidf(["cat dog", text, "cat dog"], min_texts=1)
    similarity = (vectors @ vectors.T).toarray()
    assert similarity[0, 2] == pytest.approx(1.0, abs=1e-6) and similarity[0, 1] == 0


@pytest.mark.parametrize("texts", [[], [""], ["alone"]])
def test_few_texts_make_a_matrix(texts):
    vectors = hashed_tfidf(texts, min_texts=1)
    assert vectors.shape[0] == len(texts)

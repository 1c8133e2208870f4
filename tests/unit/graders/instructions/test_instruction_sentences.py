import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.graders.instructions.sentences import sentences

COUNTS = [
    ("", 0), ("...", 0), ("Yes", 1), ("Yes.", 1), ("One. Two. Three", 3), ("One! Two?! Three...", 3),
    ("Dr. Smith met Mrs. Jones.", 1), ("J. R. R. Tolkien wrote it. So he did.", 2), ("See No. 5 (Fig. 2).", 1),
    ("No. I do not.", 2), ("It costs 3.50 dollars.", 1), ("We met at 5 p.m. in the U.S. last year.", 1),
    ("We met at 5 p.m. He left.", 2), ("Cats, dogs, etc. came. All of them etc. They left.", 3),
    ('"Stop!" he said.', 1), ('"Stop!" He said it.', 2), ("Wait... what?", 1), ("Wait... What?", 2),
    ("1. Mix the eggs. 2. Bake.\n3. Eat!", 3), ("a) Mix. b. Bake", 2), ("* One\n* Two", 1), ("* One.\n* Two.", 2),
    ("i like it. you like it.", 2), ("(Really.) *Yes.* **No.**", 3), ("As shown.[4] Then it ended.", 2),
    ("It was vitamin B.\n\nNext", 2), ("Written by Richard R.\n* Next", 2), ("A Ph.D. student.", 1),
    ("\u4f60\u597d\u3002\u6211\u4eec\u8d70\u5427\uff01\u597d", 3), ("\u0915\u094d\u092f\u093e? \u0939\u0948\u0964 \u0920\u0940\u0915", 3),
    ("\u06a9\u06cc\u0627\u061f \u06c1\u0627\u06ba\u06d4", 2),
]  # fmt: skip


@pytest.mark.parametrize(("text", "count"), COUNTS)
def test_sentences_are_as_many_as_a_reader_finds(text, count):
    assert len(sentences(text)) == count


@given(st.text("aB1.!?\"')*[] \n\u2026\u3002", max_size=60))
def test_no_word_is_lost_and_each_sentence_holds_one(text):
    found = sentences(text)
    assert all(any(sign.isalnum() for sign in each) for each in found)
    assert [sign for each in found for sign in each if sign.isalnum()] == [sign for sign in text if sign.isalnum()]


def test_a_long_text_without_an_end_is_read_once():
    assert len(sentences("a" * 200_000 + ".")) == 1
    assert len(sentences("a. " * 20_000)) > 1

"""How many rows of one part share most of their words with another, held against counting by hand."""

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.curate.config import CurateConfig
from luthier.curate.pipeline import curate
from luthier.records import Example, read_records

WORDS = [f"w{chr(97 + k // 26)}{chr(97 + k % 26)}" for k in range(60)]
SIZE = 8


def by_hand(theirs, ours):
    """Prompts of `ours` of which more than half of the words lie in eight words that some prompt of `theirs` has."""
    known = {tuple(words[k : k + SIZE]) for words in theirs for k in range(len(words) - SIZE + 1)}
    count = 0
    for words in ours:
        matched = {
            k + place
            for k in range(len(words) - SIZE + 1)
            if tuple(words[k : k + SIZE]) in known
            for place in range(SIZE)
        }
        count += len(matched) > len(words) / 2
    return count


def prompts(curated, part):
    return [example.prompt[-1].content.split() for example in read_records(curated.paths[part], Example)]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_the_certificate_counts_rows_that_share_most_of_their_words(tmp_path_factory, seed):
    draw = random.Random(seed)
    passages = [[draw.choice(WORDS) for _ in range(draw.randint(5, 25))] for _ in range(8)]
    rows = []
    for number in range(60):
        words = draw.choice(passages) + [draw.choice(WORDS) for _ in range(draw.randint(0, 12))]
        rows.append({"prompt": " ".join(words), "completion": f"answer {number}"})
    folder = tmp_path_factory.mktemp("rows")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = CurateConfig(held_out_share=0.3, dev_share=0.2)
    curated = curate([folder / "rows.jsonl"], out=folder / "out", config=config, say=lambda line: None)
    train, dev, held_out = (prompts(curated, part) for part in ("train", "dev", "held_out"))
    assert curated.ledger["certificate"]["shared_words"] == {
        "train/dev": by_hand(train, dev), "train/held_out": by_hand(train, held_out),
        "dev/held_out": by_hand(dev, held_out), "preferences/held_out": 0,
    }  # fmt: skip


def test_without_near_nothing_is_compared_by_words(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    config = CurateConfig(steps=("clean", "exact"))
    curated = curate([tmp_path / "rows.jsonl"], out=tmp_path / "out", config=config, say=lambda line: None)
    assert curated.ledger["certificate"]["shared_words"] == {}

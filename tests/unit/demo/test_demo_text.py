import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import luthier.demo
from luthier.demo.requests import SKILLS
from luthier.demo.tasks import REWARD_TASKS, TASKS
from luthier.demo.text import documents

SRC = Path(luthier.demo.__file__).parents[2]


def words_of(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.lower()))


def test_the_same_seed_gives_the_same_text_and_a_larger_count_only_adds_to_it() -> None:
    assert list(documents(5, 60))[:40] == list(documents(5, 40))


def test_another_seed_gives_other_text() -> None:
    assert not set(documents(1, 200)) & set(documents(2, 200))


def test_the_text_does_not_depend_on_the_order_of_hashes() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(SRC)!r}); import hashlib; from luthier.demo.text import documents;"
        "print(hashlib.sha256(''.join(documents(1, 300)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True,
                       check=True, text=True).stdout
        for seed in ("1", "2")
    }  # fmt: skip

    assert len(digests) == 1


def test_the_wording_of_no_template_occurs_in_the_text() -> None:
    text = "\n".join(f" {words_of(document)} " for document in documents(1, 2000))
    segments = {
        words_of(segment)
        for task in (*TASKS, *REWARD_TASKS)
        for template in task.templates
        for segment in re.split(r"\{\w+\}", template)
    }
    long = {segment for segment in segments if len(segment.split()) >= 4}

    assert len(long) > 300
    assert [segment for segment in sorted(long) if f" {segment} " in text] == []


def test_the_text_has_no_chat_format() -> None:
    text = "\n".join(documents(4, 2000)).lower()

    for mark in ("<|", "|>", "###", "[inst]", "user:", "assistant", "system:", "human:", "<s>", "options:\n-"):
        assert mark not in text, mark


def test_documents_are_many_short_and_different() -> None:
    made = list(documents(6, 2000))
    lengths = [len(document.split()) for document in made]

    assert len(set(made)) == len(made)
    assert 40 < sum(lengths) / len(lengths) < 90
    assert max(lengths) < 260


def test_answers_stand_behind_many_different_marks() -> None:
    behind = Counter(
        match.group(1)
        for document in documents(7, 4000)
        for match in re.finditer(r"\n([^\n]{1,12}?) ?(?:yes|no)\b", document)
    )

    assert len(behind) > 150, "a base that sees one form of request learns that form only"


def test_every_skill_makes_requests_with_answers() -> None:
    for make, _ in SKILLS:
        for seed in range(100):
            request = make(Random(seed))
            assert request.ask and request.answer, make.__name__
            assert "{" not in request.ask and "{" not in request.given, make.__name__
            assert not request.options or request.answer in request.options, make.__name__

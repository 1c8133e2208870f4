import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

import luthier.demo
from luthier.demo.asking import Skill
from luthier.demo.skills import MAKERS, SKILLS
from luthier.demo.text import MOST_DOCUMENT_WORDS, documents, pages, requests_by_cluster

SRC = Path(luthier.demo.__file__).parents[2]


def test_the_same_seed_gives_the_same_text_and_a_larger_count_only_adds_to_it() -> None:
    assert list(documents(5, 60))[:40] == list(documents(5, 40))


def test_another_seed_gives_other_text() -> None:
    assert not set(documents(1, 200)) & set(documents(2, 200))


def test_the_text_does_not_depend_on_the_order_of_hashes() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(SRC)!r}); import hashlib; from luthier.demo.text import documents;"
        "print(hashlib.sha256(''.join(documents(1, 200)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True,
                       check=True, text=True).stdout
        for seed in ("1", "2")
    }  # fmt: skip

    assert len(digests) == 1


def test_documents_are_many_short_and_different() -> None:
    made = list(documents(6, 1000))
    lengths = [len(document.split()) for document in made]

    assert len(set(made)) == len(made)
    assert 40 < sum(lengths) / len(lengths) < 90
    assert max(lengths) <= MOST_DOCUMENT_WORDS


def test_answers_stand_behind_many_different_marks() -> None:
    behind = Counter(
        match.group(1)
        for document in documents(7, 2000)
        for match in re.finditer(r"\n([^\n]{1,12}?) ?(?:yes|no)\b", document)
    )

    assert len(behind) > 80, "a base that sees one form of request learns that form only"


def test_clusters_may_be_left_out_of_the_requests() -> None:
    assert not {"words", "lists"} & set(requests_by_cluster(pages(3, 200, without=("words", "lists"))))
    with pytest.raises(ValueError, match="no cluster wrods"):
        list(documents(1, 1, without=("wrods",)))


def test_every_task_has_a_skill_that_the_text_asks_for() -> None:
    assert {*MAKERS} <= {skill.name for skill in SKILLS}


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
def test_every_skill_makes_requests_with_answers(skill: Skill) -> None:
    for seed in range(60):
        request = skill.make(Random(seed))
        assert request.ask and request.answer
        assert not request.options or request.answer in request.options

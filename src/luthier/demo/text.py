"""Plain text of the practice world, for pre-training a small base model.

About two documents in five are prose (`prose`); the others are requests with their answers (the skills of `makers`) in
forms that change all the time (`forms`), as they do on the real web. What the text holds and does not hold:

- It states every fact of the world and uses every word of the lexicon.
- It has requests for every skill that the practice tasks ask for, those of held-out tasks and clusters among them, and
  asks in wordings of its own. So "held out" means never tuned on, not never met: tuning can show a base
  how to use what it knows. `without` leaves out the requests of some clusters, to measure what they are worth.
- No document holds four words in a row that stand in a template between two of its slots: what would hold them by
  chance is drawn again. That is all that is looked for. One template turn in six has no four words in a row
  ("I see." in a dialogue, "Tell me {about}."); its words may stand in the text. So an item of an evaluation is kept out
  by the wording of its template alone: no item is compared with the text, and the same fact, list or passage may be
  asked about in other words.
- No document holds the special tokens of a chat format or "user" and "assistant" as the names of speakers. Dialogues
  do have the shape of a chat of words ("[Teacher] ...", "[Pupil] ..." on a later line): one document in sixty.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from luthier.demo.asking import Request, Skill
from luthier.demo.collection import runs_of_words, template_runs
from luthier.demo.forms import FORMS
from luthier.demo.prose import PROSE
from luthier.demo.skills import CLUSTER_WEIGHTS, SKILLS
from luthier.demo.skills import PROSE as SKILLS_PROSE

REQUEST_SHARE = 0.65
"""Share of the documents that hold requests and answers."""

SAME_SKILL_SHARE = 0.4
"""Share of the request pages that ask for one skill only, as exercises do."""

SHORT_DOCUMENT_WORDS = 28
"""A document under this many words gets another one of its sort behind it, as pages on one subject do."""

MOST_DOCUMENT_WORDS = 240
"""A longer document is drawn again: it would not fit into the rows of a small model."""


@dataclass(frozen=True, slots=True)
class Page:
    """One document, and which skills its requests ask for; none in prose."""

    text: str
    skills: tuple[Skill, ...] = ()


def documents(seed: int, count: int, without: Collection[str] = ()) -> Iterator[str]:
    """Yield `count` documents; the same seed gives the same text, and a larger count only adds to the end.

    `without` names clusters whose skills are never asked for.
    """
    return (page.text for page in pages(seed, count, without))


def pages(seed: int, count: int, without: Collection[str] = ()) -> Iterator[Page]:
    """The documents with the skills that each asks for. ValueError for a cluster that there is not."""
    draw = _Draw.of(without)
    rng = Random(f"plain text {seed}")
    for _ in range(count):
        page = _page(rng, draw)
        while len(page.text.split()) > MOST_DOCUMENT_WORDS or not template_runs().isdisjoint(runs_of_words(page.text)):
            page = _page(rng, draw)
        yield page


def requests_by_cluster(some: Iterable[Page]) -> Counter[str]:
    """How often the documents ask for each cluster's skills."""
    return Counter(skill.cluster for page in some for skill in page.skills)


@dataclass(frozen=True, slots=True)
class _Draw:
    """The skills to draw from: a cluster first, then one of its skills."""

    clusters: tuple[str, ...]
    cluster_totals: tuple[float, ...]
    skills: dict[str, tuple[Skill, ...]]
    skill_totals: dict[str, tuple[float, ...]]

    @classmethod
    def of(cls, without: Collection[str]) -> "_Draw":
        unknown = sorted(set(without) - {skill.cluster for skill in SKILLS})
        if unknown:
            raise ValueError(f"the text has no cluster {', '.join(unknown)}")
        by_cluster: dict[str, list[Skill]] = {}
        for skill in SKILLS:
            if skill.cluster not in without:
                by_cluster.setdefault(skill.cluster, []).append(skill)
        weights = [CLUSTER_WEIGHTS.get(cluster, 1.0) for cluster in by_cluster]
        return cls(
            tuple(by_cluster), tuple(accumulate(weights)),
            {cluster: tuple(skills) for cluster, skills in by_cluster.items()},
            {cluster: tuple(accumulate(float(s.weight) for s in skills)) for cluster, skills in by_cluster.items()},
        )  # fmt: skip

    def skill(self, rng: Random) -> Skill:
        cluster = rng.choices(self.clusters, cum_weights=self.cluster_totals)[0]
        return rng.choices(self.skills[cluster], cum_weights=self.skill_totals[cluster])[0]


_PROSE = tuple(make for make, _ in (*PROSE, *SKILLS_PROSE))
_PROSE_TOTALS = tuple(accumulate(weight for _, weight in (*PROSE, *SKILLS_PROSE)))
_FORMS: tuple[Callable[[Random, Sequence[Request]], str], ...] = tuple(make for make, _ in FORMS)
_FORM_TOTALS = tuple(accumulate(weight for _, weight in FORMS))


def _page(rng: Random, draw: _Draw) -> Page:
    if rng.random() >= REQUEST_SHARE:
        text = _prose(rng)
        while text.count(" ") < SHORT_DOCUMENT_WORDS:
            text = f"{text}\n\n{_prose(rng)}"
        return Page(text)
    page = _requests(rng, draw)
    while page.text.count(" ") < SHORT_DOCUMENT_WORDS:
        more = _requests(rng, draw)
        page = Page(f"{page.text}\n\n{more.text}", page.skills + more.skills)
    return page


def _prose(rng: Random) -> str:
    make = rng.choices(_PROSE, cum_weights=_PROSE_TOTALS)[0]
    return make(rng)


def _requests(rng: Random, draw: _Draw) -> Page:
    """One to four requests in one form."""
    count = rng.choices((1, 2, 3, 4), (2, 3, 3, 3))[0]
    if rng.random() < SAME_SKILL_SHARE:
        skills = [draw.skill(rng)] * count
    else:
        skills = [draw.skill(rng) for _ in range(count)]
    form = rng.choices(_FORMS, cum_weights=_FORM_TOTALS)[0]
    return Page(form(rng, [skill.make(rng) for skill in skills]), tuple(skills))

"""Plain text of the practice world, for pre-training a small base model.

About two documents in five are prose (`prose`); the others are requests with their answers (`requests`) in forms that
change all the time (`forms`), as they do on the real web. What the text holds and does not hold:

- It states every fact of the world and uses every word of the lexicon.
- It has requests for nearly every skill that the practice tasks ask for, those of held-out tasks and clusters among
  them: opposites, plurals, past forms and young animals; comparing numbers, sizes, ages and prices; the second word of
  a list; a word in brackets; a sum told as a story; whether something follows from a passage. It asks in other words
  than any template does. So "held out" means never tuned on, not never met: tuning can show a base how to use what it
  knows, and cannot teach it a held-out skill that its text never had.
- It never holds a chat format, the wording of a template, or an item of an evaluation.
"""

from collections.abc import Iterator
from itertools import accumulate
from random import Random

from luthier.demo.forms import FORMS
from luthier.demo.prose import PROSE
from luthier.demo.requests import SKILLS

REQUEST_SHARE = 0.6
"""Share of the documents that hold requests and answers."""

SHORT_DOCUMENT_WORDS = 28
"""A document under this many words gets another one of its sort behind it, as pages on one subject do."""


def documents(seed: int, count: int) -> Iterator[str]:
    """Yield `count` documents; the same seed gives the same text, and a larger count only adds to the end."""
    rng = Random(f"plain text {seed}")
    for _ in range(count):
        make = _request_page if rng.random() < REQUEST_SHARE else _prose_page
        document = make(rng)
        while document.count(" ") < SHORT_DOCUMENT_WORDS:
            document = f"{document}\n\n{make(rng)}"
        yield document


_PROSE = tuple(make for make, _ in PROSE)
_PROSE_TOTALS = tuple(accumulate(weight for _, weight in PROSE))
_SKILLS = tuple(make for make, _ in SKILLS)
_SKILL_TOTALS = tuple(accumulate(weight for _, weight in SKILLS))
_FORMS = tuple(make for make, _ in FORMS)
_FORM_TOTALS = tuple(accumulate(weight for _, weight in FORMS))


def _prose_page(rng: Random) -> str:
    make = rng.choices(_PROSE, cum_weights=_PROSE_TOTALS)[0]
    return make(rng)


def _request_page(rng: Random) -> str:
    """One to four requests in one form; in two pages of five they all ask for the same skill."""
    count = rng.choices((1, 2, 3, 4), (2, 3, 3, 3))[0]
    if rng.random() < 0.4:
        skills = rng.choices(_SKILLS, cum_weights=_SKILL_TOTALS) * count
    else:
        skills = rng.choices(_SKILLS, cum_weights=_SKILL_TOTALS, k=count)
    form = rng.choices(_FORMS, cum_weights=_FORM_TOTALS)[0]
    return form(rng, [skill(rng) for skill in skills])

"""What lm-eval's own code says of answers, in a process of its own: rows of JSON in, rows of JSON out.

    .venv-lmeval/bin/python bench/parity_lmeval.py < pairs.jsonl > outcomes.jsonl

Two things of it need a network, and are replaced: the trained sentence splitter of nltk, by nltk's Punkt algorithm
without training but with common abbreviations; and the check that its files were downloaded. Its random choices (which
it makes for arguments that it does not take) and langdetect's start from a fixed seed for each row.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import random
import sys
import types
from pathlib import Path
from typing import Any

ABBREVIATIONS = """mr mrs ms dr prof st vs etc e.g i.e u.s u.k a.m p.m inc ltd co jr sr no fig gen col rev ph.d approx
    jan feb mar apr jun jul aug sept oct nov dec dept al""".split()  # noqa: SIM905


def ifeval() -> Any:
    """lm-eval's module of IFEval, without the rest of lm-eval."""
    import langdetect
    import nltk
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    langdetect.DetectorFactory.seed = 0
    parameters = PunktParameters()
    parameters.abbrev_types = set(ABBREVIATIONS)
    splitter = PunktSentenceTokenizer(parameters)
    nltk.data.find = lambda *_, **__: "here"
    words = nltk.tokenize.NLTKWordTokenizer()
    nltk.word_tokenize = lambda text: [word for part in splitter.tokenize(text) for word in words.tokenize(part)]
    # The packages above would import all of lm-eval with what it needs.
    found = importlib.util.find_spec("lm_eval")
    assert found is not None and found.submodule_search_locations
    folder = Path(next(iter(found.submodule_search_locations)))
    for name, path in (("lm_eval", folder), ("lm_eval.tasks", folder / "tasks")):
        package = types.ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
    from lm_eval.tasks.ifeval import instructions_util, utils

    instructions_util._get_sentence_tokenizer = lambda: splitter
    return utils


def main() -> None:
    logging.disable(logging.ERROR)
    utils = ifeval()
    for line in sys.stdin:
        row = json.loads(line)
        doc = {name: row[name] for name in ("key", "prompt", "instruction_id_list", "kwargs")}
        random.seed(0)
        found = utils.process_results(doc, [row["response"]])
        print(json.dumps([found["inst_level_strict_acc"], found["inst_level_loose_acc"]]))


if __name__ == "__main__":
    main()

"""Preflight: proofs on your data, your template and your machine, before any time is spent on training.

Each proof is a sentence, PASS or FAIL, and the number behind it. Seconds on a few hundred rows.

    luthier check recipe.toml
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from luthier.recipes.tune import TuneRecipe
from luthier.records import Example, Message

MOST_ROWS = 200
"""Rows that are rendered for the proofs: the first usable ones."""
LOSS_ROWS = 16
"""Rows whose loss and gradients are compared; spread over the lengths."""
TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One thing that was shown, or not."""

    name: str
    passed: bool
    number: str
    """What was measured."""


def main(recipe: TuneRecipe, *, say: Callable[[str], None]) -> tuple[Proof, ...]:
    """Prove what can be proved before training. ModelError when the template cannot even be rendered."""
    from luthier.curate.rows import read_examples
    from luthier.models.load import load_model
    from luthier.train.batch import rows_of

    found = read_examples(list(recipe.data.files), columns=recipe.curate.columns)
    say(f"check | {len(found.examples):,} examples, {len(found.preferences):,} preferences, "
        f"{len(found.problems):,} rows that cannot be used")  # fmt: skip
    model = load_model(
        recipe.model.base, dtype="float32", device="cpu", chat_template=recipe.model.chat_template
    )
    for notice in model.notices:
        say(f"check | {notice}")
    pairs = [Example.of((*p.prompt, Message(role="assistant", content=p.chosen))) for p in found.preferences]
    whole = [e for e in found.examples if e.messages and e.messages[-1].role == "assistant"]
    examples = [*whole, *pairs][:MOST_ROWS]
    length = min(recipe.train.max_length, model.max_length)
    everything = rows_of(examples, model.renderer, max_length=length, overlong=recipe.train.overlong)
    by_length = sorted(everything.rows, key=lambda row: len(row.token_ids))
    rows = by_length[:: max(1, len(by_length) // LOSS_ROWS)][:LOSS_ROWS]
    proofs = [
        _weights_are_the_answers(model, examples),
        _stop_is_learned(model, examples),
        _bos(model, examples),
        _served_prompt_is_trained_prompt(model, examples),
        _cuts_are_counted(everything),
        _no_shared_prompts(recipe),
    ]
    if rows:
        proofs += [_loss_is_that_of_transformers(model, rows), _split_changes_nothing(model, rows),
                   _rows_do_not_meet(model, rows)]  # fmt: skip
    return tuple(proofs)


def lines(proofs: Sequence[Proof]) -> list[str]:
    """The table for the terminal."""
    width = max(len(proof.name) for proof in proofs)
    return [f"{'PASS' if p.passed else 'FAIL'}  {p.name.ljust(width)}  {p.number}" for p in proofs]


def to_json(proofs: Sequence[Proof]) -> list[dict[str, Any]]:
    """The proofs as JSON objects."""
    return [asdict(proof) for proof in proofs]


def _weights_are_the_answers(model: Any, examples: Sequence[Example]) -> Proof:
    """What trains, decoded, is the assistant's turns and their stop tokens, and nothing else."""
    wrong, empty, full = 0, 0, 0
    for example in examples:
        for row in model.renderer.render(example.messages):
            trained = [t for t, w in zip(row.token_ids, row.weights, strict=True) if w > 0]
            said = "".join(model.renderer.decode(trained).split())
            answers = ["".join(m.content.split()) for m in example.messages if m.loss_weight > 0]
            wrong += said not in {"".join(answers), *answers}  # a template that rewrites history makes a row of each
            empty += not trained
            full += len(trained) == len(row.weights)
    return Proof(
        name="the trained tokens are the answers and their stop tokens",
        passed=bool(examples) and wrong == empty == full == 0,
        number=f"{len(examples)} rows; {wrong} where they differ, {empty} with nothing trained, {full} all trained",
    )


def _stop_is_learned(model: Any, examples: Sequence[Example]) -> Proof:
    rows = [row for e in examples for row in model.renderer.render(e.messages)]
    last = [max((t for t, w in enumerate(row.weights) if w > 0), default=None) for row in rows]
    good = sum(t is not None and row.token_ids[t] in model.renderer.stop_ids for row, t in zip(rows, last, strict=True))
    return Proof(
        name="the last trained token of a row is one that stops generation",
        passed=bool(rows) and good == len(rows),
        number=f"{good} of {len(rows)} rows; stop tokens {sorted(model.renderer.stop_ids)}",
    )


def _bos(model: Any, examples: Sequence[Example]) -> Proof:
    """As many leading BOS tokens as the template writes, in training and in serving alike: never two by accident."""
    bos = model.tokenizer.bos_token_id
    counts = set()
    for example in examples:
        for ids in (model.renderer.prompt(example.prompt), model.renderer.render(example.messages)[0].token_ids):
            count = 0
            while bos is not None and count < len(ids) and ids[count] == bos:
                count += 1
            counts.add(count)
    return Proof(
        name="every row and every prompt begins with the same number of BOS tokens, at most one",
        passed=len(counts) <= 1 and max(counts, default=0) <= 1,
        number=f"leading BOS tokens: {sorted(counts)}",
    )


def _served_prompt_is_trained_prompt(model: Any, examples: Sequence[Example]) -> Proof:
    same = total = 0
    for example in examples:
        row = model.renderer.render(example.messages)[-1]
        prompt = tuple(model.renderer.prompt(example.prompt))
        total += 1
        same += row.token_ids[: len(prompt)] == prompt
    return Proof(
        name="the tokens of a served prompt are those of the trained prompt",
        passed=total > 0 and same == total,
        number=f"{same} of {total} rows",
    )


def _cuts_are_counted(fit: Any) -> Proof:
    left_out = fit.ledger["dropped"] + fit.ledger["nothing trained"]
    counts = ", ".join(f"{name} {n}" for name, n in fit.ledger.items())
    return Proof(
        name="no answer loses its end to the length limit, and at most a tenth of the rows is left out",
        passed=not fit.ledger["answer cut"] and 10 * left_out <= sum(fit.ledger.values()),
        number=f"{counts}; {fit.tokens_off:,} tokens cut off",
    )


def _no_shared_prompts(recipe: TuneRecipe) -> Proof:
    """Curates into a temporary folder: the certificate of its split is recounted there."""
    import json
    import tempfile

    from luthier.curate.pipeline import curate

    with tempfile.TemporaryDirectory() as folder:
        curate(list(recipe.data.files), out=Path(folder), config=recipe.curate.model_copy(update={"strict": False}),
               held_out_files=list(recipe.data.held_out), allow_overlap=True, say=lambda _: None)  # fmt: skip
        ledger = json.loads((Path(folder) / "ledger.json").read_text(encoding="utf-8"))
    shared = sum(count for edges in ledger["certificate"].values() for count in edges.values())
    return Proof(
        name="no prompt is both trained and held out",
        passed=shared == 0,
        number=f"{shared} shared prompts; splits {ledger['splits']}",
    )


def _loss_is_that_of_transformers(model: Any, rows: Sequence[Any]) -> Proof:
    """Sum of losses over the rows, against transformers' own forward pass over each row alone."""
    from luthier.train.proofs import plain_loss
    from luthier.train.sft import mean_nll

    ours = mean_nll(model.network, rows, micro_batch_tokens=4096)
    theirs = plain_loss(model.network, rows)
    return Proof(
        name="the loss is that of transformers over each row alone",
        passed=abs(ours - theirs) <= TOLERANCE * max(1.0, abs(theirs)),
        number=f"{ours:.7f} against {theirs:.7f}",
    )


def _split_changes_nothing(model: Any, rows: Sequence[Any]) -> Proof:
    """Gradients of one batch against those of one row at a time."""
    from luthier.train.proofs import split_gap

    gap = split_gap(model.network, rows)
    return Proof(
        name="the split into micro-batches changes no gradient",
        passed=gap <= 1e-4,
        number=f"relative difference {gap:.1e} between 1 x {len(rows)} and {len(rows)} x 1, float32",
    )


def _rows_do_not_meet(model: Any, rows: Sequence[Any]) -> Proof:
    """Changing every token of one row leaves the loss of its neighbour as it was, bit for bit."""
    from luthier.train.proofs import beside_a_neighbour

    before, after = beside_a_neighbour(model.network, rows[0], rows[-1], vocabulary=len(model.tokenizer))
    return Proof(
        name="a sample never sees its neighbour in a batch",
        passed=before == after,
        number=f"log-probability {before:.6f} before and {after:.6f} after its neighbour changed",
    )

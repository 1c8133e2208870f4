"""The sentences of `luthier check`: each is shown on the user's own rows, or found to fail, with its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from luthier.records import Example, Message, Preference
from luthier.train.config import TrainConfig

if TYPE_CHECKING:
    from luthier.models.load import Model
    from luthier.models.passes import Pass
    from luthier.models.render import Rendered
    from luthier.train.batch import Row

GRADIENT_TOLERANCE = 1e-4
"""Relative difference of two gradients that float32 may make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One thing that was shown, or not."""

    name: str
    passed: bool
    number: str
    """What was measured."""
    fix: str = ""
    """What to do when it fails."""


class Shown(NamedTuple):
    """A conversation as training sees it."""

    prompt: tuple[Message, ...]
    rows: list[Rendered]
    answers: list[str]
    """What must train, in order."""
    tools: Sequence[Mapping[str, Any]] = ()
    has_calls: bool = False
    """Whether calls of tools train too, in whatever form the template writes them."""


TEMPLATE_FIX = "mend the chat template (model.chat_template names a file); `luthier show FILE:LINE` shows a row"


def shown(model: Model, examples: Sequence[Example], preferences: Sequence[Preference], method: str) -> list[Shown]:
    """The conversations that the method renders: whole ones, both answers of each pair, or prompts alone."""
    render = model.renderer
    if method == "dpo":
        return [
            Shown(p.prompt, [render.render_answer(p.prompt, text)], [text])
            for p in preferences for text in (p.chosen, p.rejected)
        ]  # fmt: skip
    if method == "grpo":
        return [Shown(e.prompt, [], [], e.tools) for e in examples]
    return [
        Shown(e.prompt, render.render(e.messages, tools=e.tools, where=e.source),
              [m.content for m in e.messages if m.loss_weight > 0], e.tools, any(m.tool_calls for m in e.messages))
        for e in examples
    ]  # fmt: skip


def of_the_template(model: Model, found: Sequence[Shown], *, has_rows: bool) -> list[Proof]:
    """What the chat template does to conversations."""
    rows = [_weights_are_the_answers(model, found), _stop_is_learned(model, found)] if has_rows else []
    return [*rows, _bos(model, found), _served_is_trained(model, found), _evaluated_is_trained(model, found)]


def of_the_passes(model: Model, rows: Sequence[Row], config: TrainConfig, how: Pass) -> list[Proof]:
    """What happens to rows that pass through the network together, as the run passes them."""
    from luthier.models.passes import TOLERANCE, has_experts
    from luthier.train.proofs import neighbour_gap, plain_loss, split_gap, sum_gap, together_gap
    from luthier.train.sft import mean_nll

    network = model.network
    tolerance = max(TOLERANCE[p.dtype] for p in network.parameters() if p.dtype in TOLERANCE)
    way = f"{'packed' if how.is_packed else 'padded'} rows, {'fused' if how.is_fused else 'plain'} head, float32"
    ours, theirs = (
        mean_nll(network, rows, micro_batch_tokens=config.micro_batch_tokens, how=how),
        plain_loss(network, rows),
    )
    together = together_gap(network, rows, how=how)
    leak = neighbour_gap(network, rows, how=how, vocabulary=len(model.tokenizer))
    allowed = tolerance if has_experts(network) else 0.0
    whole = sum_gap(network, rows, config, how=how)
    split = split_gap(network, rows, config, how=how)
    fix = 'set train.packing = "padded" and report this model: a fault of Luthier, not of your data'
    return [
        Proof(
            name="the loss is that of transformers over each row alone",
            passed=abs(ours - theirs) <= 1e-5 * max(1.0, abs(theirs)),
            number=f"{ours:.7f} against {theirs:.7f}; {way}", fix=fix,
        ),
        Proof(
            name="rows that pass together get the log-probabilities that each gets alone",
            passed=together <= tolerance, number=f"largest difference {together:.1e} over {len(rows)} rows; {way}",
            fix=fix,
        ),
        Proof(
            name="a sample never sees its neighbour in a batch",
            passed=leak <= allowed,
            number=f"{len(rows) - 1} rows change by {leak:.1g} when the first, the middle or the last one is another",
            fix=fix,
        ),
        Proof(
            name="the gradient of rows together is the sum of the gradients of each alone",
            passed=whole <= GRADIENT_TOLERANCE, number=f"relative difference {whole:.1e}; {way}", fix=fix,
        ),
        Proof(
            name="the split into micro-batches changes no gradient",
            passed=split <= GRADIENT_TOLERANCE,
            number=f"relative difference {split:.1e} between one micro-batch and the smallest ones; {way}", fix=fix,
        ),
    ]  # fmt: skip


def cuts_are_counted(ledger: dict[str, int], *, rows: int, tokens_off: int | None = None) -> Proof:
    """The account of what the length limit did."""
    left_out = ledger.get("dropped", 0) + ledger.get("nothing trained", 0)
    counts = ", ".join(f"{name} {n}" for name, n in ledger.items())
    is_whole = sum(ledger.values()) == rows
    off = "" if tokens_off is None else f"; {tokens_off:,} tokens cut off"
    return Proof(
        name="no answer loses its end to the length limit, and at most a tenth of the rows is left out",
        passed=is_whole and not ledger.get("answer cut") and 10 * left_out <= rows,
        number=f"{counts}: the sum is {'' if is_whole else 'not '}the {rows} rows{off}",
        fix="raise train.max_length (the model's positions are its limit), or shorten the rows; "
            'train.overlong = "cut_prompt" keeps answers whole',
    )  # fmt: skip


def prompts_leave_room(model: Model, examples: Sequence[Example], config: TrainConfig) -> Proof:
    """Whether answers can be drawn to their full length."""
    lengths = [len(model.renderer.prompt(e.prompt, tools=e.tools)) for e in examples]
    short = sum(n + config.grpo.max_new_tokens > model.max_length for n in lengths)
    return Proof(
        name="every prompt leaves room for its answers",
        passed=10 * short <= len(lengths),
        number=f"{short} of {len(lengths)} do not; longest {max(lengths, default=0)} of {model.max_length} positions",
        fix="lower train.grpo.max_new_tokens, or remove the longest prompts",
    )


def text_trains_once(model: Model, documents: Sequence[str], rows: Sequence[Row]) -> Proof:
    """Whether the pieces of plain text hold each token as a target exactly once."""
    wanted = sum(len(model.bos_ids) + len(model.renderer.encode(text)) for text in documents)
    trained = int(sum(row.weight for row in rows))
    return Proof(
        name="every token of the text after the first of its document trains exactly once",
        passed=trained == wanted,
        number=f"{trained:,} of {wanted:,} tokens of {len(documents)} documents, their ends included",
        fix="report this text: a fault of Luthier",
    )  # fmt: skip


def no_shared_documents(documents: Sequence[str], dev: Sequence[str]) -> Proof:
    """Whether a document that the loss is measured on is trained on too."""
    known = {" ".join(text.split()) for text in documents}
    shared = sum(" ".join(text.split()) in known for text in dev)
    return Proof(
        name="no document is both trained and held out",
        passed=shared == 0, number=f"{shared} of {len(dev)} held out, among {len(documents)} trained",
        fix="remove them from one of the two",
    )  # fmt: skip


def no_shared_prompts(ledger: dict[str, Any]) -> Proof:
    """The certificate of the split that curation has just made, recounted."""
    proof = ledger["certificate"]
    shared = sum(count for tie in ("prompts", "links", "near") for count in proof[tie].values())
    return Proof(
        name="no prompt is both trained and held out",
        passed=shared == 0, number=f"{shared} shared prompts; splits {ledger['splits']}",
        fix="remove them from data.files or data.held_out",
    )  # fmt: skip


def _weights_are_the_answers(model: Model, found: Sequence[Shown]) -> Proof:
    """What trains, decoded, is the assistant's turns and their stop tokens, and nothing else."""
    wrong, empty, full = 0, 0, 0
    for conversation in found:
        answers = ["".join(text.split()) for text in conversation.answers]
        for row in conversation.rows:
            trained = [t for t, w in zip(row.token_ids, row.weights, strict=True) if w > 0]
            said = "".join(model.renderer.decode(trained).split())
            if conversation.has_calls:
                wrong += not any(answer in said for answer in answers)
            else:  # a template that rewrites history makes a row of each
                wrong += said not in {"".join(answers), *answers}
            empty += not trained
            full += len(trained) == len(row.weights)
    return Proof(
        name="the trained tokens are the answers and their stop tokens",
        passed=bool(found) and wrong == empty == full == 0,
        number=f"{len(found)} rows; {wrong} where they differ, {empty} with nothing trained, {full} all trained",
        fix=TEMPLATE_FIX,
    )


def _stop_is_learned(model: Model, found: Sequence[Shown]) -> Proof:
    """Every run of trained tokens ends with a token that stops generation."""
    good = turns = 0
    for row in (row for conversation in found for row in conversation.rows):
        trains = [*(w > 0 for w in row.weights), False]
        ends = [t for t, id_ in enumerate(row.token_ids) if trains[t] and not trains[t + 1]]
        turns += len(ends)
        good += sum(row.token_ids[t] in model.renderer.stop_ids for t in ends)
    return Proof(
        name="the last trained token of every turn is one that stops generation",
        passed=turns > 0 and good == turns,
        number=f"{good} of {turns} turns; stop tokens {sorted(model.renderer.stop_ids)}", fix=TEMPLATE_FIX,
    )  # fmt: skip


def _bos(model: Model, found: Sequence[Shown]) -> Proof:
    """As many leading BOS tokens as the template writes, in training and in serving alike: never two by accident."""
    bos, text = model.tokenizer.bos_token_id, model.tokenizer.bos_token
    counts, declared = set(), set()
    for conversation in found:
        start = model.renderer.text(conversation.prompt, tools=conversation.tools, add_generation_prompt=True)
        declared.add(_leading_text(start, text))
        for ids in (_prompt(model, conversation), *(row.token_ids for row in conversation.rows)):
            counts.add(next((n for n, id_ in enumerate(ids) if bos is None or id_ != bos), len(ids)))
    return Proof(
        name="every row and every prompt begins with the BOS tokens that the template writes, at most one",
        passed=counts == declared and max(counts, default=0) <= 1,
        number=f"leading BOS tokens: {sorted(counts)}; the template writes {sorted(declared)}",
        fix="let the chat template write the BOS token once, or not at all",
    )


def _prompt(model: Model, conversation: Shown) -> list[int]:
    return model.renderer.prompt(conversation.prompt, tools=conversation.tools)


def _leading_text(text: str, piece: str | None) -> int:
    count = 0
    while piece and text.startswith(piece * (count + 1)):
        count += 1
    return count


def _served_is_trained(model: Model, found: Sequence[Shown]) -> Proof:
    """Against the prompt that Luthier serves, and the one that transformers makes of the same messages."""
    from luthier.models.tool_turns import chat_of

    same = theirs = 0
    for conversation in found:
        prompt = tuple(_prompt(model, conversation))
        same += all(row.token_ids[: len(prompt)] == prompt for row in conversation.rows[-1:])
        other = model.tokenizer.apply_chat_template(
            chat_of(conversation.prompt), tools=list(conversation.tools) or None, add_generation_prompt=True,
            return_dict=True,
        )  # fmt: skip
        theirs += tuple(other["input_ids"]) == prompt
    return Proof(
        name="the tokens of a served prompt are those of the trained prompt",
        passed=bool(found) and same == theirs == len(found),
        number=f"{same} of {len(found)} rows; transformers' own prompt: {theirs} of {len(found)}", fix=TEMPLATE_FIX,
    )  # fmt: skip


def _evaluated_is_trained(model: Model, found: Sequence[Shown]) -> Proof:
    from luthier.models.protocols import chat_protocol

    ask = chat_protocol(model)
    same = total = 0
    for conversation in found:
        answered = [*conversation.prompt, Message(role="assistant", content="-")]
        prompt = tuple(ask.prompt(Example.of(answered, tools=conversation.tools)))
        total += 1
        trained = conversation.rows[-1].token_ids if conversation.rows else tuple(_prompt(model, conversation))
        same += trained[: len(prompt)] == prompt
    return Proof(
        name="the tokens of an evaluated prompt are those of the trained prompt",
        passed=total > 0 and same == total, number=f"{same} of {total} rows", fix=TEMPLATE_FIX,
    )  # fmt: skip

"""Preflight: proofs on your data, your template and your machine, before any time is spent on training.

Each proof is a sentence, PASS or FAIL, and the number behind it; then how long the training will take and whether it
fits, measured on some of its own steps. Seconds on a few hundred rows.

    luthier check recipe.toml
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.recipes import fit, proving, stages
from luthier.recipes.pretrain import PretrainRecipe, documents_of, start_folder, write_untrained
from luthier.recipes.proving import Proof
from luthier.recipes.tune import TuneRecipe
from luthier.records import Example, Preference, write_records
from luthier.runs import Run
from luthier.train.config import ModelConfig, TrainConfig
from luthier.train.fit import Prediction, size

if TYPE_CHECKING:
    from luthier.models.load import Model
    from luthier.train.batch import Row

MOST_ROWS = 200
"""Rows whose tokens and weights are looked at, evenly spread over the data."""
MOST_COUNTED = 4000
"""Rows in the account of cuts, evenly spread."""
MOST_PASSED = 16
"""Rows whose log-probabilities and gradients are compared, spread over the lengths."""
MOST_WORK = 1e11
"""Parameters times tokens of those rows: a large model is tried on fewer tokens."""
LEFT_OUT = {
    "grpo": ("trained tokens, stop tokens, the length account", "its answers are drawn while it trains"),
    "pretrain": ("trained turns, stop tokens, served and evaluated prompts", "plain text passes no chat template"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One training stage, and the data that it reads."""

    name: str
    config: TrainConfig
    model: ModelConfig
    examples: Sequence[Example] = ()
    preferences: Sequence[Preference] = ()
    documents: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """What trains the stage: the rows of each command, and the key of its prediction."""

    folders: Mapping[str, Path]
    keys: Mapping[str, str]


def main(
    recipe: TuneRecipe | PretrainRecipe, *, say: Callable[[str], None], limits: fit.Machine | None = None
) -> tuple[Proof, ...]:
    """Prove what can be proved before training, and foretell what it takes.

    `limits`: what the machine has; without it, what it is found to have. ModelError when the template cannot even be
    rendered.
    """
    limits = limits or fit.Machine.here(recipe.run.dir)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if isinstance(recipe, PretrainRecipe):
            proofs, todo = _pretraining(recipe, scratch, say)
        elif recipe.train.method == "pretrain":
            proofs, todo = _text(recipe, scratch)
        else:
            proofs, todo = _tuning(recipe, scratch, say)
        kept: dict[str, Prediction] = {}
        at_end: list[Proof] = []
        for subject, commands in todo:  # first, and in a process of its own: what does not fit must not end this one
            tried = fit.predict(
                subject.config, subject.model, [*commands.folders.values()], run_folder=recipe.run.dir, limits=limits
            )
            kept |= _told(subject, commands, tried.predictions, limits, say)
            at_end += [_named(p, subject, todo) for p in fits(tried, limits)]
            if tried.is_memory:
                say(f"check | left out: everything about {subject.name}: the model does not fit into memory")
            else:
                proofs += [_named(p, subject, todo) for p in _proofs(subject, scratch, say)]
    if kept:
        fit.keep(recipe.run.dir, kept)
    return (*proofs, *at_end)


def lines(proofs: Sequence[Proof]) -> list[str]:
    """The table for the terminal; what to do stands under each proof that fails."""
    width = max(len(proof.name) for proof in proofs)
    table = []
    for p in proofs:
        table.append(f"{'PASS' if p.passed else 'FAIL'}  {p.name.ljust(width)}  {p.number}")
        if not p.passed and p.fix:
            table.append(f"      Fix: {p.fix}")
    return table


def to_json(proofs: Sequence[Proof]) -> list[dict[str, Any]]:
    """The proofs as JSON objects."""
    return [asdict(proof) for proof in proofs]


Todo = list[tuple[Subject, Commands]]


def _tuning(recipe: TuneRecipe, scratch: Path, say: Callable[[str], None]) -> tuple[list[Proof], Todo]:
    """The rows as `luthier run` curates them and as `luthier train` takes them, and the stages that train."""
    from luthier.curate.pipeline import curate
    from luthier.curate.rows import read_examples

    found = read_examples(list(recipe.data.files), columns=recipe.curate.columns)
    say(f"check | {len(found.examples):,} examples, {len(found.preferences):,} preferences, "
        f"{len(found.problems):,} rows that cannot be used")  # fmt: skip
    if recipe.select is not None:
        say("check | model.base is checked; `luthier select` tries the training of each candidate")
    alone, curated = scratch / "rows", scratch / "curated"
    write_records(alone / "train.jsonl", found.examples)
    write_records(alone / "preferences.jsonl", found.preferences)
    curate(list(recipe.data.files), out=curated, config=recipe.curate.model_copy(update={"strict": False}),
           held_out_files=list(recipe.data.held_out), allow_overlap=True, say=lambda _: None)  # fmt: skip
    ledger = json.loads((curated / "ledger.json").read_text(encoding="utf-8"))
    todo = []
    for name, config in (("train", recipe.train), ("prefer", recipe.prefer)):
        if config is None:
            continue
        folders = {"luthier run": curated, **({"luthier train": alone} if name == "train" else {})}
        keys = {
            command: fit.key_of(config, recipe.model, stages.curated_material(folder, config).inputs)
            for command, folder in folders.items()
        }
        subject = Subject(
            name=name, config=config, model=recipe.model, preferences=found.preferences,
            examples=[e for e in found.examples if config.method == "grpo" or e.messages[-1].role == "assistant"],
        )  # fmt: skip
        todo.append((subject, Commands(folders=folders, keys=keys)))
    return [proving.no_shared_prompts(ledger)], todo


def _text(recipe: TuneRecipe, scratch: Path) -> tuple[list[Proof], Todo]:
    """Plain text for `luthier train`."""
    from luthier.train.documents import read_documents

    texts = [read_documents(files) if files else [] for files in (recipe.data.files, recipe.data.held_out)]
    _write_text(scratch / "rows", *texts)
    inputs = {str(path): path for path in (*recipe.data.files, *recipe.data.held_out)}
    commands = Commands(
        folders={"luthier train": scratch / "rows"},
        keys={"luthier train": fit.key_of(recipe.train, recipe.model, inputs)},
    )
    subject = Subject(name="train", config=recipe.train, model=recipe.model, documents=texts[0])
    return [proving.no_shared_documents(*texts)], [(subject, commands)]


def _pretraining(recipe: PretrainRecipe, scratch: Path, say: Callable[[str], None]) -> tuple[list[Proof], Todo]:
    """A model that is built, or made from another, before its first step."""
    start = start_folder(recipe)
    text = documents_of(recipe.data, seed=recipe.train.seed)
    for words in write_untrained(recipe, text.train, scratch / "untrained"):
        say(f"build | {words}")
    _write_text(scratch / "rows", text.train, text.dev)
    model = ModelConfig(base=str(scratch / "untrained"))
    key = fit.key_of(recipe.train, start, pretrain_inputs(recipe))
    commands = Commands(folders={"luthier run": scratch / "rows"}, keys={"luthier run": key})
    subject = Subject(name="train", config=recipe.train, model=model, documents=text.train)
    return [proving.no_shared_documents(text.train, text.dev)], [(subject, commands)]


def _proofs(subject: Subject, scratch: Path, say: Callable[[str], None]) -> list[Proof]:
    """What is shown of one training stage, in float32 on the device of the run."""
    from luthier.models.load import load_model
    from luthier.models.tokens import add_tokens
    from luthier.train.loop import Place
    from luthier.train.training import prepared, way_through

    config, settings = subject.config, subject.model
    model = load_model(stages.start_of(settings), dtype="float32", chat_template=settings.chat_template)
    for notice in model.notices:
        say(f"check | {notice}")
    model = add_tokens(model, settings.new_tokens)
    if config.method in LEFT_OUT:
        say("check | left out: {}: {}".format(*LEFT_OUT[config.method]))
    proofs, rows = _of_rows(model, subject)
    chosen = _spread(rows, config.method, most=MOST_WORK / model.num_parameters)
    if not chosen:
        return proofs
    place = Place(run=Run(folder=scratch, echo=say), folder=scratch, key="", kind="check")
    calm = config.model_copy(update={"checkpoint_activations": False, "autocast": False})
    model = prepared(model, calm, place)
    how = way_through(model.network, calm, place, min(config.max_length, model.max_length))
    return proofs + proving.of_the_passes(model, chosen, config, how)


def _of_rows(model: Model, subject: Subject) -> tuple[list[Proof], Sequence[Row]]:
    """What is shown of rows, and the rows that pass through the network."""
    from luthier.train.batch import Row, rows_of, text_rows
    from luthier.train.preference import pairs_of

    config = subject.config
    length = min(config.max_length, model.max_length)
    if config.method == "pretrain":
        documents = _some(subject.documents, MOST_COUNTED)
        text = text_rows(documents, model.renderer.encode, eos_id=int(model.tokenizer.eos_token_id),
                         bos_ids=model.bos_ids, max_length=length).rows  # fmt: skip
        return [proving.text_trains_once(model, documents, text)], text
    examples = _some(subject.examples, MOST_ROWS)
    found = proving.shown(model, examples, _some(subject.preferences, MOST_ROWS // 2), config.method)
    proofs = proving.of_the_template(model, found, has_rows=config.method != "grpo")
    if config.method == "grpo":
        prompts = [tuple(model.renderer.prompt(e.prompt, tools=e.tools))[-length:] for e in examples]
        rows: Sequence[Row] = [Row(e.id, ids, (1.0,) * len(ids)) for e, ids in zip(examples, prompts, strict=True)]
        return [*proofs, proving.prompts_leave_room(model, examples, config)], rows
    if config.method == "dpo":
        preferences = _some(subject.preferences, MOST_COUNTED)
        pairs = pairs_of(preferences, model.renderer, max_length=length, overlong=config.overlong)
        return [*proofs, proving.cuts_are_counted(pairs.ledger, rows=len(preferences))], pairs.rows
    examples = _some(subject.examples, MOST_COUNTED)
    rendered = [row for e in examples for row in model.renderer.render(e.messages, tools=e.tools, where=e.source)]
    fitted = rows_of(examples, model.renderer, max_length=length, overlong=config.overlong)
    account = proving.cuts_are_counted(fitted.ledger, rows=len(rendered), tokens_off=fitted.tokens_off)
    return [*proofs, account], fitted.rows


def _spread(rows: Sequence[Row], method: str, *, most: float) -> list[Row]:
    """Rows (whole pairs of them) of all lengths, two units at least, so that the network is done in seconds."""
    together = 2 if method == "dpo" else 1
    units = [rows[i : i + together] for i in range(0, len(rows), together)]
    units.sort(key=lambda unit: sum(len(row.token_ids) for row in unit))
    chosen = units[:: max(1, together * len(units) // MOST_PASSED)][: MOST_PASSED // together]
    while len(chosen) > 2 and sum(len(row.token_ids) for unit in chosen for row in unit) > most:
        chosen.pop()
    return [row for unit in chosen for row in unit]


def _told(
    subject: Subject, commands: Commands, found: Sequence[Prediction], limits: fit.Machine, say: Callable[[str], None]
) -> dict[str, Prediction]:
    """Say how long it will take and what it needs; the predictions by key."""
    for number, (command, prediction) in enumerate(zip(commands.folders, found, strict=False)):
        stage = f"{subject.name} | " if subject.name != "train" else ""
        other = f"by `{command}`, on every usable row | " if number else ""
        say(f"fit | {stage}{other}{prediction.line(limits.memory_gib, limits.disk_free_gib)}")
    for note in dict.fromkeys(note for prediction in found for note in prediction.notes):
        say(f"fit | {note}")
    return {
        commands.keys[command]: prediction
        for command, prediction in zip(commands.folders, found, strict=False)
        if prediction.num_processes == 1
    }


def fits(tried: fit.Tried, limits: fit.Machine) -> list[Proof]:
    """Whether the machine has what was foretold."""
    if not tried.predictions:
        return [Proof(name="the training can be tried", passed=False, number=tried.failure, fix=tried.fix)]
    most = max(tried.predictions, key=lambda p: p.peak_memory_gib)
    disk = max(prediction.disk_gib for prediction in tried.predictions)
    in_memory = Proof(
        name="the training fits into memory", passed=limits.holds_in_memory(most),
        number=f"peak {size(most.peak_memory_gib)} of {size(most.device_memory_gib or limits.memory_gib)}",
        fix=fit.MEMORY_FIX,
    )  # fmt: skip
    on_disk = Proof(
        name="checkpoints and model fit onto the disk", passed=disk <= limits.disk_free_gib,
        number=f"{size(disk)} of {size(limits.disk_free_gib)} free", fix=fit.DISK_FIX,
    )  # fmt: skip
    return [in_memory, on_disk] if most.num_processes == 1 else [on_disk]  # of several, each holds a part


def pretrain_inputs(recipe: PretrainRecipe) -> dict[str, Path | str]:
    """What the prediction of a pretrain recipe depends on, besides its training and where it starts."""
    inputs: dict[str, Path | str] = {str(path): path for path in recipe.data.files}
    shape = {"build": recipe.build.model_dump(mode="json"), "data": recipe.data.model_dump(mode="json")}
    return {**inputs, "shape": json.dumps(shape, sort_keys=True)}


def _some(rows: Sequence[Any], most: int) -> Sequence[Any]:
    return rows if len(rows) <= most else [rows[i * len(rows) // most] for i in range(most)]


def _write_text(folder: Path, documents: Sequence[str], dev: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, texts in zip(fit.TEXT, (documents, dev), strict=True):
        if texts:
            rows = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
            (folder / name).write_text("".join(rows), encoding="utf-8")


def _named(proof: Proof, subject: Subject, todo: Todo) -> Proof:
    """With the stage's name where there is more than one."""
    return proof if len(todo) == 1 else replace(proof, name=f"{subject.name}: {proof.name}")

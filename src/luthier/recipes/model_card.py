"""The model card: README.md beside the weights, made from the files of the run and from nothing else.

It says what the model was made of, under which licences, by which recipe, with which numbers, and where its limits are.
It holds no time and no speed, so the same run writes the same card; a model's digest does not cover it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.config import Config, nested_config
from luthier.models.folders import digest
from luthier.recipes.card_mixture import mixture_tables
from luthier.recipes.card_sources import (
    HUB_NAME,
    TrainedRows,
    TrainedStage,
    base_of,
    chain_to,
    languages_of,
    rows_of,
    texts_of,
)
from luthier.recipes.licences import Terms, combined, terms_of
from luthier.recipes.runs import events_of
from luthier.records.whole_files import write_text_whole
from luthier.reports.page import UNPRINTABLE
from luthier.runs import read_json

SHOWN_LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "peft")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~$!])")


def write_model_card(run_folder: Path, model: Path) -> None:
    """Write README.md into `model`, which a training stage of the run has made; any other model is left as it is."""
    chain = chain_to(run_folder, digest(model))
    if not chain:
        return
    write_text_whole(model / "README.md", _card(run_folder, model, chain))


def non_defaults(kind: type[Config], data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The keys of a config as JSON holds it that differ from their defaults or have none, by full dotted key."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        spec = kind.model_fields.get(name)
        inner = nested_config(spec) if spec is not None else None
        if inner is not None and isinstance(value, Mapping):
            within = non_defaults(inner, value, f"{prefix}{name}.")
            is_left_out = spec is not None and not spec.is_required() and spec.get_default() is not None
            found |= within or ({} if is_left_out else {prefix + name: {}})
        elif spec is None or spec.is_required() or value != _as_json(spec.get_default(call_default_factory=True)):
            found[prefix + name] = value
    return found


def toml_value(value: Any) -> str:
    """A value as a recipe holds it; None is the word "none".

    >>> toml_value({"kpi": "auto", "share": 0.5, "on": True, "files": ["a"]})
    '{kpi = "auto", share = 0.5, on = true, files = ["a"]}'
    """
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):  # TOML has no null: what is left out within a table is its default
        keys = {k: k if BARE_KEY.fullmatch(k) else toml_value(k) for k in value}
        return "{" + ", ".join(f"{keys[k]} = {toml_value(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else repr(value)


def plain(text: object) -> str:
    """Text of users and models as Markdown shows it unchanged, on one line."""
    flat = " ".join(UNPRINTABLE.sub("\ufffd", str(text)).split())
    return MARKUP.sub(r"\\\1", flat).replace("\\<", "&lt;").replace("\\>", "&gt;")


def _card(run: Path, model: Path, chain: Sequence[TrainedStage]) -> str:
    config, rows = read_json(run / "config.json"), rows_of(run, chain)
    base, base_licence = base_of(run, config, chain)
    data = [terms_of(name or None) for part in rows for name in sorted(part.licences)]
    terms = [terms_of(base_licence), *data, *(terms_of(None) for _ in texts_of(chain))]
    sections = [
        _front_matter(model, chain, rows, base, base_licence, terms),
        f"# {plain(_title(run, base))}\n\n{_intro(chain, base)}",
        "## Data and licences\n\n" + _licence_section(chain, rows, base, base_licence, terms),
        _curation(run, chain),
        _mixture(chain),
        "## Recipe\n\n" + _recipe(run, config),
        "## Numbers\n\n" + _numbers(run, model, chain),
        "## Limits\n\n" + _limits(run, model, chain, rows),
        "## Lineage\n\n" + _lineage(model, chain),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(
    model: Path, chain: Sequence[TrainedStage], rows: Sequence[TrainedRows], base: str, base_licence: str | None,
    terms: Sequence[Terms],
) -> str:  # fmt: skip
    is_adapter = (model / "adapter_config.json").is_file()
    lines = [f"license: {_yaml(_own_licence(base_licence, terms))}"]
    if lines[0] == 'license: "other"':
        lines += ['license_name: "see-data-and-licences"', 'license_link: "README.md"']
    lines.append(f"base_model: {_yaml(base if HUB_NAME.fullmatch(base) else Path(base).name)}")
    lines.append(f"base_model_relation: {_yaml('adapter' if is_adapter else 'finetune')}")
    if languages := languages_of(rows):
        lines.append(f"language: {json.dumps(languages)}")
    tags = ["luthier", *dict.fromkeys(str(stage.trained["method"]) for stage in chain)]
    adapters = dict.fromkeys(str(stage.trained["adapter"]) for stage in chain if stage.trained["adapter"] != "none")
    lines += [f"library_name: {_yaml('peft' if is_adapter else 'transformers')}", 'pipeline_tag: "text-generation"',
              f"tags: {json.dumps([*tags, *adapters])}"]  # fmt: skip
    return "\n".join(["---", *lines, "---"])


def _own_licence(base_licence: str | None, terms: Sequence[Terms]) -> str:
    """The base's licence where nothing that was added asks for more than naming it; else "other"."""
    if not terms[0].is_known:
        return "unknown"
    adds = any(t.commercial != "yes" or t.share_alike is not False or t.note for t in terms[1:])
    return "other" if adds else str(base_licence)


def _title(run: Path, base: str) -> str:
    return f"{Path(base).name}, tuned in run {run.resolve().name}"


def _intro(chain: Sequence[TrainedStage], base: str) -> str:
    steps = ", then ".join(
        f"{stage.trained['method']} for {stage.trained['steps']:,} steps"
        + (f" ({stage.trained['adapter']} adapter)" if stage.trained["adapter"] != "none" else "")
        for stage in chain
    )
    return f"Tuned by Luthier from {plain(base)}: {steps}."


def _licence_section(
    chain: Sequence[TrainedStage], rows: Sequence[TrainedRows], base: str, base_licence: str | None,
    terms: Sequence[Terms],
) -> str:  # fmt: skip
    table = [["base", plain(base), "", *_terms_cells(terms_of(base_licence))]]
    for part in rows:
        for name, sources in sorted(part.licences.items()):
            cells = [plain(part.name), plain(_named(sources)), f"{sources.total():,}"]
            table.append([*cells, *_terms_cells(terms_of(name or None))])
    table += [["plain text", plain(path), "", *_terms_cells(terms_of(None))] for path in texts_of(chain)]
    commercial, said = combined(terms)
    notes = [f"- {plain(t.licence)}: {plain(t.note)}" for t in {t.licence: t for t in terms}.values() if t.note]
    return "\n\n".join([
        _table(["part", "from", "rows", "licence", "commercial use", "share alike"], table),
        f"Together: commercial use **{commercial}**. " + " ".join(map(plain, said)),
        *(["\n".join(notes)] if notes else []),
        "This table is a summary of what the licences are known to ask, not legal advice; how far the licence of "
        "training data reaches a model differs from country to country.",
    ])  # fmt: skip


def _terms_cells(terms: Terms) -> list[str]:
    share = {True: "yes", False: "no", None: "unknown"}[terms.share_alike]
    return [plain(terms.licence), terms.commercial, share]


def _curation(run: Path, chain: Sequence[TrainedStage]) -> str:
    """The account of the curation that made the rows: of the run, or of the turn; `luthier train` has none."""
    turn = chain[-1].folder.parent / "curated"
    ledger = read_json((turn if turn.is_dir() else run / "curate") / "ledger.json")
    if not ledger or _command(run) == "train":
        return ""
    table = [["read", "", f"{ledger['read']:,}"], ["kept", "", f"{ledger['kept']:,}"]]
    for way in ("merged", "dropped", "quarantined"):
        table += [[way, plain(reason), f"{count:,}"] for reason, count in ledger[way].items()]
    splits = ", ".join(f"{name} {count:,}" for name, count in ledger["splits"].items())
    leaks = sum(ledger.get("certificate", {}).get("prompts", {}).values())
    return (
        "## Curation\n\n" + _table(["way", "reason", "rows"], table)
        + f"\n\nKept rows: {plain(splits)}, preferences {ledger['preferences']:,}. "
        + (f"{leaks:,} prompts are in more than one part." if leaks else "No prompt is in more than one part.")
    )  # fmt: skip


def _mixture(chain: Sequence[TrainedStage]) -> str:
    """How often each file, task and cluster came, where a mixture decided it."""
    parts = [
        f"{plain(said)}\n\n" + _table(columns, [[plain(cell) for cell in row] for row in rows])
        for said, columns, rows in mixture_tables(chain)
    ]
    return "\n\n".join(["## Mixture", *parts]) if parts else ""


def _recipe(run: Path, config: Mapping[str, Any]) -> str:
    from luthier.recipes.pretrain import PretrainRecipe
    from luthier.recipes.tune import TuneRecipe

    changed = non_defaults(PretrainRecipe if config.get("recipe") == "pretrain" else TuneRecipe, config)
    lines = "\n".join(f"{key} = {toml_value(value)}" for key, value in changed.items())
    verb = "train" if _command(run) == "train" else "run"
    return (
        f"Every key that differs from its default; saved as recipe.toml, `luthier {verb} recipe.toml` does it again."
        f"\n\n```toml\n{lines}\n```"
    )


def _command(run: Path) -> str | None:
    """The command that wrote the run last."""
    command: list[str] = read_json(run / "manifest.json").get("command", [])
    return command[1] if len(command) > 1 else None


def _numbers(run: Path, model: Path, chain: Sequence[TrainedStage]) -> str:
    from luthier.recipes.card_numbers import evaluations, forgetting_lines, verdict_lines

    events = list(events_of(run))
    table = []
    for stage in chain:
        trained = stage.trained
        dev = [e["train/dev_loss"] for e in events if e.get("kind") == f"{stage.name}_dev" and "train/dev_loss" in e]
        saved = trained.get("best_step") or trained["steps"]
        tokens = sum(e.get("train/tokens", 0) for e in events if e.get("kind") == stage.name)
        table.append([
            plain(stage.name), f"{trained['steps']:,}", f"{saved:,}", f"{tokens:,}", f"{trained['loss_first']:.4f}",
            f"{trained['loss_last']:.4f}", f"{dev[-1]:.4f}" if dev else "not measured",
        ])  # fmt: skip
    parts = [_table(["stage", "steps", "weights of step", "tokens", "first loss", "last loss", "last dev loss"], table)]
    measured = evaluations(run, str(chain[-1].trained["digest"]))
    if measured:
        rows = [[plain(cell) for cell in row] for found in measured for row in found.cells()]
        parts.append(_table(["suite", "KPI", "base", "this model, 95 % interval", "items", "difference, paired"], rows))
    parts += [" ".join(map(plain, forgetting_lines(run, measured)))] if measured else []
    verdict = verdict_lines(run, str(chain[-1].trained["digest"]), is_evaluated=bool(measured))
    parts += ["\n".join(f"- {plain(line)}" for line in verdict)]
    return "\n\n".join(part for part in parts if part)


def _limits(run: Path, model: Path, chain: Sequence[TrainedStage], rows: Sequence[TrainedRows]) -> str:
    from luthier.recipes.card_numbers import evaluations

    measured = evaluations(run, str(chain[-1].trained["digest"]))
    said = []
    if not measured:
        said.append("It was not evaluated in this run: a low training loss says nothing of its answers.")
    for found in measured:
        fewest = min((kpi["n"] for kpi in found.kpis.values()), default=0)
        said.append(f"Evaluated on {fewest:,} items of {plain(found.suite)}; nothing is known beyond items like these.")
    said.append("Nothing here tests safety, bias, truthfulness or privacy; what the base got wrong it may still get "
                "wrong.")  # fmt: skip
    if lengths := [stage.settings["max_length"] for stage in chain if "max_length" in stage.settings]:
        said.append(f"Trained on rows of at most {min(lengths):,} tokens (or the model's positions, where fewer).")
    if not languages_of(rows):
        said.append("The rows do not state their language.")
    lost = {why: n for stage in chain for why, n in stage.trained.get("rows", {}).items() if why != "kept" and n}
    said += [f"Rows lost to the length limit or to their form: {plain(why)} {n:,}." for why, n in lost.items()]
    if (model / "adapter_config.json").is_file():
        said.append("An adapter: it works only on the base named above.")
    return "\n".join(f"- {line}" for line in said)


def _lineage(model: Path, chain: Sequence[TrainedStage]) -> str:
    last = chain[-1]
    table = [["this model", str(last.trained["digest"])], ["base", str(chain[0].trained["base"])]]
    for stage in chain:
        inputs = stage.record.get("parts", {}).get("inputs", {})
        table += [[f"{plain(stage.name)}: {plain(name)}", str(value)] for name, value in inputs.items()
                  if name != "base" and re.fullmatch(r"[0-9a-f]{64}", str(value))]  # fmt: skip
        if stage.record:
            table.append([f"{plain(stage.name)}: key of the stage", str(stage.record["key"])])
    libraries = last.record.get("parts", {}).get("libraries", {})
    table += [[name, plain(libraries[name])] for name in SHOWN_LIBRARIES if name in libraries]
    return _table(["what", "digest or version"], table)


def _named(sources: Counter[str]) -> str:
    named = sorted(name for name in sources if name)
    return ", ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; cells are escaped already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell or " " for cell in line) + " |" for line in lines)


def _yaml(text: str) -> str:
    return json.dumps(UNPRINTABLE.sub("\ufffd", text), ensure_ascii=False)  # YAML reads JSON's strings


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value.model_dump(mode="json") if isinstance(value, Config) else value, default=str))

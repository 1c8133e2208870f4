"""A model for elsewhere: a folder with the adapter merged, the adapter alone, or one GGUF file, each proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import ConfigError, Problem
from luthier.models.folders import resolve

if TYPE_CHECKING:
    from luthier.models.export import Check, Drift, Probes
    from luthier.models.load import Model

DTYPES = ("float32", "bfloat16", "float16")
OF_MERGED = {"base_model_relation": '"finetune"', "library_name": '"transformers"'}
"""Front matter of the card of a folder into which an adapter was merged."""
OF_ADAPTER = "- An adapter: it works only on the base named above."
"""A line of an adapter's card that merging makes untrue."""


@dataclass(slots=True, kw_only=True)
class Export:
    """What was written, and what was found."""

    to: Path
    kind: str
    """"folder", "adapter" or "gguf"."""
    dtype: str
    num_bytes: int = 0
    positions: dict[str, int] = field(default_factory=dict)
    """How many positions were compared, and how many of them are prompts saved with the model."""
    drifts: dict[str, Drift] = field(default_factory=dict)
    """By what it compares with the model as it was loaded: "merged" (in float32), "rounded" (to `dtype`)."""
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every check did; nothing is left at `to` otherwise."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "to": str(self.to), "kind": self.kind, "dtype": self.dtype, "bytes": self.num_bytes, "passed": self.passed,
            "positions": self.positions, "drift": {name: drift.to_json() for name, drift in self.drifts.items()},
            "checks": [{"name": c.name, "passed": c.passed, "found": c.found} for c in self.checks],
            "notes": self.notes,
        }  # fmt: skip


def main(
    model: Path | str, *, to: Path, adapter_only: bool = False, dtype: str | None = None, say: Callable[[str], None]
) -> Export:
    """Export `model` to `to`: a GGUF file if it ends in .gguf, else a folder; `say` gets what was measured.

    `dtype` defaults to the number format that the base is stored in. Nothing stands at `to` unless every check passed.
    """
    source = resolve(model)
    is_adapter = (source / "adapter_config.json").is_file()
    _refuse_contradictions(to, adapter_only=adapter_only, dtype=dtype, is_adapter=is_adapter, source=source)

    from luthier.models.export import drift, logits_of, merged, probes_of, refuse_existing, stored_dtype
    from luthier.models.load import load_model
    from luthier.models.parity import verify

    refuse_existing(to)
    loaded = load_model(source)
    verify(loaded)
    kind = "adapter" if adapter_only else "gguf" if to.suffix == ".gguf" else "folder"
    stored = "float32" if adapter_only else stored_dtype(source)
    export = Export(to=to, kind=kind, dtype=dtype or stored, notes=list(loaded.notices))
    if kind == "gguf":
        from luthier.models.gguf_file import refuse_unknown

        refuse_unknown(loaded)
    probes = probes_of(loaded)
    export.positions = {"all": probes.num_positions, "prompts": probes.num_prompt_positions}
    say(f"export | compared at {probes.num_positions:,} positions, {probes.num_prompt_positions:,} of them in prompts "
        "saved with the model, the rest in text made from its vocabulary")  # fmt: skip
    before = logits_of(loaded.network, probes)
    if adapter_only:
        _write_adapter(export, loaded, probes, before)
    else:
        if is_adapter:
            loaded = merged(loaded)
            export.drifts["merged"] = drift(before, logits_of(loaded.network, probes))
            export.checks.append(_merging(export.drifts["merged"]))
        _write(export, loaded, probes, before)
    _tell(export, say)
    return export


def _write(export: Export, model: Model, probes: Probes, before: list[Any]) -> None:
    """Round to the number format, write, read back, compare; what passes is kept."""
    from luthier.models.export import drift, logits_of, round_weights, written_whole

    round_weights(model.network, export.dtype, matrices_only=export.kind == "gguf")
    rounded = before
    if export.drifts or export.dtype != "float32":
        rounded = logits_of(model.network, probes)
    if export.dtype != "float32":
        export.drifts["rounded"] = drift(before, rounded)
    with written_whole(export.to, num_bytes=_num_bytes(model, export.dtype)) as partial:
        write = _write_gguf if export.kind == "gguf" else _write_folder
        path, network = write(export, model, probes, partial.folder)
        export.checks.append(_reloading(drift(rounded, logits_of(network.to(model.device), probes)), "transformers"))
        export.num_bytes = partial.keep(path) if export.passed else 0


def _write_folder(export: Export, model: Model, probes: Probes, folder: Path) -> tuple[Path, Any]:
    from luthier.models.export import check_tokens, reload_folder, write_folder

    write_folder(model, folder, dtype=export.dtype)
    if (model.folder / "README.md").is_file():
        _mend_card(folder / "README.md", export)
    export.checks.append(check_tokens(folder, model, probes))
    return folder, reload_folder(folder)


def _mend_card(path: Path, export: Export) -> None:
    """Let the card that was copied say what was changed since: its digests and numbers are of the model before."""
    changes = ["the adapter merged into its base"] if "merged" in export.drifts else []
    changes += [f"weights rounded to {export.dtype}"] if "rounded" in export.drifts else []
    if not changes:
        return
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    end = lines.index("---", 1) if lines[0] == "---" and "---" in lines[1:] else -1
    if "merged" in export.drifts:
        for number in range(1, end):
            key = lines[number].partition(":")[0]
            lines[number] = f"{key}: {OF_MERGED[key]}" if key in OF_MERGED else lines[number]
        lines = [line for line in lines if line != OF_ADAPTER]
    head, rest = lines[: end + 1], "\n".join(lines[end + 1 :]).lstrip("\n")
    said = f"Exported by Luthier: {' and '.join(changes)}. Digests and numbers on this page are of the model before."
    path.write_text("\n".join([*head, "", said, "", rest]), encoding="utf-8", errors="surrogateescape", newline="\n")


def _write_gguf(export: Export, model: Model, probes: Probes, folder: Path) -> tuple[Path, Any]:
    from luthier.models.gguf_file import check_tokens, reload, write

    path = folder / export.to.name
    export.notes += write(model, path, dtype=export.dtype, name=export.to.stem).notes
    export.checks.append(check_tokens(path, model, probes))
    return path, reload(path, model)


def _write_adapter(export: Export, model: Model, probes: Probes, before: list[Any]) -> None:
    from luthier.models.export import check_tokens, drift, logits_of, write_adapter, written_whole
    from luthier.models.load import load_model

    with written_whole(export.to, num_bytes=_num_bytes(model, "float32", is_adapter=True)) as partial:
        write_adapter(model, partial.folder)
        export.checks.append(check_tokens(partial.folder, model, probes))
        again = load_model(partial.folder, device=str(model.device))
        export.checks.append(_reloading(drift(before, logits_of(again.network, probes)), "peft, on its base"))
        export.num_bytes = partial.keep(partial.folder) if export.passed else 0


def _merging(drift: Drift) -> Check:
    from luthier.models.export import MIN_AGREEMENT, Check

    return Check(name="merging", passed=drift.agreement >= MIN_AGREEMENT, found=f"merged in float32, {drift}")


def _reloading(drift: Drift, reader: str) -> Check:
    from luthier.models.export import Check

    found = f"read back by {reader}, logits differ by at most {drift.largest:.2g} from those that were to be written"
    return Check(name="reloading", passed=drift.is_same, found=found)


def _num_bytes(model: Model, dtype: str, *, is_adapter: bool = False) -> int:
    sizes: list[int] = [p.numel() for p in model.network.parameters() if p.requires_grad or not is_adapter]
    return sum(sizes) * (4 if dtype == "float32" else 2)


def _tell(export: Export, say: Callable[[str], None]) -> None:
    for note in export.notes:
        say(f"export | note: {note}")
    if "rounded" in export.drifts:
        say(f"export | rounded to {export.dtype}: {export.drifts['rounded']}")
    for check in export.checks:
        say(f"export | {'passed' if check.passed else 'FAILED'} | {check.name}: {check.found}")
    if export.passed:
        say(f"export | {export.kind} | {export.dtype} | {export.num_bytes / 1e6:,.1f} MB | {export.to}")
    else:
        say(f"export | nothing was left at {export.to}, since a check failed")


def _refuse_contradictions(to: Path, *, adapter_only: bool, dtype: str | None, is_adapter: bool, source: Path) -> None:
    problems = []
    if adapter_only and not is_adapter:
        problems.append(Problem(where="--adapter-only", found=f"{source}, which is no adapter",
                                expected="a model with adapter_config.json",
                                fix="leave --adapter-only out"))  # fmt: skip
    if adapter_only and to.suffix == ".gguf":
        problems.append(Problem(where=f"--to {to}", found="a GGUF file for an adapter alone", expected="a folder",
                                fix="leave --adapter-only out to merge, or give a folder"))  # fmt: skip
    if adapter_only and dtype is not None:
        problems.append(Problem(where="--dtype", found=f"{dtype!r} with --adapter-only",
                                expected="nothing: an adapter keeps the float32 that it was trained in",
                                fix="leave --dtype out"))  # fmt: skip
    if dtype is not None and dtype not in DTYPES:
        problems.append(Problem(where="--dtype", found=repr(dtype), expected="one of " + ", ".join(DTYPES),
                                fix="correct the name"))  # fmt: skip
    if problems:
        raise ConfigError("this export cannot be made", problems)

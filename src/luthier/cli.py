"""The command line: one command per stage and a few more. Each imports its stage inside, so `--help` is quick."""

from __future__ import annotations

import shlex
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from luthier.errors import LuthierError
from luthier.recipes.run_commands import runs_app, versions_app
from luthier.terminal import do_in_view, in_place, print_found, print_json, print_line, says

USER_MUST_FIX = 2
INTERRUPTED = 130
OUR_FAULT = 70

app = typer.Typer(
    name="luthier",
    help="Builds, tunes and keeps in tune language models that follow instructions.",
    epilog="Exit status: 0 done or ship, 1 hold or a failed check, 2 something to fix, 3 not enough evidence, "
    "70 a fault of Luthier, 130 stopped with Ctrl-C. --debug, anywhere on the line, shows the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
Plain = Annotated[bool, typer.Option("--plain", help="A line a step, in place of the panel of a terminal.")]
app.add_typer(runs_app, name="runs")
app.add_typer(versions_app, name="versions")

Recipe = Annotated[Path, typer.Argument(help="A recipe in TOML; `luthier new` writes one.", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="key=value for any key of the recipe.", metavar="[key=value ...]")
]
EvaluateKeys = Annotated[
    list[str] | None, typer.Argument(help="Keys of evaluate, and no others.", metavar="[evaluate.KEY=VALUE ...]")
]
ServeKeys = Annotated[
    list[str] | None, typer.Argument(help="Keys of serve, and no others.", metavar="[serve.KEY=VALUE ...]")
]
DataFiles = Annotated[list[Path] | None, typer.Option("--data", help="A file of rows; give it again for more.")]
SuitePath = Annotated[Path | None, typer.Option("--suite", help="A suite in place of --data: its folder or .toml.")]
TrainingFiles = Annotated[list[Path] | None, typer.Option("--training", help="Rows that the model learned from.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write to.")]
ModelDir = Annotated[Path, typer.Option("--model", help="A model folder or a run folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write checks and KPIs as JUnit XML, for CI.")]
Markdown = Annotated[Path | None, typer.Option("--markdown", help="Write a summary for a pull request.")]


@app.command()
def demo(out: Out = Path("luthier-demo")) -> None:
    """The whole loop on the practice world, offline, in minutes."""
    from luthier.recipes.demo import main as recipe_main

    raise typer.Exit(recipe_main(out, echo=print_line, step_echo=in_place()))


@app.command()
def new(
    kind: Annotated[
        str, typer.Argument(help='"tune" for rows, "study" for tasks, "synthesise" for new rows, "suite" for items.')
    ] = "tune",
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="A file of rows, again for more; for a study, a folder.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The base: a folder or a hub name.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write: recipe.toml, study.toml, synthesise.toml or suite.toml.")
    ] = None,
) -> None:
    """Write a recipe: for your files, with the format recognised in each, for a study of tasks, or for new rows."""
    from luthier.recipes.new import write_new

    for line in write_new(kind, files=data or [], model=model, out=out):
        print_line(line)


@app.command()
def run(
    recipe: Recipe, overrides: Overrides = None, plain: Plain = False, junit: Junit = None, markdown: Markdown = None
) -> None:
    """Run the script that the recipe names; finished stages are reused, a killed run continues."""
    from luthier.recipes.loading import as_tune, load_recipe

    loaded = load_recipe(recipe, overrides)
    if junit is not None or markdown is not None:
        as_tune(loaded)  # which has a gate to tell of; no other recipe has
    if loaded.recipe == "study":
        from luthier.recipes.study import main as study_main

        raise typer.Exit(study_main(loaded, echo=print_line))  # a line an arm is all that it shows
    if loaded.recipe == "synthesise":
        from luthier.recipes.synthesise import main as synthesise_main

        synthesise_main(loaded, echo=print_line)
        raise typer.Exit(0)
    if loaded.recipe == "pretrain":
        from luthier.recipes.pretrain import main as pretrain_main

        raise typer.Exit(do_in_view(pretrain_main, loaded, plain=plain))
    from luthier.evaluate.ci.findings import CiFiles
    from luthier.recipes.tune import main as tune_main

    ci = CiFiles(junit=junit, markdown=markdown)
    command = shlex.join(["luthier", "run", str(recipe), *(overrides or [])])
    raise typer.Exit(do_in_view(partial(tune_main, ci=ci, command=command), as_tune(loaded), plain=plain))


@app.command()
def curate(
    data: Annotated[list[Path] | None, typer.Option("--data", help="A file of rows; again for more.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write to.")] = None,
    recipe: Annotated[str | None, typer.Argument(help="A recipe, in place of --data and --out.")] = None,
    overrides: Overrides = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with status 2 (1 with --check-split) if any row is unusable.")
    ] = False,
    check_split: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--check-split", metavar="TRAIN TEST", help="Only look for rows of TEST that TRAIN gives away."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Raw files to trusted examples, with a ledger of every row and a data card."""
    from luthier.recipes.curate import check_split as check_split_recipe
    from luthier.recipes.curate import main as recipe_main
    from luthier.recipes.curate import refuse_beside_check_split
    from luthier.recipes.loading import as_tune, load_recipe

    if check_split is not None:
        refuse_beside_check_split({"--data": data, "--out": out, "recipe or key=value": recipe, "key=value": overrides})
        check = check_split_recipe(*check_split, strict=strict, say=says(as_json))
        print_found(check.to_json() if as_json else check, lambda found: found.lines(), as_json=as_json)
        raise typer.Exit(0 if check.is_apart else 1)
    keys = overrides or []
    if recipe is not None and "=" in recipe and not Path(recipe).exists():  # no recipe, but the first key=value
        keys, recipe = [recipe, *keys], None
    settings = None if recipe is None else as_tune(load_recipe(Path(recipe), keys))
    ledger = recipe_main(settings, files=data or [], out=out, strict=strict, overrides=keys, say=says(as_json))
    if as_json:
        print_json(ledger)


@app.command()
def synthesise(recipe: Recipe, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Make rows: labelled tables in the words of templates, or what a model is asked to write."""
    from luthier.recipes.loading import as_synthesise, load_recipe
    from luthier.recipes.synthesise import main as recipe_main

    ledger = recipe_main(as_synthesise(load_recipe(recipe, overrides)), echo=says(as_json))
    if as_json:
        print_json(ledger)


@app.command()
def review(
    place: Annotated[Path, typer.Argument(help="A curated folder, a run folder, or a recipe.", show_default=False)],
    decisions: Annotated[
        Path | None,
        typer.Option("--decisions", help="File to add decisions to; else the recipe's, else review.jsonl."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page; without, only print its link.")] = True,
) -> None:
    """Keep, mend or drop the rows that curation flagged, on a page in the browser."""
    from luthier.recipes.review import main as recipe_main

    recipe_main(place, decisions=decisions, host=host, port=port, opens_browser=browser, say=print_line)


@app.command()
def select(recipe: Recipe, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Rank candidate bases by what they do on your dev rows and your machine."""
    from luthier.recipes.loading import as_tune, load_recipe
    from luthier.recipes.selection import main as recipe_main

    selection = recipe_main(as_tune(load_recipe(recipe, overrides)), say=says(as_json))
    if as_json:
        print_json(selection)


@app.command()
def train(recipe: Recipe, overrides: Overrides = None, plain: Plain = False) -> None:
    """One training run to RUN/model and RUN/metrics.jsonl; rows are checked, never cleaned or dropped."""
    from luthier.recipes.loading import as_tune, load_recipe
    from luthier.recipes.train import main as recipe_main

    raise typer.Exit(do_in_view(recipe_main, as_tune(load_recipe(recipe, overrides)), plain=plain))


@app.command()
def evaluate(
    model: ModelDir, out: Out, overrides: EvaluateKeys = None, data: DataFiles = None, suite: SuitePath = None,
    training: TrainingFiles = None, junit: Junit = None, markdown: Markdown = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Examine a model on items: completions, grades, KPIs with intervals, weak slices, a report."""
    from luthier.evaluate.ci.findings import CiFiles
    from luthier.recipes.evaluate import main as recipe_main

    ci = CiFiles(junit=junit, markdown=markdown)
    summary = recipe_main(model, files=data or [], suite=suite, out=out, overrides=overrides or [],
                          say=says(as_json), training=training or [], ci=ci)  # fmt: skip
    if as_json:
        print_json(summary)


@app.command()
def compare(
    given: Annotated[
        list[str], typer.Argument(help="Evaluation folders, or logs of lm_eval or Inspect; the others against the "
                                  "first. Keys of gate judge B against A.", metavar="A B [C ...] [gate.KEY=VALUE ...]")
    ],
    same: Annotated[
        list[str] | None, typer.Option("--same", help="OTHER is the KPI NAME; again for more.", metavar="NAME=OTHER")
    ] = None,
    judge: Annotated[
        Path | None, typer.Option("--judge", help="A recipe whose [evaluate.judge] says which answers are better.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write a page with the intervals as plots.")] = None,
    junit: Junit = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Paired statistics of evaluations of the same items: every other one against the first."""
    from luthier.evaluate.ci.findings import CiFiles
    from luthier.recipes.compare import main as recipe_main

    ci = CiFiles(junit=junit, markdown=markdown)
    found = recipe_main(given, same=same or [], page=out, ci=ci, judge=judge, say=says(as_json))
    print_found(found.to_json() if as_json else found, lambda one: one.lines(), as_json=as_json)
    raise typer.Exit(found.exit_status)


@app.command()
def serve(
    model: Annotated[list[Path], typer.Option("--model", help="A model or run folder; twice to compare two.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
    store: Annotated[str, typer.Option(help='Traces and feedback; "none" keeps nothing.')] = "sqlite:///traces.sqlite",
    overrides: ServeKeys = None,
) -> None:
    """The OpenAI API over your model, a chat page and an operations page."""
    from luthier.recipes.serve import main as recipe_main

    recipe_main(model, settings={"host": host, "port": port, "store": store}, overrides=overrides or [], say=print_line)


@app.command()
def monitor(
    store: Annotated[str, typer.Option(help="The store of traces and feedback.")] = "sqlite:///traces.sqlite",
    run: Annotated[Path | None, typer.Option("--run", help="Run whose training prompts to compare with.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the report as a page too.")] = None,
    as_json: AsJson = False,
) -> None:
    """What was asked and answered, how fast, how well liked, and whether prompts have drifted."""
    from luthier.recipes.monitor import report_on

    report = report_on(store, run=run)
    if out is not None:
        report.page().write(out)
    if as_json:
        print_json(report.to_json())
    else:
        print_line("\n".join(report.lines()))


@app.command()
def improve(recipe: Recipe, overrides: Overrides = None, plain: Plain = False) -> None:
    """One turn of the loop: feedback to a new version, promoted or held by the gate."""
    from luthier.recipes.improve import main as recipe_main
    from luthier.recipes.loading import as_tune, load_recipe

    raise typer.Exit(do_in_view(recipe_main, as_tune(load_recipe(recipe, overrides)), plain=plain))


@app.command()
def show(
    place: Annotated[str, typer.Argument(help="FILE:LINE of a row.", metavar="FILE:LINE")], model: ModelDir
) -> None:
    """The row as the model sees it; the tokens that train stand in [brackets]."""
    from luthier.recipes.show import shown

    print_line("\n".join(shown(place, model=model)))


@app.command()
def export(
    model: ModelDir,
    to: Annotated[Path, typer.Option("--to", help="A new folder, or a new file that ends in .gguf.")],
    adapter_only: Annotated[bool, typer.Option("--adapter-only", help="The adapter alone, not merged.")] = False,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16; without it, the format of the base.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A model for elsewhere: adapter merged, or alone, or one GGUF file; read back and measured before it is kept."""
    from luthier.recipes.export import main as recipe_main

    exported = recipe_main(model, to=to, adapter_only=adapter_only, dtype=dtype, say=says(as_json))
    if as_json:
        print_json(exported.to_json())
    raise typer.Exit(0 if exported.passed else 1)


@app.command()
def check(recipe: Recipe, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Preflight: proofs on this data, this template and this machine; status 1 if one fails."""
    from luthier.recipes import check as recipe_check
    from luthier.recipes.loading import as_checkable, load_recipe

    proofs = recipe_check.main(as_checkable(load_recipe(recipe, overrides)), say=says(as_json))
    if as_json:
        print_json(recipe_check.to_json(proofs))
    else:
        print_line("\n".join(recipe_check.lines(proofs)))
    raise typer.Exit(0 if all(proof.passed for proof in proofs) else 1)


def main() -> None:
    """The entry point: errors that a user can mend are printed without a traceback; `--debug` shows it."""
    is_debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        app()
    except LuthierError as error:
        if is_debug:
            raise
        sys.stderr.write(f"{error.text()}\n")
        sys.exit(USER_MUST_FIX)
    except OSError as error:
        if is_debug:
            raise
        place = error.filename or "the operating system"
        sys.stderr.write(f"{place}: {error.strerror or error}\n  Fix: check the path, its permissions and the disk\n")
        sys.exit(USER_MUST_FIX)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            sys.stderr.write("\nstopped; the same command continues where this one was\n")
        raise
    except Exception:
        traceback.print_exc()  # our fault, so it is shown; never status 1, which is the gate's "hold"
        sys.exit(OUR_FAULT)

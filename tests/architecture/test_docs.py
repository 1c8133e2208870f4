"""The documentation is held to the code: links, commands, recipes, tables and the tests that it names."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from luthier.cli import app
from luthier.config import Config, all_keys, load_config, nested_config, parse_override
from luthier.curate.files.reading import READERS
from luthier.curate.shapes.recognising import SHAPES
from luthier.evaluate.config import EvaluateConfig
from luthier.evaluate.suite_file import SuiteFile
from luthier.graders import GRADERS, grader_by_name
from luthier.recipes.evaluate import EvaluateRecipe
from luthier.recipes.loading import KINDS
from luthier.recipes.reference import PARTS, reference
from luthier.recipes.serve import ServeRecipe
from luthier.recipes.studying.config import StudyEvaluateConfig
from luthier.recipes.tune import TuneRecipe
from luthier.records import Completion, Example, Feedback, Grade, Message, Preference
from luthier.tasks.collection import CollectionFile
from luthier.tasks.files import TaskFile
from luthier.traces import Trace

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *(ROOT / "lab").glob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NOT_SHELL = {"toml", "python", "json", "text"}
SHELL = {"bash", "console"}
SHARED_NAMES = EvaluateConfig.model_fields.keys() & StudyEvaluateConfig.model_fields.keys()
KEYS = {key.path for kind in (*KINDS.values(), EvaluateRecipe, ServeRecipe) for key in all_keys(kind)}


class Snippet(NamedTuple):
    """A piece of a page, and where it stands, for the names of tests."""

    place: str
    text: str


def each(snippets: Iterator[Snippet]) -> Any:
    """Parameters of a test, one a snippet, named by its place."""
    return pytest.mark.parametrize("text", [pytest.param(found.text, id=found.place) for found in snippets])


def blocks(*languages: str) -> Iterator[Snippet]:
    """The fenced blocks in these languages."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            if match[1] in languages:
                yield Snippet(f"{page.name}:{1 + text.count(chr(10), 0, match.start())}", match[2])


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def command_lines() -> Iterator[Snippet]:
    """Every line of a shell block that runs luthier; variables before it and continued lines are understood."""
    for block in blocks(*SHELL):
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words[:1] == ["luthier"]:
                yield Snippet(f"{block.place} {' '.join(words)}", json.dumps(words[1:]))


def inline_commands() -> Iterator[Snippet]:
    """Every `luthier ...` within a sentence."""
    for page in PAGES:
        for found in dict.fromkeys(code for code in INLINE.findall(prose(page)) if code.startswith("luthier ")):
            yield Snippet(f"{page.name} {found}", found)


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and the words after its name."""
    command: Any = typer.main.get_command(app)
    while getattr(command, "commands", None) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def anchors(page: Path) -> set[str]:
    """What a link may name after # in a page, as hosts of repositories make it from its headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_resolves(page):
    for target in LINK.findall(prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}, which has no such heading"


@each(command_lines())
def test_every_command_line_is_one_that_luthier_takes(text):
    command, words = command_of([word for word in json.loads(text) if word != "--debug"])
    parsed = command.make_context("luthier", words)
    for override in parsed.params.get("overrides") or ():
        assert parse_override(override)[0] in KEYS, f"no key {override}"


@each(inline_commands())
def test_every_command_in_a_sentence_exists_with_its_options(text):
    command, words = command_of(text.split()[1:])
    options = {name for parameter in command.params for name in parameter.opts} | {"--help", "--debug"}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= options


def test_every_command_is_in_the_index():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert [name for name in typer.main.get_command(app).commands if f"`luthier {name}`" not in index] == []


def test_the_index_names_every_command_that_prints_json():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z ]+)`", index.partition("`--json` prints the result of ")[2].partition(";")[0]))
    commands = typer.main.get_command(app).commands
    prints = {name for name, command in commands.items() if any("--json" in spec.opts for spec in command.params)}
    assert named == prints | {"versions list", "runs"}


@each(blocks("toml"))
def test_every_recipe_validates(text, tmp_path):
    """A whole recipe as it stands; a part of one with what it leaves to the reader filled in."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(text, encoding="utf-8")
    data = tomllib.loads(text)
    kind = kind_of(data)
    needed = {"run.dir": "r"} if "run" in kind.model_fields else {}
    if kind is TuneRecipe:
        needed |= {"model.base": "base", "data.files": ["rows.jsonl"]}
    missing = [f"{key}={json.dumps(value)}" for key, value in needed.items()
               if key.partition(".")[2] not in data.get(key.partition(".")[0], {})]  # fmt: skip
    if "run" in data:
        assert missing == [], "a recipe with a [run] table is a whole one"
    load_config(kind, recipe, missing)


def kind_of(data: dict[str, Any]) -> type[Config]:
    """The config of a TOML file on a page: a task, a suite, the settings of a collection, or the recipe it names."""
    if "templates" in data:
        return TaskFile
    if {"version", "items"} <= data.keys():
        return SuiteFile
    return CollectionFile if data.keys() & {"unseen_templates", "held_out"} else KINDS[data.get("recipe", "tune")]


def test_every_fence_is_in_a_language_that_is_checked_or_is_text():
    used = {match[1] for page in PAGES for match in FENCE.finditer(page.read_text(encoding="utf-8"))}
    assert used <= NOT_SHELL | SHELL


@each(blocks("json"))
def test_every_line_of_json_is_an_object(text):
    assert all(isinstance(json.loads(line), dict) for line in text.splitlines())


@each(blocks("python"))
def test_python_parses_and_takes_only_what_luthier_has(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("luthier"):
            module = importlib.import_module(str(node.module))
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_the_grader_of_the_docs_grades(tmp_path):
    (source,) = [block.text for block in blocks("python") if "-> Grade" in block.text]
    path = tmp_path / "my_graders.py"
    path.write_text(source, encoding="utf-8")
    grader = grader_by_name(f"{path}:politeness", where="docs")
    item = Example.of([Message(role="user", content="May I?")])
    said = [Completion.of(example_id=item.id, model_id="m", text=text) for text in ("Yes, please.", "No.")]
    assert [grader(item, completion).value for completion in said] == [1, 0]


def test_the_recipe_reference_is_current():
    fix = "run: python -m luthier.recipes.reference > docs/recipe.md"
    assert (DOCS / "recipe.md").read_text(encoding="utf-8") == reference(), fix


def test_the_recipe_reference_lists_every_key_once():
    rows = [line.split("|")[1].strip(" `") for line in reference().splitlines() if line.startswith("| `")]
    keys = [key for _, kind in PARTS for key in all_keys(kind) if nested_config(key.spec) is None]
    others = ("prefer.", "tasks.mixture.", "writer.")
    shown = {key.path for key in keys if not key.path.startswith(others)}
    assert set(rows) == shown, "prefer has the keys of train, tasks.mixture those of train.mixture, writer those of evaluate.judge.writer"
    repeated = {row for row in rows if rows.count(row) > 1}
    assert repeated == {"recipe", "data.files", *(f"evaluate.{name}" for name in SHARED_NAMES)}, "keys of two recipes"


@pytest.mark.parametrize("kind", [Message, Example, Completion, Grade, Preference, Feedback, Trace])
def test_every_field_of_a_record_is_described(kind):
    page = (DOCS / "records.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {kind.__name__}\n")[2].partition("\n## ")[0]
    described = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert described == [field.name for field in dataclasses.fields(kind)]


def test_every_grader_shape_and_format_is_described():
    evaluate, curate = ((DOCS / name).read_text(encoding="utf-8") for name in ("evaluate.md", "curate.md"))
    assert [name for name in (*GRADERS, "auto") if f"| `{name}` |" not in evaluate] == []
    assert [shape.name for shape in SHAPES if f"| `{shape.name}` |" not in curate] == []
    assert [suffix for suffix in READERS if f"`{suffix}`" not in curate] == []


def test_every_test_that_is_named_exists():
    files = list((ROOT / "tests").rglob("*.py"))
    there = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))}
    pages = [page for page in PAGES if page.name != "recipe.md"]  # other names of keys begin like that too
    named = {name for page in pages for name in re.findall(r"`(test_\w+)`", prose(page))}
    # CONTRIBUTING shows how names read, by one that is no test.
    assert named - there - {"test_padding_a_row_does_not_change_its_loss"} == set()


def test_every_file_that_is_named_exists():
    for page in PAGES:
        for name in re.findall(r"`((?:src|tests|docs|bench|lab)/[\w/.]+\w)`", prose(page)):
            assert "NAME" in name or (ROOT / name).exists(), f"{page.name} names {name}"


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(named) <= targets, f"{page.name} names a target that the Makefile lacks"


def test_every_dependency_has_its_reason():
    """Under the heading of its kind: needed, an extra, or for development."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    develop = extras.pop("dev")
    section = (DOCS / "design.md").read_text(encoding="utf-8").partition("\n## Dependencies\n")[2]
    parts = re.split(r"\nExtras, asked for by name:\n|\nFor development:\n", section)
    wanted = [project["dependencies"], [spec for extra in extras.values() for spec in extra], develop]
    for part, specs in zip(parts, wanted, strict=True):
        reasons = re.findall(r"^- `([\w-]+)`: ", part, re.MULTILINE)
        assert sorted(reasons) == sorted(re.split(r"[<>=\[]", spec)[0] for spec in specs)


def test_every_page_is_in_the_index():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert [page.name for page in DOCS.glob("*.md") if page.name != "index.md" and f"({page.name})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_stands_alone(page):
    text = page.read_text(encoding="utf-8")
    machine = re.findall(r"(?<![\w.~:/])/(?:work|tmp|home|root|Users|mnt|opt)/\S*", text)
    assert machine == [], "a path of somebody's machine"
    assert re.findall(r"(?<![\w&])#\d+\b", FENCE.sub("", text)) == [], "the number of an issue"
    assert re.findall(r"\{\{[A-Z_]+\}\}", text) == [], "a number that is still to be filled in"

"""An older store is brought up to date with its rows; a newer or foreign one is refused and left as it was."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from luthier.errors import DataError
from luthier.traces import Store
from luthier.traces.migrate import SCRIPTS, upgrade
from luthier.traces.tables import SCHEMA

STEP = """
import sqlalchemy as sa
from alembic import op
revision = "{revision}"
down_revision = "{before}"
def upgrade():
    op.add_column("traces", sa.Column("{column}", sa.String))
    {rest}
"""


def later_scripts(folder: Path, rest: str = "pass") -> Path:
    """The scripts of a later version of Luthier, which has one step more."""
    scripts = folder / "later"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    step = STEP.format(revision="later", before="0001", column="region", rest=rest)
    (scripts / "versions" / "later.py").write_text(step)
    return scripts


def columns(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    names = {row[1] for row in connection.execute("PRAGMA table_info(traces)")}
    connection.close()
    return names


def content(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    lines = list(connection.iterdump())
    connection.close()
    return lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces.sqlite"


@pytest.fixture
def engine(path: Path):
    engine = sa.create_engine(f"sqlite:///{path}", isolation_level=None)

    @sa.event.listens_for(engine, "connect")
    def own_transactions(connection, _):
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    yield engine
    engine.dispose()


def test_migrations_make_exactly_the_tables_that_the_code_reads(path: Path) -> None:
    Store.open(f"sqlite:///{path}").close()
    engine = sa.create_engine(f"sqlite:///{path}")
    found = sa.inspect(engine)
    for name, table in SCHEMA.tables.items():
        made = {c["name"]: (str(c["type"]), c["nullable"]) for c in found.get_columns(name)}
        read = {c.name: (str(c.type.compile(engine.dialect)), c.nullable) for c in table.columns}
        assert made == read
        unique = {tuple(u["column_names"]) for u in found.get_unique_constraints(name)}
        assert unique == {(c.name,) for c in table.columns if c.unique}
        indexed = {tuple(i["column_names"]) for i in found.get_indexes(name)}
        assert indexed == {(c.name,) for c in table.columns if c.index}
    engine.dispose()


def test_an_older_store_is_upgraded_with_its_rows(path: Path, engine: sa.Engine, tmp_path: Path) -> None:
    Store.open(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO traces (id, created_at, model_id, model_name, messages, answer, sampling, prompt_tokens, "
        "completion_tokens, latency_ms, finish_reason, consent, metadata) "
        "VALUES ('t', '2026', 'm', 'm', '[]', 'kept', '{}', 1, 1, 1.0, 'stop', 1, '{}')"
    )
    connection.commit()
    connection.close()
    upgrade(engine, where="here", scripts=later_scripts(tmp_path))
    assert "region" in columns(path)
    with engine.connect() as read:
        assert read.exec_driver_sql("SELECT answer, region FROM traces").all() == [("kept", None)]


def test_a_newer_store_is_refused_and_left_as_it_was(path: Path, engine: sa.Engine, tmp_path: Path) -> None:
    upgrade(engine, where="here", scripts=later_scripts(tmp_path))
    before = content(path)
    with pytest.raises(DataError, match=r"newer than this Luthier(.|\n)*schema later(.|\n)*Fix: install the version"):
        Store.open(f"sqlite:///{path}")
    assert content(path) == before and "region" in "".join(before)


def test_a_step_that_fails_leaves_the_store_as_it_was(path: Path, engine: sa.Engine, tmp_path: Path) -> None:
    Store.open(f"sqlite:///{path}").close()
    before = columns(path)
    with pytest.raises(ZeroDivisionError):
        upgrade(engine, where="here", scripts=later_scripts(tmp_path, rest="1 / 0"))
    assert columns(path) == before
    Store.open(f"sqlite:///{path}").close()


def test_somebody_elses_database_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE feedback (stars INTEGER)")
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match=r"'feedback'(.|\n)*name another file"):
        Store.open(f"sqlite:///{path}")


def test_many_may_open_a_new_store_at_the_same_moment(path: Path) -> None:
    barrier = threading.Barrier(6)
    failures: list[BaseException] = []

    def open_it() -> None:
        barrier.wait()
        try:
            Store.open(f"sqlite:///{path}").close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []

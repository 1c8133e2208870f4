"""Brings a store to the form that this version of Luthier reads, and refuses what it cannot read.

The steps are alembic scripts under `migrations/versions`, applied in one transaction: whole or not at all.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from luthier.errors import DataError, Problem
from luthier.traces.tables import SCHEMA

SCRIPTS = Path(__file__).parent / "migrations"
VERSION_TABLE = "luthier_traces_version"
"""Not alembic's default name, so that another program's tables are never taken for ours."""


def upgrade(engine: sa.Engine, *, where: str, scripts: Path = SCRIPTS) -> None:
    """Bring the database to the newest form in `scripts`. DataError when it is newer than that, or not a store.

    `engine` must begin its transactions with the write lock held: two processes that open one new file at the same
    moment then take turns, and the second finds the work done.
    """
    config = AlembicConfig()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    known = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        if _revision(connection) == known.get_current_head():
            return
    with engine.begin() as connection:
        revision = _revision(connection)
        if revision is None:
            _refuse_strangers(connection, where)
        elif revision not in {script.revision for script in known.walk_revisions()}:
            raise _newer(revision, where)
        config.attributes["connection"] = connection
        config.attributes["version_table"] = VERSION_TABLE
        command.upgrade(config, "head")


def _revision(connection: sa.Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _refuse_strangers(connection: sa.Connection, where: str) -> None:
    taken = sorted(set(sa.inspect(connection).get_table_names()) & set(SCHEMA.tables))
    if taken:
        raise DataError(
            "this database is not a store of traces",
            [Problem(where=where, found=f"a table {taken[0]!r} that Luthier did not make",
                     expected="a store, or a new file", fix="name another file")],
        )  # fmt: skip


def _newer(revision: str, where: str) -> DataError:
    return DataError(
        "the store is newer than this Luthier",
        [Problem(where=where, found=f"schema {revision}", expected="a schema that this version knows",
                 fix="install the version of Luthier that wrote it, or a later one; nothing was changed")],
    )  # fmt: skip

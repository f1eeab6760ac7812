# SPDX-License-Identifier: Apache-2.0
"""The search for tokens finds each encoding of a token, and nothing else."""

from __future__ import annotations

import base64
import logging
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.faults import secrets
from tests.support.dag_runs import DagRunner

#: Not the prefix of the table's tokens, so that the table's tests do not find it.
NEEDLE = "mk_test_0ne/Needle+please"
TOKEN = f"{NEEDLE}/poke/0"


@pytest.mark.parametrize(
    "hidden",
    [
        f"Bearer {TOKEN}",
        quote(TOKEN, safe=""),
        quote(TOKEN),
        base64.b64encode(TOKEN.encode()).decode(),
        base64.b64encode(f"Bearer {TOKEN}".encode()).decode(),
        base64.b64encode(f":{TOKEN}".encode()).decode(),
        base64.urlsafe_b64encode(f"ab{TOKEN}cd".encode()).decode(),
        TOKEN.encode().hex(),
    ],
)
def test_each_encoding_is_found(hidden: str) -> None:
    assert secrets.leaks(NEEDLE, [("there", f"x{hidden}y".encode()), ("not there", b"mk_test_offline")]) == ["there"]


def raised() -> Exception:
    """Return an error that contains the token three errors deep."""
    try:
        try:
            raise ValueError("plain") from KeyError(TOKEN)
        except ValueError as e:
            raise RuntimeError("on top") from e
    except RuntimeError as e:
        return e


def test_a_token_in_an_exception_is_found() -> None:
    with_note, with_attribute = ValueError("plain"), ValueError("plain")
    with_note.add_note(TOKEN)
    with_attribute.request = {"headers": TOKEN}  # type: ignore[attr-defined]
    for error in (raised(), with_note, with_attribute, ValueError(TOKEN)):
        assert secrets.leaks(NEEDLE, secrets.of_exception(error))
    assert not secrets.leaks(NEEDLE, secrets.of_exception(ValueError("plain")))


def test_a_token_in_a_log_record_is_found() -> None:
    log = logging.getLogger("somebody.elses")
    for say in (lambda: log.debug("so %s", TOKEN), lambda: log.error("failed", exc_info=raised())):
        with secrets.Records() as records:
            say()
        assert secrets.leaks(NEEDLE, records.out())


def test_a_token_in_a_database_is_found(tmp_path: Path, run_dag: DagRunner, airflow_home: Path) -> None:
    with sqlite3.connect(tmp_path / "airflow.db") as database:
        database.execute("create table x (y)")
        database.execute("insert into x values (?)", [f'{{"token": "{TOKEN}"}}'])
    database.close()
    assert secrets.leaks(NEEDLE, secrets.of_files(tmp_path)) == ["airflow.db"]
    # The search of Airflow's files finds an XCom value.
    other = "mk_test_not-a-secret/at+all"
    run_dag(f"""
        @task
        def tells():
            return "{other}"
        tells()
    """)
    assert any("airflow.db" in where for where in secrets.leaks(other, secrets.of_files(airflow_home)))

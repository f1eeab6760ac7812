# SPDX-License-Identifier: Apache-2.0
"""The search for tokens finds each encoding of a token, and nothing else."""

from __future__ import annotations

import base64
import logging
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
        base64.b64encode(f":{TOKEN}".encode()).decode(),
        base64.urlsafe_b64encode(f"ab{TOKEN}cd".encode()).decode(),
        TOKEN.encode().hex(),
    ],
)
def test_each_encoding_is_found(hidden: str) -> None:
    assert secrets.leaks(NEEDLE, [("there", f"x{hidden}y".encode()), ("not there", b"mk_test_offline")]) == ["there"]


def test_a_token_in_an_exception_or_a_log_record_is_found() -> None:
    with_note, with_attribute, on_top = ValueError("plain"), ValueError("plain"), RuntimeError("on top")
    with_note.add_note(TOKEN)
    with_attribute.request = {"headers": TOKEN}  # type: ignore[attr-defined]
    on_top.__context__ = ValueError("plain")
    on_top.__context__.__cause__ = KeyError(TOKEN)
    for error in (on_top, with_note, with_attribute, ValueError(TOKEN)):
        assert secrets.leaks(NEEDLE, secrets.of_all([error]))
    assert not secrets.leaks(NEEDLE, secrets.of_all([ValueError("plain")]))
    log = logging.getLogger("somebody.elses")
    for say in (lambda: log.debug("so %s", TOKEN), lambda: log.error("failed", exc_info=on_top)):
        with secrets.Records() as records:
            say()
        assert secrets.leaks(NEEDLE, records.out())


def test_a_token_in_an_xcom_value_is_found(run_dag: DagRunner, airflow_home: Path) -> None:
    run_dag(f"""
        @task
        def returns():
            return "{TOKEN}"
        returns()
    """)
    assert any("airflow.db" in where for where in secrets.leaks(NEEDLE, secrets.of_files(airflow_home)))

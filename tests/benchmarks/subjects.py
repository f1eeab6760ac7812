# SPDX-License-Identifier: Apache-2.0
"""
Who is measured: ours here, peers and references in modules of their own.

A subject is made in the process that measures it, before anything is measured.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.rows import Row


class Skip(Exception):  # noqa: N818 -- no error: the table says why a row is missing
    """A row cannot be measured here."""


@dataclass(frozen=True, slots=True)
class Subject:
    """
    Who waits.

    :param trigger: Makes the trigger that waits for the run with that number.
    :param went_well: Whether an event's payload says that the run has succeeded.
    """

    trigger: Callable[[int], Any]
    went_well: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A kind of subject.

    :param title: What the table calls it.
    :param make: Makes the subject for a row and the port of the service.
    """

    title: str
    make: Callable[[Row, int], Subject]


def set_connection(conn_id: str, **fields: Any) -> None:
    """Let Airflow know a connection."""
    os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(fields)


def _ours(row: Row, port: int) -> Subject:
    from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
    from tests.benchmarks.bodies import run_id

    set_connection(
        "agentruns_default",
        conn_type="agentruns",
        host=f"https://127.0.0.1:{port}",
        password="mk_test_bench",
        # By default it paces itself to the service's limit. Where there is none, it need not.
        extra={} if row.limited else {"rate_limit": 1000},
    )
    more: dict[str, Any] = {"watch": row.watch} if row.watch else {}

    def trigger(number: int) -> AgentRunTrigger:
        return AgentRunTrigger(
            run_id(number), "agentruns_default", ("completed", "interrupted"), poll_interval=row.poll_interval, **more
        )

    try:
        trigger(0)
    except TypeError as e:
        raise Skip(str(e)) from None
    return Subject(trigger, lambda payload: payload.get("status") == "completed")


def _dbt(row: Row, port: int) -> Subject:
    from tests.benchmarks.peers import dbt

    return dbt(row, port)


def _databricks(row: Row, port: int) -> Subject:
    from tests.benchmarks.peers import databricks

    return databricks(row, port)


def _single(row: Row, port: int) -> Subject:
    from tests.benchmarks.references import single

    return single(row, port)


def _pages(row: Row, port: int) -> Subject:
    from tests.benchmarks.references import pages

    return pages(row, port)


def _idle(row: Row, port: int) -> Subject:
    from tests.benchmarks.references import idle

    return idle(row, port)


#: Every kind of subject, by the name that rows call it by.
KINDS = {
    "ours": Kind("AgentRunTrigger", _ours),
    "dbt": Kind("dbt Cloud trigger", _dbt),
    "databricks": Kind("Databricks trigger", _databricks),
    "single": Kind("reference: one GET per run, httpx, one client", _single),
    "pages": Kind("reference: one shared poller over list pages of 100", _pages),
    "idle": Kind("reference: sleeps until the run's end, asks nothing", _idle),
}

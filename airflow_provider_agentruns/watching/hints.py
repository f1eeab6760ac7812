# SPDX-License-Identifier: Apache-2.0
"""
Hearing from webhooks which runs have changed, so that their waits need not wait for the next look.

The API server, to which the service sends them, writes it down for each connection, and the process that runs
triggers asks its supervisor for that about once a second: one message, however many wait, and none to the service.
A hint is only that. The run itself is read, and where no hint comes it is polled as ever.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from airflow_provider_agentruns.assets import HINTS_KEY, hints_uri
from airflow_provider_agentruns.polling.followed import Followed
from airflow_provider_agentruns.polling.line import Line

log = logging.getLogger(__name__)

#: How often to ask, in seconds.
EVERY = 1.0

#: How many seconds the supervisor may take to answer.
_PATIENCE = 10.0

_LONGEST_PAUSE = 60.0

#: Others may be slow to answer, or cost something for each question.
_METASTORE = "airflow.state.metastore.MetastoreBackend"

_Ask = Callable[[], Awaitable[Any]]


async def follow_hints(line: Line, runs: Mapping[str, Followed], hint: Callable[[Followed], None]) -> None:
    """
    Have runs looked at as soon as webhooks tell of them, for as long as anybody waits; without a secret, never.

    :param line: The line to the service, whose connection says whether there are webhooks.
    :param runs: All runs that are waited for, by their ids.
    :param hint: Is told which run to look at now.
    """
    try:
        if (ask := _asks(hints_uri(line.conn_id))) is not None:
            await _follow(line, runs, hint, ask)
    except Exception:
        log.exception("Hearing from webhooks over connection %r failed, and agent runs are polled", line.conn_id)


async def _follow(line: Line, runs: Mapping[str, Followed], hint: Callable[[Followed], None], ask: _Ask) -> None:
    heard: set[str] = set()
    failures = 0
    while True:
        await asyncio.sleep(min(EVERY * 2**failures, _LONGEST_PAUSE))
        if not runs or not await _expects(line):
            continue
        try:
            async with asyncio.timeout(_PATIENCE):
                hints = dict(_read(await ask()))
        except Exception as e:  # noqa: BLE001 -- whatever it is, the runs are polled
            failures = min(failures + 1, 10)
            if failures == 1:
                log.warning("Cannot hear from webhooks over connection %r, and poll meanwhile: %s", line.conn_id, e)
            continue
        failures = 0
        for run_id in {run_id for mark, run_id in hints.items() if mark not in heard}:
            if (run := runs.get(run_id)) is not None:
                hint(run)
        heard = set(hints)


async def _expects(line: Line) -> bool:
    try:
        return bool((await line.settings()).webhook_secret)
    except Exception:  # noqa: BLE001 -- the watch says so, and hints are to go on once the connection can be read
        return False


def _asks(uri: str) -> _Ask | None:
    """Return what asks the supervisor; None where there is none, or an Airflow before 3.3."""
    from airflow.providers.common.compat.sdk import conf

    try:
        comms = importlib.import_module("airflow.sdk.execution_time.comms")
        message = comms.GetAssetStateStoreByUri(uri=uri, key=HINTS_KEY)
    except (ImportError, AttributeError):
        return None
    supervisor: Any = getattr(
        importlib.import_module("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS", None
    )
    if not hasattr(supervisor, "asend") or conf.get("state_store", "backend", fallback=_METASTORE) != _METASTORE:
        return None

    async def ask() -> Any:
        answer = await supervisor.asend(message)
        # Where nothing is kept, it is an error that says so.
        return getattr(answer, "value", None)

    return ask


def _read(kept: Any) -> list[tuple[str, str]]:
    """Return the marks of hints, and the runs that they are about."""
    found = kept if isinstance(kept, list) else []
    return [(str(one[1]), str(one[2])) for one in found if isinstance(one, list) and len(one) > 2]

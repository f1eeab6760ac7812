# SPDX-License-Identifier: Apache-2.0
"""
Telling Airflow which errors a retry of the task cannot mend.

Airflow fails a task without further tries when it sees an ``AirflowFailException``. The package's errors know
nothing of Airflow, so here, where they leave for a task, the final ones get that class as a base: an error is
still the same ``AgentRunNotFoundError``, by name and to ``except``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_agentruns.exceptions import AgentRunsError, AgentRunTimeoutError


@contextmanager
def task_errors() -> Iterator[None]:
    """Let what is raised inside reach Airflow as final where another try cannot mend it."""
    try:
        yield
    except AgentRunsError as error:
        if not error.retryable:
            _add_base(error, AirflowFailException)
        raise


def sensor_timeout(message: str) -> AgentRunTimeoutError:
    """Return a timeout that Airflow treats as a sensor's: final, or a skip with ``soft_fail``."""
    error = AgentRunTimeoutError(message)
    _add_base(error, AirflowSensorTimeout)
    return error


def _add_base(error: AgentRunsError, base: type[Exception]) -> None:
    """
    Make an error an instance of ``base`` as well.

    In place, so that its traceback and attributes stay as they are and nothing is chained.
    """
    if not isinstance(error, base):
        kind = type(error)
        if (kind, base) not in _made:
            _made[kind, base] = type(
                kind.__name__, (kind, base), {"__module__": kind.__module__, "__doc__": kind.__doc__}
            )
        error.__class__ = _made[kind, base]


#: A class is made once, so that two errors of a kind have the same one.
_made: dict[tuple[type[AgentRunsError], type[Exception]], type[AgentRunsError]] = {}

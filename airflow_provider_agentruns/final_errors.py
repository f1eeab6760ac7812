# SPDX-License-Identifier: Apache-2.0
"""
Makes Airflow fail a task without further tries on an error whose ``retryable`` is false.

Airflow fails a task without further tries on an ``AirflowFailException``. Because the package's errors do not depend on
Airflow, this module adds it as a base to those that reach Airflow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_agentruns.exceptions import AgentRunsError, AgentRunTimeoutError


@contextmanager
def mark_final_errors() -> Iterator[None]:
    """Mark errors of the block that another try cannot fix as final."""
    try:
        yield
    except AgentRunsError as error:
        if not error.retryable:
            _add_base(error, AirflowFailException)
        raise


def sensor_timeout(message: str) -> AgentRunTimeoutError:
    """Return a timeout that Airflow treats like a sensor's: it is final, or a skip with ``soft_fail``."""
    error = AgentRunTimeoutError(message)
    _add_base(error, AirflowSensorTimeout)
    return error


def _add_base(error: AgentRunsError, base: type[Exception]) -> None:
    """Make an error an instance of ``base`` as well. It keeps its traceback and attributes."""
    if not isinstance(error, base):
        kind = type(error)
        error.__class__ = _made.setdefault(
            (kind, base),
            type(kind.__name__, (kind, base), {"__module__": kind.__module__, "__doc__": kind.__doc__}),
        )


_made: dict[tuple[type[AgentRunsError], type[Exception]], type[AgentRunsError]] = {}

# SPDX-License-Identifier: Apache-2.0
"""Adds Airflow's exceptions as base classes to errors of this package, which do not depend on Airflow themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_agentruns.exceptions import AgentRunsError, AgentRunTimeoutError


@contextmanager
def mark_final_errors() -> Iterator[None]:
    """Make Airflow fail the task without further tries on an error whose ``retryable`` is false."""
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
    # A change of the class keeps the traceback and the attributes.
    if not isinstance(error, base):
        kind = type(error)
        error.__class__ = _made.setdefault(
            (kind, base), type(kind.__name__, (kind, base), {"__module__": kind.__module__, "__doc__": kind.__doc__})
        )


_made: dict[tuple[type[AgentRunsError], type[Exception]], type[AgentRunsError]] = {}

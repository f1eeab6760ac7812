# SPDX-License-Identifier: Apache-2.0
"""Validation of the arguments that operators, the sensor, and triggers share. Needs neither Airflow nor the models."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Literal

from airflow_provider_agentruns.exceptions import AgentRunsValueError

#: Statuses that a task can wait for. A run stays in each of them until something outside acts on it.
AWAITABLE = ("completed", "interrupted", "error")


def check_wait_for(wait_for: Collection[str], *, may_be_empty: bool = False) -> tuple[str, ...]:
    """
    Return the awaited statuses as plain strings.

    :raises AgentRunsValueError: If one is none that a run can be waited for to reach.
    """
    statuses = (wait_for,) if isinstance(wait_for, str) else tuple(wait_for)
    if wrong := [status for status in statuses if status not in AWAITABLE]:
        raise AgentRunsValueError(f"wait_for takes {', '.join(AWAITABLE)}; not {', '.join(map(repr, wrong))}")
    if not statuses and not may_be_empty:
        raise AgentRunsValueError(f"wait_for is empty; it takes {', '.join(AWAITABLE)}")
    return tuple(map(str, statuses))


def check_agent(agent: Any) -> None:
    """
    Refuse what is no agent type to choose runs by, nor None for all.

    :raises AgentRunsValueError: If it is.
    """
    if agent is not None and (not isinstance(agent, str) or not agent.strip()):
        raise AgentRunsValueError(f"agent should be an agent type, or None for all, not {agent!r}")


def check_watch(watch: Any) -> Literal["poll", "stream"]:
    """
    Return how a run is watched.

    :raises AgentRunsValueError: If it is neither ``poll`` nor ``stream``.
    """
    if watch not in ("poll", "stream"):
        raise AgentRunsValueError(f'watch should be "poll" or "stream", not {watch!r}')
    checked: Literal["poll", "stream"] = watch
    return checked


def check_run_id(run_id: Any) -> None:
    """
    Refuse, when the DAG is made, what can be no run's id; a template or another task's output may become one.

    :raises AgentRunsValueError: If it is None or an empty string.
    """
    if run_id is None or (isinstance(run_id, str) and not run_id.strip()):
        raise AgentRunsValueError(
            f"run_id is {run_id!r}: give a run's id, a template, or another task's output, such as "
            'my_agent_run.output["run_id"]'
        )


def check_seconds(name: str, value: timedelta | float | None) -> float | None:
    """
    Return a span of time in seconds.

    :raises AgentRunsValueError: If it is negative, or not a number.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise AgentRunsValueError(f"{name} should be a number of seconds or a timedelta, not {value!r}")
    return float(seconds)


def check_folder(folder: Any) -> None:
    """
    Refuse, when the DAG is made, what can be no place in object storage; a template may become one.

    :raises AgentRunsValueError: If it has no scheme.
    """
    if isinstance(folder, str) and "://" not in folder and "{{" not in folder:
        raise AgentRunsValueError(
            "output_path should be a URL such as s3://my_conn@bucket/agent-runs or file:///data/agent-runs, not "
            f"{folder!r}"
        )

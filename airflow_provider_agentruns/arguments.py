# SPDX-License-Identifier: Apache-2.0
"""Validates the arguments that operators, the sensor, and triggers share. Accepts templates and XComArgs."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import timedelta
from typing import Any, Literal

from airflow_provider_agentruns.exceptions import AgentRunsValueError

log = logging.getLogger(__name__)

#: The statuses that a task can wait for. A run stays in each of them until something outside acts on it.
AWAITABLE = ("completed", "interrupted", "error")


def check_wait_for(wait_for: Collection[str] | str, *, may_be_empty: bool = False) -> tuple[str, ...]:
    statuses = (wait_for,) if isinstance(wait_for, str) else tuple(wait_for)
    if wrong := [status for status in statuses if status not in AWAITABLE]:
        raise AgentRunsValueError(f"wait_for takes {', '.join(AWAITABLE)}; not {', '.join(map(repr, wrong))}")
    if not statuses and not may_be_empty:
        raise AgentRunsValueError(f"wait_for is empty; it takes {', '.join(AWAITABLE)}")
    return tuple(map(str, statuses))


def check_agent(agent: Any) -> None:
    """Check an agent type that selects runs; None selects all runs."""
    if agent is not None and (not isinstance(agent, str) or not agent.strip()):
        raise AgentRunsValueError(f"agent should be an agent type, or None for all, not {agent!r}")


def check_watch(watch: Literal["poll", "stream"]) -> Literal["poll", "stream"]:
    if watch not in ("poll", "stream"):
        raise AgentRunsValueError(f'watch should be "poll" or "stream", not {watch!r}')
    return watch


def check_run_id(run_id: Any) -> None:
    if run_id is None or (isinstance(run_id, str) and not run_id.strip()):
        raise AgentRunsValueError(
            f"run_id is {run_id!r}: pass a run's ID, a template, or another task's output, such as "
            'my_agent_run.output["run_id"]'
        )


def check_seconds(name: str, value: timedelta | float | None) -> float | None:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise AgentRunsValueError(f"{name} should be a number of seconds or a timedelta, not {value!r}")
    return float(seconds)


def check_output_path(output_path: Any) -> None:
    if isinstance(output_path, str) and "://" not in output_path and "{{" not in output_path:
        raise AgentRunsValueError(
            "output_path should be a URL such as s3://my_conn@bucket/agent-runs or file:///data/agent-runs, not "
            f"{output_path!r}"
        )


def log_unknown(arguments: dict[str, Any], owner: str = "a trigger") -> None:
    if arguments:
        # Another version of this package stored them.
        log.warning("Ignoring unknown arguments of %s: %s", owner, sorted(arguments))

# SPDX-License-Identifier: Apache-2.0
"""Decides when a request is repeated: one tenacity policy for both transports."""

from __future__ import annotations

import logging
from typing import Any

from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunsConnectionError

log = logging.getLogger(__name__)

#: The longest pause before a repetition, in seconds, whatever the service asks for.
LONGEST_PAUSE = 60.0

_backoff = wait_random_exponential(multiplier=0.5, max=30)


def policy(max_retries: int) -> dict[str, Any]:
    """
    Return the arguments of ``tenacity.Retrying`` and ``AsyncRetrying``.

    A request is repeated if its error has ``resend`` set. The pause grows exponentially with jitter, and is at least as
    long as the service asks for.

    :param max_retries: The largest number of repetitions.
    """
    return {
        "retry": retry_if_exception(_may_resend),
        "stop": stop_after_attempt(max_retries + 1),
        "wait": _pause,
        "before_sleep": _log,
        "reraise": True,
    }


def _may_resend(error: BaseException) -> bool:
    return isinstance(error, AgentRunsAPIError | AgentRunsConnectionError) and error.resend


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, AgentRunsAPIError) else None
    return min(LONGEST_PAUSE, max(_backoff(state), asked or 0.0))


def _log(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0.0
    log.warning("%s; retrying in %.1f s", error, pause)

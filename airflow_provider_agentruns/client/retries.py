# SPDX-License-Identifier: Apache-2.0
"""When a request is sent again: one policy for the sync and the async side, over tenacity."""

from __future__ import annotations

import logging
from typing import Any

from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunsConnectionError

log = logging.getLogger(__name__)

#: The longest pause between two sendings, in seconds, whatever the service asks for: a worker or a
#: triggerer is waiting.
LONGEST_PAUSE = 60.0

_backoff = wait_random_exponential(multiplier=0.5, max=30)


def policy(max_retries: int) -> dict[str, Any]:
    """
    Return the arguments of ``tenacity.Retrying`` and ``AsyncRetrying``.

    Sent again is only what :attr:`resend` allows, after the pause that the service asked for or, where it
    asked for none, one that grows and varies, so that many workers do not come back all at once.

    :param max_retries: How many times at the most, after the first.
    """
    return {
        "retry": retry_if_exception(_may_resend),
        "stop": stop_after_attempt(max_retries + 1),
        "wait": _pause,
        "before_sleep": _tell,
        "reraise": True,
    }


def _may_resend(error: BaseException) -> bool:
    return isinstance(error, AgentRunsAPIError | AgentRunsConnectionError) and error.resend


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, AgentRunsAPIError) else None
    return min(LONGEST_PAUSE, max(_backoff(state), asked or 0.0))


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0.0
    log.warning("%s; trying again in %.1f s", error, pause)

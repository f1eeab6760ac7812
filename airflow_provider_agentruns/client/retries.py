# SPDX-License-Identifier: Apache-2.0
"""Decides with tenacity when a request is repeated."""

from __future__ import annotations

import logging
from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    retry_if_exception_type,
    wait_exponential,
    wait_random_exponential,
)

from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunsConnectionError, AgentRunsRateLimitError

log = logging.getLogger(__name__)

#: The longest pause before a repetition, in seconds, whatever the service asks for.
LONGEST_PAUSE = 60.0
#: For how many seconds after its first 429 a request is repeated. Further 429s count as faults.
RATE_LIMIT_BUDGET = 300.0

_backoff = wait_random_exponential(multiplier=0.5, max=30)


def policy(max_retries: int) -> dict[str, Any]:
    """Return the arguments of tenacity for one request. ``max_retries`` does not limit repetitions after a 429."""
    left = max_retries + 1
    throttled_at: float | None = None

    def stop(state: RetryCallState) -> bool:
        nonlocal left, throttled_at
        elapsed = state.seconds_since_start or 0.0
        if isinstance(_error(state), AgentRunsRateLimitError):
            # The rate limit may have delayed the request for minutes before.
            throttled_at = elapsed if throttled_at is None else throttled_at
            if elapsed - throttled_at < RATE_LIMIT_BUDGET:
                return False
        left -= 1
        return left <= 0

    return {
        "retry": retry_if_exception(is_transient),
        "stop": stop,
        "wait": _pause,
        "before_sleep": _log,
        "reraise": True,
    }


def is_transient(error: BaseException) -> bool:
    """Return whether the same request may succeed after this error, and has certainly had no effect."""
    if isinstance(error, AgentRunsAPIError):
        return not error.in_doubt and (error.status_code in (429, 502, 503, 504) or error.status_code < 300)
    return isinstance(error, AgentRunsConnectionError) and not error.in_doubt


def backoff(failures: int, first: float, longest: float) -> float:
    """Return the seconds to wait after failures in a row: ``first``, then twice as many each time until ``longest``."""
    return min(max(first, longest), first * 2.0 ** min(failures - 1, 100))


def keep_trying(what: str, error: type[Exception], *, first: float, longest: float) -> AsyncRetrying:
    """Return a caller that repeats an async function, which does ``what``, while it raises ``error``."""

    def log_failure(state: RetryCallState) -> None:
        log.warning("Cannot %s: %s", what, _error(state))

    wait = wait_exponential(multiplier=first, max=max(first, longest))
    return AsyncRetrying(retry=retry_if_exception_type(error), wait=wait, before_sleep=log_failure, reraise=True)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _pause(state: RetryCallState) -> float:
    error = _error(state)
    if isinstance(error, AgentRunsRateLimitError):
        # The limiter delays all requests of the account.
        return 0.0
    asked = error.retry_after if isinstance(error, AgentRunsAPIError) else None
    return min(LONGEST_PAUSE, (asked or 0.0) + _backoff(state))


def _log(state: RetryCallState) -> None:
    log.warning("%s; retrying in %.1f s, or later under the rate limit", _error(state), state.upcoming_sleep)

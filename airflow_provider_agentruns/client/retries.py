# SPDX-License-Identifier: Apache-2.0
"""Decides when a request is repeated: one tenacity policy for both transports."""

from __future__ import annotations

import logging
from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random_exponential,
)

from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunsConnectionError

log = logging.getLogger(__name__)

#: The longest pause before a repetition, in seconds, whatever the service asks for.
LONGEST_PAUSE = 60.0

#: Statuses after which the same request may succeed a moment later.
_TRANSIENT = frozenset({429, 502, 503, 504})

_backoff = wait_random_exponential(multiplier=0.5, max=30)


def policy(max_retries: int) -> dict[str, Any]:
    """
    Return the arguments of ``tenacity.Retrying`` and ``AsyncRetrying``.

    The pause grows exponentially with jitter, and is at least as long as the service asks for.

    :param max_retries: The largest number of repetitions.
    """
    return {
        "retry": retry_if_exception(is_transient),
        "stop": stop_after_attempt(max_retries + 1),
        "wait": _pause,
        "before_sleep": _log,
        "reraise": True,
    }


def is_transient(error: BaseException) -> bool:
    """
    Return whether a request that ended with this error may be sent again.

    It may if another attempt can succeed: the connection broke, the status is transient, or a 2xx response was
    unreadable. A request in doubt is never sent again, because the service may have carried it out.
    """
    if isinstance(error, AgentRunsAPIError):
        return not error.in_doubt and (error.status_code in _TRANSIENT or error.status_code < 300)
    return isinstance(error, AgentRunsConnectionError) and not error.in_doubt


def backoff(failures: int, first: float, longest: float) -> float:
    """Return how many seconds to wait after failures in a row: ``first``, then twice as many each time."""
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = failures
    return wait_exponential(multiplier=first, max=max(first, longest))(state)


def keep_trying(what: str, error: type[Exception], *, first: float, longest: float) -> AsyncRetrying:
    """
    Return what calls an async function until it succeeds, with pauses that grow exponentially.

    :param what: What the function does, for the log.
    :param error: After other errors, the function is not called again.
    :param first: The first pause, in seconds.
    :param longest: The longest pause, in seconds.
    """

    def log_failure(state: RetryCallState) -> None:
        log.warning("Cannot %s: %s", what, state.outcome and state.outcome.exception())

    wait = wait_exponential(multiplier=first, max=max(first, longest))
    return AsyncRetrying(retry=retry_if_exception_type(error), wait=wait, before_sleep=log_failure, reraise=True)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, AgentRunsAPIError) else None
    return min(LONGEST_PAUSE, max(_backoff(state), asked or 0.0))


def _log(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0.0
    log.warning("%s; retrying in %.1f s", error, pause)

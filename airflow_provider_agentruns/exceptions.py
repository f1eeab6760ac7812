# SPDX-License-Identifier: Apache-2.0
"""
Every error that this package raises on purpose.

The family knows nothing of Airflow, so that the client can be used without it. Where an error leaves the
hook, :mod:`airflow_provider_agentruns.hooks.task_errors` gives it the Airflow base class that tells Airflow
whether a retry of the task makes sense; ``except`` clauses on the classes here go on working.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_agentruns.text import quoted, single_line

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import AgentRun

_MESSAGES_SHOWN = 10
_MESSAGE_LENGTH = 500

#: The longest text of an error, in characters.
_MAX_LENGTH = 8_000


class AgentRunsError(Exception):
    """Base of all errors of this package."""

    #: Whether another try of the same task could end differently.
    retryable: bool = True

    #: Whether the service may have carried the request out although no usable answer came back.
    in_doubt: bool = False

    def __str__(self) -> str:
        """Return the message on one line, since parts of it come from the service and from agents."""
        return single_line(super().__str__(), _MAX_LENGTH)


class AgentRunsConfigError(AgentRunsError, ValueError):
    """The Airflow connection holds something that cannot work."""

    retryable = False


class AgentRunsValueError(AgentRunsError, ValueError):
    """An argument is wrong; nothing was sent."""

    retryable = False


class AgentRunFailedError(AgentRunsError):
    """The run ended as ``error``, or in a way that can no longer bring what was waited for."""

    retryable = False


class AgentRunInterruptedError(AgentRunsError):
    """The run asks a person something, and the task was told not to wait for the answer."""


class AgentRunTimeoutError(AgentRunsError):
    """The run did not reach the awaited status in time. The run itself goes on."""


class AgentRunSerializationError(AgentRunsError):
    """What the run holds cannot be handed on to other tasks, or not as what it is; the message says where it lies."""

    retryable = False


class AgentRunReviewError(AgentRunsError):
    """A form, or what was answered to it, does not fit the question that the run waits with. Nothing was sent."""

    retryable = False


class AgentRunStartInDoubtError(AgentRunsError):
    """
    It cannot be told whether an earlier request started a run, so that none is started now.

    Another try looks again, and settles it if the service shows more by then.
    """


class AgentRunsConnectionError(AgentRunsError):
    """
    The service could not be reached, or the connection broke.

    :param message: What happened, for people.
    :param in_doubt: Whether the request may have been carried out all the same.
    :param resend: Whether the very same request may be sent again without harm.
    """

    def __init__(self, message: str, *, in_doubt: bool = False, resend: bool = False) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt
        self.resend = resend


class AgentRunsThrottledError(AgentRunsError):
    """
    The connection's own rate limit would delay the request for longer than the caller accepts. Nothing was sent.

    :param delay: For how many seconds it would be delayed.
    """

    def __init__(self, delay: float) -> None:
        super().__init__(f"The connection's rate limit would delay this request by {delay:.0f} s; it was not sent")
        self.delay = delay


class AgentRunsAPIError(AgentRunsError):
    """
    The service answered, but not with what was asked for.

    :param status_code: The HTTP status of the answer.
    :param messages: The ``message`` of each entry of the service's ``errors`` array, or our own words where
        the answer carried none. Long ones are cut.
    :param method: The HTTP method of the request.
    :param path: The path of the request, without host and query.
    :param retry_after: Seconds that the service asked to wait, where it said so.
    :param in_doubt: Whether the request may have been carried out all the same.
    :param resend: Whether the very same request may be sent again without harm.
    """

    #: What a person can do about it; appended to the message.
    hint: ClassVar[str] = ""

    def __init__(
        self,
        status_code: int,
        messages: Sequence[str],
        method: str,
        path: str,
        *,
        retry_after: float | None = None,
        in_doubt: bool = False,
        resend: bool = False,
    ) -> None:
        self.status_code = status_code
        self.messages = tuple(_cut(message) for message in messages[:_MESSAGES_SHOWN])
        self.method = method
        self.path = path
        self.retry_after = retry_after
        self.in_doubt = in_doubt
        self.resend = resend
        said = "; ".join(self.messages) or "no message"
        super().__init__(f"{method} {path} returned {status_code}: {said}{self.hint}")


class AgentRunInvalidRequestError(AgentRunsAPIError):
    """400 or 422: the service refuses the request as it stands."""

    retryable = False


class AgentRunsAuthError(AgentRunsAPIError):
    """401 or 403: the token is missing, wrong, of another environment, or not allowed to do this."""

    retryable = False
    hint = (
        ". Check the API token of the Airflow connection, and that it belongs to the connection's base URL: "
        "mk_live tokens go with production, mk_test tokens with the sandbox"
    )


class AgentRunNotFoundError(AgentRunsAPIError):
    """404: there is no such run, thread or agent for this account."""

    retryable = False
    hint = ". Check the id, and that the Airflow connection uses the account and environment it belongs to"


class AgentRunConflictError(AgentRunsAPIError):
    """409: the run is not interrupted, or that interrupt is no longer pending."""

    retryable = False


class AgentRunInterruptGoneError(AgentRunConflictError):
    """
    The interrupt to be answered is not pending, as a reading of the run showed; nothing was sent.

    It counts as the service's own 409, which is what sending would have met.
    """

    def __init__(self, run_id: str, message: str) -> None:
        super().__init__(409, [message], "POST", f"/v1/runs/{run_id}/resume")
        self.args = (message,)

    @classmethod
    def of(cls, run_id: str, interrupt_id: str, run: AgentRun | None, why: str) -> AgentRunInterruptGoneError:
        """Return the error for a run as it was just read."""
        pending = [quoted(interrupt.id) for interrupt in (run.interrupts if run else ())]
        shown = ", ".join(pending[:_MESSAGES_SHOWN]) or "none"
        if (more := len(pending) - _MESSAGES_SHOWN) > 0:
            shown += f", and {more} more"
        return cls(
            run_id,
            f"Interrupt {quoted(interrupt_id)} of agent run {single_line(run_id)} is not pending: {why}. "
            f"Nothing was sent. The run is {single_line(run.status) if run else 'out of sight'}; pending interrupts: "
            f"{shown}",
        )


class AgentRunsRateLimitError(AgentRunsAPIError):
    """429, still after the last retry of the request."""

    hint = (
        ". The account's limit is shared by all that use it: lower rate_limit in the connection's extra so "
        "that all processes together stay below it"
    )


class AgentRunsServerError(AgentRunsAPIError):
    """5xx: the service, or something in front of it, failed."""


def api_error_class(status_code: int) -> type[AgentRunsAPIError]:
    """Return the class of error that an HTTP status stands for."""
    if status_code >= 500:
        return AgentRunsServerError
    return {
        400: AgentRunInvalidRequestError,
        401: AgentRunsAuthError,
        403: AgentRunsAuthError,
        404: AgentRunNotFoundError,
        409: AgentRunConflictError,
        422: AgentRunInvalidRequestError,
        429: AgentRunsRateLimitError,
    }.get(status_code, AgentRunsAPIError)


def _cut(message: str) -> str:
    return message if len(message) <= _MESSAGE_LENGTH else message[: _MESSAGE_LENGTH - 1] + "…"

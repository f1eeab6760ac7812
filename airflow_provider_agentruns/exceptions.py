# SPDX-License-Identifier: Apache-2.0
"""The errors of this package. They do not depend on Airflow: ``final_errors`` adds its base classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_agentruns.text import quoted, single_line

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import AgentRun

_MESSAGES_SHOWN = 10


class AgentRunsError(Exception):
    """Base of all errors of this package."""

    #: Whether another try of the task could end differently.
    retryable: bool = True
    #: Whether the service may have carried out the request although no usable response arrived.
    in_doubt: bool = False

    def __str__(self) -> str:
        # Parts of the message come from the service and from agents.
        return single_line(super().__str__(), 8_000)


class AgentRunsConfigError(AgentRunsError, ValueError):
    """The Airflow connection is missing, or has a setting that cannot work."""

    retryable = False


class AgentRunsValueError(AgentRunsError, ValueError):
    """An argument is wrong. Nothing was sent."""

    retryable = False


class AgentRunFailedError(AgentRunsError):
    """The run ended as ``error``, or can no longer reach the awaited status."""

    retryable = False


class AgentRunInterruptedError(AgentRunsError):
    """The run asks a question, and the task does not wait for answers."""


class AgentRunTimeoutError(AgentRunsError):
    """The run did not reach the awaited status in time. The run itself continues."""


class AgentRunSerializationError(AgentRunsError):
    """XCom cannot store a value of the run, or would change it. The message names the place."""

    retryable = False


class AgentRunReviewError(AgentRunsError):
    """A form or its answer does not match the run's question. Nothing was sent."""

    retryable = False


class AgentRunStartInDoubtError(AgentRunsError):
    """An earlier request may have started a run. Another try of the task searches for it again."""


class AgentRunsConnectionError(AgentRunsError):
    """The service could not be reached, or the connection broke."""

    def __init__(self, message: str, *, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt


class AgentRunsResponseTooLargeError(AgentRunsConnectionError):
    """The response is larger than its reader accepts."""


class AgentRunsThrottledError(AgentRunsError):
    """The rate limit would delay the request by ``delay`` seconds, which is too long. Nothing was sent."""

    def __init__(self, delay: float) -> None:
        super().__init__(f"The connection's rate limit would delay this request by {delay:.0f} s; it was not sent")


class AgentRunsAPIError(AgentRunsError):
    """
    The service returned an error, or a response that breaks its contract.

    :param status_code: The HTTP status of the response.
    :param messages: The ``message`` of each entry in ``errors``, or a description of the response.
    :param path: The path of the request, without host and query.
    :param retry_after: Seconds that the service asked to wait; None if it did not.
    """

    #: Advice for the user, appended to the message.
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
    ) -> None:
        self.status_code = status_code
        self.messages = tuple(single_line(message, 500) for message in messages[:_MESSAGES_SHOWN])
        self.method = method
        self.path = path
        self.retry_after = retry_after
        self.in_doubt = in_doubt
        super().__init__(f"{method} {path} returned {status_code}: {'; '.join(self.messages)}{self.hint}")


class AgentRunInvalidRequestError(AgentRunsAPIError):
    """400 or 422: the service rejects the request."""

    retryable = False


class AgentRunsAuthError(AgentRunsAPIError):
    """401 or 403: the token is wrong, belongs to another environment, or lacks a permission."""

    retryable = False
    hint = (
        ". Check the API token of the Airflow connection, and that it belongs to the connection's base URL: "
        "mk_live tokens belong to production, mk_test tokens to the sandbox"
    )


class AgentRunNotFoundError(AgentRunsAPIError):
    """404: the account has no such run, thread, or agent."""

    retryable = False
    hint = ". Check the ID, and that the Airflow connection uses the account and environment that it belongs to"


class AgentRunConflictError(AgentRunsAPIError):
    """409: the run is not interrupted, or the interrupt is no longer pending."""

    retryable = False


class AgentRunInterruptGoneError(AgentRunConflictError):
    """The interrupt is not pending. This try sent nothing, because the service would have answered with 409."""

    def __init__(self, run_id: str, message: str) -> None:
        super().__init__(409, [message], "POST", f"/v1/runs/{run_id}/resume")
        self.args = (message,)

    @classmethod
    def of(cls, run_id: str, interrupt_id: str, run: AgentRun, why: str) -> AgentRunInterruptGoneError:
        pending = [quoted(interrupt.id) for interrupt in run.interrupts[:_MESSAGES_SHOWN]]
        return cls(
            run_id,
            f"Interrupt {quoted(interrupt_id)} of agent run {single_line(run_id)} is not pending: {why}. This try "
            f"sent nothing. The run is {single_line(run.status)}; pending interrupts: {', '.join(pending) or 'none'}",
        )


class AgentRunsRateLimitError(AgentRunsAPIError):
    """429: the account sends too many requests. The request was repeated within a time budget."""

    hint = (
        ". All users of the account share its limit: set rate_limit_store in the connection's extra, or a lower "
        "rate_limit"
    )


class AgentRunsServerError(AgentRunsAPIError):
    """5xx: the service or a gateway in front of it failed."""


_CLASSES = {
    400: AgentRunInvalidRequestError,
    401: AgentRunsAuthError,
    403: AgentRunsAuthError,
    404: AgentRunNotFoundError,
    409: AgentRunConflictError,
    422: AgentRunInvalidRequestError,
    429: AgentRunsRateLimitError,
}


def api_error_class(status_code: int) -> type[AgentRunsAPIError]:
    return _CLASSES.get(status_code, AgentRunsServerError if status_code >= 500 else AgentRunsAPIError)

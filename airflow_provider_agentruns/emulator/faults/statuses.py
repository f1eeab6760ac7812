# SPDX-License-Identifier: Apache-2.0
"""Faults that answer with another status, in the words of the contract."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import formatdate
from typing import ClassVar

from airflow_provider_agentruns.emulator.errors import error_response
from airflow_provider_agentruns.emulator.faults.base import Fault, FaultError, at_least, known_as
from airflow_provider_agentruns.emulator.faults.exchange import Exchange
from airflow_provider_agentruns.emulator.faults.messages import Incoming


@dataclass(frozen=True, kw_only=True)
class _Refusal(Fault):
    status: ClassVar[int]
    message: ClassVar[str]

    async def meet(self, exchange: Exchange) -> None:
        """Answer what is wrong."""
        if self.taken:
            async with exchange.carried_out():
                pass
        await exchange.respond(error_response(self.status, self.message, headers=self._headers()))

    def _headers(self) -> dict[str, str]:
        return {}


@dataclass(frozen=True, kw_only=True)
class _Throttle(_Refusal):
    retry_after: float | str | None = None
    retry_after_date: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.retry_after, str) and not (self.retry_after.isascii() and self.retry_after.isprintable()):
            raise FaultError("must be a text that fits into a header", "retry_after")

    def _headers(self) -> dict[str, str]:
        if self.retry_after_date is not None:
            return {"Retry-After": formatdate(time.time() + self.retry_after_date, usegmt=True)}
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


@known_as("401")
@dataclass(frozen=True, kw_only=True)
class Unauthorized(_Refusal):
    """Answers 401, whatever the token. Not carried out."""

    status = 401
    message = "A valid token is needed: Authorization: Bearer ..."


@known_as("401 until rotated")
@dataclass(frozen=True, kw_only=True)
class UnauthorizedUntilRotated(Unauthorized):
    """
    Answers 401 until the token is another one; a request with that one passes. Not carried out.

    :param token: The token that it takes; without it, the one that ``emulator.rotate_token(new)`` sets after the rule
        came into force.
    """

    token: str | None = field(default=None, repr=False)

    def applies(self, request: Incoming, since: float) -> bool:
        """Pass the new token; the service itself refuses the old one once the token was rotated."""
        return request.token_since <= since if self.token is None else request.token != self.token


@known_as("403")
@dataclass(frozen=True, kw_only=True)
class Forbidden(_Refusal):
    """Answers 403. Not carried out."""

    status = 403
    message = "The account may not do this"


@known_as("404")
@dataclass(frozen=True, kw_only=True)
class NotThere(_Refusal):
    """Answers 404. Not carried out."""

    status = 404
    message = "There is no such thing"


@known_as("404 at first")
@dataclass(frozen=True, kw_only=True)
class NotThereAtFirst(NotThere):
    """
    Answers 404 to whatever is asked of a run in the first seconds after its creation. Not carried out.

    :param seconds: How long a run is not visible, by the clock of the service.
    """

    seconds: float = at_least(0, 1.0)

    def applies(self, request: Incoming, since: float) -> bool:
        """Meet what is asked of a run that is too new."""
        parts = request.path.split("/")
        run = request.service.runs.get(parts[3]) if len(parts) > 3 and parts[2] == "runs" else None
        return run is not None and request.service.clock() - run.created_at < timedelta(seconds=self.seconds)


@known_as("409")
@dataclass(frozen=True, kw_only=True)
class Conflict(_Refusal):
    """Answers 409, as if somebody else had been first. Not carried out."""

    status = 409
    message = "The run is not interrupted, or that interrupt is not pending"


@known_as("422")
@dataclass(frozen=True, kw_only=True)
class Unprocessable(_Refusal):
    """Answers 422. Not carried out."""

    status = 422
    message = "This cannot be processed"


@known_as("429")
@dataclass(frozen=True, kw_only=True)
class TooMany(_Throttle):
    """
    Answers 429. Not carried out.

    :param retry_after: What ``Retry-After`` says: seconds, or a text, however absurd; null leaves it out.
    :param retry_after_date: It says the moment in so many seconds instead, as an HTTP date.
    """

    status = 429
    message = "Too many requests"

    retry_after: float | str | None = 1


@known_as("500")
@dataclass(frozen=True, kw_only=True)
class InternalError(_Refusal):
    """
    Answers 500. Not carried out, unless told to be.

    :param taken: Whether it is carried out.
    """

    status = 500
    message = "The service has a fault"

    taken: bool = False


@known_as("502")
@dataclass(frozen=True, kw_only=True)
class BadGateway(_Refusal):
    """
    Answers 502. Not carried out, unless told to be.

    :param taken: Whether it is carried out.
    """

    status = 502
    message = "Bad gateway"

    taken: bool = False


@known_as("503")
@dataclass(frozen=True, kw_only=True)
class Unavailable(_Throttle):
    """
    Answers 503. Not carried out, unless told to be.

    :param retry_after: What ``Retry-After`` says: seconds, or a text, however absurd; null leaves it out.
    :param retry_after_date: It says the moment in so many seconds instead, as an HTTP date.
    :param taken: Whether it is carried out.
    """

    status = 503
    message = "The service is not available"

    taken: bool = False


@known_as("504")
@dataclass(frozen=True, kw_only=True)
class GatewayTimeout(_Refusal):
    """
    Answers 504. Not carried out, unless told to be.

    :param taken: Whether it is carried out.
    """

    status = 504
    message = "Gateway timeout"

    taken: bool = False

# SPDX-License-Identifier: Apache-2.0
"""Faults of connections: they are not taken, break, or lose the answer."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import ClassVar, Literal

from airflow_provider_agentruns.emulator.faults.base import Fault, always, at_least, known_as
from airflow_provider_agentruns.emulator.faults.exchange import Exchange
from airflow_provider_agentruns.emulator.faults.owners import owners_of


@known_as("refused")
@dataclass(frozen=True, kw_only=True)
class Refused(Fault):
    """
    Nothing listens: each connection is refused, and those that are open are reset. Nothing is carried out.

    It lasts while its rule is in force. A connection is refused before it says what it wants, so the rule takes
    neither a method nor a path, nor anything else; for an outage that a request sets off, see ``outage``.
    """

    meets: ClassVar[Literal["request", "connection", "service"]] = "service"


@known_as("outage")
@dataclass(frozen=True, kw_only=True)
class Outage(Fault):
    """
    Resets the connection, and all others; for some seconds each new one is refused. Not carried out.

    :param seconds: How long nothing listens.
    """

    seconds: float = at_least(0, 1.0)

    async def meet(self, exchange: Exchange) -> None:
        """Let the request be the last one for some time."""
        await exchange.outage(self.seconds)
        exchange.reset()


@known_as("connection closed")
@dataclass(frozen=True, kw_only=True)
class ConnectionClosed(Fault):
    """
    Takes a new connection, and closes it before a byte is read. Nothing is carried out.

    A client that has sent something by then meets a reset. Its rule counts connections, not requests, and takes neither
    a method nor a path: nothing has been read by then. A request that comes over a connection that is open already is
    not met.
    """

    meets: ClassVar[Literal["request", "connection", "service"]] = "connection"


@known_as("request reset")
@dataclass(frozen=True, kw_only=True)
class RequestReset(Fault):
    """Resets the connection once the request has been read. Not carried out."""

    async def meet(self, exchange: Exchange) -> None:
        """Lose the request."""
        exchange.reset()


@known_as("answer reset")
@dataclass(frozen=True, kw_only=True)
class AnswerReset(Fault):
    """Resets the connection instead of answering. Carried out: the answer is lost."""

    taken: bool = always()

    async def meet(self, exchange: Exchange) -> None:
        """Lose the answer."""
        async with exchange.carried_out():
            exchange.reset()


@known_as("answer lost")
@dataclass(frozen=True, kw_only=True)
class AnswerLost(Fault):
    """Closes the connection in the ordinary way, without a byte of an answer. Carried out."""

    taken: bool = always()

    async def meet(self, exchange: Exchange) -> None:
        """Lose the answer."""
        async with exchange.carried_out():
            exchange.close()


@known_as("client killed")
@dataclass(frozen=True, kw_only=True)
class ClientKilled(Fault):
    """
    Kills the process at the other end of the connection, with SIGKILL, before it is answered. Carried out.

    For a client in a process of its own, such as a worker, on Linux. A client in the process of the offline service
    itself is not killed: it gets an error that says so.
    """

    taken: bool = always()

    async def meet(self, exchange: Exchange) -> None:
        """Kill the client."""
        async with exchange.carried_out():
            owners = owners_of(exchange.client, exchange.server)
            if not owners or os.getpid() in owners:
                raise RuntimeError("the client is in no process of its own that could be found")
            for owner in owners:
                os.kill(owner, signal.SIGKILL)
            exchange.reset()

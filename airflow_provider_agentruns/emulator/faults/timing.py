# SPDX-License-Identifier: Apache-2.0
"""Faults of an answer that comes slowly, in part, without end, or not at all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

from airflow_provider_agentruns.emulator.faults.base import Fault, FaultError, always, at_least, known_as
from airflow_provider_agentruns.emulator.faults.exchange import Exchange

_NOTHING = b" " * 65536


@known_as("slow answer")
@dataclass(frozen=True, kw_only=True)
class SlowAnswer(Fault):
    """
    Sends nothing for some seconds, and then the true answer. Carried out before them.

    :param seconds: How long it takes.
    """

    seconds: float = at_least(0, 5.0)
    taken: bool = always()

    async def meet(self, exchange: Exchange) -> None:
        """Answer late."""
        async with exchange.carried_out() as answer:
            await asyncio.sleep(self.seconds)
            await exchange.begin(answer.status, answer.headers)
            async for piece in answer.pieces():
                await exchange.piece(piece)
            await exchange.end()


@known_as("slow head")
@dataclass(frozen=True, kw_only=True)
class SlowHead(Fault):
    """
    Sends the head of the true answer byte by byte, then the body at once, and closes. Carried out.

    :param pause: Seconds between two bytes.
    """

    pause: float = at_least(0, 0.02)
    taken: bool = always()

    async def meet(self, exchange: Exchange) -> None:
        """Write the head in the smallest pieces."""
        async with exchange.carried_out() as answer:
            answer.headers["date"] = formatdate(usegmt=True)
            answer.headers["connection"] = "close"
            line = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}".encode()
            head = b"\r\n".join([line, *(name + b": " + value for name, value in answer.headers.raw), b"", b""])
            await exchange.raw((bytes([byte]) for byte in head), answer.status, self.pause)
            async for piece in answer.pieces():
                await exchange.raw([piece], answer.status)
            exchange.close()


@known_as("slow body")
@dataclass(frozen=True, kw_only=True)
class SlowBody(Fault):
    """
    Sends the head of the true answer at once, and its body in drops. Carried out.

    :param size: Bytes in a drop.
    :param pause: Seconds between two drops.
    """

    size: int = at_least(1, 1)
    pause: float = at_least(0, 0.05)
    taken: bool = always()

    async def meet(self, exchange: Exchange) -> None:
        """Let the body trickle."""
        async with exchange.carried_out() as answer:
            await exchange.begin(answer.status, answer.headers)
            async for piece in answer.pieces():
                for start in range(0, len(piece), self.size):
                    await exchange.piece(piece[start : start + self.size])
                    await asyncio.sleep(self.pause)
            await exchange.end()


@known_as("hanging")
@dataclass(frozen=True, kw_only=True)
class Hanging(Fault):
    """
    Never answers, and keeps the connection open until the client leaves. Not carried out, unless told to be.

    :param taken: Whether it is carried out.
    """

    taken: bool = False

    async def meet(self, exchange: Exchange) -> None:
        """Keep silent."""
        if self.taken:
            async with exchange.carried_out():
                pass
        await exchange.stand_still()


@known_as("body cut off")
@dataclass(frozen=True, kw_only=True)
class BodyCutOff(Fault):
    """
    Announces the whole body of the true answer, sends a part of it, and closes the connection. Carried out.

    :param part: How much of it, from 0 to below 1.
    """

    part: float = at_least(0, 0.5)
    taken: bool = always()

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        if self.part >= 1:
            raise FaultError(f"must be below 1, not {self.part!r}", "part")

    async def meet(self, exchange: Exchange) -> None:
        """Send less than announced."""
        async with exchange.carried_out() as answer:
            body = await answer.body()
            answer.headers["content-length"] = str(max(len(body), 1))
            await exchange.begin(answer.status, answer.headers)
            await exchange.piece(body[: int(len(body) * self.part)])
            exchange.close()


@known_as("endless body")
@dataclass(frozen=True, kw_only=True)
class EndlessBody(Fault):
    """
    Sends the true answer without its length, and then blanks for as long as the client reads. Carried out.

    :param pause: Seconds between two pieces of 64 KiB.
    """

    pause: float = at_least(0, 0.001)
    taken: bool = always()

    async def meet(self, exchange: Exchange) -> None:
        """Never come to an end."""
        async with exchange.carried_out() as answer:
            body = await answer.body()
            del answer.headers["content-length"]
            await exchange.begin(answer.status, answer.headers)
            await exchange.piece(body)
            while True:
                await exchange.piece(_NOTHING)
                await asyncio.sleep(self.pause)

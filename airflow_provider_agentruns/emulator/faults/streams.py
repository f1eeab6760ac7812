# SPDX-License-Identifier: Apache-2.0
"""Faults of streams of events. Each is met by requests for a stream alone; a stream changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from airflow_provider_agentruns.emulator.faults.base import Fault, always, at_least, known_as
from airflow_provider_agentruns.emulator.faults.exchange import Exchange
from airflow_provider_agentruns.emulator.faults.messages import Incoming

_FINISHED = b"event: RUN_FINISHED\n"


@dataclass(frozen=True, kw_only=True)
class _Stream(Fault):
    taken: bool = always()

    def applies(self, request: Incoming, since: float) -> bool:
        """Meet requests for streams."""
        return request.method == "GET" and request.path.endswith("/stream")

    async def meet(self, exchange: Exchange) -> None:
        """Send the events in another way."""
        async with exchange.carried_out() as answer:
            await exchange.begin(answer.status, answer.headers)
            if answer.is_stream:
                await self.send(answer.pieces(), exchange)
            else:
                await exchange.piece(await answer.body())
            if not exchange.broken:
                await exchange.end()

    async def send(self, events: AsyncIterator[bytes], exchange: Exchange) -> None:
        """Send the events."""
        raise NotImplementedError


@known_as("stream cut")
@dataclass(frozen=True, kw_only=True)
class StreamCut(_Stream):
    """
    Closes the connection in the middle of an event, after some whole ones. Carried out.

    :param events: How many whole ones come before.
    """

    events: int = at_least(0, 1)

    async def send(self, events: AsyncIterator[bytes], exchange: Exchange) -> None:
        """Cut the stream."""
        left = self.events
        async for event in events:
            if not left:
                await exchange.piece(event[: len(event) // 2])
                break
            await exchange.piece(event)
            left -= 1
        exchange.close()


@known_as("stream silent")
@dataclass(frozen=True, kw_only=True)
class StreamSilent(_Stream):
    """
    Sends the head and some events, and then nothing more; the connection stays open. Carried out.

    :param events: How many come before.
    """

    events: int = at_least(0, 0)

    async def send(self, events: AsyncIterator[bytes], exchange: Exchange) -> None:
        """Fall silent."""
        for _ in range(self.events):
            await exchange.piece(await anext(events, b""))
        await exchange.stand_still()


@known_as("stream endless")
@dataclass(frozen=True, kw_only=True)
class StreamEndless(_Stream):
    """
    Repeats the last event before RUN_FINISHED, which never comes, as long as the client reads. Carried out.

    :param pause: Seconds between two repeats.
    """

    pause: float = at_least(0, 0.05)

    async def send(self, events: AsyncIterator[bytes], exchange: Exchange) -> None:
        """Never come to an end."""
        last = b""
        async for event in events:
            if event.startswith(_FINISHED):
                break
            last = event
            await exchange.piece(event)
        while True:
            await exchange.piece(last)
            await asyncio.sleep(self.pause)


@known_as("stream repeats")
@dataclass(frozen=True, kw_only=True)
class StreamRepeats(_Stream):
    """
    Sends each event several times in a row, and all of them once more before RUN_FINISHED. Carried out.

    :param copies: How often each comes.
    """

    copies: int = at_least(1, 2)

    async def send(self, events: AsyncIterator[bytes], exchange: Exchange) -> None:
        """Send the events again and again."""
        sent: list[bytes] = []
        async for event in events:
            if event.startswith(_FINISHED):
                for earlier in sent:
                    await exchange.piece(earlier)
            for _ in range(self.copies):
                await exchange.piece(event)
            sent.append(event)

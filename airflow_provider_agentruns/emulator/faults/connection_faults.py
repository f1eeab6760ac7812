# SPDX-License-Identifier: Apache-2.0
"""The code of faults that break the connection, or that delay or cut off the response. See ``table``."""

from __future__ import annotations

import asyncio

from airflow_provider_agentruns.emulator.faults.exchange import Exchange, ServiceResponse


async def reset(exchange: Exchange, _: ServiceResponse | None) -> None:
    exchange.reset()


async def close(exchange: Exchange, _: ServiceResponse | None) -> None:
    exchange.close()


async def hang(exchange: Exchange, _: ServiceResponse | None) -> None:
    await asyncio.Event().wait()


async def delay(exchange: Exchange, response: ServiceResponse, *, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await exchange.begin(response.status, response.headers)
    async for piece in response.pieces():
        await exchange.piece(piece)
    await exchange.piece(b"", last=True)


async def slow_body(exchange: Exchange, response: ServiceResponse, *, size: int, pause: float) -> None:
    await exchange.begin(response.status, response.headers)
    async for piece in response.pieces():
        for start in range(0, len(piece), size):
            await exchange.piece(piece[start : start + size])
            await asyncio.sleep(pause)
    await exchange.piece(b"", last=True)


async def cut_off(exchange: Exchange, response: ServiceResponse, *, part: float) -> None:
    body = await response.body()
    response.headers["content-length"] = str(max(len(body), 1))
    await exchange.begin(response.status, response.headers)
    await exchange.piece(body[: int(len(body) * part)])
    exchange.close()


async def stream_cut(exchange: Exchange, response: ServiceResponse, *, events: int) -> None:
    await exchange.begin(response.status, response.headers)
    async for event in response.pieces():
        if events == 0:
            await exchange.piece(event[: len(event) // 2])
            break
        await exchange.piece(event)
        events -= 1
    exchange.close()


async def stream_silent(exchange: Exchange, response: ServiceResponse, *, events: int) -> None:
    await exchange.begin(response.status, response.headers)
    stream = response.pieces()
    for _ in range(events):
        await exchange.piece(await anext(stream, b""))
    await asyncio.Event().wait()

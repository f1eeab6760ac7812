# SPDX-License-Identifier: Apache-2.0
"""Calls the hook's sync methods and their async twins in the same way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from airflow_provider_agentruns.client.transport import AsyncTransport, Transport
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook


class HookUser:
    """Calls a hook's methods by the name of the sync method. The async twins run in their own event loop."""

    def __init__(self, kind: str, conn_id: str = "agentruns_default") -> None:
        self.kind = kind
        self.hook = AgentRunHook(conn_id)
        self._runner = asyncio.Runner()

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if self.kind == "sync":
            return getattr(self.hook, method)(*args, **kwargs)
        return self._runner.run(getattr(self.hook, f"a{method}")(*args, **kwargs))

    def iterate(self, method: str, *args: Any, **kwargs: Any) -> Iterator[Any]:
        if self.kind == "sync":
            yield from getattr(self.hook, method)(*args, **kwargs)
            return
        several: AsyncIterator[Any] = getattr(self.hook, f"a{method}")(*args, **kwargs)

        async def one() -> Any:
            return await anext(several)

        while True:
            try:
                yield self._runner.run(one())
            except StopAsyncIteration:
                return

    def transport(self) -> Transport | AsyncTransport:
        transport: Transport | AsyncTransport = self.call("get_conn")
        return transport

    def close(self) -> None:
        if self.kind == "sync":
            self.hook.close()
        else:
            self._runner.run(self.hook.aclose())

    def end(self) -> None:
        self.close()
        self._runner.close()


@pytest.fixture(params=["sync", "async"])
def user(request: pytest.FixtureRequest) -> Iterator[HookUser]:
    user = HookUser(request.param)
    yield user
    user.end()

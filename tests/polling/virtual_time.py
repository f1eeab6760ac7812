# SPDX-License-Identifier: Apache-2.0
"""An event loop whose clock jumps to the next event, so that an hour of waiting takes milliseconds."""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

#: What both clocks show when a loop starts.
BEGINNING = 1000.0
EPOCH = 1_800_000_000.0


class _Clock(selectors.SelectSelector):
    """Advances the time instead of waiting for I/O, of which there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits, and no event will ever come")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop without I/O and with a clock of its own."""

    def __init__(self) -> None:
        self.clock = _Clock()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


@contextmanager
def virtual_time(package: str) -> Iterator[None]:
    """Make all imported modules of a package use the clock of the running loop."""
    clock = SimpleNamespace(
        monotonic=lambda: asyncio.get_running_loop().time(),
        time=lambda: asyncio.get_running_loop().time() - BEGINNING + EPOCH,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith(package) and getattr(module, "time", None) is time:
                patch.setattr(module, "time", clock)
        yield


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)

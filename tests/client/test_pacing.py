# SPDX-License-Identifier: Apache-2.0
"""Requests are spaced out: never more in a second than the connection says, whoever sends them."""

from __future__ import annotations

import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_agentruns.client import pacing, retries
from airflow_provider_agentruns.client.pacing import Pacer, pacer_for
from airflow_provider_agentruns.client.transport import AsyncTransport, Transport
from airflow_provider_agentruns.exceptions import AgentRunsRateLimitError
from tests.client.calling import GET, RUN, Caller, settings
from tests.support.scripted_server import ScriptedServer, answer, errors


class Clock:
    """A monotonic clock that goes only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have nothing to do with the pacers of other tests, in this process or any other."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(pacing, "_pacers", {})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that pacers go by in this test; the rest of the process keeps its own."""
    clock = Clock()
    monkeypatch.setattr(pacing, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Have threads take turns as often as the interpreter can, which brings out what is not safe."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("rate", [0.5, 20, 300])
def test_no_second_ever_holds_more_reservations_than_the_rate(clock: Clock, rate: float) -> None:
    pacer = Pacer(rate)
    moments = []
    for step in (0.0, 0.001, 0.3, 0.0, 5.0) * 40:
        clock.now += step / rate
        moments.append(clock.now + pacer.reserve())
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert min(gaps) >= 1 / rate
    # Not slower than need be, either.
    assert max(gaps) < 5.2 / rate


def test_the_first_request_and_one_after_a_rest_go_at_once(clock: Clock) -> None:
    pacer = Pacer(10)
    assert pacer.reserve() == 0.0
    assert pacer.reserve() > 0.0
    clock.now += 1.0
    assert pacer.reserve() == 0.0


def test_a_rest_is_not_saved_up_for_a_burst(clock: Clock) -> None:
    pacer = Pacer(10)
    clock.now += 3600.0
    waits = [pacer.reserve() for _ in range(11)]
    assert waits[-1] >= 1.0


def test_a_hold_keeps_all_back_and_a_shorter_one_does_not_end_it(clock: Clock) -> None:
    pacer = Pacer(10)
    pacer.hold(5.0)
    pacer.hold(1.0)
    assert pacer.reserve() == pytest.approx(5.0)
    assert pacer.reserve() > 5.0


def test_an_urgent_one_goes_between_ordinary_ones(clock: Clock) -> None:
    pacer = Pacer(10)
    waits = [pacer.reserve() for _ in range(5)]
    assert [pacer.reserve(urgent=True) for _ in range(5)] == [0.0] * 5
    # Which is given back: by the next ordinary one, and by urgent ones beyond the rate.
    assert pacer.reserve(urgent=True) >= waits[-1] + 6 / 10
    assert pacer.reserve() >= waits[-1] + 7 / 10


def test_another_rate_counts_from_then_on(clock: Clock) -> None:
    pacer = Pacer(1)
    pacer.reserve()
    pacer.set_rate(10)
    slow, fast = pacer.reserve(), pacer.reserve()
    assert slow >= 1.0
    assert 0.1 <= fast - slow < 0.2


def test_all_clients_of_an_account_share_one_pacer_and_those_of_another_do_not(clock: Clock) -> None:
    one = pacer_for("https://one.example.com#1", 10)
    assert pacer_for("https://one.example.com#1", 10) is one
    assert pacer_for("https://one.example.com#2", 10) is not one
    one.reserve()
    pacer_for("https://one.example.com#1", 1)
    one.reserve()
    assert one.reserve() >= 1.0


@pytest.mark.usefixtures("eager_threads")
def test_threads_never_get_the_same_moment(clock: Clock) -> None:
    pacer = Pacer(1000)
    waits: list[float] = []

    def reserve() -> None:
        waits.extend([pacer.reserve() for _ in range(2000)])

    threads = [threading.Thread(target=reserve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waits.sort()
    assert min(later - earlier for earlier, later in itertools.pairwise(waits)) > 0.001


async def test_threads_and_a_loop_together_keep_to_the_rate() -> None:
    rate, each = 50, 5
    with ScriptedServer(lambda _: answer(RUN)) as server:
        where = settings(server.url, rate_limit=rate)

        def send() -> None:
            with Transport(where) as transport:
                for _ in range(each):
                    transport.send(GET)

        threads = [threading.Thread(target=send) for _ in range(2)]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        async with AsyncTransport(where) as transport:
            for _ in range(each):
                await transport.send(GET)
        for thread in threads:
            thread.join()
        took = time.monotonic() - begin
    assert len(server.requests) == 3 * each
    assert took >= (3 * each - 1) / rate


@pytest.mark.usefixtures("no_backoff")
def test_a_429_holds_back_all_requests_of_the_account(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.3)
    with ScriptedServer([errors(429, "slow down"), answer(RUN)]) as server:
        where = settings(server.url, max_retries=0)
        with pytest.raises(AgentRunsRateLimitError):
            caller.send(where, GET)
        caller.send(where, GET)
    first, second = server.requests
    assert second.at - first.at >= 0.25

# SPDX-License-Identifier: Apache-2.0
"""The rate limit in Redis: the same order as without it, one limit for all processes, and no failure without Redis."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from airflow_provider_agentruns.client import limiter, redis_store
from airflow_provider_agentruns.client.limiter import Limiter, limiter_for
from airflow_provider_agentruns.client.redis_store import RedisStore
from airflow_provider_agentruns.client.request_queue import MARGIN, Priority, RequestQueue, Ticket
from airflow_provider_agentruns.client.transport import Transport
from airflow_provider_agentruns.exceptions import AgentRunsConfigError
from tests.client.calling import GET, RUN, TOKEN, Caller, settings
from tests.client.forked_reservations import reserve_in_forks
from tests.client.test_limiter import SLOW, gaps
from tests.support.redis_server import RedisServer
from tests.support.scripted_server import ScriptedServer, answer, unused_port


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Share no file and no limiter with other tests. Return the temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(limiter, "_limiters", {})
    return tmp_path


def server_or_skip(folder: Path, password: str = "") -> RedisServer:
    try:
        return RedisServer(folder, password)
    except FileNotFoundError as e:
        pytest.skip(str(e))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with server_or_skip(tmp_path) as server:
        yield server


def store(url: str, account: str = "account") -> RedisStore:
    """Return a store, as a process of its own would open it."""
    return RedisStore(account, url, str)


def delay(store: RedisStore, rate: float = SLOW, priority: Priority = Priority.WAIT, longest: float = 1e9) -> float:
    """Reserve a place in the queue and return the seconds until it is served."""
    return store.reserve(rate, priority, longest)[1]


class ClockedStore(RedisStore):
    """A store whose clock is set by the test."""

    def __init__(self, url: str) -> None:
        super().__init__("account", url, str)
        client: Any = self._script.registered_client
        client.flushall()
        self._script = client.register_script(redis_store._SCRIPT.replace("redis.call('TIME')", "args.clock"))
        self.now = 0.0

    def _run(self, **arguments: Any) -> list[Any] | None:
        seconds, part = divmod(round(self.now * 1e6), 1_000_000)
        return super()._run(clock=[seconds, part], **arguments)


#: Steps of a history: seconds since the previous step, and what happens. Multiples make send times and steps coincide.
STEPS = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from([0.0, 0.0, MARGIN / 20, 2 * MARGIN / 20, 3 * MARGIN / 20, 1.0, 30.0]), st.floats(0, 3)
        ),
        st.one_of(
            st.tuples(
                st.just("reserve"),
                st.sampled_from([20.0, 20.0, 20.0, 5.0]),
                st.sampled_from(Priority),
                st.sampled_from([1e9, 1e9, 1.0, 0.0]),
            ),
            st.tuples(st.just("block"), st.just(20.0), st.sampled_from([0.5, 1.0, 60.0])),
        ),
    ),
    min_size=1,
    max_size=60,
)


class TestScript:
    def test_the_script_and_python_agree(self, server: RedisServer) -> None:
        @examples(max_examples=60, deadline=None)
        @given(STEPS)
        def check(steps: list[tuple[float, tuple[Any, ...]]]) -> None:
            redis, state, tickets = ClockedStore(server.url), RequestQueue(), list[tuple[Ticket, Ticket]]()
            redis.now = 1000.0
            for pause, (action, rate, *arguments) in steps:
                # Redis's clock has microseconds.
                redis.now = round(redis.now + pause, 6)
                now = redis.now
                if action == "block":
                    redis.block(rate, *arguments)
                    state = state.block(now, rate, *arguments, redis_store._REDUCTION)
                else:
                    priority, longest = arguments
                    ticket, delay = redis.reserve(rate, priority, longest)
                    new, expected = state.issue(now, rate, priority)
                    assert ticket.number == expected.number
                    assert delay == pytest.approx(new.delay(expected, now), abs=1e-5)
                    if delay <= longest:
                        state = new
                        tickets.append((ticket, expected))
                for ticket, expected in tickets[-20:]:
                    state = state.updated(now, rate)
                    assert redis.delay(rate, ticket) == pytest.approx(state.delay(expected, now), abs=1e-5)

        check()

    def test_a_clock_that_is_set_back_starts_over(self, server: RedisServer) -> None:
        store = ClockedStore(server.url)
        store.now = 10_000.0
        tickets = [store.reserve(SLOW, Priority.WAIT, 1e9)[0] for _ in range(3)]
        store.now = 9000.0
        assert store.reserve(SLOW, Priority.WAIT, 1e9)[1] == 0.0
        assert [store.delay(SLOW, ticket) for ticket in tickets] == [None] * 3

    def test_a_clock_that_is_set_back_by_little_keeps_the_queue(self, server: RedisServer) -> None:
        store = ClockedStore(server.url)
        store.now = 10_000.0
        for _ in range(30):
            store.now += 1.5
            store.block(20, 1.0)
        store.now -= 0.9
        delays = [store.reserve(20, Priority.WAIT, 1e9)[1] for _ in range(3)]
        assert 0 < delays[0] < delays[1] < delays[2] < 60

    def test_a_ticket_from_before_the_clock_was_set_back_is_lost_before_another_is_reserved(
        self, server: RedisServer
    ) -> None:
        store = ClockedStore(server.url)
        store.now = 10_000.0
        tickets = [store.reserve(SLOW, Priority.WAIT, 1e9)[0] for _ in range(500)]
        # A replica took over, whose clock is behind.
        store.now -= 2.0
        assert store.delay(SLOW, tickets[-1]) is None
        assert store.reserve(SLOW, Priority.WAIT, 1e9)[1] == 0.0

    def test_tickets_after_a_crash_of_the_server_are_not_those_from_before(self, server: RedisServer) -> None:
        store = ClockedStore(server.url)
        store.now = 1000.0
        before = store.reserve(20, Priority.WAIT, 1e9)[0]
        assert store.delay(20, replace(before, number=before.number + 5000)) is None

    def test_the_state_is_small_and_expires(self, server: RedisServer) -> None:
        one = store(server.url, f"https://api.example.com#{TOKEN}")
        for _ in range(500):
            delay(one, 20)
        client: Any = one._script.registered_client
        [key] = client.keys()
        assert client.memory_usage(key) < 1000
        assert 3600 < client.ttl(key) < 3700
        assert key.startswith(b"agentruns:rate:")
        assert TOKEN.encode() not in key
        assert b"example" not in key


class TestSharing:
    def test_forked_processes_keep_to_the_rate_together(self, server: RedisServer, folder: Path) -> None:
        times = reserve_in_forks(SLOW, server.url, folder=folder)
        assert len(times) == 121
        assert min(gaps(times)) > 90

    def test_machines_share_a_block_and_accounts_do_not(self, server: RedisServer) -> None:
        store(server.url).block(20, 50.0)
        assert delay(store(server.url), 20) > 40
        assert delay(store(server.url, "another account")) == 0.0


class TestFailures:
    def test_requests_are_sent_without_redis_at_a_quarter_of_the_rate(
        self, caller: Caller, caplog: pytest.LogCaptureFixture
    ) -> None:
        store_url = f"redis://:s3cret@127.0.0.1:{unused_port()}/0"
        with caplog.at_level(logging.INFO), ScriptedServer(lambda _: answer(RUN)) as service:
            caller.send(settings(service.url, rate_limit=40, rate_limit_store=store_url), *[GET] * 6)
        times = [request.at for request in service.requests]
        assert times[-1] - times[0] >= 5 / 10
        [message] = [record.getMessage() for record in caplog.records if record.name == redis_store.__name__]
        assert "rate_limit_store 127.0.0.1 cannot be used: " in message
        assert "quarter" in message
        assert "s3cret" not in caplog.text

    @pytest.mark.parametrize("password", ["", "wr%C3%B6ng-one"])
    def test_a_wrong_password(self, password: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with server_or_skip(tmp_path, "right-one") as server:
            where = settings("http://127.0.0.1:1", rate_limit_store=server.url.replace("right-one", password))
            one = limiter_for(where)
            assert one.wait() < 5
            assert one.store.problem is not None
            assert len(caplog.records) == 1
        for text in (caplog.text, one.store.problem):
            assert "right-one" not in text
            assert "wr%C3%B6ng-one" not in text
            assert "wröng-one" not in text

    def test_only_one_request_in_ten_seconds_waits_for_a_server_that_hangs(
        self, server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = Limiter(10_000, store(server.url))
        one.wait()
        server.hang()
        assert one.wait() < 3
        begin = time.monotonic()
        for _ in range(20):
            one.wait()
        assert time.monotonic() - begin < 10, "a second for each would take 20 s"
        monkeypatch.setattr(one.store, "_retry_at", 0.0)
        threads = [threading.Thread(target=one.wait) for _ in range(24)]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - begin < 12, "one after another would take 24 s"

    def test_a_server_that_became_a_replica_is_left(self, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        one = store(server.url)
        client: Any = one._script.registered_client
        before = client.client_id()
        assert delay(one) == 0.0
        client.replicaof("127.0.0.1", str(unused_port()))
        delay(one)
        assert "replica" in str(one.problem)
        # The name of the server can lead to another one now, so the next attempt connects again.
        assert client.client_id() > before
        client.replicaof("NO", "ONE")
        monkeypatch.setattr(one, "_retry_at", 0.0)
        delay(one)
        assert not one.problem

    def test_a_server_that_returns_is_used_again(
        self, server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        one, other = store(server.url), store(server.url)
        ticket, _ = one.reserve(20, Priority.WAIT, 1e9)
        server.stop()
        without, _ = one.reserve(20, Priority.WAIT, 1e9)
        assert one.delay(20, without) is not None, "a ticket of the file stays valid while the server is away"
        assert one.delay(20, ticket) is None
        assert one.problem
        server.start()
        monkeypatch.setattr(one, "_retry_at", 0.0)
        with caplog.at_level(logging.INFO):
            assert delay(one) == 0.0
        assert not one.problem
        assert caplog.messages[-1] == "rate_limit_store 127.0.0.1 can be used again"
        assert one.delay(20, without) is None, "one of the file is not valid in Redis"
        assert delay(other) > 90

    def test_requests_that_wait_while_the_server_restarts_empty_cause_no_burst(
        self, server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_store, "_RETRY_AFTER", 0.2)
        limiters, times = [Limiter(20, store(server.url)) for _ in range(3)], list[float]()

        def send(one: Limiter) -> None:
            one.wait(Priority.START)
            times.append(time.monotonic())

        threads = [threading.Thread(target=send, args=(one,)) for one in limiters * 20]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        server.stop()
        server.start()
        time.sleep(0.3)
        threads += [threading.Thread(target=send, args=(limiters[0],)) for _ in range(20)]
        for thread in threads[60:]:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(times) == 80
        times.sort()
        assert max(sum(at <= other < at + 1 for other in times) for at in times) <= 20 + 16

    async def test_the_event_loop_runs_while_the_server_hangs(self, server: RedisServer) -> None:
        one = Limiter(10_000, store(server.url))
        await one.wait_async()
        server.hang()
        waiting = asyncio.create_task(one.wait_async())
        ticks = 0
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks > 10

    def test_without_the_package_the_error_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "redis", None)
        monkeypatch.delitem(sys.modules, redis_store.__name__)
        with pytest.raises(AgentRunsConfigError, match=r"rate_limit_store.*pip install .*\[redis\]"):
            Transport(settings("http://127.0.0.1:1", rate_limit_store="redis://127.0.0.1"))
        Transport(settings("http://127.0.0.1:1")).close()


def test_a_connection_without_a_store_does_not_import_redis() -> None:
    code = "import airflow_provider_agentruns.client.transport, sys; assert 'redis' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)

# SPDX-License-Identifier: Apache-2.0
"""The rate limit: by priority, across processes, and whatever happens to the shared file."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from filelock import FileLock

from airflow_provider_agentruns.client import file_store, limiter, retries
from airflow_provider_agentruns.client.file_store import FileStore
from airflow_provider_agentruns.client.limiter import Limiter
from airflow_provider_agentruns.client.request_queue import Priority, RequestQueue, Ticket
from airflow_provider_agentruns.exceptions import AgentRunsRateLimitError, AgentRunsThrottledError
from tests.client.calling import GET, RUN, Caller, settings
from tests.client.forked_reservations import reserve_in_forks
from tests.client.rate_simulation import (
    LIMIT,
    FixedWindows,
    Machine,
    Service,
    Simulation,
    SlidingWindow,
    TokenBucket,
    poller,
    task,
)
from tests.support.scripted_server import ScriptedServer, answer, errors

#: So low that the time that a test takes makes no difference.
SLOW = 0.01


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Share no file with other tests. Return the folder of this test's files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(limiter, "_limiters", {})
    return tmp_path / f"agentruns-{os.geteuid()}"


def delay(store: FileStore, rate: float = SLOW, priority: Priority = Priority.WAIT, limit: float = 1e9) -> float:
    """Reserve a place in the queue and return the seconds until it is served."""
    return store.reserve(rate, priority, limit)[1]


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(sorted(times))]


def run(rate: float, requests: list[tuple[float, Priority]]) -> list[tuple[float, Priority]]:
    """Return the send times of requests, in this order, with their priorities."""
    state, sent = RequestQueue(), list[tuple[float, str]]()
    for now, priority in requests:
        schedule, served = list(state._schedule()), sum(state.served.values())
        state, _ = state.issue(now, rate, priority)
        sent += [*schedule, (now, priority.value)][: sum(state.served.values()) - served]
    sent += state._schedule()
    assert len(sent) == len(requests)
    return [(at, Priority(queue)) for at, queue in sent]


def times(sent: list[tuple[float, Priority]], *priorities: Priority) -> list[float]:
    return [at for at, priority in sent if priority in (priorities or Priority)]


class TestQueues:
    @pytest.mark.parametrize("rate", [0.5, 3, 20, 300])
    def test_no_window_holds_more_than_the_rate(self, rate: float) -> None:
        chance, now, requests = random.Random(1), 1000.0, list[tuple[float, Priority]]()  # noqa: S311
        for _ in range(800):
            now += chance.choice([0, 0, 0.1, 0.9, 1.7, 6]) / rate
            requests.append((now, chance.choice(list(Priority))))
        assert min(gaps(times(run(rate, requests)))) >= 1 / rate

    @pytest.mark.parametrize("priority", Priority)
    def test_the_first_request_and_one_after_a_rest_go_at_once(self, priority: Priority) -> None:
        later = [(3600.0, priority), *[(3600.0, Priority.START)] * 10]
        sent = times(run(10, [(5.0, priority), (5.0, priority), *later]))
        assert sent[0] == pytest.approx(5.0)
        assert sent[1] >= 5.1
        assert sent[2] == pytest.approx(3600.0)
        assert sent[-1] >= 3601.0, "a rest allows no burst"

    def test_starts_pass_waits_and_waits_pass_pages(self) -> None:
        queued = [(0.0, Priority.PAGE), (0.0, Priority.WAIT)] * 200
        sent = run(20, [*queued, *[(0.1, Priority.START)] * 100])
        assert times(sent, Priority.START)[-1] < 0.1 + 1.4 * 100 / 20
        assert times(sent, Priority.START, Priority.WAIT)[-1] < 1.3 * 300 / 20
        assert times(sent)[-1] < 1.1 * 500 / 20

    def test_no_queue_stops_another(self) -> None:
        queued = [(0.0, Priority.START), (0.0, Priority.WAIT)] * 500
        sent = run(20, [*queued, *[(0.0, Priority.PAGE)] * 20])
        for priority, seconds in [(Priority.WAIT, 0.5), (Priority.PAGE, 1.0)]:
            assert max(gaps(times(sent, priority)[:20])) < seconds


class TestBlocks:
    def test_tickets_wait_for_the_end_in_their_order(self) -> None:
        state, tickets = RequestQueue(), list[Ticket]()
        for _ in range(50):
            state, ticket = state.issue(100.0, 20, Priority.WAIT)
            tickets.append(ticket)
        state = state.block(100.5, 20, 2.0, 1.0)
        delays = [state.delay(ticket, 100.5) or 0.0 for ticket in tickets]
        assert delays[:10] == [0.0] * 10, "these may have been sent"
        assert min(delays[10:]) >= 2.0
        assert min(gaps(delays[10:])) >= 1 / 20
        assert delays == sorted(delays)

    def test_a_429_halves_the_rate_for_a_while(self) -> None:
        state = RequestQueue()

        def seconds_for_ten() -> float:
            now, queue = state.blocked_until, state
            for _ in range(11):
                queue, ticket = queue.issue(now, 20, Priority.WAIT)
            return queue.delay(ticket, now) or 0.0

        state = state.block(100.0, 20, 1.0, 0.5).block(100.1, 20, 1.0, 0.5)
        assert 0.9 < seconds_for_ten() < 1.4, "two 429s at once count once"
        for number in range(20):
            state = state.block(103.0 + 2 * number, 20, 1.0, 0.5)
        assert 3 < seconds_for_ten() < 40
        state = replace(state.updated(170.0, 20), blocked_until=175.0)
        assert seconds_for_ten() < 0.7, "the rate has recovered"

    def test_the_rate_recovers_while_all_requests_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shared, now = FileStore("account"), 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: now)
        tickets = [shared.reserve(20, Priority.START, 1e9)[0] for _ in range(1000)]
        shared.block(20, 0.0)
        while delay := shared.delay(20, tickets[-1]):
            # One of the thousand checks its ticket every second.
            now += min(delay, 1.0)
        assert now < 1000 + 1000 / 20 * 1.25

    def test_the_rate_of_an_edited_connection_applies_to_tickets(self) -> None:
        state = RequestQueue()
        for _ in range(40):
            state, ticket = state.issue(100.0, 0.01, Priority.WAIT)
        state, last = state.issue(100.0, 40, Priority.WAIT)
        assert 0.9 < (state.delay(ticket, 100.0) or 0.0) < (state.delay(last, 100.0) or 0.0) < 1.4


@pytest.mark.parametrize("service", [SlidingWindow, FixedWindows, TokenBucket])
class TestMachinesWithoutACommonStore:
    """Simulated machines, each with the rate of the whole account, in virtual time."""

    @pytest.mark.parametrize(("machines", "tasks", "calls"), [(12, 4, 5), (20, 10, 4)])
    def test_tasks_share_the_limit(self, service: Callable[[], Service], machines: int, tasks: int, calls: int) -> None:
        rejected, seconds = list[float](), list[float]()
        for seed in range(12):
            simulation = Simulation(service, seed)
            fleet = [Machine(simulation) for _ in range(machines)]
            seconds.append(simulation.run([task(machine, calls) for machine in fleet for _ in range(tasks)]))
            rejected.append(simulation.share_rejected)
        assert mean(rejected) < 1 / 3
        assert mean(seconds) < 1.5 * machines * tasks * calls / LIMIT

    def test_pollers_share_the_limit(self, service: Callable[[], Service]) -> None:
        simulation = Simulation(service, seed=1)
        fleet = [Machine(simulation) for _ in range(4)]
        simulation.run([poller(machine, pause=0.4) for machine in fleet for _ in range(4)], seconds=60.0)
        assert simulation.share_rejected < 0.1
        assert simulation.granted > 0.5 * 60 * LIMIT

    def test_one_machine_gets_no_429(self, service: Callable[[], Service]) -> None:
        simulation = Simulation(service, seed=1)
        machine = Machine(simulation)
        assert simulation.run([task(machine, 25) for _ in range(4)]) < 6.2
        assert simulation.rejected <= 1


class TestSharedFile:
    def test_a_block_applies_to_all_and_a_shorter_one_does_not_end_it(self) -> None:
        FileStore("account").block(SLOW, 50.0)
        FileStore("account").block(SLOW, 1.0)
        assert 40 < delay(FileStore("account"), priority=Priority.START) < 60
        assert delay(FileStore("another account")) == 0.0

    def test_nothing_is_reserved_if_the_delay_is_too_long(self) -> None:
        one = Limiter(SLOW, FileStore("account"))
        assert one.wait() < 5
        for _ in range(5):
            with pytest.raises(AgentRunsThrottledError, match=r"by (1\d\d|2[01]\d) s; it was not sent"):
                one.wait(max_wait=5.0)
        with pytest.raises(AgentRunsThrottledError):
            asyncio.run(one.wait_async(max_wait=5.0))

    def test_the_file_contains_no_name_and_only_its_owner_reads_it(self, folder: Path) -> None:
        delay(FileStore("https://api.example.com#0123456789abcdef"))
        assert folder.stat().st_mode & 0o777 == 0o700
        for file in folder.iterdir():
            assert file.stat().st_mode & 0o777 == 0o600
            assert len(file.stem) == 64
            assert b"example" not in file.read_bytes()

    def test_forked_processes_keep_to_the_rate_together(self, folder: Path) -> None:
        assert min(gaps(reserve_in_forks(SLOW, folder=folder.parent))) > 90

    @pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
    def test_a_process_that_dies_or_stops_with_the_lock_does_not_stop_others(
        self, fate: signal.Signals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(file_store, "_LOCK_TIMEOUT", 0.5)
        assert delay(FileStore("account")) == 0.0
        child = os.fork()
        if not child:
            try:
                monkeypatch.setattr(FileStore, "_load", lambda *_: os.kill(os.getpid(), fate))
                delay(FileStore("account"))
            finally:
                os._exit(1)
        os.waitid(os.P_PID, child, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
        shared = FileStore("account")
        times = [delay(shared) for _ in range(3)]
        assert min(gaps(times)) > 90
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    @pytest.mark.parametrize("spoil", [lambda _: b"", lambda good: good.replace(b"served", b"severed")])
    def test_a_corrupt_file_is_replaced(self, folder: Path, spoil: Callable[[bytes], bytes]) -> None:
        shared = FileStore("account")
        shared.block(SLOW, 1000.0)
        [file] = [path for path in folder.iterdir() if not path.suffix]
        file.write_bytes(spoil(file.read_bytes()))
        assert delay(FileStore("account")) == 0.0
        file.write_bytes(spoil(file.read_bytes()))
        assert delay(shared) == pytest.approx(1000.0, abs=5.0), "a process that knows better continues from there"
        assert delay(FileStore("account")) > 1000

    def test_a_file_of_another_boot_or_container_is_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        FileStore("account").block(SLOW, 1000.0)
        monkeypatch.setattr(file_store, "_clock_id", lambda: "another boot")
        assert delay(FileStore("account")) == 0.0

    @pytest.mark.parametrize("obstacle", ["symlink", "others may write", "another owner", "read-only"])
    def test_a_folder_that_is_not_safe_is_not_used(
        self, folder: Path, obstacle: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        if obstacle == "symlink":
            (folder.parent / "elsewhere").mkdir(mode=0o700)
            folder.symlink_to(folder.parent / "elsewhere")
        elif obstacle == "read-only":
            monkeypatch.setattr(tempfile, "tempdir", "/proc")
        elif obstacle == "another owner":
            uid = os.geteuid()
            monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
            (folder.parent / f"agentruns-{uid + 1}").mkdir(mode=0o700)
        else:
            folder.mkdir()
            folder.chmod(0o702)
        before = sorted(folder.parent.rglob("*"))
        with caplog.at_level(logging.WARNING):
            shared = FileStore("account")
            assert delay(shared) == 0.0
            assert delay(shared) > 100
            shared.block(SLOW, 1000.0)
            assert delay(shared) > 990
        assert sorted(folder.parent.rglob("*")) == before
        assert len(caplog.records) == 1
        assert "not to the whole machine" in caplog.text

    def test_tickets_of_a_process_stay_valid_while_the_disk_is_full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shared = FileStore("account")
        assert delay(shared) == 0.0

        def write(*_: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_text", write)
        delays = []
        for _ in range(3):
            ticket, seconds = shared.reserve(SLOW, Priority.WAIT, 1e9)
            delays.append(seconds)
            assert shared.delay(SLOW, ticket) == pytest.approx(seconds, abs=5.0)
        assert min(gaps(delays)) > 90

    async def test_the_event_loop_runs_while_another_process_holds_the_lock(self, folder: Path) -> None:
        delay(FileStore("account"))
        [file] = folder.glob("*.lock")  # noqa: ASYNC240
        ticks = 0
        with FileLock(file).acquire():
            waiting = asyncio.create_task(Limiter(10_000, FileStore("account")).wait_async())
            while not waiting.done() and ticks < 20:
                await asyncio.sleep(0.01)
                ticks += 1
            assert not waiting.done()
        assert await asyncio.wait_for(waiting, 30) >= 0
        assert ticks == 20


class TestTransports:
    def test_requests_keep_to_the_rate(self, caller: Caller) -> None:
        with ScriptedServer(lambda _: answer(RUN)) as server:
            begin = time.monotonic()
            caller.send(settings(server.url, rate_limit=20), *[GET] * 8)
        # Since the beginning, because the first request can arrive late.
        assert server.requests[-1].at - begin >= 7 / 20

    @pytest.mark.usefixtures("no_backoff")
    def test_a_429_blocks_all_requests_of_the_account(self, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.3)
        monkeypatch.setattr(retries, "RATE_LIMIT_BUDGET", 0.0)
        with ScriptedServer([errors(429, "slow down"), answer(RUN)]) as server:
            where = settings(server.url, max_retries=0)
            with pytest.raises(AgentRunsRateLimitError):
                caller.send(where, GET)
            caller.send(where, GET)
        first, second = server.requests
        assert second.at - first.at >= 0.25

    async def test_a_request_that_waited_before_a_429_waits_for_the_block(self) -> None:
        one = Limiter(20, FileStore("account"))
        await one.wait_async()
        second = asyncio.create_task(one.wait_async())
        await asyncio.sleep(0)
        one.block_for(0.4)
        assert await second >= 0.4

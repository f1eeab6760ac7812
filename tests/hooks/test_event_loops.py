# SPDX-License-Identifier: Apache-2.0
"""Each event loop and each process has its own client, and none stays open."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from tests.hooks.connections import open_sockets

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")


def test_two_loops_do_not_share_a_client(agent_runs_emulator: Emulator) -> None:
    hook = AgentRunHook()

    async def use() -> object:
        assert await hook.alist_agents()
        transport = await hook.aget_conn()
        assert await hook.aget_conn() is transport
        await transport.aclose()
        return transport

    assert asyncio.run(use()) is not asyncio.run(use())


async def test_the_sync_side_has_its_own_client(agent_runs_emulator: Emulator) -> None:
    hook = AgentRunHook()
    # Several tasks share one transport.
    await asyncio.gather(*(hook.alist_agents() for _ in range(5)))
    assert hook.list_agents()
    await hook.aclose()
    assert hook.list_agents()
    hook.close()
    assert open_sockets(agent_runs_emulator.port) == 0
    gc.collect()


def test_a_hook_that_is_not_closed_leaves_nothing_open(agent_runs_emulator: Emulator) -> None:
    assert AgentRunHook().list_agents()
    gc.collect()
    assert open_sockets(agent_runs_emulator.port) == 0


def test_loops_that_take_turns_keep_their_clients(agent_runs_emulator: Emulator) -> None:
    hook = AgentRunHook()
    loops = [asyncio.new_event_loop() for _ in range(2)]
    first = [loop.run_until_complete(hook.aget_conn()) for loop in loops]
    assert [loop.run_until_complete(hook.aget_conn()) for loop in loops] == first
    for loop in loops:
        loop.run_until_complete(hook.alist_agents())
        loop.run_until_complete(hook.aclose())
        loop.close()
    assert open_sockets(agent_runs_emulator.port) == 0


_FORK = """
import os
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook

hook = AgentRunHook()
transport = hook.get_conn()
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
    assert hook.get_conn() is transport
else:
    os._exit(hook.get_conn() is transport)
"""


def test_a_forked_process_does_not_read_its_parents_responses(agent_runs_emulator: Emulator) -> None:
    # In a fresh process, because pytest has threads.
    subprocess.run([sys.executable, "-c", _FORK], check=True, timeout=60)


async def test_a_stream_that_is_left_early_leaves_nothing_open(agent_runs_emulator: Emulator) -> None:
    run = agent_runs_emulator.service.create_run("needs_approval", business_id="b-1")
    hook = AgentRunHook()
    before = asyncio.all_tasks()
    async for event in hook.astream_run(run.id):
        assert event.type == "RUN_STARTED"
        break
    await hook.aclose()
    await asyncio.sleep(0.05)
    assert open_sockets(agent_runs_emulator.port) == 0
    assert asyncio.all_tasks() == before
    gc.collect()

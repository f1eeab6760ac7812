# SPDX-License-Identifier: Apache-2.0
"""Agents and threads, through the hook."""

from __future__ import annotations

import inspect

import pytest

from airflow_provider_agentruns.emulator.agents import BUILTIN
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.models import Agent, Thread
from tests.hooks.conftest import HookUser

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"

METHODS = [
    "get_run",
    "list_runs",
    "create_run",
    "resume_run",
    "stream_run",
    "rate_artifact",
    "list_agents",
    "create_thread",
    "get_thread",
]


def test_list_agents(agent_runs_emulator: Emulator, user: HookUser) -> None:
    agents = user.call("list_agents")
    assert all(isinstance(agent, Agent) for agent in agents)
    assert [agent.type for agent in agents] == list(BUILTIN)
    assert agents[0].description == "Completes at once."


def test_create_and_get_a_thread(agent_runs_emulator: Emulator, user: HookUser) -> None:
    contexts: list[dict[str, str]] = [
        {"business_id": BUSINESS},
        {"context_type": "business", "context_id": BUSINESS},
        {},
    ]
    for context in contexts:
        opened = user.call("create_thread", "instant", **context)
        assert isinstance(opened, Thread)
        assert agent_runs_emulator.service.get_thread(opened.id).context.id == (BUSINESS if context else None)
        run = agent_runs_emulator.service.create_run("instant", business_id=BUSINESS, thread_id=opened.id)
        thread = user.call("get_thread", opened.id)
        assert (thread.id, thread.created_at, thread.status) == (opened.id, opened.created_at, "completed")
        assert {step.run_id for step in thread.steps} == {run.id}


@pytest.mark.parametrize("method", METHODS)
def test_a_method_and_its_async_twin_take_the_same_arguments(method: str) -> None:
    sync, twin = getattr(AgentRunHook, method), getattr(AgentRunHook, f"a{method}")
    ours, theirs = inspect.signature(sync), inspect.signature(twin)
    assert list(ours.parameters.values()) == list(theirs.parameters.values())
    assert (sync.__name__, twin.__name__) == (method, f"a{method}")
    assert sync.__doc__
    if inspect.isgeneratorfunction(sync):
        assert inspect.isasyncgenfunction(twin)
    else:
        assert inspect.iscoroutinefunction(twin)
        assert theirs.return_annotation == ours.return_annotation


def test_every_public_method_has_a_twin() -> None:
    ours = {name for name, value in vars(AgentRunHook).items() if inspect.isfunction(value) and name[0] != "_"}
    twins = {name for name in ours if name.startswith("a") and name[1:] in ours}
    # Airflow calls the Test button synchronously.
    assert ours - twins - {name[1:] for name in twins} == {"test_connection"}
    assert set(METHODS) <= ours

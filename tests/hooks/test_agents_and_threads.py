# SPDX-License-Identifier: Apache-2.0
"""Agents and threads, through the hook."""

from __future__ import annotations

import inspect

from airflow_provider_agentruns.emulator.agents import BUILTIN
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.models import Agent, Thread
from tests.hooks.conftest import HookUser

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"


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


def test_each_method_has_an_async_twin_with_the_same_arguments() -> None:
    methods = {
        name: value for name, value in vars(AgentRunHook).items() if inspect.isfunction(value) and name[0] != "_"
    }
    twins = {name for name in methods if name.startswith("a") and name[1:] in methods}
    # Airflow calls the Test button synchronously.
    assert methods.keys() - twins - {name[1:] for name in twins} == {"test_connection"}
    for name in twins:
        sync, twin = methods[name[1:]], methods[name]
        ours, theirs = inspect.signature(sync), inspect.signature(twin)
        assert list(ours.parameters.values()) == list(theirs.parameters.values())
        assert twin.__name__ == name
        assert theirs.return_annotation.removeprefix("Async") == ours.return_annotation

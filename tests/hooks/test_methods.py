# SPDX-License-Identifier: Apache-2.0
"""The hook's methods, and their async twins."""

from __future__ import annotations

import inspect
import itertools

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_agentruns.emulator.agent_scripts import BUILTIN
from airflow_provider_agentruns.emulator.script_steps import Ask, Case, ScriptBody
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.models import Agent, AgentRun, Rating, Thread
from tests.hooks.conftest import HookUser
from tests.support import BUSINESS

QUESTION = "Shall it be done?"


def asks(case: Case) -> ScriptBody:
    yield Ask([{"agent": "asks", "label": QUESTION}])
    return [{"title": "Done", "type": "report"}]


@pytest.mark.parametrize(
    ("method", "arguments", "problem"),
    [
        ("get_run", ["{{ params.run_id }}"], "run_id is a template that was not rendered"),
        ("get_run", [str({"run_id": "r-1"})], "run_id is not an ID"),
        ("resume_run", ["r-1", "int_1", object()], "input must be a JSON value"),
        ("rate_artifact", ["r-1", "a-1", "GOOD"], "rating must be POSITIVE or NEGATIVE, not 'GOOD'"),
    ],
)
def test_a_wrong_argument_is_rejected_before_anything_is_sent(
    agent_runs_emulator: Emulator, user: HookUser, method: str, arguments: list[object], problem: str
) -> None:
    with pytest.raises(AgentRunsValueError, match=problem) as caught:
        user.call(method, *arguments)
    assert isinstance(caught.value, AirflowFailException)
    assert agent_runs_emulator.requests == []


def test_get_run(agent_runs_emulator: Emulator, user: HookUser) -> None:
    stored = agent_runs_emulator.service.create_run("instant", business_id=BUSINESS)
    run = user.call("get_run", stored.id)
    assert isinstance(run, AgentRun)
    assert (run.id, run.status, run.agent, run.thread_id) == (stored.id, "completed", "instant", stored.thread_id)
    assert isinstance(run.created_at, pendulum.DateTime)
    assert run.raw_output == stored.as_json()["output"]
    assert run.steps is None
    with_steps = user.call("get_run", stored.id, include_steps=True)
    assert all(step.name for root in with_steps.steps for step in root.walk())
    assert [request.query for request in agent_runs_emulator.requests] == ["", "include=steps"]


def test_list_runs_reads_pages_lazily(agent_runs_emulator: Emulator, user: HookUser) -> None:
    ids = [agent_runs_emulator.service.create_run("instant", business_id=BUSINESS).id for _ in range(7)]
    runs = user.iterate("list_runs", page_size=3)
    assert agent_runs_emulator.requests == []
    seen = [run.id for run in itertools.islice(runs, 3)]
    seen += [run.id for run in runs]
    assert seen == ids[::-1]
    assert [request.query for request in agent_runs_emulator.requests] == [
        f"page={page}&per_page=3" for page in (1, 2, 3)
    ]


@pytest.mark.agent_runs(agents={"asks": asks})
def test_resume_run(agent_runs_emulator: Emulator, user: HookUser) -> None:
    for answer in ("approve", {"decision": "reject", "note": "ü"}, ["a", 1, None], False):
        run = user.call("create_run", "asks", business_id=BUSINESS)
        assert (run.status, [interrupt.label for interrupt in run.interrupts]) == ("interrupted", [QUESTION])
        done = user.call("resume_run", run.id, run.interrupts[0].id, answer)
        assert (done.id, done.status, done.steps) == (run.id, "completed", None)
        taken = agent_runs_emulator.service.answers[-1]
        assert (taken.run_id, taken.interrupt_id, taken.input) == (run.id, run.interrupts[0].id, answer)
    run = user.call("create_run", "asks", business_id=BUSINESS)
    assert user.call("resume_run", run.id, run.interrupts[0].id, "yes", include_steps=True).steps


def test_rate_artifact(agent_runs_emulator: Emulator, user: HookUser) -> None:
    run = agent_runs_emulator.service.create_run("instant", business_id=BUSINESS)
    artifact_id = run.artifacts[0]["id"]
    rated = user.call("rate_artifact", run.id, artifact_id, Rating.NEGATIVE, "Not what I wanted")
    assert (rated.rating, rated.comment, rated.artifact_id) == ("NEGATIVE", "Not what I wanted", artifact_id)


def test_list_agents(agent_runs_emulator: Emulator, user: HookUser) -> None:
    agents = user.call("list_agents")
    assert all(isinstance(agent, Agent) for agent in agents)
    assert [agent.type for agent in agents] == list(BUILTIN)


def test_create_and_get_a_thread(agent_runs_emulator: Emulator, user: HookUser) -> None:
    opened = user.call("create_thread", "instant", business_id=BUSINESS)
    assert agent_runs_emulator.service.get_thread(opened.id).context.id == BUSINESS
    run = user.call("create_run", "instant", thread_id=opened.id)
    thread = user.call("get_thread", opened.id)
    assert isinstance(thread, Thread)
    assert (thread.id, thread.created_at, thread.status) == (opened.id, opened.created_at, "completed")
    assert {step.run_id for step in thread.steps or ()} == {run.id}


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

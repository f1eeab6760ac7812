# SPDX-License-Identifier: Apache-2.0
"""``@task.agent_run``: what a function returns is what a run works on."""

from __future__ import annotations

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.support.dag_runs import DagRunner

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"
OTHER = "1b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a11"


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    "returned",
    [
        f'"{BUSINESS}"',
        f'{{"business_id": "{BUSINESS}"}}',
        f'{{"context_type": "business", "context_id": "{BUSINESS}"}}',
    ],
)
def test_a_run_works_on_what_the_function_returns(
    run_dag: DagRunner, agent_runs_emulator: Emulator, returned: str, deferrable: bool
) -> None:
    result = run_dag(f"""
@task.agent_run(agent="instant", deferrable={deferrable}, poll_interval=0.1)
def review(case, ti=None):
    assert ti.task_id == "review"
    return {returned}

@task
def titles(output):
    return [artifact["title"] for artifact in output["artifacts"]]

titles(review({{"any": "case"}}))
""")
    assert result.state == "success"
    [run_id] = agent_runs_emulator.service.runs
    run = agent_runs_emulator.service.runs[run_id]
    assert (run.context.type, run.context.id) == ("business", BUSINESS)
    assert result.xcom("review", "run_id") == run_id
    assert result.xcom("review") == run.output
    assert result.xcom("titles")


def test_it_is_mapped(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    result = run_dag(f"""
@task.agent_run(agent="instant", poll_interval=0.1)
def review(business):
    return business

review.expand(business=["{BUSINESS}", "{OTHER}"])
""")
    assert result.state == "success"
    about = {run.context.id for run in agent_runs_emulator.service.runs.values()}
    assert about == {BUSINESS, OTHER}


def test_a_retry_goes_on_with_the_run_of_the_try_before(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    agent_runs_emulator.faults.add("500", "GET", "/v1/runs/.*", times=1)
    result = run_dag(f"""
@task.agent_run(agent="slow", deferrable=False, poll_interval=0.1, retries=2, retry_delay=timedelta(0))
def review():
    return "{BUSINESS}"

review()
""")
    assert (result.state, len(agent_runs_emulator.service.runs)) == ("success", 1)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (
            "None",
            "a dict of business_id, context_type, context_id, thread_id; not NoneType",
        ),
        ('{"business": "x"}', "not of 'business'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    run_dag: DagRunner, agent_runs_emulator: Emulator, returned: str, said: str
) -> None:
    result = run_dag(f"""
@task.agent_run(agent="instant", retries=2, retry_delay=timedelta(0))
def review():
    return {returned}

review()
""")
    assert (result.states["review"], result.tries["review"]) == ("failed", 1)
    assert said in result.log
    assert agent_runs_emulator.requests == []


def test_what_the_function_returns_cannot_be_given_as_well(run_dag: DagRunner) -> None:
    with pytest.raises(AssertionError, match="takes no business_id: the function returns it"):
        run_dag(f"""
@task.agent_run(agent="instant", business_id="{BUSINESS}")
def review():
    return "{BUSINESS}"

review()
""")

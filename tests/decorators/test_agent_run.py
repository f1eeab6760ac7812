# SPDX-License-Identifier: Apache-2.0
"""``@task.agent_run``: a function returns the subject of a run."""

from __future__ import annotations

import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.support import BUSINESS
from tests.support.airflow_versions import HAS_STATE_STORE
from tests.support.dag_runs import DagRunner


def test_a_run_works_on_the_subject_that_the_function_returns(
    run_dag: DagRunner, agent_runs_emulator: Emulator
) -> None:
    result = run_dag(f"""
@task
def titles(output):
    return [artifact["title"] for artifact in output["artifacts"]]

for number, (subject, deferrable) in enumerate((
    ("{BUSINESS}", True),
    (dict(business_id="{BUSINESS}"), False),
    (dict(context_type="business", context_id="{BUSINESS}"), True),
)):
    @task.agent_run(task_id=f"review_{{number}}", agent="instant", deferrable=deferrable, poll_interval=0.1)
    def review(case, ti=None, subject=subject, number=number):
        assert ti.task_id == f"review_{{number}}"
        return subject

    titles.override(task_id=f"titles_{{number}}")(review({{"any": "case"}}))

@task.agent_run(agent="instant", poll_interval=0.1)
def mapped(business):
    return business

mapped.expand(business=["{BUSINESS}", "{BUSINESS}"])
""")
    assert result.state == "success"
    runs = agent_runs_emulator.service.runs
    assert {(run.context.type, run.context.id) for run in runs.values()} == {("business", BUSINESS)}
    names = ["review_0", "review_1", "review_2", "mapped[0]", "mapped[1]"]
    assert {result.xcom(name, "run_id") for name in names} == set(runs)
    for name in names:
        assert result.xcom(name) == runs[result.xcom(name, "run_id")].output
    assert all(result.xcom(f"titles_{number}") for number in range(3))


def test_retries(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    agent_runs_emulator.faults.add("500", "GET", "/v1/runs/.*", times=1)
    result = run_dag(f"""
again = dict(retries=2, retry_delay=timedelta(0), deferrable=False, poll_interval=0.1)

@task.agent_run(agent="slow", **again)
def found():
    return "{BUSINESS}"

@task.agent_run(agent="slow", **again)
def nothing():
    return None

@task.agent_run(agent="slow", **again)
def unknown_field():
    return {{"business": "x"}}

found(), nothing(), unknown_field()
""")
    # A retry continues with the run of the try before. A wrong subject uses no retries, and nothing is sent.
    assert (result.states["found"], len(agent_runs_emulator.service.runs)) == ("success", 1)
    for name in ("nothing", "unknown_field"):
        assert (result.states[name], result.tries[name]) == ("failed", 1)
    assert "a dict of business_id, context_type, context_id, thread_id; not NoneType" in result.log
    assert "not a dict of ['business']" in result.log
    assert agent_runs_emulator.count("POST", ".*") == 1


def test_a_retry_of_a_function_that_failed_does_not_search(run_dag: DagRunner, agent_runs_emulator: Emulator) -> None:
    result = run_dag(f"""
@task.agent_run(agent="instant", retries=1, retry_delay=timedelta(0), poll_interval=0.1)
def fails_once(ti=None) -> dict[str, str]:
    if ti.try_number == 1:
        raise OSError("no database")
    return dict(business_id="{BUSINESS}")

fails_once()
""")
    assert (result.state, result.tries["fails_once"]) == ("success", 2)
    # Without a state store, each later try searches.
    assert HAS_STATE_STORE is (agent_runs_emulator.count("GET", "/v1/runs") == 0)
    # The annotation describes the function's result, not the task's.
    assert "artifacts" not in result.xcoms["fails_once"]
    assert result.xcom("fails_once")["artifacts"]


def test_the_subject_cannot_also_be_an_argument(run_dag: DagRunner) -> None:
    with pytest.raises(AssertionError, match="takes no business_id: the function returns it"):
        run_dag(f"""
@task.agent_run(agent="instant", business_id="{BUSINESS}")
def review():
    return "{BUSINESS}"

review()
""")

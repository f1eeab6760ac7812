# SPDX-License-Identifier: Apache-2.0
"""Metrics from workers and triggerer, and each status change of a run in the task's log."""

from __future__ import annotations

import re
from itertools import pairwise

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.people import Review, interrupted, review
from tests.support.standalone import Standalone
from tests.support.statsd import StatsdServer

CONNECTION = "agentruns_default"


def test_each_status_change_is_logged_once_while_the_task_is_deferred(
    airflow: Standalone, emulator: Emulator, statsd: StatsdServer
) -> None:
    run_id, [question] = interrupted(airflow, emulator, "needs_approval")
    wait = Review(airflow, "patient", airflow.start_dag("patient", {"run_id": run_id}), "output")
    wait.wait_for("deferred")
    airflow.wait_for(lambda: "agent_run_status=interrupted" in wait.log(), "log the question")
    airflow.wait_for(lambda: any(m.value >= 1 for m in statsd.sent("agentruns.waits", conn_id=CONNECTION)), "count it")
    assert statsd.sent("agentruns.poll.lag", conn_id=CONNECTION)[-1].value < 60
    ended = len(statsd.sent("agentruns.waits.ended", conn_id=CONNECTION, outcome="completed"))
    emulator.service.answer(run_id, question["id"], {"decision": "approve"})
    wait.wait_for_dag()
    changes = re.findall(r"agent_run_status=(\w+)(?: agent_run_was=(\w+))?", wait.log())
    statuses = [status for status, _ in changes]
    assert statuses[-1] == "completed"
    # The resumed task does not know the status before.
    assert all(was in (status, "None", "") for (status, _), (_, was) in pairwise(changes)), changes
    assert len(set(pairwise(statuses))) == len(statuses) - 1
    tags = {"conn_id": CONNECTION, "outcome": "completed"}
    airflow.wait_for(lambda: len(statsd.sent("agentruns.waits.ended", **tags)) > ended, "count the end of the wait")
    assert statsd.sent("agentruns.wait.duration", outcome="completed")[-1].value > 0


def test_workers_count_runs_answers_requests_and_reviews(
    airflow: Standalone, emulator: Emulator, statsd: StatsdServer
) -> None:
    names = ("agentruns.runs.started", "agentruns.resumes", "agentruns.reviews.asked", "agentruns.reviews.decided")
    before = {name: len(statsd.sent(name)) for name in names}
    dag_run = airflow.start_dag("start")
    asked, _, _ = review(airflow, emulator, "needs_approval")
    asked.shown()
    asked.answer("Approve")
    asked.wait_for_dag()
    airflow.wait_for_dag("start", dag_run)
    for name in names:
        assert airflow.wait_for(lambda name=name: statsd.sent(name)[before[name] :], f"count {name}")
    assert statsd.sent("agentruns.runs.started")[-1].tags["agent"] == "slow"
    assert statsd.sent("agentruns.reviews.decided")[-1].tags["by"] == "person"
    assert statsd.sent("agentruns.review.duration")[-1].value > 0
    assert statsd.sent("agentruns.requests", method="POST", route="/v1/runs", status="201")
    reads = statsd.sent("agentruns.request.duration", method="GET", route="/v1/runs/ID", status="200")
    assert {metric.kind for metric in reads} == {"ms"}

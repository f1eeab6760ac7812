# SPDX-License-Identifier: Apache-2.0
"""What an operator of Airflow sees: metrics from workers and triggerer, and each change of a run in the task's log."""

from __future__ import annotations

import re
from itertools import pairwise

from airflow_provider_agentruns.emulator.server import Emulator
from tests.standalone.people import review
from tests.support.standalone import Standalone
from tests.support.statsd import StatsdServer

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"
CONNECTION = "agentruns_default"


def changes(log: str) -> list[tuple[str, str]]:
    """Return what the log of a task says that its run was, and became."""
    found = re.findall(r"agent_run_status=(\w+)(?: agent_run_was=(\w+))?", log)
    return [(was, status) for status, was in found]


def test_each_change_is_logged_once_while_the_task_is_deferred(
    airflow: Standalone, emulator: Emulator, statsd: StatsdServer
) -> None:
    run = emulator.service.create_run("needs_approval", business_id=BUSINESS)
    dag_run = airflow.start_dag("patient", {"run_id": run.id})
    airflow.wait_for(lambda: "is interrupted" in _log(airflow, dag_run), "see the question", 90)
    airflow.wait_for(
        lambda: airflow.task_instance("patient", dag_run, "output")["state"] == "deferred", "a deferred task", 90
    )
    airflow.wait_for(lambda: statsd.sent("agentruns.waits", conn_id=CONNECTION), "a gauge of waits")
    assert max(metric.value for metric in statsd.sent("agentruns.waits", conn_id=CONNECTION)) >= 1
    [question] = emulator.service.get_run(run.id).interrupts
    emulator.service.answer(run.id, question["id"], {"decision": "approve"})
    airflow.wait_for_dag("patient", dag_run)
    seen = changes(_log(airflow, dag_run))
    statuses = [status for _, status in seen]
    assert statuses[-2:] in (["interrupted", "completed"], ["running", "completed"]), seen
    assert all(before == was for (_, before), (was, _) in pairwise(seen)), seen
    assert len(set(pairwise(statuses))) == len(statuses) - 1

    [ended] = airflow.wait_for(
        lambda: statsd.sent("agentruns.waits.ended", conn_id=CONNECTION, outcome="completed")[-1:], "a wait that ended"
    )
    assert (ended.value, ended.kind) == (1, "c")
    assert statsd.sent("agentruns.wait.duration", outcome="completed")[-1].value > 0
    assert airflow.wait_for(
        lambda: statsd.sent("agentruns.waits", conn_id=CONNECTION)[-1].value == 0, "a gauge back at zero"
    )


def test_what_workers_do_is_counted(airflow: Standalone, emulator: Emulator, statsd: StatsdServer) -> None:
    before = len(statsd.sent("agentruns.runs.started"))
    dag_run = airflow.start_dag("start")
    airflow.wait_for_dag("start", dag_run)
    [started] = airflow.wait_for(lambda: statsd.sent("agentruns.runs.started")[before:], "a run that is counted")
    assert started.tags["agent"] == "slow"
    posts = statsd.sent("agentruns.requests", method="POST", route="/v1/runs", status="201")
    assert len(posts) == len(statsd.sent("agentruns.runs.started"))
    reads = statsd.sent("agentruns.request.duration", method="GET", route="/v1/runs/ID", status="200")
    assert reads
    assert all(metric.kind == "ms" for metric in reads)

    run = emulator.service.create_run("needs_approval", business_id=BUSINESS)
    [question] = airflow.wait_for(lambda: emulator.service.get_run(run.id).interrupts, "a question")
    dag_run = airflow.start_dag("answer", {"run_id": run.id, "interrupt_id": question["id"]})
    airflow.wait_for_dag("answer", dag_run)
    assert airflow.wait_for(lambda: statsd.sent("agentruns.resumes", outcome="confirmed"), "an answer that is counted")


def test_reviews_are_counted_and_timed(airflow: Standalone, emulator: Emulator, statsd: StatsdServer) -> None:
    names = ("agentruns.reviews.asked", "agentruns.reviews.decided", "agentruns.review.duration")
    before = {name: len(statsd.sent(name)) for name in names}
    asked, _, _ = review(airflow, emulator, "needs_approval")
    asked.shown()
    asked.answer("Approve")
    airflow.wait_for_dag("review", asked.dag_run)
    for name in names:
        [sent] = airflow.wait_for(lambda name=name: statsd.sent(name)[before[name] :], name)
        assert sent.tags["conn_id"] == CONNECTION
    assert statsd.sent("agentruns.reviews.decided")[-1].tags["by"] == "person"
    assert 0 < statsd.sent("agentruns.review.duration")[-1].value < 120_000


def _log(airflow: Standalone, dag_run: str) -> str:
    instance = airflow.task_instance("patient", dag_run, "output")
    return airflow.task_log("patient", dag_run, "output") if instance["try_number"] else ""

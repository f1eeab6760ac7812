# SPDX-License-Identifier: Apache-2.0
"""Answers easy cases by a rule, and asks people about the rest. Both leave the same audit trail."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_agentruns.models import Interrupt
from airflow_provider_agentruns.operators.agent_run import AgentRunOperator, review_rounds


def approve_what_is_certain(interrupt: Interrupt) -> str | None:
    """Approve if all artifacts have a high confidence. None leaves the decision to a person."""
    value = interrupt.value if isinstance(interrupt.value, dict) else {}
    artifacts = value.get("artifacts") or []
    certain = bool(artifacts) and all(artifact.get("confidence") == "high" for artifact in artifacts)
    return "Approve" if certain else None


with DAG(
    "example_agent_run_review_policy",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
    params={
        "agent": Param("two_questions", type="string"),
        "business_id": Param("0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10", type="string", format="uuid"),
    },
    default_args={"deferrable": True, "retries": 2, "retry_delay": timedelta(seconds=30)},
):
    start = AgentRunOperator(
        task_id="start",
        agent="{{ params.agent }}",
        business_id="{{ params.business_id }}",
        wait_for="start",
    )
    review_rounds("reviewed", run_id=start.output["run_id"], rounds=2, decide=approve_what_is_certain)

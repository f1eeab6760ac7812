# SPDX-License-Identifier: Apache-2.0
"""All operators, for DAG files to import: start a run, return its output, answer an interrupt, review an interrupt."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.operators.run import AgentRunOperator, AgentRunOutputOperator, AgentRunResumeOperator

if TYPE_CHECKING:
    from airflow_provider_agentruns.operators.review import AgentRunReviewOperator
    from airflow_provider_agentruns.operators.review_rounds import review_rounds

__all__ = [
    "AgentRunOperator",
    "AgentRunOutputOperator",
    "AgentRunResumeOperator",
    "AgentRunReviewOperator",
    "review_rounds",
]


def __getattr__(name: str) -> Any:
    # Reviews import Airflow's HITLOperator, which is slow to import and which other DAGs do not need.
    module = {"AgentRunReviewOperator": "review", "review_rounds": "review_rounds"}.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"airflow_provider_agentruns.operators.{module}"), name)

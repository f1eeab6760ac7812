# SPDX-License-Identifier: Apache-2.0
"""A review that a person has answered: ``dag.test()`` can wake none, so that its task does it itself."""

from __future__ import annotations

from typing import Any

from airflow_provider_agentruns.operators.agent_run import AgentRunReviewOperator

#: What Airflow wakes a task with that a person has answered.
ANSWER = {
    "chosen_options": ["Approve"],
    "params_input": {},
    "responded_at": "2026-01-31T12:00:00+00:00",
    "responded_by_user": {"id": "ann", "name": "Ann"},
    "timedout": False,
}


class AnsweredReview(AgentRunReviewOperator):
    """Its first try begins where Airflow wakes a review with a person's answer; a later one is as ever."""

    def execute(self, context: Any) -> Any:
        """Go on with the answer, or as ever."""
        if context["ti"].try_number == 1:
            return self.execute_complete(context, ANSWER)
        return super().execute(context)

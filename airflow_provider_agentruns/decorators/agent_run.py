# SPDX-License-Identifier: Apache-2.0
"""``@task.agent_run``: a function returns the subject of a run, and the task starts the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    DecoratedOperator,
    TaskDecorator,
    context_merge,
    determine_kwargs,
    task_decorator_factory,
)

from airflow_provider_agentruns.base import state_store
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.final_errors import mark_final_errors
from airflow_provider_agentruns.operators.run import SUBJECT_FIELDS, AgentRunOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class _AgentRunDecoratedOperator(DecoratedOperator, AgentRunOperator):
    """Calls a function, and starts a run on the subject that it returns."""

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *AgentRunOperator.template_fields)
    custom_operator_name = "@task.agent_run"

    def __init__(self, **kwargs: Any) -> None:
        if given := [name for name in SUBJECT_FIELDS if kwargs.get(name)]:
            raise AgentRunsValueError(f"@task.agent_run takes no {' and no '.join(given)}: the function returns it")
        super().__init__(**kwargs)

    def execute(self, context: Context) -> Any:
        from airflow_provider_agentruns.idempotency.create_run import record_no_start

        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        try:
            returned = self.python_callable(*self.op_args, **kwargs)
            with mark_final_errors():
                subject = _subject(returned)
        except Exception:
            record_no_start(state_store(context), self.current_attempt(context))
            raise
        for name, value in subject.items():
            setattr(self, name, value)
        return AgentRunOperator.execute(self, context)


def agent_run_task(
    python_callable: Callable[..., Any] | None = None, *, multiple_outputs: bool = False, **kwargs: Any
) -> TaskDecorator:
    """
    Turn a function that returns the subject of a run into a task that starts the run.

    A retry calls the function again. If it returns the same subject, the task uses the run of the earlier try.

    :param python_callable: Returns a business ID, or a dict of ``business_id``, or ``context_type`` and ``context_id``,
        or ``thread_id``.
    :param multiple_outputs: Whether to store each key of the output as a separate XCom value. The function's return
        annotation has no effect.
    :param kwargs: Arguments of :class:`AgentRunOperator`, such as ``agent``.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=bool(multiple_outputs),
        decorated_operator_class=_AgentRunDecoratedOperator,
        **kwargs,
    )


def _subject(returned: Any) -> dict[str, Any]:
    if isinstance(returned, str):
        return {"business_id": returned}
    if isinstance(returned, Mapping) and all(name in SUBJECT_FIELDS for name in returned):
        return dict(returned)
    wrong = f"a dict of {list(returned)[:5]}" if isinstance(returned, Mapping) else type(returned).__name__
    raise AgentRunsValueError(
        f"a function under @task.agent_run returns a business ID, or a dict of {', '.join(SUBJECT_FIELDS)}; not {wrong}"
    )

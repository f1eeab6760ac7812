# SPDX-License-Identifier: Apache-2.0
"""The base class of the sensor and the operators."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, conf
from airflow.sdk import BaseOperator

from airflow_provider_agentruns.arguments import check_watch, log_unknown
from airflow_provider_agentruns.exceptions import AgentRunNotFoundError, AgentRunsError, AgentRunTimeoutError
from airflow_provider_agentruns.final_errors import mark_final_errors
from airflow_provider_agentruns.links.agent_run import AgentRunLink
from airflow_provider_agentruns.run_outcome import log_status
from airflow_provider_agentruns.text import single_line

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
    from airflow_provider_agentruns.idempotency.resume_run import Answered
    from airflow_provider_agentruns.idempotency.state import Attempt, StateStore
    from airflow_provider_agentruns.models import AgentRun

#: The longest name of an instance of a mapped task in Airflow's database, in characters.
_MAX_LABEL = 250


class AgentRunTask(BaseOperator):
    """
    A task that reads one agent run.

    Only templates in the DAG file are rendered. Values from XCom are used as they are.

    :param agentruns_conn_id: The Airflow connection. (templated)
    :param deferrable: Whether to wait in the triggerer. The default is Airflow's ``[operators] default_deferrable``.
    :param watch: ``poll``, or ``stream`` to notice changes within a second. Each stream keeps a connection open.
    :param map_index_template: The name of an instance of a mapped task. By default, Airflow 3.3 and later show the run.
    """

    ui_color = "#e8e4f3"
    operator_extra_links = (AgentRunLink(),)

    #: Arguments that the task renders while it runs.
    late_template_fields: Sequence[str] = ()
    #: A URL, or empty.
    run_page: str = ""

    # After a deferral: the trigger's event, and when ``timeout`` and ``execution_timeout`` end the wait (Unix time).
    _event: dict[str, Any] | None = None
    _deadline: float | None = None
    _execution_deadline: float | None = None

    _last_run: AgentRun | None = None
    _base_url: str = ""

    def __init__(
        self,
        *,
        agentruns_conn_id: str = "agentruns_default",
        deferrable: bool | None = None,
        watch: Literal["poll", "stream"] = "poll",
        map_index_template: str | None = "{{ task.run_label if ti.map_index >= 0 else '' }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.agentruns_conn_id = agentruns_conn_id
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = deferrable
        self.watch = check_watch(watch)

    @property
    def run_label(self) -> str:
        label = " · ".join(str(part) for part in self.run_label_parts() if part)
        return single_line(label, _MAX_LABEL)[:_MAX_LABEL]

    def run_label_parts(self) -> Sequence[Any]:
        return (getattr(self, "run_id", ""),)

    @cached_property
    def hook(self) -> AgentRunHook:
        # Airflow imports this module whenever it parses a DAG file, and the hook is slow to import.
        from airflow_provider_agentruns.hooks.agent_run import AgentRunHook

        return AgentRunHook(self.agentruns_conn_id)

    @contextmanager
    def error_boundary(self) -> Iterator[None]:
        """Mark errors that a retry cannot fix as final for Airflow, and close the hook's connections."""
        try:
            with mark_final_errors():
                yield
        finally:
            self.hook.close()

    def read_run(
        self, run_id: str, *, tolerate_outage: bool = False, missing_until: float | None = None
    ) -> AgentRun | None:
        """
        Read the run. If it ended as ``error``, read it again with its steps.

        :param tolerate_outage: Return None if the service fails. Not for a task's first read: the host may be wrong.
        :param missing_until: Return None until this time (Unix time) for a run that the service does not know.
        """
        self.run_page = self.hook.settings.run_page(run_id)
        try:
            run = self.hook.get_run(run_id)
        except AgentRunsError as e:
            may_appear = isinstance(e, AgentRunNotFoundError) and time.time() < (missing_until or 0)
            if not (may_appear or (tolerate_outage and e.retryable)):
                raise
            self.log.warning("Cannot read agent run %s; still waiting: %s", single_line(run_id), e)
            return None
        self.record(run)
        if run.status == "error":
            try:
                return self.hook.get_run(run_id, include_steps=True)
            except AgentRunsError as e:
                self.log.warning("Cannot read the steps of agent run %s: %s", single_line(run_id), e)
        return run

    def record(self, run: AgentRun) -> None:
        """Store the run for OpenLineage and the link, and log its status if it changed."""
        if run.status != self._last_status:
            log_status(self.log.log, run.id, run.status, self._last_status)
        settings = self.hook.settings
        self._last_run, self._base_url, self.run_page = run, settings.base_url, settings.run_page(run.id)

    @property
    def _last_status(self) -> str | None:
        return str(self._last_run.status) if self._last_run else None

    def push_run_id(self, context: Context, run_id: str) -> None:
        # Unit tests of DAG authors have no task instance.
        if "ti" in context:
            context["ti"].xcom_push(key="run_id", value=run_id)

    def answer_interrupt(self, context: Context, run_id: str, interrupt_id: str, answer: Any, **known: Any) -> Answered:
        """Answer a pending interrupt; see :func:`~airflow_provider_agentruns.idempotency.resume_run.answer_once`."""
        from airflow_provider_agentruns import metrics
        from airflow_provider_agentruns.idempotency.resume_run import answer_once

        self.run_page = self.hook.settings.run_page(run_id)
        try:
            answered = answer_once(
                run_id,
                interrupt_id,
                answer,
                send=self.hook.send,
                store=state_store(context),
                is_retry=self.current_attempt(context).number > 1,
                **known,
            )
        except AgentRunsError as e:
            metrics.count("resumes", self.agentruns_conn_id, outcome=type(e).__name__)
            metrics.count("resumes.failed", self.agentruns_conn_id, outcome=type(e).__name__)
            raise
        metrics.count("resumes", self.agentruns_conn_id, outcome=answered.delivery)
        return answered

    def current_attempt(self, context: Context) -> Attempt:
        import pendulum

        from airflow_provider_agentruns.idempotency.state import Attempt

        retries = self.retries or 0
        if "ti" not in context:
            return Attempt(number=1, max_tries=retries, earliest_start=pendulum.now("UTC"))
        ti, dag_run = context["ti"], context["dag_run"]
        run_after = pendulum.instance(dag_run.run_after)
        started = pendulum.instance(dag_run.start_date or run_after)
        # When a person clears tasks of a DAG run that has ended, Airflow sets a new start_date.
        is_restarted = bool(getattr(dag_run, "clear_number", 0))
        return Attempt(
            number=ti.try_number,
            max_tries=ti.max_tries,
            earliest_start=min(started, run_after) if is_restarted else started,
            # When a person clears a task, Airflow sets max_tries to the number of tries so far plus the retries.
            was_cleared=ti.max_tries > retries,
            restarted_at=started if is_restarted else None,
        )

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Context, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        if parent is self:
            from airflow_provider_agentruns.airflow_adapter.xcom_arguments import make_xcom_arguments_literal

            make_xcom_arguments_literal(self, [*template_fields, *self.late_template_fields], context)
            # Values in seen_oids are not rendered. Airflow fills it with XCom references that must be resolved, and
            # omits most values of expand_kwargs.
            seen_oids = set()
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        from airflow_provider_agentruns.lineage import lineage

        return lineage(self._last_run, self.agentruns_conn_id, self._base_url) if self._last_run else None

    get_openlineage_facets_on_failure = get_openlineage_facets_on_complete

    def defer_wait(
        self,
        run_id: str,
        wait_for: Collection[str],
        *,
        poll_interval: float,
        deadline: float | None,
        missing_until: float | None = None,
    ) -> NoReturn:
        """Defer the task to the triggerer, which resumes it in ``execute_complete``. Times are Unix times."""
        from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger

        # Airflow applies execution_timeout only on workers.
        if self.execution_timeout and self._execution_deadline is None:
            self._execution_deadline = time.time() + self.execution_timeout.total_seconds()
        kwargs = {"deadline": deadline, "execution_deadline": self._execution_deadline}
        end = min((at for at in kwargs.values() if at is not None), default=None)
        self.defer(
            trigger=AgentRunTrigger(
                run_id=run_id,
                agentruns_conn_id=self.agentruns_conn_id,
                wait_for=[str(status) for status in wait_for],
                poll_interval=poll_interval,
                end_time=end,
                missing_until=missing_until,
                watch=self.watch,
                seen=self._last_status,
            ),
            method_name="execute_complete",
            kwargs=kwargs,
            # The scheduler ends a wait without a triggerer a minute after its end.
            timeout=None if end is None else timedelta(seconds=max(0.0, end - time.time()) + 60),
        )

    def restore_wait(
        self,
        event: dict[str, Any],
        deadline: float | None = None,
        execution_deadline: float | None = None,
        **unknown: Any,
    ) -> None:
        log_unknown(unknown, "a deferred task")
        self._event, self._deadline, self._execution_deadline = event, deadline, execution_deadline

    def trigger_error(self) -> BaseException | None:
        """Return the error in the trigger's event: a timeout, or an error that occurs only in the triggerer."""
        event = self._event or {}
        if "error" not in event:
            return None
        if event["error"] != AgentRunTimeoutError.__name__:
            return AgentRunsError(
                f"The triggerer cannot read agent run {single_line(event['run_id'])}, although this worker can. "
                f"{event['error']}: {event['message']}"
            )
        if self._execution_deadline is not None and self._execution_deadline < (self._deadline or math.inf):
            return AirflowTaskTimeout(f"execution_timeout ({self.execution_timeout}) has passed: {event['message']}")
        return AgentRunTimeoutError(event["message"])


def state_store(context: Context) -> StateStore | None:
    """Return Airflow's task state store, without expiry; None before Airflow 3.3."""
    if (store := context.get("task_state_store")) is None:
        return None
    from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]

    # A run can take weeks, and later tries read the values.
    return cast("StateStore", SimpleNamespace(get=store.get, set=partial(store.set, retention=NEVER_EXPIRE)))

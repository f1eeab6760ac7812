# SPDX-License-Identifier: Apache-2.0
"""What the sensor and the operators share: a run to look at, to wait for with or without a worker, to link to."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from airflow.sdk import BaseOperator

from airflow_provider_agentruns.arguments import check_watch
from airflow_provider_agentruns.exceptions import (
    AgentRunNotFoundError,
    AgentRunsError,
    AgentRunTimeoutError,
)
from airflow_provider_agentruns.links.agent_run import AgentRunLink
from airflow_provider_agentruns.run_outcome import log_status

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context

    from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
    from airflow_provider_agentruns.idempotency.state import Attempt, StateStore
    from airflow_provider_agentruns.models import AgentRun

#: The XCom key under which tasks hand on a run's id.
RUN_ID_KEY = "run_id"

#: How long a run that was started just now may be unknown to the service, in seconds.
MAY_BE_MISSING = 60.0

#: How long the name of an instance of a mapped task may be, in characters.
_LONGEST_LABEL = 250

#: The trigger ends a wait in time by itself. Should no triggerer run, the scheduler does, this many seconds later.
_TRIGGER_GRACE = 60.0


class AgentRunTask(BaseOperator):
    """
    A task that has to do with one agent run.

    :param agentruns_conn_id: The Airflow connection.
    :param deferrable: Whether to wait in the triggerer, so that no worker is held. By default what Airflow's
        configuration says in ``[operators] default_deferrable``.
    :param watch: ``poll``, or ``stream`` to have the triggerer follow the run's events as well, where it counts
        that a change is noticed within a second. Each stream is a connection that stays open.
    :param map_index_template: How an instance of a mapped task is called. By default after its run; on Airflow
        before 3.3, which takes no default from an operator, by its number.
    """

    ui_color = "#e8e4f3"
    operator_extra_links = (AgentRunLink(),)

    #: Arguments that are rendered while the task runs, in addition to ``template_fields``.
    late_template_fields: Sequence[str] = ()

    #: URL of the run's page, once the run is known and the connection says where its page is.
    run_page: str = ""

    #: The status of the run that was logged last.
    _seen: str | None = None

    #: The run as it was seen last, and where.
    _run: AgentRun | None = None
    _service: str = ""

    def __init__(
        self,
        *,
        agentruns_conn_id: str = "agentruns_default",
        deferrable: bool | None = None,
        watch: Literal["poll", "stream"] = "poll",
        map_index_template: str | None = "{{ task.run_label }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.agentruns_conn_id = agentruns_conn_id
        self.deferrable = _default_deferrable() if deferrable is None else deferrable
        self.watch = check_watch(watch)

    @property
    def run_label(self) -> str:
        """What this task's run is called, for people; of a length and of characters that Airflow's database takes."""
        label = " · ".join(str(part) for part in self.run_label_parts() if part)
        return "".join(letter if letter.isprintable() else " " for letter in label[:_LONGEST_LABEL])

    def run_label_parts(self) -> Sequence[Any]:
        """Return what the label is made of."""
        return (getattr(self, "run_id", ""),)

    @cached_property
    def hook(self) -> AgentRunHook:
        """The hook over this task's connection."""
        # Not with the module, which Airflow imports whenever it parses a DAG file.
        from airflow_provider_agentruns.hooks.agent_run import AgentRunHook

        return AgentRunHook(self.agentruns_conn_id)

    @contextmanager
    def error_boundary(self) -> Iterator[None]:
        """Tell Airflow which errors are final, and leave no connection open."""
        from airflow_provider_agentruns.hooks.task_errors import task_errors

        try:
            with task_errors():
                yield
        finally:
            self.hook.close()

    def look(self, run_id: str, *, patient: bool = False, missing_until: float | None = None) -> AgentRun | None:
        """
        Read the run; with its steps where it ended as ``error``, and only then.

        :param patient: Whether a service that does not answer is a reason to look again later. It is for who
            has been waiting, and no reason for who has just begun: then a wrong host shows at once.
        :param missing_until: Until when, in seconds since 1970, a run that the service does not know counts as
            not there yet.
        :return: The run, or None where it cannot be seen for the moment.
        """
        self.run_page = self.hook.settings.run_page(run_id)
        try:
            run = self.hook.get_run(run_id)
        except AgentRunsError as e:
            may_appear = isinstance(e, AgentRunNotFoundError) and time.time() < (missing_until or 0)
            if not (may_appear or (patient and e.retryable)):
                raise
            self.log.warning("Cannot look at agent run %s, and go on waiting: %s", run_id, e)
            return None
        self.saw(run)
        if run.status == "error":
            try:
                return self.hook.get_run(run_id, include_steps=True)
            except AgentRunsError as e:
                self.log.warning("Cannot read the steps of agent run %s, to name the failing one: %s", run_id, e)
        return run

    def saw(self, run: AgentRun) -> None:
        """Log the run's status, if it is another one than was logged last."""
        self._run, self._service = run, self.hook.settings.base_url
        if run.status != self._seen:
            log_status(self.log.log, run.id, run.status, self._seen)
            self._seen = str(run.status)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render the templates that the DAG's author wrote. Values from XCom stay as they are."""
        if parent is self:
            from airflow_provider_agentruns.airflow_adapter.xcom_arguments import make_xcom_arguments_literal

            make_xcom_arguments_literal(self, [*template_fields, *self.late_template_fields], context)
            # Airflow lists here what it takes for values from XCom: too few of them, and references to XCom as well.
            seen_oids = set()
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Tell OpenLineage of the run; called by Airflow's OpenLineage provider, and only where that is installed."""
        from airflow_provider_agentruns.lineage import lineage

        if self._run is None:
            return None
        return lineage(self._run, self.agentruns_conn_id, self._service)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Do the same for a task that failed."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def defer_for(
        self,
        run_id: str,
        wait_for: Collection[str],
        *,
        poll_interval: float,
        deadline: float | None,
        missing_until: float | None = None,
    ) -> NoReturn:
        """
        Hand the wait to the triggerer, which wakes ``execute_complete``.

        :param deadline: When the wait ends, in seconds since 1970; None for never. ``execute_complete`` gets it
            back, since the wait may have to go on after it.
        """
        from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger

        self.defer(
            trigger=AgentRunTrigger(
                run_id=run_id,
                agentruns_conn_id=self.agentruns_conn_id,
                wait_for=[str(status) for status in wait_for],
                poll_interval=poll_interval,
                end_time=deadline,
                missing_until=missing_until,
                watch=self.watch,
                seen=self._seen,
            ),
            method_name="execute_complete",
            kwargs={"deadline": deadline},
            timeout=None if deadline is None else timedelta(seconds=max(0.0, deadline - time.time()) + _TRIGGER_GRACE),
        )


def trigger_error(event: dict[str, Any] | None) -> AgentRunsError | None:
    """
    Return the error that a trigger's event tells of, or None where it tells of none.

    Who is woken has read the run since, so that nearly every error shows there by itself. What is left is a
    time that is up, and what only the triggerer meets.
    """
    if not event or "error" not in event:
        return None
    if event["error"] == AgentRunTimeoutError.__name__:
        return AgentRunTimeoutError(event["message"])
    return AgentRunsError(
        f"The triggerer cannot look at agent run {event['run_id']}, although this worker can. It says "
        f"{event['error']}: {event['message']}"
    )


def state_store(context: Context) -> StateStore | None:
    """Return what outlives a try: Airflow's task state store, which there is since 3.3."""
    store = context.get("task_state_store")
    return None if store is None else _Store(store)


class _Store:
    """The task state store, in which what is kept stays as long as the DAG run does, however long a run takes."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: str) -> Any:
        return self._store.get(key)

    def set(self, key: str, value: dict[str, Any]) -> None:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE

        self._store.set(key, value, retention=NEVER_EXPIRE)


def current_attempt(context: Context) -> Attempt:
    """Return which try of its task this is."""
    import pendulum

    from airflow_provider_agentruns.idempotency.state import Attempt

    ti, dag_run = context["ti"], context["dag_run"]
    return Attempt(
        number=ti.try_number,
        max_tries=ti.max_tries,
        first_possible=pendulum.instance(dag_run.start_date or dag_run.run_after),
    )


def _default_deferrable() -> bool:
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))

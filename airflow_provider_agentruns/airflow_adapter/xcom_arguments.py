# SPDX-License-Identifier: Apache-2.0
"""Prevents Airflow from rendering values from XCom in arguments of mapped tasks. No public setting does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.template import literal

if TYPE_CHECKING:
    from airflow.sdk import Context


def make_xcom_arguments_literal(task: Any, names: Collection[str], context: Context) -> None:
    """
    Wrap the arguments of a mapped task that come from XCom in literals.

    Otherwise, Airflow replaces an agent's text such as ``{{ conn.agentruns_default.password }}`` by the token.

    :param task: The mapped task instance's task, before its templates are rendered.
    :param names: The template fields, including those that are rendered later.
    """
    # DAG authors' unit tests render tasks without a DAG.
    dag = task.get_dag()
    mapped = dag.task_dict.get(task.task_id) if dag else None
    if mapped is None or not mapped.is_mapped:
        return
    # A decorated task maps the arguments of its function.
    of_function = getattr(mapped, "op_kwargs_expand_input", None)
    if of_function is None:
        groups_defaults = mapped.task_group.default_args if mapped.task_group else {}
        given, partial = mapped.expand_input.value, {**dag.default_args, **groups_defaults, **mapped.partial_kwargs}
        values = {name: getattr(task, name) for name in names}
    else:
        given, partial, values = of_function.value, mapped.partial_kwargs["op_kwargs"], task.op_kwargs
    if isinstance(given, Mapping):
        from_xcom = {name for name, entries in given.items() if not isinstance(entries, Mapping | Sequence)}
    elif isinstance(given, Sequence) and isinstance(given[context["ti"].map_index or 0], Mapping):
        # expand_kwargs with arguments in the DAG file.
        from_xcom = set()
    else:
        from_xcom = {name for name, value in values.items() if value is not partial.get(name)}
    # None means "not given" to operators. Airflow does not render values that it resolves.
    literals = {
        name: literal(value)
        for name, value in values.items()
        if name in from_xcom and value is not None and not hasattr(value, "resolve")
    }
    if of_function is None:
        for name, value in literals.items():
            setattr(task, name, value)
    else:
        task.op_kwargs = {**values, **literals}
